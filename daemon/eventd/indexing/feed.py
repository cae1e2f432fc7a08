"""From the outbox into the index: what is accepted can be read at once, whether NATS is there or not."""

import logging
import time

import anyio

from eventd_ipc.backoff import Backoff

from ..errors import IndexUnusable, OutboxError
from ..index.entries import POISON
from ..index.index import BegunAnew, Index
from ..index.model import NewEvent
from ..outbox.feeding import Accepted
from ..outbox.outbox import Outbox
from ..routes import Routes, StreamKey
from .pace import Pace

logger = logging.getLogger(__name__)

BATCH_ROWS = 500  # rows in one transaction of the index: some 15 ms, for which its other work waits
BATCH_BYTES = 4 * 2**20  # bytes of their bodies
GATHER = 0.025  # seconds between two batches while nobody waits, so that few rows are not many transactions
TICK = 1.0  # seconds between two looks whether the index has begun anew
RETRY_FIRST, RETRY_LONGEST = 0.2, 10.0  # seconds, when the index cannot be written


class Feed:
    """Takes accepted rows in the order of the outbox.

    Attributes:
        problem: Why it does not go on; "" while it does.
        behind: Accepted rows that are not in the index yet.
    """

    def __init__(self, outbox: Outbox, index: Index, routes: Routes, pace: Pace) -> None:
        self.problem = ""
        self._outbox = outbox
        self._index = index
        self._routes = routes
        self._pace = pace
        self._streams: dict[int, int] = {}  # number of the stream in the index, by route
        self._generation = -1
        self._behind_since: float | None = None

    def configure(self, routes: Routes) -> None:
        """Go on with other routes: which account a stream is in may have changed."""
        self._routes = routes
        self._streams.clear()

    @property
    def behind(self) -> int:
        """Numbers of the outbox that the index has not taken."""
        return max(0, self._outbox.last_seq - self._index.taken)

    @property
    def behind_seconds(self) -> float:
        """For how long it has not had everything."""
        return 0.0 if self._behind_since is None else time.monotonic() - self._behind_since

    async def run(self) -> None:
        """Feed until cancelled. The outbox keeps what has not been taken, whatever goes wrong here."""
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        while True:
            try:
                if self._index.taken > self._outbox.last_seq:
                    await self._index.begin_anew_with_outbox()
                await self._feed(backoff)
            except BegunAnew:
                continue
            except IndexUnusable as error:
                self._note(error, error.hint)
            except OutboxError:
                raise
            except Exception as error:  # accepting and shipping go on, whatever is wrong with the index
                self._note(error, "this is a bug in eventd", bug=error)
            await anyio.sleep(backoff.pause())

    def _note(self, error: Exception, hint: str, bug: Exception | None = None) -> None:
        problem = str(error) or type(error).__name__
        if problem != self.problem:
            extra = {"action": "index_stalled", "hint": hint}
            logger.error("the index does not go on: %s", problem, extra=extra, exc_info=bug)
        self.problem = problem

    async def _feed(self, backoff: Backoff) -> None:
        while True:
            added = self._outbox.watch_all()
            began = time.monotonic()
            generation = self._index.generation
            feed = await self._outbox.accepted(
                after=self._index.taken, limit=BATCH_ROWS, max_bytes=BATCH_BYTES
            )
            if feed.upto > self._index.taken:
                await self._take(feed.rows, feed.upto, generation)
            self._outbox.keep_from(self._index.taken)
            backoff.reset()
            self.problem = ""
            if self._index.taken < feed.last:
                self._behind_since = self._behind_since or began
                busy = time.monotonic() - began
                await anyio.sleep(self._pace.rest(busy))
                continue
            self._behind_since = None
            if feed.rows:
                with anyio.move_on_after(GATHER):
                    await self._index.wanted()
            while not added.is_set() and self._index.taken >= self._outbox.last_seq:
                with anyio.move_on_after(TICK):
                    await added.wait()
                await self._index.heal()

    async def _take(self, rows: list[Accepted], upto: int, generation: int) -> None:
        if self._generation != generation:
            self._streams.clear()
            self._generation = generation
        events: list[tuple[int, int, NewEvent]] = []
        for seq, route, agent, event_id, subject, accepted_at, body, again in rows:
            stream = self._streams.get(route)
            if stream is None:
                stream = await self._stream_of(route, generation)
            event = NewEvent(None, seq, agent, subject, accepted_at, event_id, body, again=again)
            events.append((stream, route, event))
        try:
            await self._index.add_accepted(events, upto, generation=generation)
        except POISON as error:
            await self._take_what_can_be(rows, upto, generation, error)

    async def _take_what_can_be(
        self, rows: list[Accepted], upto: int, generation: int, error: Exception
    ) -> None:
        """Take rows one by one; one that cannot be taken is left out, and does not stop those behind it."""
        if len(rows) > 1:
            for row in rows:
                await self._take([row], row.seq, generation)
        elif rows:
            logger.error(
                "the row %d of agent %s cannot be taken into the index", rows[0].seq, rows[0].agent,
                extra={"action": "row_left_out"}, exc_info=error,
            )  # fmt: skip
        await self._index.add_accepted([], upto, generation=generation)

    async def _stream_of(self, route: int, generation: int) -> int:
        known = self._outbox.stats.routes[route]
        key = StreamKey(self._routes.account_of(self._routes.of(known.name)), known.stream)
        number = (await self._index.stream(key, "", generation=generation)).number
        self._streams[route] = number
        return number
