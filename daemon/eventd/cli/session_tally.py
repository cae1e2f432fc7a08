"""What became of sessions that are imported: troubles as they come, and a table by source at the end."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from ..sources.model import Found, Tool, Transcript
from .columns import columns
from .figures import count
from .lines import Line
from .output import is_terminal, neutral, notice, print_json, print_line
from .results import TOLD

if TYPE_CHECKING:
    from .progress import Bar

CONFLICT = "id_conflict"
"""The daemon has another event under this id: a hook told the same in other words."""


@dataclass(frozen=True, slots=True)
class SourceLine(Line):
    """An event of a transcript; its number counts all events of the import."""

    tool: Tool


@dataclass(slots=True)
class Source:
    """What became of the sessions of one tool.

    Attributes:
        sessions: Transcripts that were read to their end.
        added: Events that are on disk, and were not before.
        known: Events that were there already.
        forgotten: Events that must not come back.
        left_out: Events that are not wanted, and why.
        passed: Files and sessions that were not read on purpose, and why.
        missed: Records that could not be read, and why.
        refused: Events that the daemon did not take, by the code of its refusal.
        failed: Files that could not be read, or not to their end.
    """

    found: Found
    sessions: int = 0
    added: int = 0
    known: int = 0
    forgotten: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def document(self, dry_run: bool) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            "source": self.found.tool,
            "places": [str(place) for place in self.found.places],
            "sessions": self.sessions,
            "added": self.added,
            "known": self.known,
            "forgotten": self.forgotten,
            **{
                name: dict(sorted(counter.items()))
                for name, counter in (
                    ("leftOut", self.left_out),
                    ("passedOver", self.passed),
                    ("notUnderstood", self.missed),
                    ("refused", self.refused),
                )
            },
            "failed": [{"path": path, "reason": reason} for path, reason in self.failed],
            "dryRun": dry_run,
        }


class SessionTally:
    """Counts and tells results; on a terminal it draws a progress bar meanwhile.

    Args:
        as_json: Print an object for each source at the end.
        dry_run: Nothing is added; it is only told what would be.
    """

    def __init__(self, found: Sequence[Found], *, as_json: bool, dry_run: bool) -> None:
        self.sources: Mapping[Tool, Source] = {one.tool: Source(one) for one in found}
        self._as_json = as_json
        self._dry_run = dry_run
        self._total = sum(len(one.transcripts) for one in found)
        self._begun = 0
        self._size = sum(transcript.size for one in found for transcript in one.transcripts)
        self._done = 0
        self._current = 0  # bytes of the transcript that is being read
        self._bar: Bar | None = None
        self._began = time.monotonic()
        for source in self.sources.values():
            for passed in source.found.passed:
                if passed.trouble:
                    source.failed.append((str(passed.path), passed.reason))
                else:
                    source.passed[passed.reason] += 1

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from .progress import Bar

            self._bar = Bar(self._size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if error is not None and self._begun:
            notice(
                f"stopped in transcript {self._begun:,} of {self._total:,}; what is stored stays, "
                "and the same command goes on from there"
            )
        if self._as_json:
            for source in self.sources.values():
                print_json(source.document(self._dry_run))
        else:
            self._show()

    @property
    def events(self) -> int:
        """Events that were found and wanted, whatever became of them."""
        return sum(
            one.added + one.known + one.forgotten + one.refused.total() for one in self.sources.values()
        )

    @property
    def has_trouble(self) -> bool:
        """Whether something was not taken that should have been."""
        return any(one.failed or one.refused for one in self.sources.values())

    def begin(self, transcript: Transcript) -> None:
        """Note that another transcript begins."""
        self._done += self._current
        self._current = transcript.size
        self._begun += 1

    def end(self, transcript: Transcript) -> None:
        """Note that a transcript was read to its end."""
        self.sources[transcript.tool].sessions += 1

    def fail(self, transcript: Transcript, reason: str) -> None:
        """Note that a transcript cannot be read, or not to its end."""
        failed = self.sources[transcript.tool].failed
        failed.append((str(transcript.path), reason))
        if len(failed) <= TOLD and not self._as_json:
            self.say(f"{neutral(str(transcript.path))}: {neutral(reason)}")

    def passed_over(self, transcript: Transcript, reason: str) -> None:
        """Note that a transcript is not read, on purpose."""
        self.sources[transcript.tool].passed[reason] += 1

    def missed(self, tool: Tool) -> Counter[str]:
        """Return what counts the records that could not be read."""
        return self.sources[tool].missed

    def advance(self, taken: int) -> None:
        """Note how many bytes of the transcript were read."""
        if self._bar is not None:
            added = sum(source.added for source in self.sources.values())
            known = sum(source.known for source in self.sources.values())
            told = f"session {self._begun:,} of {self._total:,}: {added:,} added, {known:,} already there"
            self._bar.advance(self._done + min(taken, self._current), told)

    def leave_out(self, tool: Tool, reason: str) -> None:
        """Note that an event is not wanted."""
        self.sources[tool].left_out[reason] += 1

    def knew(self, tool: Tool) -> None:
        """Note that an event was there already."""
        self.sources[tool].known += 1

    def forgot(self, tool: Tool) -> None:
        """Note that an event must not come back."""
        self.sources[tool].forgotten += 1

    def store(self, stored: Sequence[tuple[Line, str]]) -> None:
        """Note that events are on disk."""
        for line, _ in stored:
            self._source(line).added += 1

    def refuse(self, line: Line, code: str, message: str) -> None:
        """Note that an event was not taken."""
        source = self._source(line)
        if code == CONFLICT:
            source.known += 1
            return
        source.refused[code] += 1
        if source.refused.total() <= TOLD:
            self.say(f"event {line.number}: {code}: {neutral(message)}")

    def stopped_at(self, number: int) -> None:
        """Note where it was left; the table says how far it came."""

    def say(self, text: str) -> None:
        """Tell a person something, above the bar."""
        if self._bar is not None:
            self._bar.say(text)
        else:
            notice(text)

    def _source(self, line: Line) -> Source:
        return self.sources[cast("SourceLine", line).tool]

    def _show(self) -> None:
        heads = ("source", "sessions", "would be added" if self._dry_run else "added", "already there")
        rows: list[tuple[str, ...]] = [(*heads, "forgotten", "left out")]
        for tool, source in self.sources.items():
            numbers = (source.sessions, source.added, source.known, source.forgotten)
            rows.append((tool, *(f"{number:,}" for number in numbers), f"{source.left_out.total():,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in columns([(row[0], *map(str.rjust, row[1:], widths[1:])) for row in rows]):
            print_line(row)
        for tool, source in self.sources.items():
            for reason, number in sorted(source.left_out.items()):
                notice(f"{tool}: {count(number, 'event')} left out: {reason}")
            for reason, number in sorted(source.passed.items()):
                notice(f"{tool}: {number:,} not read: {reason}")
            for reason, number in sorted(source.missed.items()):
                notice(f"{tool}: {number:,} {reason}")
            for code, number in sorted(source.refused.items()):
                notice(f"{tool}: {count(number, 'event')} refused: {code}")
            for path, reason in source.failed[:TOLD]:
                notice(f"{tool}: failed: {neutral(path)}: {neutral(reason)}")
        added = sum(source.added for source in self.sources.values())
        seconds = time.monotonic() - self._began
        if added and seconds >= 1 and not self._dry_run:
            notice(f"{count(added, 'event')} in {seconds:.1f} s ({added / seconds:,.0f}/s)")
