"""An embedded server that runs for as long as a command needs it."""

import contextlib
from collections.abc import AsyncIterator

import anyio

from ..embedded.server import EmbeddedServer
from ..errors import EmbeddedServerError
from ..routes import Server

START_TIMEOUT = 60.0  # seconds until it must be ready: it may have large streams to read


@contextlib.asynccontextmanager
async def running(server: EmbeddedServer) -> AsyncIterator[Server]:
    """Run a server meanwhile. Errors come as they are, not in a group.

    Raises:
        EmbeddedServerError: It cannot be run, or does not become ready.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await tasks.start(server.run)
            found: Server | None = None
            with anyio.move_on_after(START_TIMEOUT):
                found = await server.wait_ready()
            if found is None:
                why = server.status.last_exit or server.status.problem
                raise EmbeddedServerError(f"the nats-server is not ready after {START_TIMEOUT:g} s: {why}")
            yield found
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
