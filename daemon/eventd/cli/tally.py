"""What became of the lines of an import: refusals as they come, and a table at the end."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .columns import columns
from .lines import Line
from .output import neutral, notice, print_json
from .results import TOLD
from .teller import Teller

TAKEN_BEFORE = "id_conflict"
"""Code for an event whose id came in since it was asked about, with another import of the same lines, say."""
DAMAGED = "damaged"
"""The code of a file that cannot be unpacked to its end."""


class Tally(Teller):
    """Counts and tells results; on a terminal it draws a progress bar meanwhile.

    Args:
        size: Bytes of all files where that is known.
        as_json: Print an object for every line that was not taken, and one with all figures at the end.
        dry_run: Nothing is added; it is only told what would be.

    Attributes:
        added: Events that are on disk, and were not before.
        known: Events that were there already.
        forgotten: Events that must not come back.
    """

    def __init__(self, size: int | None, *, as_json: bool, dry_run: bool) -> None:
        super().__init__(size)
        self.added = self.known = self.forgotten = 0
        self._reasons: Counter[str] = Counter()
        self._as_json = as_json
        self._dry_run = dry_run
        self._file = ""
        self._shown = ""  # before the number of a line
        self._done = self._taken = 0  # bytes of the files before, and of this one

    def _end(self, error: BaseException | None) -> None:
        if self._as_json:
            print_json(self.document())
        else:
            self._show()

    @property
    def refused(self) -> int:
        """Lines, and files, that were not taken."""
        return self._reasons.total()

    def document(self) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            "added": self.added,
            "known": self.known,
            "forgotten": self.forgotten,
            "refused": self.refused,
            "reasons": dict(sorted(self._reasons.items())),
            "dryRun": self._dry_run,
        }

    def begin(self, file: str, *, several: bool) -> None:
        """Note that another file begins."""
        self._file = file
        self._shown = f"{neutral(file)}: " if several else ""
        self._done += self._taken
        self._taken = 0

    def advance(self, taken: int) -> None:
        """Note how many bytes of the file were read."""
        self._taken = taken
        if self._bar is not None:
            refused = f", {self.refused:,} not taken" if self.refused else ""
            told = f"{self.added:,} added, {self.known:,} already there{refused}"
            self._bar.advance(self._done + taken, told)

    def store(self, stored: Sequence[tuple[Line, str]]) -> None:
        """Note that events are on disk."""
        self.added += len(stored)

    def knew(self) -> None:
        """Note that an event was there already."""
        self.known += 1

    def forgot(self) -> None:
        """Note that an event must not come back."""
        self.forgotten += 1

    def refuse(self, line: Line, code: str, message: str) -> None:
        """Note that a line was not taken."""
        if code == TAKEN_BEFORE:  # a line without a time of its own is stamped anew by each
            self.knew()
            return
        self._reasons[code] += 1
        if self._as_json:
            print_json({"file": self._file, "line": line.number, "code": code, "message": message})
        elif self.refused <= TOLD:
            self.say(f"{self._shown}line {line.number}: {code}: {neutral(message)}")
        elif self.refused == TOLD + 1:
            self.say("more lines were not taken; --json tells about each")

    def damaged(self, message: str) -> None:
        """Note that the rest of a file cannot be read."""
        self._reasons[DAMAGED] += 1
        if self._as_json:
            print_json({"file": self._file, "code": DAMAGED, "message": message})
        else:
            self.say(f"{self._shown}{neutral(message)}")

    def stopped_at(self, number: int) -> None:
        """Note where the input was left."""
        self.say(
            f"stopped; line {number} of {neutral(self._file)} and those behind it may not be stored: "
            "import it again"
        )

    def _show(self) -> None:
        seconds = time.monotonic() - self._began
        rate = f"in {seconds:.1f} s ({self.added / seconds:,.0f}/s)" if self.added and seconds >= 1 else ""
        rows = [
            ("would be added" if self._dry_run else "added", f"{self.added:,}", rate),
            ("already there", f"{self.known:,}", ""),
        ]
        if self.forgotten:
            rows.append(("forgotten", f"{self.forgotten:,}", "and not brought back"))
        rows += [(f"not taken: {code}", f"{n:,}", "") for code, n in sorted(self._reasons.items())]
        width = max(len(number) for _, number, _ in rows)
        for line in columns([(name, number.rjust(width), more or " ") for name, number, more in rows]):
            notice(line)
        if not (self.added or self.known or self.forgotten):
            notice("nothing was found to import: lines are records of `eventd export`, or JSON with a `type`")
