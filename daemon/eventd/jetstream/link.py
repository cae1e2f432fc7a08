"""Keeps a connection for one route: connects, watches, and connects again, for as long as eventd runs."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from eventd_ipc.backoff import Backoff

from ..errors import ConfigError, EmbeddedServerError, EventdError, LinkLost, NatsError
from ..routes import DEFAULT_ROUTE
from .endpoint import Resolve
from .session import Session, open_session

logger = logging.getLogger(__name__)

BACKOFF_FIRST = 0.1  # seconds before the second attempt
BACKOFF_MAX = 5.0  # seconds; short enough to heal well within the promised minute
PROBE_INTERVAL = 5.0  # seconds between round trips; with the probe's own 5 s a dead link shows in 10 s

Serve = Callable[[Session], Awaitable[None]]


@dataclass(slots=True)
class LinkStatus:
    """What a person wants to know about a connection."""

    connected: bool = False
    url: str = ""
    server_version: str = ""
    connects: int = 0
    disconnects: int = 0
    last_error: str = ""
    rtt_ms: float | None = None
    denied: tuple[str, ...] = ()


class Link:
    """Runs `serve` on one live session after another.

    Args:
        route: Name of the route that it is for.
        resolve: Where to connect now.
    """

    def __init__(self, route: str, resolve: Resolve) -> None:
        self.name = "default" if route == DEFAULT_ROUTE else route
        """The route, as logs and status call it."""
        self._route = route
        self._resolve = resolve
        self._session: Session | None = None
        self._told = ""  # what went wrong last, for as long as no connection has lasted since
        self.status = LinkStatus()
        self.backoff = Backoff(BACKOFF_FIRST, BACKOFF_MAX)
        self.servers = 1
        """How many servers there are to choose from."""

    def go_to(self, resolve: Resolve) -> None:
        """Connect somewhere else from the next time on."""
        self._resolve = resolve
        self._told = ""
        self.backoff.reset()

    @property
    def session(self) -> Session | None:
        """The live session, or None while there is none."""
        session = self._session
        return session if session is not None and not session.lost.is_set() else None

    async def run(self, serve: Serve) -> None:
        """Connect, run `serve` on the session until it returns or the session is lost, and again.

        Returns when `serve` returns. Errors of NATS and of the configuration are reported in `status`
        and tried again; any other exception of `serve` is a bug and passes through.
        """
        while True:
            try:
                if await self._one_session(serve):
                    return
            except* (NatsError, ConfigError, EmbeddedServerError) as group:
                error = _first(group)
                self._note_failure(error)
            await anyio.sleep(self.backoff.pause())

    async def _one_session(self, serve: Serve) -> bool:
        endpoint = await self._resolve()
        self.servers = len(endpoint.urls)
        async with open_session(endpoint, self._route, self.status.disconnects) as session:
            self._session = session
            status = self.status
            status.connected, status.url, status.last_error = True, session.url, ""
            status.server_version = ".".join(map(str, session.server_version))
            status.connects += 1
            logger.info(
                "connected to %s", session.url,
                extra={"action": "nats_connected", "route": self.name, "url": session.url},
            )  # fmt: skip
            finished = False

            async def serve_to_the_end(group: TaskGroup) -> None:
                nonlocal finished
                await serve(session)
                finished = True
                group.cancel_scope.cancel()

            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch, session, name=f"watch {self.name}")
                    group.start_soon(serve_to_the_end, group, name=f"serve {self.name}")
            finally:
                self._session = None
                status.connected = False
                status.denied = tuple(session.permissions.denied.values())
                status.disconnects += 1
            return finished

    async def _watch(self, session: Session) -> None:
        """Raise `LinkLost` as soon as the session is gone; find out by probing when nothing tells."""
        while True:
            with anyio.move_on_after(PROBE_INTERVAL):
                await session.lost.wait()
            if session.lost.is_set():
                raise LinkLost(f"connection to {session.url} lost: {session.reason}")
            self.backoff.reset()
            self._told = ""
            self.status.rtt_ms = round(await session.probe() * 1000, 3)
            self.status.denied = tuple(session.permissions.denied.values())

    def _note_failure(self, error: Exception) -> None:
        text = str(error)
        if text != self._told:  # a server that is away for hours is told once, not each time
            logger.warning(
                "%s", text,
                extra={"action": "nats_link_down", "route": self.name, "hint": getattr(error, "hint", "")},
            )  # fmt: skip
        self.status.last_error = self._told = text


def _first(group: BaseExceptionGroup[EventdError]) -> EventdError:
    """Return the first leaf: the task that failed first is the cause, its siblings were cancelled."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EventdError)  # noqa: S101 - except* matched it
    return error
