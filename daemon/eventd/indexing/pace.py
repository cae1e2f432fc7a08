"""How the index keeps out of the way of accepting: both want the one interpreter lock."""

from collections.abc import Callable

CROWDED = 512 * 1024  # bytes of emits without an ack: what piles up only while accepting is at its limit
SHARE = 20  # of the time, one part in so many is the index's then


class Pace:
    """Tells the indexer how long to rest after a piece of work.

    While agents get their acks as they come, indexing goes on at full speed. When emits pile up, agents come
    first: the index falls behind, which costs room in the outbox and no more.

    Args:
        waiting: Bytes of emits that have no ack yet.
    """

    def __init__(self, waiting: Callable[[], int] = lambda: 0) -> None:
        self._waiting = waiting

    def rest(self, busy: float) -> float:
        """Return the seconds to rest after a piece of work that took `busy` seconds."""
        return busy * (SHARE - 1) if self._waiting() >= CROWDED else 0.0
