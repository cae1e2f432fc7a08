"""All shippers together: one per route of the configuration, and one per route that only has a backlog left."""

import logging
from collections.abc import Callable

import anyio

from ..jetstream.endpoint import Resolve
from ..outbox.outbox import Outbox
from ..routes import Route, Routes, Server
from .shipper import Shipper

logger = logging.getLogger(__name__)


class Fleet:
    """Owns the shippers.

    Args:
        outbox: Where all of them ship from.
        resolve: How a server's address is found (the embedded one may have to be waited for).
        on_limit: Told the largest body that a route's server takes: route number, bytes.
    """

    def __init__(
        self,
        outbox: Outbox,
        resolve: Callable[[Server], Resolve],
        on_limit: Callable[[int, int], None],
    ) -> None:
        self._outbox = outbox
        self._resolve = resolve
        self._on_limit = on_limit
        self.shippers: dict[int, Shipper] = {}

    async def register(self, routes: Routes) -> dict[str, int]:
        """Make a shipper for each route; return the outbox numbers by route name."""
        narrow = routes.overlapping()
        numbers = {}
        for route in routes.all():
            number = await self._outbox.register_route(route.name, route.stream, route.prefix)
            numbers[route.name] = number
            self._add(route, number, narrow=narrow and route is routes.default)
        for number, stats in self._outbox.stats.routes.items():
            if number not in self.shippers and stats.pending_rows:
                # The configuration no longer has this route: its backlog still goes where it was accepted for.
                logger.warning(
                    "route %s is no longer configured; its %d waiting events go to stream %s", stats.name,
                    stats.pending_rows, stats.stream, extra={"action": "orphan_route", "route": stats.name},
                )  # fmt: skip
                server = routes.of(stats.name).server
                settings = routes.of(stats.name).settings
                self._add(Route(stats.name, server, stats.stream, stats.prefix, settings), number)
        return numbers

    async def run(self) -> None:
        """Run every shipper until cancelled."""
        async with anyio.create_task_group() as group:
            for shipper in self.shippers.values():
                group.start_soon(shipper.run, name=f"shipper {shipper.link.name}")

    async def drain(self) -> None:
        """Wait until every accepted row is settled; the caller sets the limit."""
        for shipper in self.shippers.values():
            await shipper.wait_drained()

    def _add(self, route: Route, number: int, *, narrow: bool = False) -> None:
        self.shippers[number] = Shipper(
            route,
            number,
            self._outbox,
            self._resolve(route.server),
            narrow=narrow,
            on_limit=self._on_limit,
        )
