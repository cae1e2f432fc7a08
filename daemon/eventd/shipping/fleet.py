"""All shippers together: one per configured route, and one per route that only has a backlog left."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from ..errors import EventdError
from ..jetstream.endpoint import Resolve
from ..outbox.outbox import Outbox
from ..outbox.rerouting import Target
from ..routes import DEFAULT_ROUTE, Route, Routes, Server, StreamKey, same_account
from ..subjects import agent_prefix
from .precedence import Ahead, Progress
from .shipper import Shipper
from .state import ShipperStatus

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

logger = logging.getLogger(__name__)

CHANGE_TIMEOUT = 5.0  # seconds for the answers to what was sent before a change
LOOK_INTERVAL = 1.0  # seconds between two looks whether a route that is not configured any more is done


async def register_routes(outbox: Outbox, routes: Routes) -> dict[str, int]:
    """Return the outbox's number of each route, by the route's name."""
    return {
        route.name: await outbox.register_route(route.name, route.stream, route.prefix)
        for route in routes.all()
    }


class NotLeftBehind(EventdError):
    """No such route is left; the message names those that are."""

    def __init__(self, name: str, stream: str | None, left: Iterable[Shipper]) -> None:
        meant = f"{name} with stream {stream}" if stream else name
        names = ", ".join(f"{shipper.link.name} (stream {shipper.route.stream})" for shipper in left)
        super().__init__(
            f"no route {meant} is left from an earlier configuration",
            hint=f"left are {names}" if names else "all that waits belongs to configured routes",
        )


class Fleet:
    """Owns the shippers.

    Args:
        routes: Those of the configuration.
        numbers: From `register_routes`.
        outbox: Where all of them ship from.
        resolve: How a server's address is found (the embedded one may have to be waited for).
        on_limit: Told the largest message that a route's server takes: route number, bytes.

    Attributes:
        routes: Those of the configuration in force.
        shippers: By route number.
        ended: What those have done that are not among them any more.
    """

    def __init__(
        self,
        routes: Routes,
        numbers: Mapping[str, int],
        outbox: Outbox,
        resolve: Callable[[Server], Resolve],
        on_limit: Callable[[int, int], None],
    ) -> None:
        self.routes = routes
        self.shippers: dict[int, Shipper] = {}
        self.ended = ShipperStatus()
        self._numbers = dict(numbers)
        self._outbox = outbox
        self._resolve = resolve
        self._on_limit = on_limit
        self._accounts: dict[int, str] = {}  # by route number
        self._progress = Progress()
        self._locks: dict[tuple[str, ...], anyio.Lock] = {}  # by urls
        self._tasks: TaskGroup | None = None
        self._lives: dict[int, _Life] = {}  # of the running shippers, by route number
        self._changing: list[Ahead] = []  # rows of these may still be under way to the outbox

        for route in routes.all():
            self._add(route, numbers[route.name])
        stats = outbox.stats
        for number, left in stats.routes.items():
            if number not in self.shippers and left.pending_rows + left.dead_rows:
                self._add(self._left_behind(left.name, left.stream, left.prefix), number, configured=False)
                self._note_orphan(self.shippers[number], left.pending_rows)

    # The configuration.

    def change(self, routes: Routes, numbers: Mapping[str, int], touched: frozenset[Path]) -> None:
        """Go on by another configuration. `settle_down` has to follow.

        A route whose name, stream and prefix stay is the same route. One that is gone, or has another stream
        or prefix, ships what it has left to where that was accepted for, over the server that is configured
        now for its name.

        Args:
            numbers: From `register_routes`, for the new ones.
            touched: Files that hold something else than before; who logs in by them connects anew.
        """
        before, numbers_before = self.routes, self._numbers
        self.routes, self._numbers = routes, dict(numbers)
        configured = set(numbers.values())
        for route in routes.all():
            number = numbers[route.name]
            if number in self.shippers:
                self._update(self.shippers[number], route, touched)
            else:
                self._add(route, number)
        for number, shipper in self.shippers.items():
            if number not in configured:
                was_configured, old = shipper.configured, shipper.route
                self._update(
                    shipper, self._left_behind(old.name, old.stream, old.prefix), touched, configured=False
                )
                left = self._outbox.stats.routes.get(number)
                if was_configured and left is not None and left.pending_rows:
                    self._note_orphan(shipper, left.pending_rows)
        for name in {*before.by_agent, *routes.by_agent, DEFAULT_ROUTE}:
            earlier, now = numbers_before[before.of(name).name], numbers[routes.of(name).name]
            if earlier != now:
                self._keep_order(name, earlier, now)
        for number in configured:
            self._start(self.shippers[number])

    def settle_down(self, last_seq: int) -> None:
        """Learn that everything which was admitted before the last change has an outbox number up to this."""
        for ahead in self._changing:
            ahead.upto = last_seq
        self._changing.clear()

    async def wait_changed(self) -> None:
        """Return when no shipper does anything by the configuration before, or that takes too long."""
        with anyio.move_on_after(CHANGE_TIMEOUT):
            for shipper in list(self.shippers.values()):
                await shipper.wait_taken_up()

    def _left_behind(self, name: str, stream: str, prefix: str) -> Route:
        """Return where the backlog of a route goes that is not configured as such any more."""
        return replace(self.routes.of(name), name=name, stream=stream, prefix=prefix)

    def _add(self, route: Route, number: int, *, configured: bool = True) -> None:
        self._accounts[number] = self.routes.account_of(route)
        self.shippers[number] = Shipper(
            route,
            number,
            self._outbox,
            self._resolve(route.server),
            narrow=self._is_narrow(route),
            configured=configured,
            progress=self._progress,
            lock_of=self._lock_of,
            on_limit=self._on_limit,
        )

    def _update(
        self, shipper: Shipper, route: Route, touched: frozenset[Path], *, configured: bool = True
    ) -> None:
        self._accounts[shipper.number] = self.routes.account_of(route)
        narrow = self._is_narrow(route)
        old = shipper.route
        same = (old.server, old.settings, shipper.narrow) == (route.server, route.settings, narrow)
        if same and touched.isdisjoint(route.server.files):
            shipper.route, shipper.configured = route, configured
        else:
            shipper.change(route, self._resolve(route.server), narrow=narrow, configured=configured)

    def _lock_of(self, route: Route) -> anyio.Lock:
        """Return the lock for changes of streams: subjects go from one to another, in several steps."""
        return self._locks.setdefault(route.server.urls, anyio.Lock())

    def _is_narrow(self, route: Route) -> bool:
        return route is self.routes.default and self.routes.overlapping()

    def _note_orphan(self, shipper: Shipper, rows: int) -> None:
        logger.warning(
            "route %s is no longer configured; its %d waiting events go to stream %s, "
            "over the server that is configured now",
            shipper.link.name, rows, shipper.route.stream,
            extra={"action": "orphan_route", "route": shipper.link.name},
        )  # fmt: skip

    # The order of an agent's events in one stream.

    def _keep_order(self, name: str, earlier: int, now: int) -> None:
        """Let what an agent has in any other route go before what it gets into its route of now.

        Args:
            name: Of the agent; that of the default route stands for all agents without an entry.
            earlier: Number of the route that it had; its rows may still be under way to the outbox.
        """
        then, stats = self.shippers[now], self._outbox.stats.routes
        for number, first in self.shippers.items():
            left = stats.get(number)
            if number == now or not (number == earlier or (left is not None and left.pending_rows)):
                continue
            agent = name if name != DEFAULT_ROUTE else None
            if (owner := first.route.name) != DEFAULT_ROUTE:  # it has events of one agent only
                agent = owner if self.routes.of(owner).name == then.route.name else None
                if agent is None or (name not in (DEFAULT_ROUTE, owner)):
                    continue
            if _may_meet(first.route, then.route):
                ahead = Ahead(first, agent)
                self._changing.append(ahead)
                then.precedence.let_first(ahead)

    async def keep_order_from_start(self) -> None:
        """Do the same for all changes that were made before this life, by what is left in each route."""
        stats = self._outbox.stats.routes
        waiting = [
            number
            for number, shipper in self.shippers.items()
            if stats[number].pending_rows
            and any(_may_meet(shipper.route, o.route) for o in self.shippers.values() if o is not shipper)
        ]
        has = {number: await self._outbox.pending_agents(number) for number in waiting}
        for first, agents in has.items():
            for agent, newest in agents.items():
                now = self._numbers[self.routes.of(agent).name]
                others = {now, *(number for number in waiting if agent in has[number])} - {first}
                for then in others:
                    if _may_meet(self.shippers[first].route, self.shippers[then].route):
                        ahead = Ahead(self.shippers[first], agent, newest)
                        self.shippers[then].precedence.let_first(ahead)

    async def reroute(self, name: str, stream: str | None) -> int:
        """Move what a route has left to where its agents' events go now.

        It enters the other routes at their tail. What was sent and not answered may be in the old stream too.

        Args:
            name: Of a route that is not configured any more, as logs and status call it.
            stream: Its stream; None: all routes of the name that are left.

        Returns:
            How many rows were moved.

        Raises:
            NotLeftBehind: There is no such route.
        """
        left = [shipper for shipper in self.shippers.values() if not shipper.configured]
        found = [s for s in left if s.link.name == name and stream in (None, s.route.stream)]
        if not found:
            raise NotLeftBehind(name, stream, left)
        return sum([await self._reroute(shipper) for shipper in found])

    async def _reroute(self, shipper: Shipper) -> int:
        number = shipper.number
        try:
            await self._rest(number)
            moved = await self._outbox.reroute(number, self._target)
        finally:
            if number in self.shippers:
                self._start(shipper)
        logger.info(
            "moved %d events of route %s, which went to stream %s, to where they go now",
            moved, shipper.link.name, shipper.route.stream,
            extra={"action": "rerouted", "route": shipper.link.name, "rows": moved},
        )  # fmt: skip
        return moved

    def _target(self, agent: str, subject: str) -> Target:
        route = self.routes.of(agent)
        kind = subject.rpartition(".")[2]  # the event's type
        return Target(self._numbers[route.name], f"{agent_prefix(route.prefix, agent)}.{kind}")

    async def _rest(self, number: int) -> None:
        """End a shipper, and wait for that."""
        if (life := self._lives.pop(number, None)) is not None:
            life.scope.cancel()
            with anyio.CancelScope(shield=True):  # it must have ended before it is started again
                await life.ended.wait()

    # Streams.

    def stream_of(self, shipper: Shipper) -> StreamKey:
        """Return the stream that a route goes to now, as far as that is known."""
        account = self._accounts.get(shipper.number, shipper.route.name)
        return StreamKey(account, shipper.status.stream or shipper.route.stream)

    def streams_of(self, shipper: Shipper) -> set[StreamKey]:
        """Return the streams of a route: its own, and where it goes to instead."""
        found = self.stream_of(shipper)
        return {found, found._replace(name=shipper.route.stream)}

    def routes_to(self, stream: StreamKey) -> frozenset[str]:
        """Return the names of the routes that go to a stream."""
        return frozenset(s.route.name for s in self.shippers.values() if stream in self.streams_of(s))

    # Running.

    async def run(self) -> None:
        """Run every shipper until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            for shipper in self.shippers.values():
                self._start(shipper)
            while True:
                await anyio.sleep(LOOK_INTERVAL)
                self._retire(list(self.shippers.values()))

    def _start(self, shipper: Shipper) -> None:
        """Run a shipper, if it does not run yet."""
        if self._tasks is not None and shipper.number not in self._lives:
            life = self._lives[shipper.number] = _Life(anyio.CancelScope(), anyio.Event())
            self._tasks.start_soon(self._run, shipper, life, name=f"shipper {shipper.link.name}")

    async def _run(self, shipper: Shipper, life: "_Life") -> None:
        """Run a shipper; one of a route that has only dead letters left when one of these is retried."""
        try:
            with life.scope:
                while not shipper.configured:
                    added = self._outbox.watch(shipper.number)
                    if self._outbox.stats.routes[shipper.number].pending_rows:
                        break
                    shipper.rest()
                    with anyio.move_on_after(LOOK_INTERVAL):
                        await added.wait()
                await shipper.run()
        finally:
            life.ended.set()

    def _retire(self, shippers: Collection[Shipper]) -> None:
        """End the shippers of routes that are not configured and have nothing left, not even to repair."""
        if self._changing or all(shipper.configured for shipper in shippers):
            return
        stats = self._outbox.stats.routes
        for shipper in shippers:
            left = stats.get(shipper.number)
            is_empty = left is None or not left.pending_rows + left.retained_rows + left.dead_rows
            if shipper.configured or not is_empty or shipper.number not in self._lives:  # or it is rerouted
                continue
            del self.shippers[shipper.number], self._accounts[shipper.number]
            self.ended.add(shipper.status)
            self._lives.pop(shipper.number).scope.cancel()
            logger.info(
                "route %s has shipped what it had left to stream %s, and ends",
                shipper.link.name, shipper.route.stream,
                extra={"action": "orphan_done", "route": shipper.link.name},
            )  # fmt: skip

    def all_connected(self) -> bool:
        """Whether every configured route has a connection now."""
        return all(s.link.session is not None for s in self.shippers.values() if s.configured)

    async def drain(self) -> None:
        """Wait until every row that is accepted by now is settled; the caller sets the limit."""
        async with anyio.create_task_group() as group:
            for shipper in self.shippers.values():
                group.start_soon(shipper.wait_settled, name=f"drain {shipper.link.name}")


def _may_meet(route: Route, other: Route) -> bool:
    """Whether events of two routes can come into one stream: theirs, or one that has the other's subjects."""
    ours, theirs = f"{route.prefix}.", f"{other.prefix}."
    overlap = ours.startswith(theirs) or theirs.startswith(ours)
    return (route.stream == other.stream or overlap) and same_account(route, other)


class _Life(NamedTuple):
    """What ends a running shipper, and tells that it has ended."""

    scope: anyio.CancelScope
    ended: anyio.Event
