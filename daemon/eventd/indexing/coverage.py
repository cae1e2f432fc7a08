"""Which stretches of a stream are our own settled rows, so that nobody has to read them back."""

from bisect import bisect_right
from collections.abc import Iterable

from ..outbox.model import Run


class Coverage:
    """Stretches of sequences that are known to hold our own rows."""

    def __init__(self, runs: Iterable[Run]) -> None:
        stretches = sorted((run.stream_seq, run.stream_seq + run.count - 1) for run in runs)
        self._firsts = [first for first, _ in stretches]
        self._lasts = [last for _, last in stretches]

    def reach(self, position: int) -> int:
        """Return the greatest sequence up to which all behind `position` is covered; at least `position`."""
        while True:
            at = bisect_right(self._firsts, position + 1) - 1
            if at < 0 or self._lasts[at] <= position:
                return position
            position = self._lasts[at]
