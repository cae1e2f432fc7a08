"""How the index keeps out of the way of accepting: both want the one interpreter lock."""

import time

SATURATED = 0.8  # of a core; what the rest of the daemon uses when accepting is at its limit
SHARE = 5  # of the time, one part in so many is the index's then


class Pace:
    """Tells the indexer how long to rest after a piece of work.

    While the rest of the daemon leaves the interpreter idle now and then, indexing goes on at full speed.
    When it does not, agents come first: the index falls behind, which costs room in the outbox and no more.
    """

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()
        self._own = 0.0

    def rest(self, busy: float, own: float) -> float:
        """Return the seconds to rest.

        Args:
            busy: Seconds that the last piece of work took.
            own: Seconds of CPU that the index's threads have used since the start.
        """
        wall, cpu = time.monotonic(), time.process_time()
        others = (cpu - self._cpu) - (own - self._own)
        elapsed = wall - self._wall
        self._wall, self._cpu, self._own = wall, cpu, own
        return busy * (SHARE - 1) if others > SATURATED * elapsed else 0.0
