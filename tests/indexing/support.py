"""An outbox, an index and shippers to a real nats-server; the test says who looks when."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from eventd.index.index import Index
from eventd.index.model import Entry, Filter
from eventd.indexing.feed import Feed
from eventd.indexing.follower import Claims, Follower
from eventd.indexing.owners import Ownership
from eventd.indexing.pace import Pace
from eventd.jetstream.endpoint import fixed
from eventd.outbox.model import NewRow
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import OutboxSettings
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server, StreamKey
from eventd.shipping.fleet import Fleet, register_routes
from eventd.shipping.shipper import Shipper
from shipping.support import accept, new_row
from support.waiting import wait_until_async

ALL = 1_000_000  # more than any test has
STREAM = "openclaw-events"
DEFAULT_STREAM = StreamKey(DEFAULT_ROUTE, STREAM)
PATIENCE = 20.0  # seconds; a bound against hanging

Place = tuple[int, str]
"""Sequence and id of an event in the index."""


def default_route(url: str) -> Route:
    return Route(DEFAULT_ROUTE, Server((url,)), STREAM, "openclaw.events")


def routes_to(url: str) -> Routes:
    return Routes(default_route(url))


class Site:
    """Everything that feeds an index, none of it running but the shippers."""

    def __init__(
        self,
        outbox: Outbox,
        index: Index,
        fleet: Fleet,
        numbers: dict[str, int],
        routes: Routes,
        tasks: TaskGroup,
    ) -> None:
        self.outbox = outbox
        self.index = index
        self.fleet = fleet
        self.numbers = numbers
        self.claims = Claims()
        self.ownership = Ownership(fleet)
        pace = Pace()
        self.feed = Feed(outbox, index, routes, pace)
        self.followers = {
            shipper.route.name: Follower(shipper, fleet, outbox, index, self.ownership, self.claims, pace)
            for shipper in fleet.shippers.values()
        }
        self._tasks = tasks

    @property
    def follower(self) -> Follower:
        """The follower of the default route."""
        return self.followers[DEFAULT_ROUTE]

    def shipper(self, route: str = DEFAULT_ROUTE) -> Shipper:
        return self.fleet.shippers[self.numbers[route]]

    def feed_from_now_on(self) -> None:
        """Let the feed run."""
        self._tasks.start_soon(self.feed.run)

    async def accept(self, first: int, last: int, agent: str = "main", route: str = DEFAULT_ROUTE) -> None:
        """Accept events of an agent."""
        await accept(self.outbox, *(new_row(self.numbers[route], n, agent) for n in range(first, last + 1)))

    async def accept_rows(self, rows: Sequence[NewRow]) -> None:
        await accept(self.outbox, *rows)

    async def ship(self, *events: int, agent: str = "main", route: str = DEFAULT_ROUTE) -> None:
        """Accept events and wait until they are settled."""
        await self.accept(events[0], events[-1], agent, route)
        with anyio.fail_after(PATIENCE):
            await self.shipper(route).wait_settled()

    async def look(self, route: str = DEFAULT_ROUTE) -> None:
        """Let a follower look once."""
        session = self.shipper(route).link.session
        assert session is not None
        with anyio.fail_after(PATIENCE):
            await self.followers[route]._look(session)

    async def entries(self) -> list[Entry]:
        """Return everything in the index, in the order of its arrival."""
        return await self.index.read(
            lambda reads: reads.arrived(Filter(), after=0, upto=self.index.newest, limit=ALL)
        )

    async def places(self) -> Counter[Place]:
        return Counter((entry.seq, entry.event_id) for entry in await self.entries())

    async def publish(self, subject: str, *bodies: bytes, headers: dict[str, str] | None = None) -> None:
        """Write into the stream as others do."""
        session = self.shipper().link.session
        assert session is not None
        for body in bodies:
            await session.request(subject, body, headers)


@asynccontextmanager
async def site_at(
    folder: Path, routes: Routes, settings: OutboxSettings | None = None
) -> AsyncIterator[Site]:
    settings = settings or OutboxSettings(min_free=0)
    async with (
        Outbox.open(folder / "data" / "outbox.db", settings) as outbox,
        Index.open(folder / "data" / "index.db") as index,
        anyio.create_task_group() as tasks,
    ):
        numbers = await register_routes(outbox, routes)
        fleet = Fleet(routes, numbers, outbox, fixed, lambda _route, _size: None)
        tasks.start_soon(fleet.run)
        for shipper in fleet.shippers.values():
            await wait_until_async(ready(shipper))
        yield Site(outbox, index, fleet, numbers, routes, tasks)
        tasks.cancel_scope.cancel()


def ready(shipper: Shipper) -> Callable[[], bool]:
    """Whether a shipper is connected and knows its stream, if there is to be one yet."""
    return lambda: shipper.link.session is not None and shipper.status.state in ("idle", "shipping")
