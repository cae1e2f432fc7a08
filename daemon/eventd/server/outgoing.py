"""Replies on their way to one client: joined into few sends, bounded by those who produce them."""

from collections import deque

from .changes import Changes
from .stats import ServerStats
from .stream import PeerStalled, Stream

STUCK = 5.0  # seconds after which a client that takes nothing is counted as stuck


class Outgoing:
    """The queue of replies and the task that sends them.

    Args:
        limit: Bytes from which on no more requests should be read. `put` itself never waits and never
            refuses, so that acks can come from a callback.
        stall_timeout: Seconds within which the client must take something.
        changes: Notified whenever `size` went down.
        stats: Where a client is counted that takes nothing.

    Attributes:
        size: Bytes that are not in the socket's buffer yet.
        sent: Bytes that ever were.
    """

    __slots__ = ("_changes", "_filled", "_frames", "_limit", "_stall_timeout", "_stats", "sent", "size")

    def __init__(self, limit: int, stall_timeout: float, changes: Changes, stats: ServerStats) -> None:
        self.size = 0
        self.sent = 0
        self._limit = limit
        self._stall_timeout = stall_timeout
        self._changes = changes
        self._stats = stats
        self._filled = Changes()
        self._frames: deque[bytes] = deque()

    def has_room(self) -> bool:
        """Whether requests may be read, whose replies come here."""
        return self.size < self._limit

    def put(self, frames: bytes) -> None:
        """Queue one or more whole frames."""
        self._frames.append(frames)
        self.size += len(frames)
        self._filled.notify()

    async def put_patiently(self, frame: bytes) -> None:
        """Queue a frame as soon as there is room.

        Half of the room is left to acks: a stream in full flow would otherwise keep the requests from being
        read, the one that cancels it too.
        """
        await self._changes.until(lambda: self.size < self._limit // 2)
        self.put(frame)

    async def send_to(self, stream: Stream) -> None:
        """Send what is put, until cancelled.

        Raises:
            PeerStalled: The client does not read.
            anyio.BrokenResourceError: The client is gone.
        """
        while True:
            await self._filled.until(self._has_frames)
            joined = memoryview(b"".join(self._frames))
            self._frames.clear()
            while joined:
                count = await self._send_some(stream, joined)
                joined = joined[count:]
                self.sent += count
                self.size -= count
                self._changes.notify()

    async def _send_some(self, stream: Stream, data: memoryview) -> int:
        patience = min(STUCK, self._stall_timeout)
        try:
            return await stream.send_some(data, patience)
        except PeerStalled:
            if patience == self._stall_timeout:
                raise
        self._stats.stuck += 1
        try:
            return await stream.send_some(data, self._stall_timeout - patience)
        finally:
            self._stats.stuck -= 1

    def _has_frames(self) -> bool:
        return bool(self._frames)
