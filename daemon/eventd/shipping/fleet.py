"""All shippers together: one per configured route, and one per route that only has a backlog left."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio

from ..jetstream.endpoint import Resolve
from ..outbox.outbox import Outbox
from ..routes import Route, Routes, Server, StreamKey
from .shipper import Shipper

logger = logging.getLogger(__name__)


async def register_routes(outbox: Outbox, routes: Routes) -> dict[str, int]:
    """Return the outbox's number of each route, by the route's name."""
    return {
        route.name: await outbox.register_route(route.name, route.stream, route.prefix)
        for route in routes.all()
    }


class Fleet:
    """Owns the shippers.

    Args:
        routes: Those of the configuration.
        numbers: From `register_routes`.
        outbox: Where all of them ship from.
        resolve: How a server's address is found (the embedded one may have to be waited for).
        on_limit: Told the largest message that a route's server takes: route number, bytes.

    Attributes:
        shippers: By route number.
    """

    def __init__(
        self,
        routes: Routes,
        numbers: Mapping[str, int],
        outbox: Outbox,
        resolve: Callable[[Server], Resolve],
        on_limit: Callable[[int, int], None],
    ) -> None:
        self.shippers: dict[int, Shipper] = {}
        self._outbox = outbox
        self._accounts: dict[int, str] = {}  # by route number

        def add(route: Route, number: int, *, narrow: bool = False, configured: bool = True) -> None:
            self._accounts[number] = routes.account_of(route)
            self.shippers[number] = Shipper(
                route,
                number,
                outbox,
                resolve(route.server),
                narrow=narrow,
                configured=configured,
                on_limit=on_limit,
            )

        narrow = routes.overlapping()
        for route in routes.all():
            add(route, numbers[route.name], narrow=narrow and route is routes.default)
        for number, left in outbox.stats.routes.items():
            if number in self.shippers or not left.pending_rows + left.dead_rows:
                continue
            # The configuration no longer has this route: its backlog still goes where it was accepted for.
            logger.warning(
                "route %s is no longer configured; its %d waiting events go to stream %s, "
                "over the server that is configured now",
                left.name, left.pending_rows, left.stream,
                extra={"action": "orphan_route", "route": left.name},
            )  # fmt: skip
            old = replace(routes.of(left.name), name=left.name, stream=left.stream, prefix=left.prefix)
            add(old, number, configured=False)

    def stream_of(self, shipper: Shipper) -> StreamKey:
        """Return the stream that a route goes to now, as far as that is known."""
        return StreamKey(self._accounts[shipper.number], shipper.status.stream or shipper.route.stream)

    def streams_of(self, shipper: Shipper) -> set[StreamKey]:
        """Return the streams of a route: its own, and where it goes to instead."""
        found = self.stream_of(shipper)
        return {found, found._replace(name=shipper.route.stream)}

    def routes_to(self, stream: StreamKey) -> frozenset[str]:
        """Return the names of the routes that go to a stream."""
        return frozenset(s.route.name for s in self.shippers.values() if stream in self.streams_of(s))

    async def run(self) -> None:
        """Run every shipper until cancelled."""
        async with anyio.create_task_group() as group:
            for shipper in self.shippers.values():
                group.start_soon(self._run, shipper, name=f"shipper {shipper.link.name}")

    async def _run(self, shipper: Shipper) -> None:
        """Run a shipper; one of a route that has only dead letters left when one of these is retried."""
        if not shipper.configured:
            added = self._outbox.watch(shipper.number)
            if not self._outbox.stats.routes[shipper.number].pending_rows:
                shipper.rest()
                await added.wait()
        await shipper.run()

    def all_connected(self) -> bool:
        """Whether every configured route has a connection now."""
        return all(s.link.session is not None for s in self.shippers.values() if s.configured)

    async def drain(self) -> None:
        """Wait until every row that is accepted by now is settled; the caller sets the limit."""
        async with anyio.create_task_group() as group:
            for shipper in self.shippers.values():
                group.start_soon(shipper.wait_settled, name=f"drain {shipper.link.name}")
