"""The blocking client, for scripts and threads; needs neither asyncio nor anyio.

    with connect(agent="main") as client:
        ids = client.emit([message_out(run, "Hello!")])

One client is for one thread at a time. After an error of the connection it is of no more use: connect again.
"""

import os
import socket as sockets
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from .errors import ConnectionLost, TimedOut
from .events import Event
from .messages import Ack, DeadLetters, Get, Ping, Pong, Reply, Result, Status, StoredEvent, Tail, Welcome
from .search import PATIENCE, Search
from .session import CREDIT, TOKEN_VARIABLE, ClientSession, Exchange, Question, State, expect

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

    def tail(
        self,
        *,
        last: int | None = None,
        since: int | None = None,
        follow: bool = False,
        stream: str | None = None,
        agent: str | None = None,
        credit: int = CREDIT,
    ) -> Iterator[StoredEvent]:
        """Yield stored events in stream order; closing the iterator tells eventd to send no more.

        Args:
            last: Begin this many events before the end.
            since: Begin at this Unix time in milliseconds.
            follow: Go on with new events as they come, and wait for them without a limit.
            credit: Events that may be under way; bounds memory.
        """
        exchange, data = self._session.begin(Tail(0, last, since, follow, stream, agent, credit))
        self._send(data)
        try:
            while isinstance(reply := self._next(exchange, None), StoredEvent):
                yield reply
                if more := self._session.grant(exchange):
                    self._send(more)
        finally:
            if cancel := self._session.abandon(exchange):
                self._send(cancel)

    def status(self) -> Any:
        """Return how the daemon is, as one document."""
        return self._document(Status(0))

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
