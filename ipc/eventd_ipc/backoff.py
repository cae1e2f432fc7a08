"""Pauses between attempts: longer each time, and never the same for all who wait."""

import random

FIRST = 0.1  # seconds
LONGEST = 5.0  # seconds; the socket is local, so an attempt costs next to nothing
FACTOR = 2.0


class Backoff:
    """Counts failed attempts and says how long to wait after each."""

    def __init__(self, first: float = FIRST, longest: float = LONGEST) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def pause(self) -> float:
        """Return the seconds to wait now: between half and all of a time that doubles up to the longest."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        self._next = min(self._next * FACTOR, self._longest)
        return pause

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._next = self._first
