"""The blocking client, for scripts and threads; needs neither asyncio nor anyio.

    with connect(agent="main") as client:
        ids = client.emit([message_out(run, "Hello!")])

One client is for one thread at a time. After an error of the connection it is of no more use: connect again.
"""

import os
import socket as sockets
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import msgspec

from . import requests
from .errors import ConnectionLost, TimedOut
from .events import Event
from .messages import (
    Ack,
    DeadLetters,
    End,
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

if TYPE_CHECKING:
    from .builders import Run

TIMEOUT = 30.0  # seconds for a request; an emit waits for the disk of a busy machine
WINDOW = 8  # emits of `emit_many` without an ack; few enough that acks never fill the socket unread
RECEIVE = 64 * 1024  # bytes asked from the socket at once


def connect(
    agent: str,
    *,
    socket: str | os.PathLike[str] | None = None,
    token: str | None = None,
    client: str = "",
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
) -> "Client":
    """Connect to eventd as an agent; the client closes itself at the end of a `with` block.

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
    connected = Client(_dial(socket, patience, timeout), session, timeout)
    try:
        connected._greet()
    except BaseException:
        connected.close()
        raise
    return connected


class Client:
    """A connection to eventd; made by `connect`."""

    def __init__(self, socket: sockets.socket, session: ClientSession, timeout: float) -> None:
        self._socket = socket
        self._session = session
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<Client {self._session!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def welcome(self) -> Welcome:
        """What eventd said about itself: its version, limits, and the requests that it answers."""
        return self._session.welcome

    def close(self) -> None:
        """Close the connection. Emits without an ack may or may not be stored."""
        self._session.fail(ConnectionLost("this client was closed", hint=""))
        self._socket.close()

    def interrupt(self) -> None:
        """Let a call that waits in another thread end at once, with `ConnectionLost`."""
        with suppress(OSError):  # it may be over already
            self._socket.shutdown(sockets.SHUT_RDWR)

    def emit(self, events: Event | Sequence[Event | msgspec.Raw]) -> list[str]:
        """Store events, all or none, and return their ids once they are on disk.

        After `ConnectionLost` or `TimedOut` send them again: eventd stores those once that have an id and a
        timestamp of their own, as the builders and `stamp` give them.

        Raises:
            Refused: With `index` where one event spoiled it.
        """
        return self.acked(self.start_emit([events] if isinstance(events, Event) else events))

    def emit_many(
        self, batches: Iterable[Sequence[Event | msgspec.Raw]], *, window: int = WINDOW
    ) -> Iterator[list[str]]:
        """Store many batches, several under way at a time; yield the ids of each, in their order.

        Raises:
            Refused: By the batch whose ids would be yielded next; later ones may have been stored.
        """
        under_way: deque[Exchange] = deque()
        for batch in batches:
            under_way.append(self.start_emit(batch))
            if len(under_way) >= window:
                yield self.acked(under_way.popleft())
        while under_way:
            yield self.acked(under_way.popleft())

    def start_emit(self, events: Sequence[Event | msgspec.Raw]) -> Exchange:
        """Send an emit without waiting; `acked` waits for what is returned here."""
        exchange, data = self._session.begin_emit(events)
        self._send(data)
        return exchange

    def acked(self, emit: Exchange) -> list[str]:
        """Wait for the ack of an emit and return its ids.

        Raises:
            Refused: It was not stored.
        """
        return self._answer(emit, Ack).ids

    def put(self, events: Sequence[RawEvent | msgspec.Raw]) -> list[str]:
        """Store events as another stream held them, all or none; return their ids once they are on disk.

        Raises:
            Refused: With `index` where one event spoiled it. Only administrators may put.
        """
        return self.acked(self.start_put(events))

    def start_put(self, events: Sequence[RawEvent | msgspec.Raw]) -> Exchange:
        """Send a put without waiting; `acked` waits for what is returned here."""
        exchange, data = self._session.begin(requests.put(events))
        self._send(data)
        return exchange

    def known(self, agent: str, ids: Sequence[str]) -> dict[str, Any]:
        """Return which ids of an agent are taken: `known`, `forgotten`, and whether the answer is `complete`.

        Args:
            ids: At most `MAX_KNOWN`.
        """
        return self.told(self.start_known(agent, ids))

    def start_known(self, agent: str, ids: Sequence[str]) -> Exchange:
        """Ask for known ids without waiting; `told` waits for what is returned here."""
        exchange, data = self._session.begin(requests.known(agent, ids))
        self._send(data)
        return exchange

    def told(self, known: Exchange) -> dict[str, Any]:
        """Wait for the answer about known ids."""
        found: dict[str, Any] = self._answer(known, Result).data
        return found

    def get(
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
        return self._ask(Get(0, event, seq, stream, agent), StoredEvent)

    def query(self, **wanted: Unpack[requests.QueryOptions]) -> "EventStream":
        """Read the events that meet all conditions: `for event in client.query(…)`.

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

    def recall(self, text: str, **wanted: Unpack[requests.RecallOptions]) -> dict[str, Any]:
        """Find what was said and done by its words; the `hits` come best first.

        Args:
            text: What is looked for, in any words.

        Keyword args:
            agent: Who remembers: its own events and public ones of others; this one when absent.
            session, types, since, until: Which events, as in `query`.
            limit: Most hits; 10 when absent.
            around: How many events of the session before and after each hit come with it.
        """
        found: dict[str, Any] = self._document(requests.recall(text, **wanted))
        return found

    def context(self, **wanted: Unpack[requests.ContextOptions]) -> dict[str, Any]:
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
        document: dict[str, Any] = self._document(requests.context(**wanted))
        return document

    def session_start(
        self,
        run: "Run",
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
        from .builders import lifecycle_start  # commands that only ask do without its uuid library

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
            self._send(stored + asked)
            deadline = time.monotonic() + self._timeout
            ids = expect(Ack, self._next(start, deadline)).ids
            return SessionStart(ids, expect(Result, self._next(ask, deadline)).data)
        finally:
            self._session.abandon(start)
            self._session.abandon(ask)

    def index(self, action: Literal["status", "rebuild"] = "status") -> dict[str, Any]:
        """Return how the index is; `rebuild` has it built anew and does not wait for that."""
        state: dict[str, Any] = self._document(Index(0, action))
        return state

    def status(self) -> Any:
        """Return how the daemon is, as one document."""
        return self._document(Status(0))

    def metrics(self) -> str:
        """Return the daemon's metrics in the text format of Prometheus."""
        return str(self._document(Metrics(0))["text"])

    def reload(self) -> Any:
        """Let the daemon load its configuration anew; return what came of it."""
        return self._document(Reload(0))

    def reroute(self, route: str, stream: str | None = None) -> Any:
        """Move what a route has left, that is not configured any more, to where its events would go now."""
        return self._document(Reroute(0, route, stream))

    def dead_letters(
        self,
        action: Literal["list", "retry", "drop"] = "list",
        numbers: Sequence[int] = (),
        *,
        all_of_them: bool = False,
        after: int = 0,
        limit: int = 100,
    ) -> Any:
        """List, retry or drop what could never be published."""
        return self._document(DeadLetters(0, action, list(numbers), all_of_them, after, limit))

    def ping(self) -> float:
        """Return the seconds that a round trip takes."""
        start = time.perf_counter()
        self._ask(Ping(0), Pong)
        return time.perf_counter() - start

    def _document(self, request: Question) -> Any:
        return self._ask(request, Result).data

    def _ask[R](self, request: Question, kind: type[R]) -> R:
        exchange, data = self._session.begin(request)
        self._send(data)
        return self._answer(exchange, kind)

    def _answer[R](self, exchange: Exchange, kind: type[R]) -> R:
        try:
            return expect(kind, self._next(exchange, time.monotonic() + self._timeout))
        finally:
            self._session.abandon(exchange)

    def _greet(self) -> None:
        deadline = time.monotonic() + self._timeout
        self._send(self._session.hello())
        while self._session.state is State.GREETING:
            self._receive(deadline)
        self._session.check()

    def _next(self, exchange: Exchange, deadline: float | None) -> Reply:
        while not exchange.ready:
            self._session.check()
            self._receive(deadline)
        return exchange.take()

    def _send(self, data: bytes) -> None:
        self._session.check()
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            # Half a frame may be out, and nothing can follow it.
            self._session.fail(TimedOut(f"eventd took no request within {self._timeout:g} s"))
            raise TimedOut(f"eventd took no request within {self._timeout:g} s") from error
        except OSError:
            pass  # why it is over comes in where replies are read

    def _receive(self, deadline: float | None) -> None:
        """Take in what comes next, within the deadline (None: whenever it comes)."""
        left = None if deadline is None else deadline - time.monotonic()
        try:
            if left is not None and left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            data = self._socket.recv(RECEIVE)
        except TimeoutError as error:
            raise TimedOut(f"eventd did not answer within {self._timeout:g} s") from error
        except OSError:
            data = b""
        self._session.receive(data)


class EventStream(Iterator[StoredEvent]):
    """Stored events as they come; a `tail` that follows never ends.

    Nothing is asked for before the first event is wanted. Closing it, or dropping it, tells eventd to send no
    more.
    """

    def __init__(self, client: Client, request: Reading) -> None:
        self._end: End | None = None
        self._events = _read(client, request)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def cursor(self) -> str | None:
        """Where the same query goes on, once it has ended at its limit; None where there is no more."""
        return None if self._end is None else self._end.cursor

    @property
    def incomplete(self) -> bool:
        """Whether events may be missing from a query that has ended, since the index is being built."""
        return self._end is not None and self._end.incomplete

    def __next__(self) -> StoredEvent:
        """Return the next event.

        Raises:
            Refused: eventd cannot go on.
            TimedOut: The next event of a query does not come.
        """
        try:
            return next(self._events)
        except StopIteration as end:
            self._end = end.value or self._end
            raise

    def close(self) -> None:
        """Tell eventd to send no more."""
        self._events.close()


def _read(client: Client, request: Reading) -> Generator[StoredEvent, None, End | None]:
    """Yield the events of a request; return its end.

    It knows the client and not the `EventStream`, so that one that nobody holds any more ends at once.
    """
    exchange, data = client._session.begin(request)
    client._send(data)
    wait = client._timeout if isinstance(request, Query) else None  # else nothing comes if nothing happens
    try:
        while True:
            if exchange.ready:
                reply = exchange.take()
            else:
                reply = client._next(exchange, None if wait is None else time.monotonic() + wait)
            if not isinstance(reply, StoredEvent):
                return exchange.end
            yield reply
            if more := client._session.grant(exchange):
                client._send(more)
    finally:
        if cancel := client._session.abandon(exchange):
            client._send(cancel)


def _dial(socket: str | os.PathLike[str] | None, patience: float, timeout: float) -> sockets.socket:
    search = Search(socket, patience)
    while True:
        for place in search.places():
            connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
            connection.settimeout(timeout)
            try:
                connection.connect(os.fspath(place))
            except OSError as error:
                connection.close()
                search.failed(place, error)
            else:
                return connection
        time.sleep(search.pause())
