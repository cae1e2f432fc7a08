"""What doctor found as lines for a person: a mark, a name, what was found; the remedy right below."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from ..doctor.model import Finding, Level, counts, worst
from .figures import count
from .output import is_terminal, neutral

MARKS = {Level.OK: "✓", Level.NOTE: "·", Level.WARNING: "!", Level.PROBLEM: "✗"}
UNMADE = "?"
COLOURS = {Level.OK: "green", Level.NOTE: None, Level.WARNING: "yellow", Level.PROBLEM: "red"}

GROUPS = {
    "config": "Configuration",
    "access": "Access",
    "daemon": "Daemon",
    "events": "Events",
    "disk": "Disk",
    "trial": "Test event",
    "tools": "Agent tools",
    "service": "Service",
}
"""Headings, in the order of the findings. What belongs to a route stands under the route's name."""

WIDEST = 110  # columns; longer lines are harder to read than more of them
NARROWEST = 60  # columns


def lines(findings: Sequence[Finding], *, colour: bool, can_fix: bool = False) -> Iterator[str]:
    """Yield the lines.

    Args:
        can_fix: Whether it is told what --fix could do.
    """
    room = _room()
    title = max((len(finding.title) for finding in findings), default=0)
    heading = ""
    for finding in findings:
        if (now := _heading(finding)) != heading:
            if heading:
                yield ""
            heading = now
            yield click.style(now, bold=True) if colour else now
        yield from _finding(finding, title, room, colour=colour)
    yield ""
    yield from _summary(findings, room, colour=colour, can_fix=can_fix)


def _heading(finding: Finding) -> str:
    if finding.route:
        return f"Route {neutral(finding.route)}"
    return GROUPS.get(finding.group, finding.group)


def _finding(finding: Finding, width: int, room: int | None, *, colour: bool) -> Iterator[str]:
    mark = MARKS[finding.level] if finding.made else UNMADE
    shade = COLOURS[finding.level]
    lead = f"  {mark} {finding.title:<{width}}  "
    below = " " * len(lead)
    first, *rest = _wrapped(neutral(finding.found), room, len(lead))
    if colour and shade:
        lead = lead.replace(mark, click.style(mark, fg=shade, bold=finding.level > Level.OK or None), 1)
    yield f"{lead}{first}"
    yield from (f"{below}{line}" for line in rest)
    if finding.remedy:
        arrow = "→ "
        first, *rest = _wrapped(neutral(finding.remedy), room, len(below) + len(arrow))
        for text in (f"{below}{arrow}{first}", *(f"{below}  {line}" for line in rest)):
            yield click.style(text, fg="cyan") if colour and finding.level > Level.NOTE else text


def _summary(findings: Sequence[Finding], room: int | None, *, colour: bool, can_fix: bool) -> Iterator[str]:
    """Say in a line what it comes to."""
    many = counts(findings)
    level = worst(findings)
    parts = [count(many[each.word], each.word) for each in (Level.PROBLEM, Level.WARNING) if many[each.word]]
    text = ", ".join(parts) or "all is well"
    text += f" ({count(many['ok'], 'check')} ok"
    text += f", {count(many['note'], 'note')}" if many["note"] else ""
    text += f", {many['unmade']} not made)" if many["unmade"] else ")"
    shade = COLOURS[level] if level > Level.NOTE else COLOURS[Level.OK]
    yield click.style(text, fg=shade, bold=True) if colour else text
    fixes = list(dict.fromkeys(finding.fix.what for finding in findings if finding.fix))
    if can_fix and fixes:
        yield "`eventd doctor --fix` can, and asks before each:"
        for fix in fixes:
            first, *rest = _wrapped(neutral(fix), room, 4)
            yield f"  - {first}"
            yield from (f"    {line}" for line in rest)


def _room() -> int | None:
    """Return the columns that there are; None where lines may be as long as they like."""
    if not is_terminal(sys.stdout):
        return None
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def _wrapped(text: str, room: int | None, indent: int) -> list[str]:
    if room is None:
        return [text]
    return textwrap.wrap(text, max(20, room - indent), break_long_words=False, break_on_hyphens=False) or [""]
