"""All that feeds the index together, its upkeep, and how it is."""

import logging
import time
from collections.abc import Callable
from typing import Any

import anyio

from ..config.settings import IndexSettings
from ..index.index import Index
from ..outbox.outbox import Outbox
from ..routes import Routes
from ..shipping.fleet import Fleet
from .feed import Feed
from .follower import Claims, Follower
from .owners import Ownership
from .pace import Pace

logger = logging.getLogger(__name__)

LATE = 1.0  # seconds within which an accepted event is promised to be in the index
BEHIND = 20.0  # seconds after which it is trouble that something is missing
TIDY_INTERVAL = 5.0  # seconds between two looks at the index's age and size
TIDY_PAUSE = 0.05  # seconds between two steps while there is more to remove


class Indexer:
    """Runs the feed and a follower for each route.

    Args:
        settings: How long and how much is kept.
        waiting: Bytes of emits that have no ack yet; indexing stands back while they pile up.

    Attributes:
        ownership: Whose the messages of each stream are.
    """

    def __init__(
        self,
        index: Index,
        outbox: Outbox,
        fleet: Fleet,
        routes: Routes,
        settings: IndexSettings,
        waiting: Callable[[], int],
    ) -> None:
        self._index = index
        self._settings = settings
        pace, claims = Pace(waiting), Claims()
        self.ownership = Ownership(routes, fleet)
        self.feed = Feed(outbox, index, routes, pace)
        self.followers = [
            Follower(shipper, fleet, outbox, index, self.ownership, claims, pace)
            for shipper in fleet.shippers.values()
            if shipper.configured
        ]
        self._rebuilding = False

    async def run(self) -> None:
        """Run until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.feed.run, name="index feed")
            tasks.start_soon(self._tidy, name="index upkeep")
            for follower in self.followers:
                tasks.start_soon(follower.run, name=f"follower {follower.route}")

    @property
    def state(self) -> str:
        """`ready`; `catching_up` or `rebuilding` while something is missing; `stalled` if it stands still."""
        if self.feed.problem:
            return "stalled"
        looked = all(follower.looked and not follower.behind for follower in self.followers)
        if self._rebuilding and looked and not self.feed.behind:
            self._rebuilding = False
        if self._rebuilding:
            return "rebuilding"
        return "ready" if looked and self.feed.behind_seconds <= 1 else "catching_up"

    @property
    def complete(self) -> bool:
        """Whether it is not being built, and has all that the streams held at the last look."""
        return self.state == "ready"

    def trouble(self) -> str:
        """Return what keeps events from being read, or ""."""
        if self.feed.problem:
            return self.feed.problem
        if (seconds := self.feed.behind_seconds) > BEHIND:
            return f"{self.feed.behind} accepted events have not been taken in for {seconds:.0f} s"
        for follower in self.followers:
            if follower.problem_seconds > BEHIND:
                return f"stream {follower.name} cannot be read: {follower.problem}"
        return ""

    async def rebuild(self) -> None:
        """Throw the index away; it fills again from outbox and streams."""
        self._rebuilding = True
        await self._index.rebuild()
        logger.info("the index is built anew", extra={"action": "index_rebuild"})

    async def document(self) -> dict[str, Any]:
        """Return how the index is."""
        problems = [self.feed.problem, *(follower.problem for follower in self.followers)]
        return {
            "state": self.state,
            "events": self._index.count,
            "bytes": await self._index.size(),
            "taken": self._index.taken,
            "behind": self.feed.behind,
            "behind_s": round(self.feed.behind_seconds, 1),
            "streams": [
                {
                    "route": follower.route,
                    "name": follower.name,
                    "position": follower.position,
                    "last": follower.last,
                    "behind": follower.behind,
                }
                for follower in self.followers
            ],
            "problem": next(filter(None, problems), ""),
        }

    async def _tidy(self) -> None:
        """Remove what is too old or too much, step by step, and keep the log short."""
        while True:
            gone = 0
            before: int | None = None
            if self._settings.max_age:
                before = time.time_ns() // 1_000_000 - int(self._settings.max_age * 1000)
            try:
                gone = await self._index.prune(before, self._settings.max_bytes)
                await self._index.cut_log()
            except Exception as error:  # the feed, which needs the index more, says what is wrong with it
                logger.debug("the index cannot be tidied up: %s", error, extra={"action": "index_tidy"})
            await anyio.sleep(TIDY_PAUSE if gone else TIDY_INTERVAL)
