"""Has an embedded server run while the configuration needs one, and tells routes where it is."""

import logging
from pathlib import Path

import anyio

from eventd_ipc.backoff import Backoff

from ..config.settings import EmbeddedSettings
from ..errors import EmbeddedServerError
from ..routes import Server
from .server import EmbeddedServer, EmbeddedStatus

logger = logging.getLogger(__name__)

RETRY_FIRST = 1.0  # seconds until an embedded server that could not be run is tried again
RETRY_LONGEST = 20.0  # seconds


class EmbeddedKeeper:
    """Runs an embedded server, or none. Without one events are still taken, and shipped once there is one.

    Args:
        store: The folder for its streams.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._settings: EmbeddedSettings | None = None
        self._server: EmbeddedServer | None = None
        self._problem: EmbeddedServerError | None = None
        self._life = anyio.CancelScope()  # of what runs by one configuration
        self._changed = anyio.Event()

    @property
    def status(self) -> EmbeddedStatus | None:
        """A live view of the server; None where none is wanted."""
        return self._server.status if self._server is not None else None

    def configure(self, settings: EmbeddedSettings | None) -> None:
        """Run a server by these settings from now on; None: none."""
        if settings == self._settings:
            return
        self._settings = settings
        self._problem = None
        self._server = EmbeddedServer(settings, self._store) if settings is not None else None
        self._changed.set()
        self._changed = anyio.Event()
        self._life.cancel()

    async def run(self) -> None:
        """Keep it so until cancelled."""
        while True:
            with anyio.CancelScope() as self._life:
                if self._server is not None:
                    await self._keep(self._server)
                await anyio.sleep_forever()

    async def find(self) -> Server:
        """Return where the server is and how to log in; wait until it is there.

        Raises:
            EmbeddedServerError: It cannot be run.
        """
        while True:
            changed, server = self._changed, self._server
            if self._problem is not None and server is not None and server.status.state == "stopped":
                raise self._problem
            if server is None:
                raise EmbeddedServerError("no embedded NATS server is configured")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_when, changed, tasks.cancel_scope)
                found = await server.wait_ready()
                tasks.cancel_scope.cancel()
                return found

    async def _keep(self, server: EmbeddedServer) -> None:
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        while True:
            try:
                await server.run()
            except EmbeddedServerError as error:
                if str(error) != str(self._problem):
                    extra = {"action": "embedded_missing", "hint": error.hint}
                    logger.error("no embedded NATS server: %s", error, extra=extra)
                self._problem = error
            await anyio.sleep(backoff.pause())


async def _cancel_when(changed: anyio.Event, scope: anyio.CancelScope) -> None:
    await changed.wait()
    scope.cancel()
