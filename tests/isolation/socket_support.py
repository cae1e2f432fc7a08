"""A client that says whatever a test wants on the socket, and what a daemon holds, as an operator sees it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from eventd_ipc.blocking import connect
from eventd_ipc.codec import NEED_DATA, FrameDecoder
from support.daemon import Daemon
from support.waiting import wait_until

PATIENCE = 20.0  # seconds until an answer must have come; a bound against hanging

ALL_IS_LOGGED = "import eventd.logs; eventd.logs.FLOOD = eventd.logs.MANY = 10**9"
"""For a daemon that is attacked often: or many attacks would be one line with a count."""

Message = dict[str, Any]
"""A message of the protocol, or what is meant to look like one."""

_pack = msgspec.msgpack.Encoder().encode


class Wire:
    """One connection, on which nothing is checked before it is sent."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._decoder = FrameDecoder()
        self.last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *messages: Message) -> None:
        """Send messages."""
        bodies = map(_pack, messages)
        self.send_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in bodies))

    def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        self._socket.sendall(data)

    def receive(self) -> Message | None:
        """Return the next message; None when the daemon has closed."""
        while (frame := self._decoder.next_frame()) is NEED_DATA:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._decoder.feed(data)
        message: Message = msgspec.msgpack.decode(frame)
        return message

    def hello(self, agent: Any, token: Any = None, **others: Any) -> Message:
        """Say hello and return the answer."""
        self.send({"op": "hello", "protocol": 1, "agent": agent, "token": token, **others})
        answer = self.receive()
        assert answer is not None, "closed without a word"
        return answer

    def ask(self, op: str, **request: Any) -> list[Message]:
        """Send a request and return all replies to it."""
        self.last_id += 1
        self.send({"op": op, "id": self.last_id, **request})
        replies: list[Message] = []
        while True:
            reply = self.receive()
            assert reply is not None, f"closed after {replies}"
            if reply.get("id") is None:
                return [*replies, reply]
            assert reply["id"] == self.last_id
            replies.append(reply)
            if reply["op"] != "event" or op == "get":
                return replies

    def emit(self, *events: Message) -> Message:
        """Store events and return the answer."""
        (answer,) = self.ask("emit", events=list(events))
        return answer

    def events(self, op: str, **request: Any) -> list[Message]:
        """Ask for events and return them."""
        *replies, end = self.ask(op, credit=10_000, **request)
        assert end["op"] == "end", end
        return [json.loads(reply["body"]) for reply in replies]

    def rest(self) -> list[Message]:
        """Return all that still comes until the daemon closes."""
        return list(iter(self.receive, None))

    def is_closed(self) -> bool:
        """Whether nothing comes any more; waits for it."""
        return self.receive() is None


@contextmanager
def entered(daemon: Daemon, agent: str, token: str | None = None) -> Iterator[Wire]:
    """Connect as an agent that is let in."""
    with Wire(daemon.socket) as wire:
        answer = wire.hello(agent, token)
        assert answer["op"] == "welcome", answer
        yield wire


def log_lines(daemon: Daemon, action: str = "access_denied") -> list[dict[str, Any]]:
    """Return what the daemon has logged under an action."""
    lines = map(json.loads, daemon.log_text.splitlines())
    return [line for line in lines if line.get("action") == action]


@contextmanager
def audited(daemon: Daemon, request: str | None) -> Iterator[None]:
    """Check that what is done is denied once in the daemon's log, as this request; None is not at all."""
    before = len(log_lines(daemon))
    yield
    if request is not None:
        wait_until(lambda: len(log_lines(daemon)) > before, what="it is in the log")
    assert [line["request"] for line in log_lines(daemon)[before:]] == ([] if request is None else [request])


def everything(daemon: Daemon, *streams: str) -> dict[str, list[bytes]]:
    """Return all that is stored, wherever that is; nothing is under way any more."""
    daemon.wait_shipped()
    with connect("main", socket=daemon.socket, token=daemon.admin_token) as admin:
        indexed = sorted(bytes(event.body) for event in admin.query(agent="*"))
        letters = [str(letter).encode() for letter in admin.dead_letters()["letters"]]
    jetstream = daemon.embedded_streams()
    shipped = {name: [message.body for message in jetstream.read(name)] for name in streams}
    return {"the index": indexed, "dead letters": letters, **shipped}
