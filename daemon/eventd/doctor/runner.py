"""Runs all checks: what can wait for others at the same time, each within its deadline."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from ..config.settings import Config
from ..routes import Route
from .access import examine_access
from .configuration import examine_config, warnings_of
from .daemon import examine_daemon, health
from .files import examine_files
from .model import Finding, Findings, unmade
from .nats import Examined, examine_route
from .reach import examine_socket
from .reading import examine_reading
from .room import examine_room
from .service import Candidates, examine_service
from .streams import label
from .tools import Tools, examine_tools
from .trial import examine_trial
from .visit import Connect, Visit, visit

logger = logging.getLogger(__name__)

ROUTES_AT_ONCE = 16  # connections that are open at the same time

ORDER = ("config", "access", "daemon", "events", "disk", "route", "trial", "tools", "service")
"""Groups of checks in the order in which people read them; those of routes stay together, route by route."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be looked at.

    Attributes:
        config: The config file that was named; None: the one that the daemon uses.
        socket: The socket that was named.
        agent: Only this agent's route, and the test event as this agent.
        test_event: Whether one is sent.
        timeout: Seconds for each route, and for the test event.
    """

    config: Path | None = None
    socket: Path | None = None
    agent: str | None = None
    test_event: bool = True
    timeout: float = 10.0


class Doctor:
    """Looks at everything.

    Args:
        connect: How the daemon is reached; has a deadline of its own.
        candidates: How eventd may be installed as a service here.
        tools: The agent tools of this user; None: they are not looked at.
    """

    def __init__(
        self, wish: Wish, connect: Connect, candidates: Candidates, tools: Tools | None = None
    ) -> None:
        self._wish = wish
        self._connect = connect
        self._candidates = candidates
        self._tools = tools

    async def examine(self) -> Findings:
        """Return all findings, in the order in which people read them."""
        wish = self._wish
        visited = await anyio.to_thread.run_sync(visit, self._connect)
        loaded = await anyio.to_thread.run_sync(examine_config, wish.config, visited)
        config = loaded.config
        here: Findings = []
        daemon: Findings = []
        routes: list[Examined] = []
        others: Findings = []
        async with anyio.create_task_group() as tasks:
            if config is not None:
                tasks.start_soon(self._routes, config, visited, routes)
                tasks.start_soon(_collect, here, "config.files", lambda: _files(config, visited))
                tasks.start_soon(_collect, others, "disk.room", lambda: examine_room(config))
            socket = wish.socket or (config.socket.path if config else None)
            tasks.start_soon(_collect, daemon, "daemon.socket", lambda: examine_socket(socket, visited))
        told: Findings = []
        await _collect(told, "daemon.health", lambda: examine_daemon(visited))
        await _collect(told, "events.context", lambda: examine_reading(visited, self._connect, wish.agent))
        found = list(_once_per_server(routes))
        daemon += health(visited, [*daemon, *told, *found, *others])
        trial = await self._trial(config, routes, visited)
        service: Findings = []
        await _collect(service, "service.installed", lambda: self._service(visited))
        tools: Findings = []
        if (those := self._tools) is not None:
            await _collect(tools, "tools.installed", lambda: examine_tools(those, visited, self._connect))
        everything = [*loaded.findings, *here, *daemon, *told, *others, *found, *trial, *tools, *service]
        return sorted(everything, key=lambda finding: ORDER.index(_place(finding)))

    async def _routes(self, config: Config, visited: Visit, into: list[Examined]) -> None:
        """Look at the routes at the same time; `into` has them in the order of the configuration."""
        wanted = [config.routes.of(self._wish.agent)] if self._wish.agent else config.routes.all()
        into += [Examined(route) for route in wanted]
        limiter = anyio.CapacityLimiter(ROUTES_AT_ONCE)

        async def look(number: int, route: Route) -> None:
            async with limiter:
                try:
                    into[number] = await examine_route(config, route, visited, self._wish.timeout)
                except Exception as error:  # one route's bug must not hide the others
                    logger.debug(
                        "looking at a route failed", exc_info=True, extra={"action": "doctor_failed"}
                    )
                    into[number].findings.append(
                        unmade("nats.connection", "connection", _failure(error), route=label(route))
                    )

        async with anyio.create_task_group() as tasks:
            for number, route in enumerate(wanted):
                tasks.start_soon(look, number, route)

    async def _trial(self, config: Config | None, routes: Sequence[Examined], visited: Visit) -> Findings:
        if not self._wish.test_event:
            return []
        agent, timeout = self._wish.agent, self._wish.timeout
        examined = routes[0] if routes else None  # the default, or the one that was asked for
        found: Findings = []

        async def send() -> Findings:
            return await examine_trial(config, examined, visited, self._connect, agent, timeout)

        await _collect_async(found, "trial.accepted", send)
        return found

    def _service(self, visited: Visit) -> Findings:
        used = visited.status.get("config")
        return examine_service(self._candidates(Path(used) if used else None, visited.socket), visited)


def _place(finding: Finding) -> str:
    return "route" if finding.route else finding.group


def _once_per_server(routes: Sequence[Examined]) -> Iterator[Finding]:
    """Yield the findings of routes; what cannot be told of a server is told with its first route alone."""
    told: set[tuple[str, ...]] = set()
    for examined in routes:
        urls = examined.route.server.urls
        for finding in examined.findings:
            if finding.check != "nats.sync" or urls not in told:
                yield finding
        if examined.reached:
            told.add(urls)


def _files(config: Config, visited: Visit) -> Findings:
    findings, exposed = examine_files(config)
    return [*warnings_of(config, exposed), *findings, *examine_access(config, visited)]


async def _collect(into: Findings, check: str, look: Callable[[], Findings]) -> None:
    """Run checks that block, in a thread."""

    async def in_thread() -> Findings:
        return await anyio.to_thread.run_sync(look)

    await _collect_async(into, check, in_thread)


async def _collect_async(into: Findings, check: str, look: Callable[[], Awaitable[Findings]]) -> None:
    try:
        into += await look()
    except Exception as error:  # another version's document, say; the other checks go on
        logger.debug("a check failed", exc_info=True, extra={"action": "doctor_failed", "check": check})
        into.append(unmade(check, check.partition(".")[2].replace("_", " "), _failure(error)))


def _failure(error: Exception) -> str:
    return f"the check itself failed: {type(error).__name__}: {error}"
