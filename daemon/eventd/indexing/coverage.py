"""Which stretches of a stream are our own settled rows, so that nobody has to read them back."""

from bisect import bisect_right
from collections.abc import Iterable

from ..outbox.model import Run


class Coverage:
    """Stretches of sequences that are known to hold our own rows."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted((run.stream_seq, run.stream_seq + run.count - 1) for run in runs):
            if self._lasts and first <= self._lasts[-1] + 1:  # after a repair they can overlap
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def reach(self, position: int) -> int:
        """Return the greatest sequence up to which all behind `position` is covered; at least `position`."""
        at = bisect_right(self._firsts, position + 1) - 1
        return position if at < 0 else max(position, self._lasts[at])
