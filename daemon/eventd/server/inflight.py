"""What all connections together have in flight: many clients must not do what a single one may not."""

from .changes import Changes


class InFlight:
    """Bytes of emits without a reply, over all connections.

    Args:
        limit: Bytes from which on no connection is read.

    Attributes:
        size: What is in flight now.
    """

    __slots__ = ("_changes", "_limit", "size")

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._changes = Changes()

    @property
    def room(self) -> int:
        """Bytes that may still come; the last frame may take more."""
        return self._limit - self.size

    def add(self, size: int) -> None:
        """Count emits."""
        self.size += size

    def remove(self, size: int) -> None:
        """Count emits no more, which have their replies."""
        self.size -= size
        self._changes.notify()

    async def until_room(self) -> None:
        """Return when a frame may be taken."""
        await self._changes.until(lambda: self.size < self._limit)
