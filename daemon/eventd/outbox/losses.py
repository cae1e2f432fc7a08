"""What a salvage could not save. The rule: a loss may be overstated, never kept quiet.

Outbox numbers are given out without a gap, so each one that is missing was either settled or lost. Which
of the two, its route's watermark tells; which route it had, an index. Where neither is known and the
routes disagree, the number of pending rows that the mark remembers decides how many are lost.
"""

import uuid
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .mark import Mark, dead_id
from .remains import Remains

_LISTED = 10_000  # lost events that are listed one by one


@dataclass(slots=True)
class Losses:
    """Acknowledged events that are gone.

    Attributes:
        rows: Ranges of outbox numbers of pending rows, first and last.
        unclear: How many more are lost among the numbers in `candidates`.
        candidates: Ranges of numbers that were settled or lost.
        dead: Numbers of lost dead letters, as far as known.
        dead_unknown: How many more dead letters are lost.
        events: Agent and id of lost events, as far as they are known, each with its number.
    """

    rows: list[tuple[int, int]] = field(default_factory=list)
    unclear: int = 0
    candidates: list[tuple[int, int]] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    dead_unknown: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many events are lost."""
        return _total(self.rows) + self.unclear + len(self.dead) + self.dead_unknown

    def document(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "count": self.count,
            "rows": self.rows,
            "unclear": {"count": self.unclear, "among": self.candidates if self.unclear else []},
            "dead_letters": {"numbers": self.dead, "others": self.dead_unknown},
            "events": self.events[:_LISTED],
        }


def find_losses(remains: Remains, mark: Mark | None, last_seq: int) -> Losses:
    """Compare what is left with what must have been there.

    Args:
        last_seq: Newest number that was given out.
    """
    losses = Losses()
    settled = [state.settled for state in remains.routes.values()]
    low, high = min(settled, default=0), max(settled, default=0)
    for first, last in _gaps(remains, low + 1, last_seq):
        _judge(remains, losses, first, last, high)
    fresh = mark is not None and mark.last_seq >= last_seq and remains.fresh(mark)
    losses.unclear = _total(losses.candidates)
    missing_dead = [number for (number,) in remains.rows("dead_missing")]
    missing_dead = [number for number in missing_dead if not _within(losses.rows, number)]
    if fresh and mark is not None:
        pending = remains.value("pending_rows")
        losses.unclear = min(losses.unclear, max(0, mark.pending - pending - _total(losses.rows)))
        missing_dead, losses.dead_unknown = _missing_dead(remains, mark, missing_dead)
    losses.dead = sorted(missing_dead)
    _name(remains, losses)
    return losses


def _missing_dead(remains: Remains, mark: Mark, named: list[int]) -> tuple[list[int], int]:
    """Return numbers of lost dead letters, and how many more are lost: by what the mark says there was.

    The count alone would let a letter that was removed, but is found again, stand in for a lost one.

    Args:
        named: Numbers that an index names and that were not found.
    """
    removed = dict(mark.removed)
    here = [number for (number,) in remains.each("dead_numbers_after", (0, -1)) if number not in removed]
    named = [number for number in named if number not in removed]
    for lost in ([], named):
        if (len(here) + len(lost), dead_id(here + lost)) == (mark.dead, mark.dead_id):
            return lost, 0
    # Where removals are not all known, any that is here may be one of them.
    gone = max(0, mark.dead - len(here)) if mark.all_removed else mark.dead
    return named[:gone], gone - len(named[:gone])


def _judge(remains: Remains, losses: Losses, first: int, last: int, high: int) -> None:
    """Sort the missing numbers first..last: settled (nothing to report), lost, or unclear."""
    at = first
    for seq, route in remains.rows("rows_seen", (first, last)):
        _judge_unseen(losses, at, seq - 1, high)
        at = seq + 1
        if route not in remains.routes:
            _judge_unseen(losses, seq, seq, high)
        elif seq > remains.routes[route].settled:
            _add(losses.rows, seq, seq)
    _judge_unseen(losses, at, last, high)


def _judge_unseen(losses: Losses, first: int, last: int, high: int) -> None:
    """The same for numbers whose route nobody knows."""
    _add(losses.candidates, first, min(last, high))
    _add(losses.rows, max(first, high + 1), last)


def _gaps(remains: Remains, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of numbers from `first` to `last` that are neither here nor known to be lost."""
    known = remains.rows("lost")
    for number in _merged(remains, known):
        if number[0] > first:
            yield first, min(number[0] - 1, last)
        first = max(first, number[1] + 1)
        if first > last:
            return
    yield first, last


def _merged(remains: Remains, lost: list[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
    """Yield ranges that are accounted for, in order: rows and dead letters, and what was lost before."""
    waiting = iter(lost)
    following = next(waiting, None)
    for (number,) in remains.rows("numbers_present"):
        while following is not None and following[0] <= number:
            yield following[0], following[1]
            following = next(waiting, None)
        yield number, number
    while following is not None:
        yield following[0], following[1]
        following = next(waiting, None)


def _name(remains: Remains, losses: Losses) -> None:
    """Find agent and id of what is lost in the ledger, and forget those ids: the events are not here."""
    dead = [(number, number) for number in losses.dead]
    lost = sorted(losses.rows + dead)
    if not lost:
        return
    gone = [entry for entry in remains.each("ledger_names") if _within(lost, entry[2])]
    for agent, key, seq in gone:
        remains.run("forget_id", (agent, key))
        event_id = str(uuid.UUID(bytes=key)) if len(key) == 16 else None
        losses.events.append({"seq": seq, "agent": remains.agent(agent), "id": event_id, "hash": key.hex()})
    losses.events.sort(key=lambda event: int(event["seq"]))


def _within(ranges: list[tuple[int, int]], number: int) -> bool:
    at = bisect_right(ranges, (number, 1 << 63)) - 1
    return at >= 0 and ranges[at][0] <= number <= ranges[at][1]


def _add(ranges: list[tuple[int, int]], first: int, last: int) -> None:
    if first > last:
        return
    if ranges and ranges[-1][1] + 1 == first:
        ranges[-1] = (ranges[-1][0], last)
    else:
        ranges.append((first, last))


def _total(ranges: list[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)
