"""What the outbox takes in and gives out. Plain data; no SQL, no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from ..errors import OutboxError

NEARLY_FULL = 0.9  # of what a route may hold


class RunGone(OutboxError):
    """A run, or a part of it, is not retained any more."""


class NewRow(msgspec.Struct, gc=False):
    """An admitted event on its way to disk.

    A Struct, because more than 100 000 are made each second: it takes 0.06 µs, a NamedTuple 0.28.

    Attributes:
        route: Number of the route, from `Outbox.register_route`.
        agent: The event's agent.
        event_id: The event's id, unique per agent.
        subject: Full NATS subject.
        never_expires: Published with `Nats-TTL: never`.
        digest: Digest of the content as the agent sent it, within SQLite's integers (64 bits with a sign);
            tells a repeat from a conflict.
        body: The JSON that is stored.
        tombstone: Whether it names events that have to be erased from the stream before it is published.
    """

    route: int
    agent: str
    event_id: str
    subject: str
    never_expires: bool
    digest: int
    body: bytes
    tombstone: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a submission was not stored.

    Attributes:
        code: A code of `eventd_ipc.errors.CODES`: `outbox_full`, `disk_full`, `id_conflict` or `forgotten`.
        index: Row that caused it, from 0, where one did.
        hint: What to do about it in this very case; "" where the code's own hint says it.
        route: Number of the route that has no room, where that is why.
    """

    code: str
    message: str
    index: int | None = None
    hint: str = ""
    route: int | None = None


class Submission:
    """The rows of one emit: stored all or none.

    Attributes:
        rows: In the agent's order. May be empty (a refused emit that keeps its place in the queue).
        size: Bytes of their bodies.
        context: The caller's own; the outbox does not look at it.
        refusal: Set by the outbox when the rows were not stored. None when done: the rows are on disk
            (now, or already before: a repeat).
    """

    __slots__ = ("context", "refusal", "rows", "size")

    def __init__(self, rows: Sequence[NewRow], context: object = None) -> None:
        self.rows = rows
        self.size = sum([len(row.body) for row in rows])
        self.context = context
        self.refusal: Refusal | None = None


Done = Callable[[list[Submission]], None]
"""Called once, on the event loop, with the submissions in the order they were handed in.

It stands for the caller: what is handed in with the same one stays in order.
"""


class Row(NamedTuple):
    """An event in the outbox.

    Attributes:
        seq: Outbox number: accept order over all routes, never used twice.
        msg_id: `agent:id`, the `Nats-Msg-Id`.
        accepted_at: Unix milliseconds.
        tombstone: Whether it names events that have to be erased from the stream before it is published.
    """

    seq: int
    msg_id: str
    subject: str
    never_expires: bool
    accepted_at: int
    body: bytes
    tombstone: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Settled rows of one route, contiguous in the outbox's order of that route and in the stream.

    The n-th row of the run (from 0) is at stream sequence `stream_seq + n`.
    """

    first: int
    last: int
    count: int
    stream_seq: int


class DeadLetter(NamedTuple):
    """A row that can never be published.

    Attributes:
        number: Its outbox number.
        code: JetStream's err_code, or 0 where there is none.
        died_at: Unix milliseconds.
        never_expires: As it was to be published.
    """

    number: int
    route: str
    msg_id: str
    subject: str
    reason: str
    code: int
    died_at: int
    body: bytes
    never_expires: bool = False


class Death(NamedTuple):
    """The verdict that moves a pending row to the dead letters."""

    seq: int
    reason: str
    code: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a publish achieved, applied in one transaction.

    Attributes:
        route: Number of the route.
        upto: New watermark: every row of the route up to this outbox number is stored or dead.
        runs: Where the stored ones are, oldest first.
        deaths: Rows that become dead letters.
    """

    route: int
    upto: int
    runs: tuple[Run, ...] = ()
    deaths: tuple[Death, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """How far a route has come.

    Attributes:
        settled: The watermark; rows above it are pending.
        stream_seq: Greatest stream sequence of a settled row that was stored; 0 before the first.
        stream_created: The stream's creation time as JetStream tells it; "" when never seen.
    """

    settled: int
    stream_seq: int
    stream_created: str


@dataclass(slots=True)
class RouteStats:
    """Counters of one route; bytes are those of the stored bodies plus a fixed overhead per row."""

    number: int
    name: str
    stream: str
    prefix: str
    pending_rows: int = 0
    pending_bytes: int = 0
    oldest_pending_at: int | None = None
    retained_rows: int = 0
    retained_bytes: int = 0
    retained_since: int | None = None
    """Accept time (Unix ms) of the oldest retained row: how far back repair reaches."""
    dead_rows: int = 0
    dead_bytes: int = 0
    max_bytes: int = 0
    """What it may hold now, pending and dead. Known in a snapshot only: it moves with the other routes."""
    refused: bool = False
    """Whether emits were refused for want of room since it last was less than nearly full."""

    @property
    def held_bytes(self) -> int:
        """Bytes that count against what it may hold."""
        return self.pending_bytes + self.dead_bytes

    @property
    def nearly_full(self) -> bool:
        """Whether it holds about as much as it may."""
        return self.held_bytes >= self.max_bytes * NEARLY_FULL

    @property
    def full(self) -> bool:
        """Whether its emits are refused for want of room."""
        return self.refused and self.nearly_full


@dataclass(slots=True)
class OutboxStats:
    """A snapshot for status; made on the writer's thread after each commit, read anywhere."""

    path: str = ""
    sqlite: str = ""
    schema: int = 0
    file_bytes: int = 0
    wal_bytes: int = 0
    last_seq: int = 0
    accepted: int = 0
    accepted_per_s: float = 0.0
    """Over about the last minute."""
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    commits: int = 0
    commit_ms: float = 0.0
    """Duration of the last group commit."""
    commit_s: float = 0.0
    """Seconds that all of them took together."""
    busy_s: float = 0.0
    """Seconds for which the writer has been at what it does now; some only where the disk hangs."""
    disk_full: bool = False
    ledger_ids: int = 0
    lost_events: int = 0
    """Acked events that damage destroyed, since this outbox began; the quarantine's reports list them."""
    quarantines: int = 0
    routes: dict[int, RouteStats] = field(default_factory=dict)
