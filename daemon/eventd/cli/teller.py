"""Tells a person how far a long command is: a bar where somebody looks at one, and lines above it."""

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .output import is_terminal, notice

if TYPE_CHECKING:
    from .progress import Bar


class Teller(ABC):
    """Draws a bar on a terminal for as long as it is entered, and says something at the end.

    Args:
        size: All that there is to do, in whatever is counted; None where that is not known.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._bar: Bar | None = None
        self._began = time.monotonic()

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
        self._end(error)

    def say(self, text: str) -> None:
        """Tell a person something, above the bar."""
        if self._bar is not None:
            self._bar.say(text)
        else:
            notice(text)

    @abstractmethod
    def _end(self, error: BaseException | None) -> None:
        """Say what there is to say at the end, without the bar.

        Args:
            error: What ended it early.
        """
