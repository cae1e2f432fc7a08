"""A peer on a real Unix socket that does what a test tells it: the daemon's manners without the daemon.

Each emit that comes takes the next step of the script; without one it is stored and acknowledged. Like the
daemon, the peer stores an id once and acknowledges a repeat.
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, get_args

import msgspec

from eventd_ipc.codec import NEED_DATA, FrameDecoder, decode_request, encode
from eventd_ipc.errors import CODES
from eventd_ipc.messages import (
    PROTOCOL,
    Ack,
    Cancel,
    Context,
    Credit,
    DeadLetters,
    Emit,
    End,
    Error,
    Get,
    Hello,
    Index,
    Known,
    Limits,
    Ping,
    Pong,
    Put,
    Query,
    Recall,
    Replay,
    Reply,
    Request,
    Result,
    Status,
    StoredEvent,
    Tail,
    Welcome,
)
from eventd_ipc.session import Reading

WELL = {"health": {"state": "ok", "reasons": []}}  # beside what was asked, in the answer to `status`
LIMITS = Limits(max_frame=1024 * 1024, max_event=256 * 1024, max_events=1000, max_in_flight=4 * 1024 * 1024)


class Peer:
    """One connection as the server sees it."""

    def __init__(self, server: "ScriptedServer", connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.streams: dict[int, list[int]] = {}  # request: credit left and events sent

    def send(self, *replies: Reply) -> None:
        self.connection.sendall(b"".join(map(encode, replies)))

    def send_bytes(self, data: bytes) -> None:
        self.connection.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


Step = Callable[[Peer, Any], None]
"""What is done with an emit, or a put."""


def store(peer: Peer, emit: Emit | Put) -> None:
    """Store and acknowledge."""
    peer.send(Ack(emit.id, peer.server.keep(emit)))


def refuse(code: str, *, index: int | None = None, retry_after_ms: int | None = None) -> Step:
    """Refuse the emit."""

    def step(peer: Peer, emit: Emit) -> None:
        peer.send(error(code, id=emit.id, index=index, retry_after_ms=retry_after_ms))

    return step


def dismiss(code: str) -> Step:
    """Refuse the whole connection and close it."""

    def step(peer: Peer, emit: Emit) -> None:
        peer.send(error(code))
        peer.close()

    return step


Greeting = Callable[["Peer", Hello], None]
"""What is done with a hello."""


def send_away(code: str) -> Greeting:
    """Answer hello with an error and close."""

    def greet(peer: Peer, hello: Hello) -> None:
        peer.send(error(code))
        peer.close()

    return greet


def lose_ack(peer: Peer, emit: Emit) -> None:
    """Store, and close before the ack."""
    peer.server.keep(emit)
    peer.close()


def stall(peer: Peer, emit: Emit) -> None:
    """Say nothing."""


def error(code: str, **fields: Any) -> Error:
    """The error reply of a code, flags as in the table."""
    return Error(
        code=code, message=f"scripted {code}", retryable=CODES[code].retryable, hint="a hint", **fields
    )


class ScriptedServer:
    """The peer's listener; `start` and `stop` are the daemon's coming and going.

    Attributes:
        script: Steps for the emits to come.
        hellos: Of all connections.
        requests: All requests, in the order of their coming.
        stored: The events by id, each once, in the order of their first coming.
        greetings: Answers to the hellos to come, before `greeting`.
        greeting: Answers hello.
        answers: Overrides what is done with a kind of request.
        stream: Events that `query`, `tail` and `replay` send; with `follow` it then waits.
        cursor: What their `end` carries.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.script: deque[Step] = deque()
        self.hellos: list[Hello] = []
        self.requests: list[Request] = []
        self.stored: dict[str, dict[str, Any]] = {}
        self.greetings: deque[Greeting] = deque()
        self.greeting: Greeting = self.welcome
        self.answers: dict[type, Callable[[Peer, Any], None]] = {}
        self.limits = LIMITS
        self.stream = 10
        self.cursor: str | None = None
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._peers: list[Peer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def emits(self) -> list[Emit]:
        return [request for request in self.requests if isinstance(request, Emit)]

    def start(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._spawn(self._accept, self._listener)
        return self

    def stop(self) -> None:
        """Close the listener and all connections, and remove the socket, as the daemon does."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.path.unlink()
        for peer in self._peers:
            peer.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._threads.clear()
        self._peers.clear()

    def keep(self, emit: Emit | Put) -> list[str]:
        events = [msgspec.msgpack.decode(raw) for raw in emit.events]
        with self._lock:
            for event in events:
                first = self.stored.setdefault(event["id"], event)
                assert first == event, "the same id came with other content"
        return [event["id"] for event in events]

    def welcome(self, peer: Peer, hello: Hello) -> None:
        can = sorted(kind.__struct_config__.tag for kind in get_args(Request) if kind is not Hello)
        peer.send(Welcome(PROTOCOL, "scripted 1", self.limits, hello.agent, can))

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            peer = Peer(self, connection)
            self._peers.append(peer)
            self._spawn(self._serve, peer)

    def _serve(self, peer: Peer) -> None:
        decoder = FrameDecoder()
        with peer.connection, contextlib.suppress(OSError):
            while data := peer.connection.recv(65536):
                decoder.feed(data)
                while (frame := decoder.next_frame()) is not NEED_DATA:
                    self._handle(peer, decode_request(frame))

    def _handle(self, peer: Peer, request: Request) -> None:
        if isinstance(request, Hello):
            self.hellos.append(request)
            greet = self.greetings.popleft() if self.greetings else self.greeting
            greet(peer, request)
            return
        self.requests.append(request)
        if (answer := self.answers.get(type(request))) is not None:
            answer(peer, request)
            return
        match request:
            case Emit() | Put():
                step = self.script.popleft() if self.script else store
                step(peer, request)
            case Known():
                known = [event_id for event_id in request.ids if event_id in self.stored]
                peer.send(Result(request.id, {"known": known, "forgotten": [], "complete": True}))
            case Ping():
                peer.send(Pong(request.id))
            case Get():
                peer.send(stored_event(request.id, request.seq or 1))
            case Status():
                peer.send(Result(request.id, msgspec.to_builtins(request) | WELL))
            case DeadLetters() | Recall() | Context() | Index():
                peer.send(Result(request.id, msgspec.to_builtins(request)))
            case Query() | Tail() | Replay():
                peer.streams[request.id] = [request.credit, 0]
                self._go_on(peer, request.id)
            case Credit():
                if request.id in peer.streams:
                    peer.streams[request.id][0] += request.n
                    self._go_on(peer, request.id)
            case Cancel():
                if peer.streams.pop(request.id, None):
                    peer.send(End(request.id, cancelled=True))

    def _go_on(self, peer: Peer, request: int) -> None:
        state = peer.streams[request]
        while state[0] and state[1] < self.stream:
            state[0] -= 1
            state[1] += 1
            peer.send(stored_event(request, state[1]))
        asked = next(r for r in self.requests if isinstance(r, Reading) and r.id == request)
        if state[1] == self.stream and not (isinstance(asked, Tail) and asked.follow):
            del peer.streams[request]
            peer.send(End(request, cursor=self.cursor))


def stored_event(request: int, seq: int) -> StoredEvent:
    return StoredEvent(
        request, "events", seq, "openclaw.events.main.test", 1700000000000 + seq, b'{"n":%d}' % seq
    )
