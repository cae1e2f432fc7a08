"""How often something happens, per second over about the last minute: counted where it happens."""

import time
from collections.abc import Callable

SLOT = 5.0  # seconds that are counted together
SLOTS = 12  # of these, the one under way among them: the last 55 to 60 seconds
WINDOW = SLOT * SLOTS  # seconds
YOUNGEST = (
    1.0  # seconds; what has counted for less is taken for as old, or one event would be a thousand a second
)


class Rate:
    """Counts in a ring of slots, so that nobody has to look at it regularly.

    It may be read on another thread than the one that counts; it is then a slot's worth off at the worst.

    Args:
        clock: Seconds that are never set back.
    """

    __slots__ = ("_began", "_clock", "_counts", "_slot")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._slot = int(self._began / SLOT)
        self._counts = [0] * SLOTS

    def count(self, number: int = 1) -> None:
        """Count what has happened just now."""
        self._advance(int(self._clock() / SLOT))
        self._counts[self._slot % SLOTS] += number

    @property
    def per_second(self) -> float:
        """How much was counted per second, to two decimals."""
        now = self._clock()
        self._advance(int(now / SLOT))
        since = max(self._began, (self._slot - SLOTS + 1) * SLOT)
        return round(sum(self._counts) / max(now - since, YOUNGEST), 2)

    def _advance(self, slot: int) -> None:
        if slot == self._slot:
            return
        for gone in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._counts[gone % SLOTS] = 0
        self._slot = slot
