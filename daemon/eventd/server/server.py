"""The socket server: takes connections, bounds their number, and ends in good order."""

import logging

import anyio
from anyio.abc import TaskGroup

from ..ingest.refusal import refusal
from .connection import Connection
from .context import Context
from .listener import Listener
from .peer import Peer
from .stream import Stream

logger = logging.getLogger(__name__)

MAX_TURNED_AWAY = 32  # clients at a time that are told why they are not served; more are just closed


class Server:
    """Serves a listener's clients.

    A failure in here ends `run` and so the daemon; one in a client's request ends that request, and a
    client's bad behaviour its connection.

    Args:
        listener: Closed when the server has ended.
        context: What all connections share.
    """

    def __init__(self, listener: Listener, context: Context) -> None:
        self.context = context
        self._listener = listener
        self._connections: set[Connection] = set()
        self._turned_away = 0
        self._accepting = anyio.CancelScope()

    @property
    def connections(self) -> frozenset[Connection]:
        """The connections of now, without those that are turned away."""
        return frozenset(self._connections)

    async def run(self) -> None:
        """Serve until `stop_intake` is called and all connections have ended, or until cancelled."""
        with self._listener:
            async with anyio.create_task_group() as tasks:
                with self._accepting:
                    while True:
                        self._begin(tasks, *await self._listener.accept())
                self._listener.close()  # from now on clients see at once that nobody listens

    def stop_intake(self, drain_timeout: float | None = None) -> None:
        """Take no more connections and requests; let `run` return when the rest has ended.

        Emits that were taken are still committed and acknowledged; then each client is told
        `shutting_down`.

        Args:
            drain_timeout: Seconds that all of this may take; by default that of the settings. Telling the
                clients may take `connection.FAREWELL_TIMEOUT` more.
        """
        if drain_timeout is None:
            drain_timeout = self.context.settings.drain_timeout
        self._accepting.cancel()
        for connection in self._connections:
            connection.stop(drain_timeout)

    async def recheck(self) -> None:
        """Dismiss the clients that would not be let in any more as who they are."""
        for connection in list(self._connections):
            await connection.recheck()

    def _begin(self, tasks: TaskGroup, stream: Stream, peer: Peer | None) -> None:
        stats = self.context.stats
        stats.accepted += 1
        connection = Connection(stats.accepted, stream, peer, self.context)
        name = f"connection {connection.number}"
        if len(self._connections) < self.context.settings.max_connections:
            self._connections.add(connection)
            stats.connections += 1
            tasks.start_soon(self._serve, connection, name=name)
        elif self._turned_away < MAX_TURNED_AWAY:
            self._turned_away += 1
            tasks.start_soon(self._turn_away, connection, name=name)
        else:
            stream.close()

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            self._connections.remove(connection)
            self.context.stats.connections -= 1

    async def _turn_away(self, connection: Connection) -> None:
        allowed = self.context.settings.max_connections
        try:
            await connection.serve(
                refusal("too_many_connections", f"{allowed} clients are connected, as many as are allowed")
            )
        finally:
            self._turned_away -= 1
