"""What was handed to the writer and is not reported yet. For the event loop alone."""

import anyio

from .model import Done, Submission
from .turns import Append


class UnderWay:
    """Counts appends from their beginning to their report."""

    def __init__(self) -> None:
        self._number = 0
        self._numbers: dict[int, None] = {}  # a set that keeps its order: the oldest comes first
        self._of_callers: dict[Done, int] = {}
        self._ended = anyio.Event()

    def begin(self, submissions: list[Submission], done: Done) -> Append:
        """Return an append of these submissions, counted."""
        others = self._of_callers.get(done, 0)
        self._of_callers[done] = others + 1
        self._number += 1
        self._numbers[self._number] = None
        return Append(submissions, done, self._number, alone=not others)

    def end(self, append: Append) -> None:
        """Count it no more: it was reported."""
        del self._numbers[append.number]
        self._of_callers[append.done] -= 1
        if not self._of_callers[append.done]:
            del self._of_callers[append.done]
        self._ended.set()

    async def flushed(self) -> None:
        """Return when everything that has begun by now has ended."""
        newest = self._number
        while next(iter(self._numbers), newest + 1) <= newest:
            if self._ended.is_set():
                self._ended = anyio.Event()
            await self._ended.wait()
