"""Sees to it that a reader finds what it has written itself."""

import anyio

from ..index.index import Index
from ..indexing.indexer import Indexer
from ..outbox.outbox import Outbox

PATIENCE = 1.0  # seconds that a read waits for what was accepted before it to be in the index


class Freshness:
    """Waits, for a bounded time, until the index has what was accepted before a request."""

    def __init__(self, outbox: Outbox, index: Index, indexer: Indexer) -> None:
        self._outbox = outbox
        self._index = index
        self._indexer = indexer

    async def wait(self) -> bool:
        """Return whether the index has everything: what was emitted before now, and what the streams hold."""
        return await self.wait_for_own() and self._indexer.complete

    async def wait_for_own(self) -> bool:
        """Return whether the index has what was emitted before now, and is not being built anew."""
        if self._indexer.feed.problem:
            return False
        with anyio.move_on_after(PATIENCE):
            await self._index.wait_taken(await self._outbox.flush())
            return self._indexer.state != "rebuilding"
        return False
