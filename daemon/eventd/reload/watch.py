"""Waits until watched files hold something else, whatever editors and orchestrators do to put it there."""

import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import anyio
import anyio.to_thread
from watchfiles import awatch

from .files import DIGEST_LENGTH, Contents, Digests, folders_of

logger = logging.getLogger(__name__)

STEP = 200  # ms without a further change until one is reported, and between two looks of the library's thread
DEBOUNCE = 400  # ms after which it is reported even if changes go on
LOOK_INTERVAL = 1000  # ms after which the files are looked at although nothing was reported
SETTLED = 0.1  # seconds for which files have to stay the same before they are believed
SETTLE_TIMEOUT = 2.0  # seconds after which they are believed all the same; a file may be gone for so long


class Watch:
    """Watches files by their folders. Not every file system reports changes, so it also looks by itself.

    Args:
        files: Tells which files count now.
    """

    def __init__(self, files: Callable[[], Collection[Path]]) -> None:
        self._files = files
        self._contents = Contents()
        self._looking = anyio.Lock()
        self._has_complained = False

    async def look(self) -> Digests:
        """Return what the files hold now."""
        async with self._looking:
            return await anyio.to_thread.run_sync(self._contents.look, tuple(self._files()))

    async def run(self, on_look: Callable[[Digests], Awaitable[None]]) -> None:
        """Look, and call `on_look` with what the files hold, until cancelled.

        That is whenever something may have changed, and once a second at least.
        """
        while True:
            folders = await self._folders()
            async with anyio.create_task_group() as tasks:
                stop = anyio.Event()
                # The thread in which the library waits is not interrupted by a cancellation, only by this.
                tasks.start_soon(_set_at_the_end, stop, name="end of the watch")
                try:
                    async for _ in awatch(
                        *folders,
                        watch_filter=None,
                        debounce=DEBOUNCE,
                        step=STEP,
                        stop_event=stop,
                        rust_timeout=LOOK_INTERVAL,
                        yield_on_timeout=True,
                        recursive=False,
                    ):
                        await on_look(await self.look())
                        if folders != await self._folders():
                            break
                except OSError as error:  # a folder has gone just now, or the system has no watches left
                    self._complain(error)
                    await anyio.sleep(LOOK_INTERVAL / 1000)
                    await on_look(await self.look())
                tasks.cancel_scope.cancel()

    async def settle(self, before: Digests) -> Digests:
        """Return what the files hold once that does not change any more.

        A file that was there before is waited for: editors take a file away to put another one in its place.
        """
        found = await self.look()
        with anyio.move_on_after(SETTLE_TIMEOUT):
            while True:
                last = found
                await anyio.sleep(SETTLED)
                found = await self.look()
                gone = [file for file in before if _is_there(before, file) and not _is_there(found, file)]
                if found == last and not gone:
                    break
        return found

    async def _folders(self) -> frozenset[Path]:
        return await anyio.to_thread.run_sync(folders_of, tuple(self._files()))

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning(
                "the config file cannot be watched, and is looked at each second instead: %s", error,
                extra={"action": "watch_failed"},
            )  # fmt: skip


async def _set_at_the_end(event: anyio.Event) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        event.set()


def _is_there(digests: Digests, file: Path) -> bool:
    return len(digests.get(file, "")) == DIGEST_LENGTH
