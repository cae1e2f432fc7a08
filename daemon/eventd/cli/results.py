"""What became of the lines of a bulk emit: ids and refusals as they come, and a summary at the end."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from .figures import count
from .lines import Line
from .output import OutputClosed, is_terminal, neutral, notice, print_bytes
from .teller import Teller

TOLD = 20  # refused lines that are told one by one; the others are only counted

_encode = msgspec.json.Encoder().encode


class Results(Teller):
    """Prints and counts results; on a terminal it draws a progress bar meanwhile.

    Ids go to standard output, unless a person looks at it: then the summary says all they want to know.

    Args:
        size: Bytes of the whole input where that is known.
        as_json: Print an object for every line, also for refused ones.

    Attributes:
        stored: Events that are on disk.
        refused: Lines that were not taken.
    """

    def __init__(self, size: int | None, *, as_json: bool) -> None:
        super().__init__(size)
        self.stored = 0
        self.refused = 0
        self._as_json = as_json
        self._printing = as_json or not is_terminal(sys.stdout)

    def _end(self, error: BaseException | None) -> None:
        seconds = time.monotonic() - self._began
        rate = f" in {seconds:.1f} s ({self.stored / seconds:,.0f}/s)" if seconds >= 1 else ""
        refused = f"; {count(self.refused, 'line')} not taken" if self.refused else ""
        notice(f"stored {count(self.stored, 'event')}{rate}{refused}")

    def store(self, stored: Sequence[tuple[Line, str]]) -> None:
        """Note that events are on disk."""
        self.stored += len(stored)
        if self._as_json:
            self._print([_encode({"line": line.number, "id": event_id}) for line, event_id in stored])
        else:
            self._print([event_id.encode() for _, event_id in stored])
        self._advance(stored[-1][0])

    def refuse(self, line: Line, code: str, message: str) -> None:
        """Note that a line was not taken."""
        self.refused += 1
        if self._as_json:
            self._print([_encode({"line": line.number, "code": code, "message": message})])
        elif self.refused <= TOLD:
            self.say(f"line {line.number}: {code}: {neutral(message)}")
        elif self.refused == TOLD + 1:
            self.say("more lines were not taken; --json tells about each")
        self._advance(line)

    def stopped_at(self, number: int) -> None:
        """Note where the input was left."""
        self.say(f"stopped; line {number} and those behind it may not be stored")

    def _advance(self, line: Line) -> None:
        if self._bar is not None:
            refused = f", {self.refused:,} not taken" if self.refused else ""
            self._bar.advance(line.end, f"{self.stored:,} stored{refused}")

    def _print(self, parts: Sequence[Any]) -> None:
        if not self._printing:
            return
        try:
            print_bytes(b"\n".join(parts) + b"\n")
        except OutputClosed:
            self._printing = False  # nobody wants the ids any more; the events are to be stored all the same
