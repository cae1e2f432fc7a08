"""The asynchronous client, for anyio on asyncio or trio.

    async with connect(agent="main") as client:
        ids = await client.emit([message_out(run, "Hello!")])

Many tasks may use one client at a time; their requests are pipelined on its one connection. After an error
of the connection the client is of no more use: connect again.
"""

import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Literal, Self

import anyio
import msgspec
from anyio.abc import ByteStream

from .errors import ConnectionLost, EventdClientError, TimedOut
from .events import Event
from .messages import Ack, DeadLetters, Get, Ping, Pong, Reply, Result, Status, StoredEvent, Tail, Welcome
from .search import PATIENCE, Search
from .session import CREDIT, TOKEN_VARIABLE, ClientSession, Exchange, Question, State, expect

TIMEOUT = 30.0  # seconds for a request; an emit waits for the disk of a busy machine
CANCEL_TIMEOUT = 1.0  # seconds to tell the server that nobody reads a tail any more
RECEIVE = 64 * 1024  # bytes asked from the socket at once


@asynccontextmanager
async def connect(
    agent: str,
    *,
    socket: str | os.PathLike[str] | None = None,
    token: str | None = None,
    client: str = "",
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
) -> AsyncIterator["Client"]:
    """Connect to eventd as an agent, for as long as the block lasts.

    Args:
        agent: Who acts, where an event does not say so.
        socket: Path of the socket; found as `eventd_ipc.paths` says when absent.
        token: Proves the agent where eventd asks for it; `$EVENTD_TOKEN` when absent.
        client: Name and version of the program, for the daemon's log.
        timeout: Seconds for the greeting and for each request.
        patience: Seconds to wait for a daemon that is just starting.

    Raises:
        NotRunning: Nobody answers.
        AccessDenied: This user may not use the socket.
        UnsafeSocket: Somebody else could have put the socket there.
        Refused: eventd does not take this connection.
    """
    session = ClientSession(agent, token=token or os.environ.get(TOKEN_VARIABLE), client=client)
    failure: Exception | None = None
    async with await _dial(socket, patience) as stream, anyio.create_task_group() as tasks:
        connected = Client(stream, session, timeout)
        tasks.start_soon(connected._read_replies, name="eventd client replies")
        try:
            await connected._greet()
            yield connected
        except Exception as error:  # kept for below: the caller's errors do not belong into a group
            failure = error
        finally:
            connected._fail(ConnectionLost("this client was closed", hint=""))
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Client:
    """A connection to eventd; made by `connect`."""

    def __init__(self, stream: ByteStream, session: ClientSession, timeout: float) -> None:
        self._stream = stream
        self._session = session
        self._timeout = timeout
        self._sending = anyio.Lock(fast_acquire=True)
        self._waiting: dict[Exchange, anyio.Event] = {}
        self._welcomed = anyio.Event()

    def __repr__(self) -> str:
        return f"<Client {self._session!r}>"

    @property
    def welcome(self) -> Welcome:
        """What eventd said about itself: its version, limits, and the requests that it answers."""
        return self._session.welcome

    async def emit(self, events: Event | Sequence[Event | msgspec.Raw]) -> list[str]:
        """Store events, all or none, and return their ids once they are on disk.

        After `ConnectionLost` or `TimedOut` send them again: eventd stores those once that have an id and a
        timestamp of their own, as the builders and `stamp` give them.

        Raises:
            Refused: With `index` where one event spoiled it.
        """
        batch = [events] if isinstance(events, Event) else events
        return (await self._answer(*self._session.begin_emit(batch), Ack)).ids

    async def get(
        self,
        event: str | None = None,
        *,
        seq: int | None = None,
        stream: str | None = None,
        agent: str | None = None,
    ) -> StoredEvent:
        """Return one stored event, by its id or by its sequence in the stream.

        Raises:
            NotFound: There is none.
        """
        return await self._ask(Get(0, event, seq, stream, agent), StoredEvent)

    def tail(
        self,
        *,
        last: int | None = None,
        since: int | None = None,
        follow: bool = False,
        stream: str | None = None,
        agent: str | None = None,
        credit: int = CREDIT,
    ) -> "EventStream":
        """Read stored events in stream order: `async with client.tail(last=10) as events: async for …`.

        Args:
            last: Begin this many events before the end.
            since: Begin at this Unix time in milliseconds.
            follow: Go on with new events as they come.
            credit: Events that may be under way; bounds memory.
        """
        return EventStream(self, Tail(0, last, since, follow, stream, agent, credit))

    async def status(self) -> Any:
        """Return how the daemon is, as one document."""
        return await self._document(Status(0))

    async def dead_letters(
        self,
        action: Literal["list", "retry", "drop"] = "list",
        numbers: Sequence[int] = (),
        *,
        all_of_them: bool = False,
        after: int = 0,
        limit: int = 100,
    ) -> Any:
        """List, retry or drop what could never be published."""
        return await self._document(DeadLetters(0, action, list(numbers), all_of_them, after, limit))

    async def ping(self) -> float:
        """Return the seconds that a round trip takes."""
        start = time.perf_counter()
        await self._ask(Ping(0), Pong)
        return time.perf_counter() - start

    async def _document(self, request: Question) -> Any:
        return (await self._ask(request, Result)).data

    async def _ask[R](self, request: Question, kind: type[R]) -> R:
        return await self._answer(*self._session.begin(request), kind)

    async def _answer[R](self, exchange: Exchange, data: bytes, kind: type[R]) -> R:
        try:
            with self._deadline():
                await self._send(data)
                return expect(kind, await self._next(exchange))
        finally:
            self._session.abandon(exchange)

    async def _greet(self) -> None:
        with self._deadline():
            await self._send(self._session.hello())
            await self._welcomed.wait()
        self._session.check()

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            self._session.check()
            try:
                await self._stream.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # why it is over comes in where replies are read
            except anyio.get_cancelled_exc_class():
                # Half a frame may be out, and nothing can follow it.
                self._fail(ConnectionLost("a request was cancelled while it was being sent"))
                raise

    async def _next(self, exchange: Exchange) -> Reply:
        while not exchange.ready:
            self._session.check()
            self._waiting[exchange] = anyio.Event()
            try:
                await self._waiting[exchange].wait()
            finally:
                del self._waiting[exchange]
        return exchange.take()

    async def _read_replies(self) -> None:
        """Take in replies until the connection is over."""
        while self._session.state is not State.CLOSED:
            try:
                data = await self._stream.receive(RECEIVE)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                data = b""
            for exchange in self._session.receive(data):
                if (waiting := self._waiting.get(exchange)) is not None:
                    waiting.set()
            if self._session.state is State.OPEN:
                self._welcomed.set()
        self._wake_all()

    def _fail(self, reason: EventdClientError) -> None:
        self._session.fail(reason)
        self._wake_all()

    def _wake_all(self) -> None:
        self._welcomed.set()
        for waiting in self._waiting.values():
            waiting.set()

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        try:
            with anyio.fail_after(self._timeout):
                yield
        except TimeoutError as error:
            raise TimedOut(f"eventd did not answer within {self._timeout:g} s") from error


class EventStream:
    """Stored events as they come; ends at the end of the stream, or never with `follow`.

    Leaving the block tells eventd to send no more.
    """

    def __init__(self, client: Client, request: Tail) -> None:
        self._client = client
        self._request = request
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Self:
        self._exchange, data = self._client._session.begin(self._request)
        await self._client._send(data)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StoredEvent:
        """Return the next event.

        Raises:
            Refused: eventd cannot go on.
        """
        if self._exchange is None:
            raise RuntimeError("use it as `async with client.tail() as events`")
        if self._exchange.done and not self._exchange.ready:
            raise StopAsyncIteration
        reply = await self._client._next(self._exchange)
        if not isinstance(reply, StoredEvent):
            raise StopAsyncIteration
        if credit := self._client._session.grant(self._exchange):
            await self._client._send(credit)
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None and (cancel := self._client._session.abandon(self._exchange)):
            with anyio.move_on_after(CANCEL_TIMEOUT, shield=True):
                await self._client._send(cancel)


async def _dial(socket: str | os.PathLike[str] | None, patience: float) -> ByteStream:
    search = Search(socket, patience)
    while True:
        for place in search.places():
            try:
                return await anyio.connect_unix(place)
            except OSError as error:
                search.failed(place, error)
        await anyio.sleep(search.pause())
