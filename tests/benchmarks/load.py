"""The clients: a process of its own that encodes its frames beforehand and then does little but send them.

The parent starts it with `Load`; it runs as `python -m benchmarks.load PLAN`, says "ready" when it is
connected and prints its result as one JSON line after it was told to go.
"""

import contextlib
import dataclasses
import json
import select
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from eventd_ipc.builders import new_id, now
from eventd_ipc.codec import NEED_DATA, FrameDecoder, decode_reply, encode
from eventd_ipc.events import Event
from eventd_ipc.messages import PROTOCOL, Ack, Emit, Hello, Reply, Request, Welcome

AGENT = "bench"
QUIET = "quiet"  # another agent; a name of the same length, so that its events are as large
TICK = 0.002  # seconds between two sends at a steady rate
CHUNK = 256 * 1024  # bytes sent or received at once
BODY = 300  # bytes of an event as the JSON that is stored
REPLY_TIMEOUT = 60.0  # seconds without any ack, after which something is broken

# What the daemon stores of an event without its text.
_EMPTY_BODY = len(
    msgspec.json.encode(
        {
            "id": new_id(), "timestamp": now(), "agent": AGENT, "session": f"agent:{AGENT}:main",
            "type": "conversation.message.out", "visibility": "internal", "payload": {"text": ""}, "meta": {},
        }
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients do.

    Attributes:
        events: Over all connections together.
        batch: Events in one frame.
        one_by_one: Wait for each ack before the next frame.
        seconds: Spread the sending over this time; 0 sends as fast as the daemon reads. One by one, it is the
            pause after each ack that is spread, and what is left after that time is not sent.
        agent: Who sends.
    """

    socket: str
    events: int
    batch: int = 1
    connections: int = 1
    one_by_one: bool = False
    seconds: float = 0.0
    agent: str = AGENT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients saw.

    Attributes:
        seconds: From the first byte sent to the last ack.
        began: Unix time of the first byte.
        latencies: Seconds from each frame to its ack, where they went one by one.
    """

    events: int
    seconds: float
    began: float
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Acknowledged events per second."""
        return self.events / self.seconds


class Load:
    """A client process; ready to go once entered, gone when left."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.load", json.dumps(dataclasses.asdict(self._plan))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        try:
            self._line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def go(self) -> Outcome:
        """Let it send, and return what came of it."""
        self.begin()
        return Outcome(**json.loads(self._line()))

    def begin(self) -> None:
        """Let it send, and do not wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    @property
    def running(self) -> bool:
        """Whether it has not come to its end."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], 0)[0]

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the clients ended with exit code {self._process.wait()}")
        return line


class Client:
    """One blocking connection."""

    def __init__(self, path: str | Path, agent: str = AGENT) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(REPLY_TIMEOUT)
        self.decoder = FrameDecoder()
        try:
            self.socket.connect(str(path))
            welcome = self.ask(Hello(PROTOCOL, agent, "benchmark"))
        except BaseException:
            self.socket.close()
            raise
        if not isinstance(welcome, Welcome):
            raise TypeError(f"no welcome: {welcome}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, request: Request) -> Reply:
        """Send a request and return the reply."""
        return self.exchange(encode(request))

    def exchange(self, frame: bytes) -> Reply:
        """Send a frame and return the reply."""
        self.socket.sendall(frame)
        while (reply := self.decoder.next_frame()) is NEED_DATA:
            self.decoder.feed(self._receive())
        return decode_reply(reply)

    def _receive(self) -> bytes:
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        return data


class Pipeline(Client):
    """A connection that sends many frames without waiting, and collects the acks as they are."""

    def __init__(self, path: str | Path, frames: list[bytes], agent: str = AGENT) -> None:
        super().__init__(path, agent)
        self.socket.setblocking(False)
        self._expected = len(frames)
        self._outgoing = memoryview(b"".join(frames))
        self._size = len(self._outgoing)
        self._replies: list[bytes] = []

    @property
    def sent(self) -> bool:
        """Whether everything was handed to the socket."""
        return not self._outgoing

    @property
    def done(self) -> bool:
        """Whether every frame has been answered."""
        return len(self._replies) == self._expected

    def send(self, share: float = 1.0) -> None:
        """Send what the socket takes now.

        Args:
            share: How much of everything may be sent by now.
        """
        allowed = round(self._size * share) - (self._size - len(self._outgoing))
        if allowed > 0:
            self._outgoing = self._outgoing[self.socket.send(self._outgoing[: min(allowed, CHUNK)]) :]

    def receive(self) -> None:
        """Take in what has come."""
        self.decoder.feed(self._receive())
        while (frame := self.decoder.next_frame()) is not NEED_DATA:
            self._replies.append(frame)

    def check(self) -> None:
        """Raise if anything but acks has come."""
        for frame in self._replies:
            reply = decode_reply(frame)
            if not isinstance(reply, Ack):
                raise TypeError(f"no ack: {reply}")


def make_frames(events: int, batch: int, body: int = BODY, agent: str = AGENT) -> list[bytes]:
    """Return emit frames for this many new events, `body` bytes each when stored."""
    encode_event = msgspec.msgpack.Encoder().encode
    text = "x" * max(0, body - _EMPTY_BODY)

    def event() -> msgspec.Raw:
        return msgspec.Raw(
            encode_event(
                Event(
                    type="conversation.message.out",
                    id=new_id(),
                    timestamp=now(),
                    session=f"agent:{agent}:main",
                    payload={"text": text},
                )
            )
        )

    return [
        encode(Emit(number, [event() for _ in range(min(batch, events - first))]))
        for number, first in enumerate(range(0, events, batch), 1)
    ]


def _run(plan: Plan) -> Outcome:
    frames = make_frames(plan.events, plan.batch, agent=plan.agent)
    if plan.one_by_one:
        with Client(plan.socket, plan.agent) as client:
            _wait_for_go()
            return _one_by_one(client, frames, plan.seconds)
    parts = [frames[i :: plan.connections] for i in range(plan.connections)]
    lines = [Pipeline(plan.socket, part, plan.agent) for part in parts]
    del frames, parts
    _wait_for_go()
    began, start = time.time(), time.perf_counter()
    if plan.seconds:
        _drive_steadily(lines, plan.seconds)
    else:
        _drive(lines)
    seconds = time.perf_counter() - start
    for one in lines:
        one.check()
        one.socket.close()
    return Outcome(plan.events, seconds, began)


def _wait_for_go() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(1)  # the parent is gone


def _one_by_one(client: Client, frames: list[bytes], seconds: float) -> Outcome:
    latencies: list[float] = []
    began, start = time.time(), time.perf_counter()
    for frame in frames:
        before = time.perf_counter()
        if seconds and before - start > seconds:
            break
        reply = client.exchange(frame)
        latencies.append(time.perf_counter() - before)
        if not isinstance(reply, Ack):
            raise TypeError(f"no ack: {reply}")
        if seconds:
            time.sleep(seconds / len(frames))
    return Outcome(len(latencies), time.perf_counter() - start, began, latencies)


def _drive(lines: list[Pipeline]) -> None:
    selector = selectors.DefaultSelector()
    for line in lines:
        selector.register(line.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
    unanswered = len(lines)
    while unanswered:
        ready = selector.select(REPLY_TIMEOUT)
        if not ready:
            raise TimeoutError(f"no ack for {REPLY_TIMEOUT:g} s")
        for key, events in ready:
            line = key.data
            if events & selectors.EVENT_WRITE:
                line.send()
                if line.sent:
                    selector.modify(line.socket, selectors.EVENT_READ, line)
            if events & selectors.EVENT_READ:
                line.receive()
                if line.done:
                    selector.unregister(line.socket)
                    unanswered -= 1


def _drive_steadily(lines: list[Pipeline], seconds: float) -> None:
    start = time.perf_counter()
    while not all(line.done for line in lines):
        share = min(1.0, (time.perf_counter() - start) / seconds)
        for line in lines:
            with contextlib.suppress(BlockingIOError):  # the daemon reads more slowly than that
                line.send(share)
            with contextlib.suppress(BlockingIOError):
                line.receive()
        time.sleep(TICK)


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_run(Plan(**json.loads(sys.argv[1]))))), flush=True)
