"""A start that takes long is not a start that hangs: the service manager is asked for patience."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from .notify import Notifier

STEP = 10.0  # seconds between two requests
EXTENSION = 60.0  # seconds that each asks for: a few requests may be late on a busy machine
LONGEST = 3600.0  # seconds: a damaged outbox of many GiB on a slow disk is salvaged within it


@asynccontextmanager
async def extending_start(notifier: Notifier) -> AsyncIterator[anyio.Event]:
    """Ask for more time until the event that this yields is set, or `LONGEST` is over.

    What takes long is the opening of a damaged outbox: it is salvaged row by row.
    """
    opened = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_extend, notifier, opened, name="long start")
        yield opened
        opened.set()


async def _extend(notifier: Notifier, opened: anyio.Event) -> None:
    with anyio.move_on_after(LONGEST):
        while not opened.is_set():
            notifier.status("starting: opening the outbox")
            notifier.extend(EXTENSION)
            with anyio.move_on_after(STEP):
                await opened.wait()
