"""The client's half of a connection, without any I/O; the clients move its bytes.

Ask for the bytes to send (`hello`, `begin`, ...), hand over the bytes that came (`receive`), and take the
replies from the `Exchange` of each request.
"""

import enum
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from .codec import HEADER, NEED_DATA, FrameDecoder, decode_reply, encode
from .errors import ConnectionLost, EventdClientError, NotFound, ProtocolError, Refused, Unauthorised
from .events import Event
from .messages import (
    PROTOCOL,
    Ack,
    Backlog,
    Cancel,
    Context,
    Credit,
    DeadLetters,
    Emit,
    End,
    Error,
    Forget,
    Get,
    Hello,
    Index,
    Known,
    Metrics,
    Ping,
    Pong,
    Put,
    Query,
    Recall,
    Reload,
    Replay,
    Reply,
    Reroute,
    Result,
    Status,
    StoredEvent,
    Tail,
    Welcome,
)

TOKEN_VARIABLE = "EVENTD_TOKEN"  # noqa: S105 - its name, not its value
MAX_REPLY = 64 * 1024 * 1024  # bytes; far above any event that NATS takes, so it only stops nonsense

Reading = Query | Tail | Replay
"""The requests that are answered with many events, as their credit allows."""

Question = (
    Emit
    | Put
    | Known
    | Forget
    | Get
    | Reading
    | Recall
    | Context
    | Index
    | Status
    | Metrics
    | Reload
    | Reroute
    | DeadLetters
    | Backlog
    | Ping
)
"""The requests that are answered."""

_ANSWERS: dict[type[Question], tuple[type[Reply], ...]] = {
    Emit: (Ack,),
    Put: (Ack,),
    Known: (Result,),
    Forget: (Result,),
    Get: (StoredEvent,),
    Query: (StoredEvent, End),
    Tail: (StoredEvent, End),
    Replay: (StoredEvent, End),
    Recall: (Result,),
    Context: (Result,),
    Index: (Result,),
    Status: (Result,),
    Metrics: (Result,),
    Reload: (Result,),
    Reroute: (Result,),
    DeadLetters: (Result,),
    Backlog: (Result,),
    Ping: (Pong,),
}
"""What may answer a request, beside `Error`, which ends it; so does the last one here."""

_REFUSALS: dict[str, type[Refused]] = {"not_found": NotFound, "unauthorised": Unauthorised}

_encode_event = msgspec.msgpack.Encoder().encode


class State(enum.Enum):
    """Where a connection is in its life."""

    NEW = "new"
    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"


class Exchange:
    """One request and the replies to it that have come and were not taken yet.

    Attributes:
        done: Whether its last reply has come.
        abandoned: Whether nobody waits for it any more.
        end: The `end` of a stream of events, once it was taken.
    """

    __slots__ = (
        "_allowed", "_answers", "_credit", "_replies", "_taken", "abandoned", "done", "end", "request",
    )  # fmt: skip

    def __init__(self, request: Question) -> None:
        self.request = request
        self.done = False
        self.abandoned = False
        self.end: End | None = None
        self._answers = _ANSWERS[type(request)]
        self._replies: deque[Reply] = deque()
        self._credit = request.credit if isinstance(request, Reading) else 0
        self._allowed = self._credit or 1
        self._taken = 0

    def __repr__(self) -> str:
        state = "done" if self.done else "open"
        return f"<Exchange {type(self.request).__name__} {state}, {len(self._replies)} replies>"

    @property
    def ready(self) -> bool:
        """Whether there is a reply to take."""
        return bool(self._replies)

    def take(self) -> Reply:
        """Return the next reply that has come.

        Raises:
            Refused: It is an error.
        """
        reply = self._replies.popleft()
        if isinstance(reply, StoredEvent):  # first, for the sake of the many
            self._taken += 1
        elif isinstance(reply, Error):
            raise refused(reply)
        elif isinstance(reply, End):
            self.end = reply
        return reply

    def put(self, reply: Reply) -> None:
        """Take in a reply.

        Raises:
            ProtocolError: It is no answer to this request, or more than was asked for.
        """
        kind = type(reply)
        self.done = kind is Error or kind is self._answers[-1]
        if kind is not Error and kind not in self._answers:
            raise ProtocolError(f"{type(self.request).__name__} was answered with {kind.__name__}")
        if kind is StoredEvent:
            self._allowed -= 1
            if self._allowed < 0:
                raise ProtocolError("eventd sent more events than it had credit for")
        if not self.abandoned:
            self._replies.append(reply)

    def renew_credit(self) -> int:
        """Return how many more events the server may send, once that is worth a frame; else 0."""
        if self._taken * 2 < self._credit or self.done or not self._credit:
            return 0
        renewed, self._taken = self._taken, 0
        self._allowed += renewed
        return renewed


class ClientSession:
    """State of one connection.

    Args:
        agent: Who speaks.
        token: Proves it, where the daemon asks for one.
        client: Name and version of the program, for the daemon's log.
    """

    def __init__(self, agent: str, *, token: str | None = None, client: str = "") -> None:
        self.state = State.NEW
        self._hello = Hello(protocol=PROTOCOL, agent=agent, client=client, token=token)
        self._welcome: Welcome | None = None
        self._decoder = FrameDecoder(MAX_REPLY)
        self._exchanges: dict[int, Exchange] = {}
        self._last_id = 0
        self._failure: EventdClientError | None = None

    def __repr__(self) -> str:
        return f"<ClientSession of {self._hello.agent!r}, {self.state.value}, {len(self._exchanges)} open>"

    @property
    def welcome(self) -> Welcome:
        """What the server said about itself; there as soon as the state is `OPEN`."""
        if self._welcome is None:
            raise RuntimeError("the connection has not been welcomed yet")
        return self._welcome

    def hello(self) -> bytes:
        """Return the first bytes to send."""
        if self.state is not State.NEW:
            raise RuntimeError("hello is said once")
        frame = _sendable(encode, self._hello)
        self.state = State.GREETING
        return frame

    def begin(self, request: Question) -> tuple[Exchange, bytes]:
        """Give a request its id; return where its replies come in, and the bytes to send.

        Raises:
            Refused: The frame is larger than the server takes, or there is none that says this; that is not
                worth the connection.
            EventdClientError: The connection is over.
        """
        self.check()
        request.id = self._last_id + 1
        data = _sendable(encode, request)
        limit = self.welcome.limits.max_frame
        if len(data) - HEADER > limit:
            raise Refused(
                "frame_too_large",
                f"the request takes {len(data) - HEADER} bytes; this eventd takes {limit}",
                hint="send the events in several emits",
            )
        self._last_id = request.id
        exchange = self._exchanges[request.id] = Exchange(request)
        return exchange, data

    def begin_emit(self, events: Sequence[Event | msgspec.Raw]) -> tuple[Exchange, bytes]:
        """Like `begin`, for events or their msgpack form."""
        raws = [
            event if isinstance(event, msgspec.Raw) else msgspec.Raw(_sendable(_encode_event, event, number))
            for number, event in enumerate(events)
        ]
        return self.begin(Emit(0, raws))

    def grant(self, exchange: Exchange) -> bytes:
        """Return the bytes that allow the server to send more events; none when that is not due."""
        renewed = exchange.renew_credit()
        return encode(Credit(exchange.request.id, renewed)) if renewed and self._failure is None else b""

    def abandon(self, exchange: Exchange) -> bytes:
        """Stop waiting for a request: what still comes for it is thrown away.

        Returns the bytes to send: those that end a stream of events, else none.
        """
        exchange.abandoned = True
        if exchange.done or self._failure is not None or not isinstance(exchange.request, Reading):
            return b""
        return encode(Cancel(exchange.request.id))

    def receive(self, data: bytes) -> list[Exchange]:
        """Take in bytes from the server; none means that it has closed.

        Returns what got a reply. When the connection is over, `check` raises why.
        """
        if self._failure is not None:
            return []
        if not data:
            torn = " in the middle of a frame" if self._decoder.buffered else ""
            self.fail(ConnectionLost(f"eventd closed the connection{torn}"))
            return []
        answered: list[Exchange] = []
        try:
            self._decoder.feed(data)
            while (frame := self._decoder.next_frame()) is not NEED_DATA:
                exchange = self._take_in(decode_reply(frame))
                if exchange is not None:
                    answered.append(exchange)
        except (ProtocolError, Refused) as error:
            self.fail(error)
        return answered

    def fail(self, reason: EventdClientError) -> None:
        """End the connection; `check` raises the reason from now on. The first reason counts."""
        self.state = State.CLOSED
        if self._failure is None:
            self._failure = reason

    def check(self) -> None:
        """Raise why the connection is over, if it is.

        Raises:
            ConnectionLost: It was closed.
            ProtocolError: What came is not the protocol.
            Refused: The server refused the connection.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    def _take_in(self, reply: Reply) -> Exchange | None:
        if isinstance(reply, Welcome):
            if self.state is not State.GREETING:
                raise ProtocolError("eventd sent a second welcome")
            self._welcome = reply
            self.state = State.OPEN
            return None
        if reply.id is None:
            raise refused(reply)
        exchange = self._exchanges.get(reply.id)
        if exchange is None:
            raise ProtocolError(f"eventd sent a {type(reply).__name__} that nobody asked for")
        exchange.put(reply)
        if exchange.done:
            del self._exchanges[reply.id]
        return exchange


def _sendable[M](encoder: Callable[[M], bytes], message: M, index: int | None = None) -> bytes:
    """Return what an encoder makes of a message, or of the event at an index of one.

    Raises:
        Refused: It makes nothing of it.
    """
    try:
        return encoder(message)
    except (OverflowError, UnicodeEncodeError) as error:
        code, what = ("bad_request", "the request") if index is None else ("malformed", f"event {index}")
        hint = "texts are UTF-8, integers have 64 bits"
        raise Refused(code, f"{what} cannot be sent: {error}", hint=hint, index=index) from error


def expect[R](kind: type[R], reply: Reply) -> R:
    """Return a reply as what it must be; `Exchange.put` let nothing else through."""
    if not isinstance(reply, kind):
        raise TypeError(f"{type(reply).__name__} instead of {kind.__name__}")
    return reply


def refused(error: Error) -> Refused:
    """Return the exception for an error reply."""
    kind = _REFUSALS.get(error.code, Refused)
    return kind(
        error.code,
        error.message,
        retryable=error.retryable,
        hint=error.hint,
        index=error.index,
        retry_after=None if error.retry_after_ms is None else error.retry_after_ms / 1000,
    )
