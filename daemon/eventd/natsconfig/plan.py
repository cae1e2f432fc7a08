"""Who gets what: from a configuration to a login, a stream and subjects for every agent."""

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..config.settings import Config
from ..errors import ConfigError
from ..routes import DEFAULT_ROUTE, Credentials, Route, Routes, Server, same_account
from ..subjects import agent_prefix, encode_token
from .logins import Login, LoginKind, kept_login, new_login
from .permissions import Permissions, admin_permissions, route_permissions

DEFAULT_LOGIN = "eventd"
ADMIN_LOGIN = "eventd-admin"
DEFAULT_AGENTS = ("main",)  # OpenClaw's own agent, which has no entry
LOOPBACK = "127.0.0.1"
DEFAULT_LISTEN = f"{LOOPBACK}:4222"
LOCAL_HOSTS = ("localhost", LOOPBACK, "[::1]")
ANY_HOST = ("0.0.0.0", "[::]")  # a server listens there, and no client connects to it


class Mode(enum.StrEnum):
    """How agents are kept apart."""

    ACCOUNTS = "accounts"
    """An account for each: nothing of one can be named by another."""
    USERS = "users"
    """One account, in which each may only do what its own stream needs."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asks for.

    Attributes:
        kind: Of the logins that are made.
        listen: `host:port` of the server; None takes it from the configuration.
        agents: Those without an entry that the default stream is for, beside `main`; users mode lists them.
        snapshots: Whether a login may copy its stream as a whole; in an account of its own it may anyway.
    """

    mode: Mode = Mode.ACCOUNTS
    kind: LoginKind = LoginKind.NKEY
    listen: str | None = None
    agents: tuple[str, ...] = ()
    snapshots: bool = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """An agent with an entry, or everybody else together (the default route).

    Attributes:
        name: Of its login, and of its account where it has one.
        route: As it is to be: with a stream of its own, and this login.
        subjects: Patterns of its events.
        permissions: None where the account is its own.
    """

    name: str
    route: Route
    login: Login
    subjects: tuple[str, ...]
    permissions: Permissions | None = None


@dataclass(frozen=True, slots=True)
class Administrator:
    """Makes the streams where nobody else may."""

    login: Login
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class Plan:
    """A server and everybody on it, the default route first.

    Attributes:
        listen: `host:port`.
        notes: What the operator should know.
    """

    mode: Mode
    listen: str
    tenants: tuple[Tenant, ...]
    administrator: Administrator | None = None
    js_domain: str | None = None
    tls: bool = False
    notes: tuple[str, ...] = ()

    @property
    def server(self) -> Server:
        """Where clients connect to, without a login."""
        return replace(self.tenants[0].route.server, credentials=Credentials())


def make_plan(config: Config, wish: Wish) -> Plan:
    """Return the plan for the server of the default route; secrets that are missing are made.

    Raises:
        ConfigError: A login cannot stand in a server's configuration, or agents cannot be kept apart.
    """
    notes: list[str] = []
    all_routes = config.routes
    routes = [_separated(route, all_routes, wish.mode, notes) for route in _on_one_server(all_routes, notes)]
    _give_streams(routes)
    listen = wish.listen or _listen_of(config.routes.default.server, notes)
    tenants: list[Tenant] = []
    for route in routes:
        login = _login(route, wish.kind, [tenant.login for tenant in tenants], notes)
        server = replace(_server(route.server, wish, listen), credentials=login.credentials)
        tenants.append(_tenant(replace(route, server=server), login, _subjects(route, routes, wish), wish))
    administrator = None
    if wish.mode is Mode.USERS:
        _check_apart(tenants)
        administrator = Administrator(new_login(ADMIN_LOGIN, wish.kind), admin_permissions())
    _check_names([*(tenant.login for tenant in tenants), *([administrator.login] if administrator else [])])
    default = tenants[0].route.server
    return Plan(
        mode=wish.mode,
        listen=listen,
        tenants=tuple(tenants),
        administrator=administrator,
        js_domain=default.js_domain,
        tls=default.tls is not None or any(url.startswith("tls:") for url in default.urls),
        notes=tuple(notes),
    )


def _tenant(route: Route, login: Login, subjects: tuple[str, ...], wish: Wish) -> Tenant:
    shared = wish.mode is Mode.USERS
    permissions = route_permissions(route.name, route.stream, subjects, snapshots=wish.snapshots)
    return Tenant(
        name=login.name,
        route=replace(route, shared_account=shared),
        login=login,
        subjects=subjects,
        permissions=permissions if shared else None,
    )


def _on_one_server(routes: Routes, notes: list[str]) -> Iterator[Route]:
    """Yield the routes of the default route's server; others belong into the configuration of theirs."""
    default = routes.default.server
    for route in routes.all():
        if set(route.server.urls) & set(default.urls):
            yield route
        else:
            notes.append(f"{_called(route)} goes to another server, {route.server.urls[0]}, and is left out")


def _separated(route: Route, routes: Routes, mode: Mode, notes: list[str]) -> Route:
    """Return a route without a stream that it shares: `stream` is empty where a new one is wanted."""
    default = routes.default
    if route.server.js_domain != default.server.js_domain:
        raise ConfigError(
            f"{_called(route)} has another jsDomain than the others; a server is in one domain",
            hint="set jsDomain once, at the top, or give the agent a server of its own by url",
        )
    if route.name == DEFAULT_ROUTE or not any(_share_stream(route, other, mode) for other in routes.all()):
        return route
    prefix = agent_prefix(route.prefix, route.name) if route.prefix == default.prefix else route.prefix
    notes.append(f"{_called(route)} used {route.stream} together with others, and gets a stream of its own")
    return replace(route, stream="", prefix=prefix)


def _share_stream(route: Route, other: Route, mode: Mode) -> bool:
    """Whether two routes would be one stream's. Accounts may each have one of the same name."""
    if other.name == route.name or other.stream != route.stream:
        return False
    on_one_server = not set(route.server.urls).isdisjoint(other.server.urls)
    return on_one_server if mode is Mode.USERS else same_account(route, other)


def _give_streams(routes: list[Route]) -> None:
    """Name the streams that are missing; names that are taken are passed over."""
    taken = {route.stream for route in routes}
    for at, route in enumerate(routes):
        if not route.stream:
            wanted = f"events-{encode_token(route.name)}"
            names = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
            stream = next(name for name in names if name not in taken)
            taken.add(stream)
            routes[at] = replace(route, stream=stream)


def _server(server: Server, wish: Wish, listen: str) -> Server:
    """Return where clients find the server of this configuration."""
    if wish.listen is None and not server.embedded:
        return server
    host, _, port = listen.rpartition(":")
    if host in ANY_HOST:
        host = LOOPBACK if server.embedded else _address(server)[0]
    scheme = "tls" if any(url.startswith("tls:") for url in server.urls) else "nats"
    return Server((f"{scheme}://{host}:{port}",), tls=server.tls, js_domain=server.js_domain)


def _listen_of(server: Server, notes: list[str]) -> str:
    """Return where a server listens that clients find under this address."""
    if server.embedded:
        return DEFAULT_LISTEN
    host, port = _address(server)
    if host in LOCAL_HOSTS:
        return f"{LOOPBACK if host == 'localhost' else host}:{port}"
    notes.append(
        f"config.yml names the server {server.urls[0]}; the configuration listens on {DEFAULT_LISTEN} until "
        "--listen says otherwise"
    )
    return DEFAULT_LISTEN


def _address(server: Server) -> tuple[str, str]:
    host, _, port = server.urls[0].partition("://")[2].rpartition(":")
    return host, port


def _login(route: Route, kind: LoginKind, taken: Sequence[Login], notes: list[str]) -> Login:
    """Return a login that is the route's own: the one of the configuration if it is that."""
    name = _login_name(route)
    kept = kept_login(name, route.server.credentials)
    if kept is not None and kept.public not in [login.public for login in taken]:
        return kept
    if kept is not None:
        notes.append(f"{_called(route)} logged in like another route, and gets a login of its own")
    elif route.server.credentials.token is not None:
        notes.append(f"{_called(route)} logged in with a token, of which a server has one for all")
    return new_login(name, kind)


def _subjects(route: Route, routes: Sequence[Route], wish: Wish) -> tuple[str, ...]:
    """Return the patterns of a route's events.

    The default route has everything below its prefix, unless an agent's subjects lie there in the same
    account: JetStream takes no two streams with the same subjects, so it has to list its agents.
    """
    if route.name != DEFAULT_ROUTE:
        return (_pattern(route.prefix, route.name),)
    everything = f"{route.prefix}.>"
    below = any(_within(_pattern(other.prefix, other.name), everything) for other in routes[1:])
    if wish.mode is Mode.ACCOUNTS or not below:
        return (everything,)
    agents = list(dict.fromkeys([*DEFAULT_AGENTS, *wish.agents]))
    own = {other.name for other in routes[1:]}
    if given := own & set(wish.agents):
        raise ConfigError(
            f"the agent {min(given)} has an entry in config.yml, and so a stream of its own",
            hint="--agent is for agents without one",
        )
    return tuple(_pattern(route.prefix, agent) for agent in agents if agent not in own) or (
        _pattern(route.prefix, "_"),  # a stream has to take something
    )


def _check_apart(tenants: Sequence[Tenant]) -> None:
    for tenant, other in itertools.combinations(tenants, 2):
        for mine, theirs in itertools.product(tenant.subjects, other.subjects):
            if _within(mine, theirs) or _within(theirs, mine):
                raise ConfigError(
                    f"subjects of {_called(tenant.route)} ({mine}) and of {_called(other.route)} ({theirs}) "
                    "overlap; in one account nothing can keep them apart",
                    hint="give one of them another subjectPrefix, or use --mode accounts",
                )


def _check_names(logins: Iterable[Login]) -> None:
    """A name that is made can be one that the configuration has for somebody else."""
    users: set[str] = set()
    for login in logins:
        if login.user in users:
            raise ConfigError(
                f"two logins would be called {login.user}",
                hint=f"new logins are called like their agents, and the administrator {ADMIN_LOGIN}; "
                "rename the user in config.yml, or leave it out",
            )
        if login.user is not None:
            users.add(login.user)


def _pattern(prefix: str, agent: str) -> str:
    return f"{agent_prefix(prefix, agent)}.>"


def _within(inner: str, outer: str) -> bool:
    """Whether all that the pattern `inner` takes is taken by `outer`; both end in `.>`."""
    return inner.startswith(outer.removesuffix(">"))


def _login_name(route: Route) -> str:
    """Return a name for a login that is safe as a file's; no agent's is that of the default route."""
    return DEFAULT_LOGIN if route.name == DEFAULT_ROUTE else f"agent-{encode_token(route.name)}"


def _called(route: Route) -> str:
    return "the default route" if route.name == DEFAULT_ROUTE else f"the agent {route.name}"
