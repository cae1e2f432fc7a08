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
from typing import Any, Literal, Self, Unpack

import anyio
import msgspec
from anyio.abc import ByteStream

from . import requests
from .builders import Run, lifecycle_start
from .errors import ConnectionLost, EventdClientError, TimedOut
from .events import Event
from .messages import (
    Ack,
    DeadLetters,
    Get,
    Index,
    Metrics,
    Ping,
    Pong,
    Query,
    RawEvent,
    Reload,
    Reply,
    Reroute,
    Result,
    Status,
    StoredEvent,
    Welcome,
)
from .requests import SessionStart
from .search import PATIENCE, Search
from .session import TOKEN_VARIABLE, ClientSession, Exchange, Question, Reading, State, expect

TIMEOUT = 30.0  # seconds for a request; an emit waits for the disk of a busy machine
CANCEL_TIMEOUT = 1.0  # seconds to tell the server that nobody reads a stream of events any more
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

    async def put(self, events: Sequence[RawEvent | msgspec.Raw]) -> list[str]:
        """Store events as another stream held them, all or none; return their ids once they are on disk.

        Raises:
            Refused: With `index` where one event spoiled it. Only administrators may put.
        """
        return (await self._ask(requests.put(events), Ack)).ids

    async def known(self, agent: str, ids: Sequence[str]) -> dict[str, Any]:
        """Return which ids of an agent are taken: `known`, `forgotten`, and whether the answer is `complete`.

        Args:
            ids: At most `MAX_KNOWN`.
        """
        found: dict[str, Any] = await self._document(requests.known(agent, ids))
        return found

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

    def query(self, **wanted: Unpack[requests.QueryOptions]) -> "EventStream":
        """Read the events that meet all conditions: `async with client.query(…) as found: async for …`.

        Keyword args:
            agent: Only events of this agent; `*` for those of all. When absent all that this agent may read.
            session: A session key; one that ends in `*` stands for all that begin so.
            types: A name of a type, or several; `conversation.*` stands for all below it.
            visibility: One of the four, or several.
            since, until: Unix times in milliseconds, by the events' own time; `until` is not included.
            run: Id of a run.
            text: All of these words are in the event.
            stream: Name of a stream.
            order: `newest` first, unless it is `oldest`.
            limit: Most events; without it all of them.
            cursor: Go on where the query with this `cursor` ended.
            credit: Events that may be under way; bounds memory.
        """
        return EventStream(self, requests.query(**wanted))

    def tail(self, **wanted: Unpack[requests.TailOptions]) -> "EventStream":
        """Read the last events in the order in which they came, and new ones too with `follow`.

        Keyword args:
            last: Begin this many events before the end.
            since: Begin at this Unix time in milliseconds.
            follow: Go on with new events as they come, and wait for them without a limit.
            stream: Read this stream of JetStream itself, in its order.
            agent, session, types, visibility, run, text: Which events, as in `query`.
            credit: Events that may be under way; bounds memory.
        """
        return EventStream(self, requests.tail(**wanted))

    def replay(self, **wanted: Unpack[requests.ReplayOptions]) -> "EventStream":
        """Read the events of a stream in its order.

        Keyword args:
            first, last: Sequences in the stream, both included.
            since, until: Unix times in milliseconds, by the time of the stream; `until` is not included.
            stream: The stream; when absent that of the agent.
            agent, session, types, visibility, run: Which events, as in `query`.
            speed: How many times faster than they were stored; without it as fast as possible.
            to: A NATS subject to which they are published as well.
            headers: Whether each comes with the headers of its message.
            route: Of several accounts that have the stream, that of this agent's route.
            credit: Events that may be under way; bounds memory.
        """
        return EventStream(self, requests.replay(**wanted))

    async def recall(self, text: str, **wanted: Unpack[requests.RecallOptions]) -> dict[str, Any]:
        """Find what was said and done by its words; the `hits` come best first.

        Args:
            text: What is looked for, in any words.

        Keyword args:
            agent: Who remembers: its own events and public ones of others; this one when absent.
            session, types, since, until: Which events, as in `query`.
            limit: Most hits; 10 when absent.
            around: How many events of the session before and after each hit come with it.
        """
        found: dict[str, Any] = await self._document(requests.recall(text, **wanted))
        return found

    async def context(self, **wanted: Unpack[requests.ContextOptions]) -> dict[str, Any]:
        """Return the block for the system prompt under `text`, and what it was made of.

        Keyword args:
            agent: Who remembers; this one when absent.
            session: The session that begins.
            query: What it is about, say the first message.
            budget: Most characters of the block.
            hours: How far recent events are looked back for, from the newest one.
            events: Most recent events that are looked at.
            tools: Whether tool calls and their results are shown.
        """
        document: dict[str, Any] = await self._document(requests.context(**wanted))
        return document

    async def session_start(
        self,
        run: Run,
        *,
        agent: str | None = None,
        query: str | None = None,
        budget: int | None = None,
        hours: float | None = None,
        events: int | None = None,
        tools: bool | None = None,
        **data: Any,
    ) -> SessionStart:
        """Store `lifecycle.start` of a run and return the context of its session, in one round trip.

        The keywords are those of `context`; others go into the event's `data`.

        Raises:
            Refused: The event was not stored, or there is no context.
        """
        start, stored = self._session.begin_emit([lifecycle_start(run, **data)])
        ask, asked = self._session.begin(
            requests.context(
                agent=agent,
                session=run.session,
                query=query,
                budget=budget,
                hours=hours,
                events=events,
                tools=tools,
            )
        )
        try:
            with self._deadline():
                await self._send(stored + asked)
                ids = expect(Ack, await self._next(start)).ids
                return SessionStart(ids, expect(Result, await self._next(ask)).data)
        finally:
            self._session.abandon(start)
            self._session.abandon(ask)

    async def index(self, action: Literal["status", "rebuild"] = "status") -> dict[str, Any]:
        """Return how the index is; `rebuild` has it built anew and does not wait for that."""
        state: dict[str, Any] = await self._document(Index(0, action))
        return state

    async def status(self) -> Any:
        """Return how the daemon is, as one document."""
        return await self._document(Status(0))

    async def metrics(self) -> str:
        """Return the daemon's metrics in the text format of Prometheus."""
        return str((await self._document(Metrics(0)))["text"])

    async def reload(self) -> Any:
        """Let the daemon load its configuration anew; return what came of it."""
        return await self._document(Reload(0))

    async def reroute(self, route: str, stream: str | None = None) -> Any:
        """Move what a route has left, that is not configured any more, to where its events would go now."""
        return await self._document(Reroute(0, route, stream))

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
    """Stored events as they come; a `tail` that follows never ends.

    Leaving the block tells eventd to send no more.
    """

    def __init__(self, client: Client, request: Reading) -> None:
        self._client = client
        self._request = request
        self._exchange: Exchange | None = None

    @property
    def cursor(self) -> str | None:
        """Where the same query goes on, once it has ended at its limit; None where there is no more."""
        end = None if self._exchange is None else self._exchange.end
        return None if end is None else end.cursor

    @property
    def incomplete(self) -> bool:
        """Whether events may be missing from a query that has ended, since the index is being built."""
        end = None if self._exchange is None else self._exchange.end
        return end is not None and end.incomplete

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
            TimedOut: The next event of a query does not come.
        """
        if self._exchange is None:
            raise RuntimeError("use it as `async with client.tail() as events`")
        if self._exchange.done and not self._exchange.ready:
            raise StopAsyncIteration
        if isinstance(self._request, Query):
            with self._client._deadline():
                reply = await self._client._next(self._exchange)
        else:  # as long as nothing happens, nothing comes
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
