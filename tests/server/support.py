"""A server on a real socket, a client that can misbehave, and an outbox whose commits wait on demand."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import msgspec
from anyio.abc import SocketStream

from eventd.access.gate import Gate
from eventd.config.settings import AccessSettings, RateSettings
from eventd.ingest.admission import Admission
from eventd.outbox.model import Done, Submission
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Routes
from eventd.routes import Server as NatsServer
from eventd.server.context import Accepts, Context
from eventd.server.listener import Listener
from eventd.server.operations import Operations
from eventd.server.server import Server
from eventd.server.settings import ServerSettings
from eventd.server.stats import ServerStats
from eventd_ipc.codec import NEED_DATA, FrameDecoder, decode_reply, encode
from eventd_ipc.messages import Emit, Hello, Reply, Request, Welcome

PATIENCE = 10.0  # seconds after which a test counts as hung


class Dam:
    """Stands before the real outbox; keeps submissions back while it is shut, as a slow disk would."""

    def __init__(self, outbox: Accepts) -> None:
        self.held: list[tuple[list[Submission], Done]] = []
        self._outbox = outbox
        self._is_open = True

    def submit(self, submissions: list[Submission], done: Done) -> None:
        if self._is_open:
            self._outbox.submit(submissions, done)
        else:
            self.held.append((submissions, done))

    def shut(self) -> None:
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        for submissions, done in self.held:
            self._outbox.submit(submissions, done)
        self.held.clear()

    @property
    def emits(self) -> int:
        """How many emits are kept back."""
        return sum(len(submissions) for submissions, _ in self.held)


class Client:
    """Speaks the protocol, or not, over a real socket."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.decoder = FrameDecoder()

    @classmethod
    async def connect(cls, path: Path) -> Self:
        return cls(await anyio.connect_unix(path))

    async def greet(self, agent: str = "main", token: str | None = None) -> Welcome:
        await self.send(Hello(protocol=1, agent=agent, client="test", token=token))
        welcome = await self.reply()
        assert isinstance(welcome, Welcome), welcome
        return welcome

    async def send(self, *requests: Request) -> None:
        await self.send_raw(b"".join(encode(request) for request in requests))

    async def send_raw(self, data: bytes) -> None:
        with anyio.fail_after(PATIENCE):
            await self.stream.send(data)

    async def reply(self) -> Reply:
        with anyio.fail_after(PATIENCE):
            while (frame := self.decoder.next_frame()) is NEED_DATA:
                self.decoder.feed(await self.stream.receive())
        return decode_reply(frame)

    async def replies(self, count: int) -> list[Reply]:
        return [await self.reply() for _ in range(count)]

    async def rest(self) -> list[Reply]:
        """Read until the server has closed."""
        replies: list[Reply] = []
        try:
            while True:
                replies.append(await self.reply())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            assert self.decoder.buffered == 0, "the server closed in the middle of a frame"
        return replies

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Running:
    """A server that serves, and all it stands on."""

    def __init__(self, server: Server, path: Path, dam: Dam) -> None:
        self.server = server
        self.path = path
        self.dam = dam
        self.ended = anyio.Event()

    @property
    def stats(self) -> ServerStats:
        return self.server.context.stats

    async def run(self) -> None:
        try:
            await self.server.run()
        finally:
            self.ended.set()

    async def client(self, agent: str = "main", token: str | None = None) -> Client:
        client = await Client.connect(self.path)
        await client.greet(agent, token)
        return client


EVERYBODY = AccessSettings()
NO_LIMITS = RateSettings()


@asynccontextmanager
async def serving(
    folder: Path,
    operations: Operations | None = None,
    *,
    access: AccessSettings = EVERYBODY,
    rates: RateSettings = NO_LIMITS,
    **settings: Any,
) -> AsyncIterator[Running]:
    """Serve on a socket in `folder`, with an outbox there, until the block ends."""
    bounds = ServerSettings(**settings)
    route = Route(DEFAULT_ROUTE, NatsServer(("nats://127.0.0.1:1",)), "openclaw-events", "openclaw.events")
    async with Outbox.open(folder / "outbox.db") as outbox:
        number = await outbox.register_route(route.name, route.stream, route.prefix)
        admission = Admission(Routes(route), {route.name: number}, bounds.limits, rates)
        dam = Dam(outbox)
        gate = Gate(access, folder)
        context = Context(
            bounds, gate, admission, dam, operations or Operations(), ServerStats(), "eventd test"
        )
        path = folder / "s"
        running = Running(Server(Listener.bind(path), context), path, dam)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.run)
            yield running
            tasks.cancel_scope.cancel()


async def settled(value: Callable[[], int]) -> int:
    """Return a figure when it does not change any more, for 20 looks."""
    last, same = value(), 0
    with anyio.fail_after(PATIENCE):
        while same < 20:
            await anyio.sleep(0.005)
            last, same = value(), same + 1 if value() == last else 0
    return last


def event(**fields: Any) -> msgspec.Raw:
    """Return an event as it stands in an emit."""
    return msgspec.Raw(msgspec.msgpack.encode({"type": "custom.test", **fields}))


def emit(number: int, *events: msgspec.Raw) -> Emit:
    """Return an emit of these events, or of one with the emit's number as its id."""
    return Emit(number, list(events) or [event(id=f"e{number}")])


def framed(body: bytes) -> bytes:
    """Put a length before anything."""
    return len(body).to_bytes(4, "big") + body


def ids_of(replies: Iterable[Reply]) -> list[tuple[str, int | None]]:
    """Return what replies are and to which request."""
    return [(str(reply.__struct_config__.tag), getattr(reply, "id", None)) for reply in replies]
