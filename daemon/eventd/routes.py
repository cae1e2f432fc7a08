"""A route: where the events of an agent go. Plain data, made from the configuration."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .secret import Secret

EMBEDDED = "embedded"
"""The `url` that stands for the nats-server that eventd runs itself."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS material of a connection; paths to PEM files."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in. At most one of the four ways is set; none means an open server."""

    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    creds_file: Path | None = None
    nkey_seed: Secret | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A NATS server or cluster and how to log in.

    Attributes:
        urls: `nats://host:port` or `tls://host:port`, without credentials; `("embedded",)` for our own.
    """

    urls: tuple[str, ...]
    credentials: Credentials = field(default_factory=Credentials)
    tls: Tls | None = None
    js_domain: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether this is the server that eventd runs itself."""
        return self.urls == (EMBEDDED,)

    @property
    def files(self) -> frozenset[Path]:
        """The files that are read at each connecting: secrets and certificates."""
        login, tls = self.credentials, self.tls or Tls()
        secrets = (login.password, login.token, login.nkey_seed)
        files = [login.creds_file, tls.ca_file, tls.cert_file, tls.key_file]
        files += [secret.path for secret in secrets if secret is not None]
        return frozenset(file for file in files if file is not None)


@dataclass(frozen=True, slots=True)
class Placement:
    """On which servers the replicas of a stream lie.

    Attributes:
        cluster: Name of the cluster, where several are connected; "" leaves it to JetStream.
        tags: All of them a server has to have; one that begins with "!" it must not have.
    """

    cluster: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a stream is made (and kept, with `manage`, when it is not ours). Times in seconds, sizes in bytes.

    Attributes:
        max_age: How long events are kept; 0 for ever. `memory.*` and `migration.*` never expire.
        replicas: Servers of a cluster that hold it.
        placement: Which servers; None leaves it as it is.
        manage: Whether settings of a stream that eventd did not create may be changed.
    """

    max_age: float = 90 * 86400.0
    max_bytes: int = -1
    replicas: int = 1
    placement: Placement | None = None
    duplicate_window: float = 120.0
    manage: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where the events of one agent (or of all that have no entry of their own) go.

    Attributes:
        name: The agent's name, or `DEFAULT_ROUTE`.
        enabled: Whether new events are taken; what was accepted before is shipped either way.
        shared_account: Whether other agents log in to the same NATS account. There a login can make the
            server put an answer under another agent's subject, so only messages that name their stream count.
    """

    name: str
    server: Server
    stream: str
    prefix: str
    settings: StreamSettings = field(default_factory=StreamSettings)
    enabled: bool = True
    shared_account: bool = False


def same_account(route: Route, other: Route) -> bool:
    """Whether two routes log in to one account, as far as the configuration says.

    Two logins at one server are two accounts unless both routes say `shared_account`: what a server tells
    about it is no proof, since an agent may own the account, or the server.
    """
    server, others = route.server, other.server
    return (
        not set(server.urls).isdisjoint(others.urls)
        and server.js_domain == others.js_domain
        and (server.credentials == others.credentials or (route.shared_account and other.shared_account))
    )


class StreamKey(NamedTuple):
    """A stream, told from those of the same name in other accounts.

    Attributes:
        account: From `Routes.account_of`.
        name: JetStream's own name of it.
    """

    account: str
    name: str


DEFAULT_ROUTE = "*"
"""Name of the route of agents without an entry; no agent can be called that."""


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes of a configuration: the default and one per agent with an entry."""

    default: Route
    by_agent: dict[str, Route] = field(default_factory=dict)

    def of(self, agent: str) -> Route:
        """Return the route of an agent."""
        return self.by_agent.get(agent, self.default)

    def all(self) -> list[Route]:
        """Return every route, the default first."""
        return [self.default, *self.by_agent.values()]

    def account_of(self, route: Route) -> str:
        """Return what we call the account of a route: the name of the first route that logs in to it.

        A name that stays when passwords and addresses change: the index knows streams by it.
        """
        return next((first.name for first in self.all() if same_account(first, route)), route.name)

    def overlapping(self) -> bool:
        """Whether an agent's subjects lie below the default prefix on the same server.

        Accounts cannot be told from here, so two users of one server count as the same account:
        a default stream with narrow subjects is right in both cases.
        """
        return any(
            route.server.urls == self.default.server.urls
            and route.stream != self.default.stream
            and f"{route.prefix}.".startswith(f"{self.default.prefix}.")
            for route in self.by_agent.values()
        )
