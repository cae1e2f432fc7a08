"""What waits to be stored: each caller's in its own order, callers by turns.

So a client that sends one event and waits for its ack does not wait for all that others have in flight.
Measured beside one that sends as fast as it is read: an ack after 5 to 10 ms rather than 30 to 40.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from .model import Done, Submission

QUICK_ROWS = 500  # rows of a group while somebody waits for each ack; at 1000 an ack takes twice as long, and
# at 250 two thirds of the time. Who sends all the time gets three quarters of the usual rate meanwhile.
QUICK_SPAN = 0.1  # seconds for which groups stay small, so that the next event does not find a large one


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Submissions that are stored together.

    Attributes:
        done: Told when they are stored or refused; at the same time it stands for the caller.
        number: Counts appends of all callers, in the order of the calls.
        alone: Whether the caller has nothing else under way, and so waits for just this.
    """

    submissions: list[Submission]
    done: Done
    number: int
    alone: bool


class _Waiting(NamedTuple):
    """An append in line.

    Attributes:
        size: Bytes of its rows' bodies.
    """

    append: Append
    rows: int
    size: int


class Turns:
    """Appends in line. All methods are for the writer's thread.

    Args:
        most_rows: Most rows of a group, but for a single append that has more.
        most_bytes: Most bytes of these rows' bodies, likewise.
    """

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._lines: dict[Done, deque[_Waiting]] = {}  # by caller; whose turn is next comes first
        self._waited_for = False  # whether somebody waits for one append that has come since the last group
        self._quick_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, append: Append) -> None:
        """Let an append wait behind those of the same caller."""
        self._waited_for |= append.alone
        rows = sum([len(submission.rows) for submission in append.submissions])
        size = sum([submission.size for submission in append.submissions])
        waiting = _Waiting(append, rows, size)
        if (line := self._lines.get(append.done)) is not None:
            line.append(waiting)
        else:
            self._lines[append.done] = deque((waiting,))

    def take(self, now: float) -> list[Append]:
        """Remove and return the next group: one append of each caller by turns, up to the bounds.

        Args:
            now: Seconds of a clock that is never set back.
        """
        if self._waited_for and len(self._lines) > 1:
            self._quick_until = now + QUICK_SPAN
        self._waited_for = False
        rows = self._most_rows if now >= self._quick_until else min(QUICK_ROWS, self._most_rows)
        size = self._most_bytes
        group: list[Append] = []
        while self._lines:
            caller, line = next(iter(self._lines.items()))
            rows -= line[0].rows
            size -= line[0].size
            if group and (rows < 0 or size < 0):
                break
            group.append(line.popleft().append)
            del self._lines[caller]
            if line:
                self._lines[caller] = line  # behind the others
        return group
