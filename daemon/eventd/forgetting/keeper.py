"""Sees to it that what is forgotten stays so, wherever the tombstone comes from.

The index learns of tombstones: those of other hosts, too, and all of them while it is built anew. What they
name is marked in the outbox, so that no pending row, no repair and no import brings it back; this is also how
marks come back that damage took. And where the index meets a forgotten event in a stream all the same, say in
one that was restored from a backup, a tombstone for that place follows.
"""

import itertools
import logging

import anyio

from ..errors import IndexUnusable
from ..events.tombstones import Forgotten
from ..index import forgetting
from ..index.index import Index
from ..outbox.forgetting import OutboxFull
from ..outbox.outbox import Outbox
from .tombstones import Tombstones

logger = logging.getLogger(__name__)

STEP = 500  # names or places that are looked at together
RETRY = 5.0  # seconds until the next try, where index or outbox cannot do it now


class Keeper:
    """Carries what the index learns into the outbox."""

    def __init__(self, outbox: Outbox, index: Index, tombstones: Tombstones) -> None:
        self._outbox = outbox
        self._index = index
        self._tombstones = tombstones
        self._marked = 0  # up to this number of the index all is marked in the outbox
        self._generation = -1  # of the index in which that is so

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            changed = self._index.watch()
            try:
                await self.look()
            except (IndexUnusable, OutboxFull) as error:
                logger.debug("forgotten events have to wait: %s", error, extra={"action": "forgetting_waits"})
                await anyio.sleep(RETRY)
                continue
            await changed.wait()

    async def look(self) -> None:
        """Do what is to be done now."""
        if self._generation != self._index.generation:
            self._generation, self._marked = self._index.generation, 0
        while self._marked < self._index.forgets:
            await self._mark()
        while self._index.returned:
            await self._bury_again()

    async def _mark(self) -> None:
        newest = self._index.forgets
        marks = await self._index.read(lambda reads: forgetting.marks_after(reads, self._marked, STEP))
        by_agent: dict[str, list[str]] = {}
        for mark in marks:
            if mark.event_id:
                by_agent.setdefault(mark.agent, []).append(mark.event_id)
        for agent, ids in by_agent.items():
            await self._outbox.mark_forgotten(agent, list(dict.fromkeys(ids)))
        self._marked = marks[-1].n if marks else newest

    async def _bury_again(self) -> None:
        found = await self._index.read(lambda reads: forgetting.returned(reads, STEP))
        for agent, places in itertools.groupby(found, key=lambda one: one.agent):
            account = self._tombstones.account_of(agent)
            named = [
                Forgotten(one.event_id, one.stream, one.seq, one.time)
                for one in places
                if one.account == account
            ]
            if not named:
                continue
            logger.info(
                "forgotten events of agent %s may stand in a stream, and are erased there", agent,
                extra={"action": "forgotten_returned", "agent": agent, "events": len(named)},
            )  # fmt: skip
            await self._tombstones.bury(agent, named)
        await self._index.settle_returned(found)
