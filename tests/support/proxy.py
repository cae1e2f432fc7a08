"""A TCP proxy on loopback that spoils connections on demand: black holes, cuts, lost replies, delay."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

T = TypeVar("T")

CHUNK = 64 * 1024  # bytes read at once
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER {on, 0 s}: close() sends RST instead of FIN


class Proxy:
    """Stands in front of a server on 127.0.0.1; its own loop runs in a thread, so any test can use it.

    A fault holds for all connections, those of today and those to come, until `resume()`.

    Attributes:
        port: Where clients connect to; kept for the proxy's life.
        connections: How many are open now.
        accepted: How many there ever were.
        dropped: Bytes from the server that `drop_replies` threw away.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.accepted = 0
        self.dropped = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._flow = asyncio.Event()
        self._drops = False
        self._refuses = False
        self._delay = 0.0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """`nats://127.0.0.1:PORT` of the proxy."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    def black_hole(self) -> None:
        """Forward nothing in either direction, keep everything open; new connections fall in too."""
        self._call(self._flow.clear)

    def drop_replies(self) -> None:
        """Throw away what the server sends: requests arrive and are carried out, their acks are lost."""
        self._call(lambda: setattr(self, "_drops", True))

    def delay(self, seconds: float) -> None:
        """Hold each chunk back for that long, in both directions."""
        self._call(lambda: setattr(self, "_delay", seconds))

    def inject(self, data: bytes) -> int:
        """Send bytes to every open client as if the server had, and return how many clients that were."""
        return self._call(lambda: self._inject(data))

    def refuse(self) -> None:
        """Close new connections at once; open ones go on."""
        self._call(lambda: setattr(self, "_refuses", True))

    def cut(self, *, reset: bool = False) -> int:
        """Close every open connection (with RST if `reset`) and return how many; new ones are welcome."""
        return self._call(lambda: self._cut(self._links, reset=reset))

    def resume(self) -> None:
        """End every fault. Held bytes go on; connections that lost bytes are closed, being out of step."""
        self._call(self._resume)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, function: Callable[[], T]) -> T:
        """Run in the proxy's thread and return its result, so that a fault holds when the call returns."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(function())
            except BaseException as error:  # handed to the caller
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result.result(10)

    async def _open(self) -> None:
        self._flow.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._cut(self._links, reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close their sockets

    def _cut(self, links: "set[_Link]", *, reset: bool) -> int:
        chosen = list(links)
        for link in chosen:
            link.abort(reset=reset)
        return len(chosen)

    def _inject(self, data: bytes) -> int:
        for link in self._links:
            link.client.write(data)
        return len(self._links)

    def _resume(self) -> None:
        self._cut({link for link in self._links if link.lossy}, reset=False)
        self._drops = self._refuses = False
        self._delay = 0.0
        self._flow.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refuses:
            writer.transport.abort()
            return
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._flow.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            link.server = server_writer
            pumps = [
                asyncio.ensure_future(self._pump(link, reader, server_writer, replies=False)),
                asyncio.ensure_future(self._pump(link, server_reader, writer, replies=True)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is away: the client sees its connection close
        finally:
            link.abort(reset=False)
            self._links.discard(link)

    async def _pump(
        self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        while chunk := await reader.read(CHUNK):
            await self._flow.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            if replies and self._drops:
                link.lossy = True
                self.dropped += len(chunk)
                continue
            writer.write(chunk)
            await writer.drain()


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.lossy = False

    def abort(self, *, reset: bool) -> None:
        for writer in filter(None, (self.client, self.server)):
            transport = writer.transport
            if reset and not transport.is_closing():
                with contextlib.suppress(OSError):
                    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
