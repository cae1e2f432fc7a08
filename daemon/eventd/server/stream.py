"""A connected socket, read and written from tasks.

anyio's own stream for Unix sockets is not used: a read that is cancelled in the very moment in which data
arrives makes its callback raise InvalidStateError into the event loop, and its `send` hides how far it came.
"""

import socket
from typing import Self

import anyio
import anyio.lowlevel


class PeerStalled(Exception):
    """The peer has taken nothing for too long."""


class Stream:
    """A connected socket. One task reads and one writes at a time; it is closed when neither does.

    Args:
        connection: Owned from now on.
    """

    __slots__ = ("_socket",)

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection

    async def receive(self, size: int) -> bytes:
        """Return the bytes that are there, at most `size`; waits for the first one.

        Raises:
            anyio.EndOfStream: The peer sends nothing more.
            anyio.BrokenResourceError: The connection is gone.
        """
        await (
            anyio.lowlevel.checkpoint()
        )  # somebody who sends without a pause must not keep all others waiting
        while True:
            try:
                data = self._socket.recv(size)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError as error:
                raise anyio.BrokenResourceError from error
            else:
                if not data:
                    raise anyio.EndOfStream
                return data

    async def send_some(self, data: memoryview, patience: float) -> int:
        """Hand the peer as much as it takes at once and return how many bytes that were.

        Args:
            patience: Seconds to wait for the peer to make room for any.

        Raises:
            PeerStalled: It did not.
            anyio.BrokenResourceError: The connection is gone.
        """
        while True:
            try:
                return self._socket.send(data)
            except BlockingIOError:
                with anyio.move_on_after(patience) as deadline:
                    await anyio.wait_writable(self._socket)
                if deadline.cancelled_caught:
                    raise PeerStalled from None
            except OSError as error:
                raise anyio.BrokenResourceError from error

    def end(self) -> None:
        """Tell the peer that nothing more comes; it can still send."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise anyio.BrokenResourceError from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
