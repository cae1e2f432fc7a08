"""Looks whether the daemon still gets on, and has it ended when it does not.

A timer alone would only show that the event loop runs. What agents need is that their events come to disk; so
the outbox's thread is asked, behind whatever it is doing, and an answer is what feeds the watchdog.
"""

import logging
import os
from collections.abc import Awaitable, Callable

import anyio

from .notify import Notifier

logger = logging.getLogger(__name__)

INTERVAL = 10.0  # seconds between two questions where nobody else watches
PATIENCE = 60.0  # seconds without an answer until the daemon ends itself, where nobody else would do it
EXIT_STUCK = 1  # the exit status then, as of every failure


class Watchdog:
    """Asks again and again whether work gets done.

    Where systemd watches, it is told of each answer, and ends the daemon when none came for too long.
    Elsewhere (launchd, a terminal) the daemon ends itself, and what supervises it starts it anew.

    Args:
        answers: Returns when the outbox's thread has answered.
    """

    def __init__(self, notifier: Notifier, answers: Callable[[], Awaitable[None]]) -> None:
        self._notifier = notifier
        self._answers = answers
        # Half, as sd_watchdog_enabled(3) says: the other half is the time that an answer may take.
        self._interval = notifier.watchdog / 2 if notifier.watchdog else INTERVAL

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._lose_patience, name="patience")
                await self._answers()  # one question at a time: they must not pile up behind a stuck thread
                tasks.cancel_scope.cancel()
            self._notifier.alive()
            await anyio.sleep(self._interval)

    async def _lose_patience(self) -> None:
        await anyio.sleep(self._interval)
        logger.error(
            "the outbox has not answered for %g s", self._interval,
            extra={"action": "outbox_silent", "hint": "the disk may hang: see the kernel's log"},
        )  # fmt: skip
        if self._notifier.watchdog is not None:
            return
        await anyio.sleep(PATIENCE - self._interval)
        _end()


def _end() -> None:
    """End the process as a kill would: an orderly end would wait for the very thread that is stuck.

    What was acknowledged is on disk, and the next start finds it there.
    """
    logger.critical(
        "the outbox has not answered for %g s: ending, to be started anew", PATIENCE,
        extra={"action": "outbox_stuck", "hint": "the disk may hang: see the kernel's log"},
    )  # fmt: skip
    logging.shutdown()
    os._exit(EXIT_STUCK)
