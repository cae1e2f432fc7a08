"""One short conversation with the daemon: hello, events, perhaps a context; all of it within a deadline.

The clients of `eventd_ipc` do far more, and loading them takes longer than a hook may.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from eventd_ipc.places import fault_of, sockets

from .msgpack import NotMsgpack, pack, unpack

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 1  # as `eventd_ipc.messages` has it; the tests compare them
MAX_REPLY = 8 * 1024 * 1024  # bytes
CHUNK = 256 * 1024  # bytes asked from the socket at once

_LENGTH = struct.Struct(">I")


class Away(Exception):
    """There is nobody who takes events: no daemon, or none that answers in time."""


class Refused(Exception):
    """The daemon answered, and said no.

    Attributes:
        code: One of the protocol's codes.
        index: Which event spoiled the emit.
    """

    def __init__(self, code: str, message: str, index: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.index = index


class Client:
    """A connection to the daemon.

    Args:
        agent: Who speaks.
        token: What proves it, where eventd asks for that.
        deadline: `time.monotonic()` by which all has to be over; may be moved.
        place: The daemon's socket, where it was named.

    Raises:
        Away: Nobody is there.
    """

    def __init__(self, agent: str, token: str | None, deadline: float, place: str | None = None) -> None:
        self.deadline = deadline
        self._requests = 0
        self._buffer = bytearray()
        self._socket = self._connect(place)
        hello = {"op": "hello", "protocol": PROTOCOL, "agent": agent, "client": "eventd-hook"}
        self._outgoing = _frame(hello | ({"token": token} if token else {}))
        self._is_welcome = False

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def emit(self, events: list[dict[str, Any]]) -> None:
        """Have events stored, all of them.

        Raises:
            Away: There is no answer; they may be stored, or not.
            Refused: None of them is.
        """
        self._ask({"op": "emit", "events": events})

    def context(self, **wanted: Any) -> str:
        """Return the block for the prompt; "" where there is nothing to tell.

        Args:
            wanted: `agent`, `session`, `query`, `budget`; None for what is not given.
        """
        asked = {key: value for key, value in wanted.items() if value is not None}
        data = self._ask({"op": "context", **asked}).get("data")
        text = data.get("text") if isinstance(data, dict) else None
        return text if isinstance(text, str) else ""

    def _connect(self, place: str | None) -> socket.socket:
        try:
            for candidate in sockets(place, os.environ):
                try:
                    os.lstat(candidate)
                    if fault := fault_of(os.path.dirname(candidate), as_guest=True):
                        raise Away(fault[0])
                    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                except OSError:
                    continue
                connection.settimeout(self._left())
                try:
                    connection.connect(candidate)
                except OSError:
                    connection.close()
                    continue
                return connection
        except Away:
            raise
        except Exception as error:  # a folder that is not safe, no home, no platformdirs
            raise Away(f"{type(error).__name__}: {error}") from error
        raise Away("nobody answers")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._requests += 1
        number = self._requests
        try:
            self._socket.settimeout(self._left())
            # hello goes along with the first request: its answer needs no waiting for
            self._socket.sendall(self._outgoing + _frame({**request, "id": number}))
            self._outgoing = b""
            while True:
                reply = self._receive()
                if reply.get("op") == "error":
                    raise Refused(
                        str(reply.get("code")), str(reply.get("message", "")), _number(reply.get("index"))
                    )
                if reply.get("id") == number:
                    return reply
        except (OSError, NotMsgpack) as error:
            raise Away(f"{type(error).__name__}: {error}") from error

    def _receive(self) -> dict[str, Any]:
        (size,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if size > MAX_REPLY:
            raise NotMsgpack(f"a reply of {size} bytes")
        reply = unpack(self._take(size))
        return reply if isinstance(reply, dict) else {}

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._socket.settimeout(self._left())
            data = self._socket.recv(CHUNK)
            if not data:
                raise ConnectionError("eventd has closed the connection")
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: None are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left


def _frame(message: dict[str, Any]) -> bytes:
    body = pack(message)
    return _LENGTH.pack(len(body)) + body


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
