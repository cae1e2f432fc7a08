"""Waiting for a condition over plain attributes; free of cost while nobody waits."""

from collections.abc import Callable

import anyio


class Changes:
    """Tells those who wait that something they may depend on has changed."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def notify(self) -> None:
        """Let everybody who waits look again."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition()` is true; looked at now and after each `notify`."""
        while not condition():
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
