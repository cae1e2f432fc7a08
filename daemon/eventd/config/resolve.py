"""From the sections of a file to the configuration: defaults, inheritance, contradictions.

What an agent's entry does not set, it takes from `gateway.eventStore` itself, with one care: what belongs
to a server (credentials, `tls`, `jsDomain`) is inherited only while the entry stays with the same servers,
that is, while it has no `url` or one that names none but servers of the outer `url`. So a password is
never sent to a server it was not written for. Credentials are inherited as a whole or not at all; `tls`,
`stream` and `context` key by key.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from .. import paths
from ..routes import (
    DEFAULT_ROUTE,
    EMBEDDED,
    Placement,
    Route,
    Routes,
    Server,
    StreamSettings,
    same_account,
)
from ..subjects import agent_prefix
from .access import Access
from .files import Files
from .listen import parse_listen
from .merge import filled, given
from .names import cluster_fault, domain_fault, prefix_fault, stream_fault, tag_fault
from .problems import ROOT, KeyPath, Report, dotted
from .schema import (
    JETSTREAM_MOMENT,
    EventStore,
    MetricsSection,
    PlacementSection,
    RouteSection,
    StreamSection,
)
from .servers import Servers
from .settings import (
    SHUTDOWN_TIMEOUT,
    Config,
    ContextSettings,
    EmbeddedSettings,
    IndexSettings,
    LogSettings,
    MetricsSettings,
    OutboxSettings,
    SocketSettings,
)

STREAM_NAME = "openclaw-events"
SUBJECT_PREFIX = "openclaw.events"

UNLIMITED = -1  # JetStream's own number for no limit

DEFAULT = Route(DEFAULT_ROUTE, Server((EMBEDDED,)), STREAM_NAME, SUBJECT_PREFIX)
"""The route when nothing is configured."""


def resolve(node: EventStore, report: Report, environ: Mapping[str, str]) -> Config:
    """Return the configuration; what is wrong goes into the report, which the caller checks."""
    files = Files(report)
    servers = Servers(report, files)
    routes = _RouteMaker(report, servers).routes(node)
    embedded = filled(EmbeddedSettings(), node.embedded)
    socket = filled(SocketSettings(), node.socket)
    access = Access(report, servers)
    context = filled(ContextSettings(), node.context)
    server_path = files.program(embedded.server_path, (*ROOT, "embedded", "serverPath"))
    return Config(
        routes=routes,
        data_dir=files.path(node.data_dir) or paths.data_folder(environ),
        outbox=filled(OutboxSettings(), node.outbox),
        index=filled(IndexSettings(), node.index),
        context=context,
        contexts={name: filled(context, entry.context) for name, entry in (node.agents or {}).items()},
        embedded=replace(embedded, server_path=server_path, store_dir=files.path(embedded.store_dir)),
        socket=replace(socket, path=files.path(socket.path)),
        access=access.access(node, socket),
        rates=access.rates(node),
        log=filled(LogSettings(), node.log),
        metrics=_metrics(node.metrics, report, files),
        shutdown_timeout=given(node.shutdown_timeout, SHUTDOWN_TIMEOUT),
        source=report.source,
        warnings=tuple(report.warnings),
    )


def _metrics(section: MetricsSection | None, report: Report, files: Files) -> MetricsSettings:
    if section is None or section.listen is None:
        return MetricsSettings()
    try:
        listen = parse_listen(section.listen)
    except ValueError as error:
        report.problem((*ROOT, "metrics", "listen"), str(error))
        return MetricsSettings()
    return MetricsSettings(files.path(listen) if isinstance(listen, Path) else listen)


class _RouteMaker:
    def __init__(self, report: Report, servers: Servers) -> None:
        self._report = report
        self._servers = servers

    def routes(self, node: EventStore) -> Routes:
        default = self._route(node, ROOT, DEFAULT)
        agents = {name: self._agent(name, entry, default) for name, entry in (node.agents or {}).items()}
        self._check_streams([default, *agents.values()])
        return Routes(_finished(default), {name: _finished(route) for name, route in agents.items()})

    def _agent(self, name: str, entry: RouteSection, default: Route) -> Route:
        route = self._route(entry, (*ROOT, "agents", name), replace(default, name=name))
        if route.stream != default.stream and route.prefix == default.prefix:
            # An agent's own stream takes its own subjects. They are the same as before (the agent's token
            # follows the prefix anyway), but the stream leaves the other agents' alone.
            route = replace(route, prefix=agent_prefix(route.prefix, name))
        return route

    def _route(self, section: RouteSection, path: KeyPath, parent: Route) -> Route:
        for key, value, fault_of in (
            ("streamName", section.stream_name, stream_fault),
            ("subjectPrefix", section.subject_prefix, prefix_fault),
            ("jsDomain", section.js_domain, domain_fault),
        ):
            if value is not None and (fault := fault_of(value)) is not None:
                self._report.problem((*path, key), fault)
        server = self._servers.server(section, path, parent.server)
        return replace(
            parent,
            server=server,
            stream=given(section.stream_name, parent.stream),
            prefix=given(section.subject_prefix, parent.prefix),
            settings=self._stream(section, (*path, "stream"), parent.settings, server),
            enabled=given(section.enabled, parent.enabled),
            shared_account=given(section.shared_account, parent.shared_account),
        )

    def _stream(
        self, section: RouteSection, path: KeyPath, parent: StreamSettings, server: Server
    ) -> StreamSettings:
        own = section.stream or StreamSection()
        settings = filled(parent, msgspec.structs.replace(own, placement=None))
        if own.placement is not None:
            placement = self._placement(own.placement, (*path, "placement"))
            settings = replace(settings, placement=placement if placement != Placement() else None)
        settings = self._replicated(settings, own, path, server)
        age, window = settings.max_age, settings.duplicate_window
        if 0 < age < JETSTREAM_MOMENT:
            self._report.problem((*path, "maxAge"), "has to be 0 (for ever) or at least 100ms")
        if 0 < age < window != DEFAULT.settings.duplicate_window:
            self._report.problem(
                (*path, "duplicateWindow"), "cannot be longer than maxAge; JetStream refuses that"
            )
        return replace(settings, manage=given(section.manage_stream, parent.manage))

    def _placement(self, section: PlacementSection, path: KeyPath) -> Placement:
        if section.cluster is not None and (fault := cluster_fault(section.cluster)) is not None:
            self._report.problem((*path, "cluster"), fault)
        for tag in section.tags or ():
            if (fault := tag_fault(tag)) is not None:
                self._report.problem((*path, "tags"), fault)
        return Placement(section.cluster or "", tuple(section.tags or ()))

    def _replicated(
        self, settings: StreamSettings, own: StreamSection, path: KeyPath, server: Server
    ) -> StreamSettings:
        """Look at what only a cluster can do; what the embedded server cannot is not inherited by it."""
        if server.embedded:
            if (own.replicas or 1) > 1 or (own.placement is not None and settings.placement is not None):
                self._report.problem(
                    (*path, "placement" if (own.replicas or 1) == 1 else "replicas"),
                    "the embedded server is a single one; replicas and placement are for a cluster, "
                    "whose servers url names",
                )
            return replace(settings, replicas=1, placement=None)
        if own.replicas == 2:
            self._report.warning(
                (*path, "replicas"),
                "two replicas are both needed to store anything, so the loss of either stops it; "
                "take 3, which goes on without one, or 1",
            )
        return settings

    def _check_streams(self, routes: list[Route]) -> None:
        """One stream has one set of settings, and two streams do not take the same subjects.

        Whether two logins are one account cannot be told from here. So only routes with equal credentials, or
        with `sharedAccount`, are compared; with others all may be well.
        """
        for number, route in enumerate(routes):
            path = (*ROOT, "agents", route.name)
            for other in routes[:number]:
                if not same_account(route, other):
                    continue
                is_default = other.name == DEFAULT_ROUTE
                whose = f"{dotted(ROOT)} itself" if is_default else f"the agent {other.name}"
                if route.stream == other.stream:
                    if route.settings != other.settings:
                        self._report.problem(
                            (*path, "stream"),
                            f"{whose} has other settings for the same stream {route.stream}; "
                            "give this agent a streamName of its own, or set them in one place",
                        )
                elif _overlap(route.prefix, other.prefix) and not is_default:
                    self._report.warning(
                        (*path, "subjectPrefix"),
                        f"{route.prefix} overlaps {other.prefix} of {whose}; JetStream takes two streams "
                        "with the same subjects only in different accounts",
                    )


def _finished(route: Route) -> Route:
    """Return a route with the values that JetStream understands.

    Only when all inheriting is done: what was derived for one route is not meant for another.
    """
    settings = route.settings
    if 0 < settings.max_age < settings.duplicate_window:
        settings = replace(settings, duplicate_window=settings.max_age)
    if settings.max_bytes == 0:
        settings = replace(settings, max_bytes=UNLIMITED)
    return replace(route, settings=settings)


def _overlap(prefix: str, other: str) -> bool:
    return f"{prefix}.".startswith(f"{other}.") or f"{other}.".startswith(f"{prefix}.")
