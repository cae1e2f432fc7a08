"""What was begun and not finished, seen from the columns alone: no body is read.

Something is open only while nothing concludes it later in the same session: an answer, or the end of a run.
So a crash of last week is not brought up again after the conversation has gone on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..events.types import Kind
from .reading import Past, is_start
from .source import Mark

HABIT = 3  # runs without an end among which one with an end shows that the writer stores ends at all


@dataclass(slots=True)
class Unfinished:
    """One thing that is open.

    Attributes:
        kind: `message`, `tool call`, `run` or `failed run`.
        remarks: What else is known about it, phrases of ours.
    """

    mark: Mark
    kind: str
    remarks: list[str] = field(default_factory=list)


def unfinished(past: Past, session: str | None) -> list[Unfinished]:
    """Return what is open, newest first.

    Args:
        session: The calling session. What it began after its own start is what it is doing right now; without
            a start that is all of it.
    """
    marks = past.marks
    by_session: dict[str, list[Mark]] = {}
    for mark in marks:
        by_session.setdefault(mark.session, []).append(mark)
    starts = sum(mark.kind is Kind.RUN_START for mark in marks)
    ends = any(mark.kind is Kind.RUN_END or mark.kind is Kind.RUN_ERROR for mark in marks)
    ends_stored = ends or starts < HABIT
    found: list[Unfinished] = []
    for key, held in by_session.items():
        own = session is not None and key == session and not past.begun
        found += _of_session(held[: _last_start(held)] if own else held, past.noise, ends_stored)
    return sorted(found, key=lambda item: (item.mark.time, item.mark.n), reverse=True)


def _last_start(marks: Sequence[Mark]) -> int:
    return next((place for place in range(len(marks) - 1, -1, -1) if is_start(marks[place])), 0)


def _of_session(marks: Sequence[Mark], noise: Collection[int], ends_stored: bool) -> list[Unfinished]:
    answered = max((i for i, mark in enumerate(marks) if mark.kind is Kind.MESSAGE_OUT), default=-1)
    ended = max((i for i, mark in enumerate(marks) if mark.kind is Kind.RUN_END), default=-1)
    concluded = max(answered, ended)
    found = [
        Unfinished(mark, "message")
        for mark in marks[concluded + 1 :]
        if mark.kind is Kind.MESSAGE_IN and mark.n not in noise
    ]
    found += [Unfinished(mark, "tool call") for mark in _calls(marks, answered)]
    alone: list[Unfinished] = []
    for run in _runs(marks, answered, ends_stored):
        # One thing is told once: that its run did not end is a remark to what was open in it.
        others = [item for item in found if run.mark.run and item.mark.run == run.mark.run]
        remark = "its run failed" if run.kind == "failed run" else "its run has no end"
        for item in others or found[:1]:
            if remark not in item.remarks:
                item.remarks.append(remark)
        if not found:
            alone.append(run)
    return found + alone


def _calls(marks: Sequence[Mark], answered: int) -> list[Mark]:
    """Find tool calls without a result after which the agent said nothing more."""
    results = {mark.call for mark in marks if mark.kind is Kind.TOOL_RESULT and mark.call}
    nameless: dict[str, int] = {}  # results without an id, per run, that still have to find their call
    found: list[Mark] = []
    for place in range(len(marks) - 1, answered, -1):
        mark = marks[place]
        if mark.kind is Kind.TOOL_RESULT and not mark.call:
            nameless[mark.run] = nameless.get(mark.run, 0) + 1
        elif mark.kind is Kind.TOOL_CALL:
            if mark.call:
                if mark.call not in results:
                    found.append(mark)
            elif nameless.get(mark.run, 0) > 0:
                nameless[mark.run] -= 1
            else:
                found.append(mark)
    return found


def _runs(marks: Sequence[Mark], answered: int, ends_stored: bool) -> list[Unfinished]:
    """Find runs that failed or have no end, unless the session went on with another run since."""
    found: list[Unfinished] = []
    over: set[str] = set()
    later = False  # whether another run came to an answer or an end after this place
    last_answer = marks[answered].run if answered >= 0 else None
    for place in range(len(marks) - 1, -1, -1):
        mark = marks[place]
        if later:
            break
        if mark.kind is Kind.RUN_END:
            over.add(mark.run)
            later = True
        elif mark.kind is Kind.RUN_ERROR:
            over.add(mark.run)
            if place > answered:
                found.append(Unfinished(mark, "failed run"))
        elif mark.kind is Kind.RUN_START and mark.run not in over:
            over.add(mark.run)
            goes_on = answered > place and last_answer != mark.run
            only_answer = answered > place and answered == len(marks) - 1
            if not goes_on and (ends_stored or not only_answer):
                found.append(Unfinished(mark, "run"))
    return found
