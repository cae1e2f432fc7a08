"""All that feeds the index together, its upkeep, and how it is."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ..config.settings import IndexSettings
from ..index.index import Index
from ..outbox.outbox import Outbox
from ..shipping.fleet import Fleet
from .feed import Feed
from .follower import Claims, Follower
from .owners import Ownership
from .pace import Pace

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

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
        settings: IndexSettings,
        waiting: Callable[[], int],
    ) -> None:
        self._index = index
        self._outbox = outbox
        self._fleet = fleet
        self._settings = settings
        self._pace, self._claims = Pace(waiting), Claims()
        self._tasks: TaskGroup | None = None
        self.ownership = Ownership(fleet)
        self.feed = Feed(outbox, index, fleet.routes, self._pace)
        self._followed: dict[int, _Followed] = {}  # by route number
        self._follow_configured()
        self._rebuilding = False

    def configure(self, settings: IndexSettings) -> None:
        """Go on with other settings, and with the routes that the fleet has now."""
        self._settings = settings
        self.feed.configure(self._fleet.routes)
        self._follow_configured()

    def _follow_configured(self) -> None:
        """Follow the streams of the configured routes, and no others."""
        configured = {number for number, shipper in self._fleet.shippers.items() if shipper.configured}
        for number in self._followed.keys() - configured:
            self._followed.pop(number).scope.cancel()
        for number in sorted(configured - self._followed.keys()):
            shipper = self._fleet.shippers[number]
            follower = Follower(
                shipper, self._fleet, self._outbox, self._index, self.ownership, self._claims, self._pace
            )
            self._followed[number] = followed = _Followed(follower, anyio.CancelScope())
            self._start(followed)

    def _start(self, followed: "_Followed") -> None:
        if self._tasks is not None:
            self._tasks.start_soon(followed.run, name=f"follower {followed.follower.route}")

    @property
    def followers(self) -> list[Follower]:
        """Those of the configured routes."""
        return [followed.follower for followed in self._followed.values()]

    async def run(self) -> None:
        """Run until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self.feed.run, name="index feed")
            self._tasks.start_soon(self._tidy, name="index upkeep")
            for followed in self._followed.values():
                self._start(followed)

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
    def caught_up(self) -> bool:
        """Whether it has had, once since it began, all that others have in the streams."""
        return not self.feed.problem and all(follower.looked for follower in self.followers)

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
                    "account": follower.account,
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


class _Followed(NamedTuple):
    """A follower, and what ends it."""

    follower: Follower
    scope: anyio.CancelScope

    async def run(self) -> None:
        with self.scope:
            await self.follower.run()
