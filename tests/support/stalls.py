"""What makes a part of a daemon stand still without an error: mutations with a switch, a deaf client."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventd_ipc.codec import NEED_DATA, FrameDecoder, decode_reply, encode
from eventd_ipc.messages import PROTOCOL, Credit, Hello, StoredEvent, Tail

from .daemon import Daemon

TIMEOUT = 30.0  # seconds for bytes that must come
BROKEN_INFO = b"INFO {broken\r\n"  # from a server it ends the read loop of nats-py, which stays "connected"

# Each of these holds while there is the file `stuck`.
HUNG_READ_LOOP = """
import asyncio
from pathlib import Path
from eventd.jetstream.client import Client
stuck, process = Path({stuck!r}), Client._process_msg
async def hanging(self, *message):
    while stuck.exists() or hasattr(self, "hangs"):
        self.hangs = True  # this connection never reads again
        await asyncio.sleep(3600)
    await process(self, *message)
Client._process_msg = hanging
"""

HUNG_OUTBOX = """
import time
from pathlib import Path
from eventd.outbox import store
stuck, commit = Path({stuck!r}), store.Store.commit
def hanging(self):
    while stuck.exists():
        time.sleep(0.01)
    return commit(self)
store.Store.commit = hanging
"""


@contextmanager
def stuck(folder: Path) -> Iterator[None]:
    """Let the mutation hold."""
    file = folder / "stuck"
    file.touch()
    try:
        yield
    finally:
        file.unlink()


def mutated(mutation: str, folder: Path) -> str:
    """Return a mutation that `stuck` switches."""
    return mutation.format(stuck=str(folder / "stuck"))


class Reader:
    """A client that asks for the events as they come, and takes none before it is told to."""

    def __init__(self, daemon: Daemon, credit: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(str(daemon.socket))
        self._frames = FrameDecoder()
        self._send(Hello(protocol=PROTOCOL, agent="main"), Tail(1, last=0, follow=True, credit=credit))

    def _send(self, *requests: Any) -> None:
        self._socket.sendall(b"".join(encode(request) for request in requests))

    def ask(self, credit: int) -> None:
        """Ask for more events."""
        self._send(Credit(1, n=credit))

    def take(self, count: int) -> list[bytes]:
        """Read events; return their bodies in order."""
        bodies: list[bytes] = []
        while len(bodies) < count:
            while (frame := self._frames.next_frame()) is NEED_DATA:
                self._frames.feed(self._socket.recv(2**20))
            reply = decode_reply(frame)
            if isinstance(reply, StoredEvent):
                bodies.append(bytes(reply.body))
        return bodies

    def close(self) -> None:
        """Go."""
        self._socket.close()
