"""Routes come, go and change while the fleet runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from eventd.jetstream.endpoint import fixed
from eventd.outbox.outbox import Outbox
from eventd.outbox.rerouting import Choose
from eventd.routes import DEFAULT_ROUTE, Credentials, Route, Routes, Server, StreamSettings
from eventd.secret import Secret
from eventd.shipping.fleet import Fleet, NotLeftBehind, register_routes
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until_async

from .support import accept, new_row

pytestmark = pytest.mark.anyio

NONE: frozenset[Path] = frozenset()


@pytest.fixture
def server(nats_server: NatsServer) -> Server:
    return Server((nats_server.url,))


@pytest.fixture
def default(server: Server) -> Route:
    return Route(DEFAULT_ROUTE, server, "openclaw-events", "openclaw.events")


@pytest.fixture
def own(server: Server) -> Route:
    return Route("main", server, "events-main", "openclaw.events.main")


@asynccontextmanager
async def fleet_of(outbox: Outbox, routes: Routes) -> AsyncIterator[Fleet]:
    numbers = await register_routes(outbox, routes)
    fleet = Fleet(routes, numbers, outbox, fixed, lambda _route, _size: None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fleet.run)
        yield fleet
        tasks.cancel_scope.cancel()


async def change(fleet: Fleet, outbox: Outbox, routes: Routes, touched: frozenset[Path] = NONE) -> None:
    numbers = await register_routes(outbox, routes)
    fleet.change(routes, numbers, touched)
    await outbox.configure(outbox._opened.settings, numbers.values())
    fleet.settle_down(await outbox.flush())


async def connected(fleet: Fleet) -> None:
    await wait_until_async(fleet.all_connected)


def connects(fleet: Fleet) -> dict[str, int]:
    return {shipper.route.name: shipper.link.status.connects for shipper in fleet.shippers.values()}


async def test_who_is_not_concerned_stays_connected(outbox: Outbox, default: Route, own: Route) -> None:
    other = Route("other", default.server, "events-other", "other")
    async with fleet_of(outbox, Routes(default, {"other": other})) as fleet:
        await connected(fleet)
        await change(
            fleet,
            outbox,
            Routes(default, {"other": other, "third": Route("third", default.server, "t", "t")}),
        )
        await connected(fleet)
        assert connects(fleet) == {DEFAULT_ROUTE: 1, "other": 1, "third": 1}


async def test_other_credentials_settings_or_contents_of_a_file_connect_anew(
    outbox: Outbox, default: Route, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("x")
    by_file = Route(
        "a",
        Server(default.server.urls, Credentials(user="u", password=Secret(path=file))),
        "events-a",
        "a",
    )
    changed = Route(
        DEFAULT_ROUTE, default.server, default.stream, default.prefix, StreamSettings(max_age=3600.0)
    )
    async with fleet_of(outbox, Routes(default, {"a": by_file})) as fleet:
        await connected(fleet)
        await change(fleet, outbox, Routes(default, {"a": by_file}), frozenset({file}))
        await fleet.wait_changed()
        await connected(fleet)
        assert connects(fleet) == {DEFAULT_ROUTE: 1, "a": 2}
        await change(fleet, outbox, Routes(changed, {"a": by_file}))
        await fleet.wait_changed()
        await connected(fleet)
        assert connects(fleet) == {DEFAULT_ROUTE: 2, "a": 2}


async def test_a_route_that_has_nothing_left_ends(outbox: Outbox, default: Route, own: Route) -> None:
    """What it did still counts."""
    async with fleet_of(outbox, Routes(default, {"main": own})) as fleet:
        await accept(outbox, new_row(2, 1))
        await wait_until_async(lambda: fleet.shippers[2].status.shipped == 1)
        await change(fleet, outbox, Routes(default))
        assert not fleet.shippers[2].configured
        await anyio.lowlevel.checkpoint()
        assert 2 in fleet.shippers  # its row is retained: the stream may lose it
        await outbox._write(lambda store: store.run("delete_run", (2, 1)))
        outbox._opened.route(2).stats.retained_rows = 0
        await wait_until_async(lambda: 2 not in fleet.shippers)
        assert fleet.ended.shipped == 1


async def test_a_route_comes_back(outbox: Outbox, default: Route, own: Route, jetstream: JetStream) -> None:
    """It is the same one as before."""
    async with fleet_of(outbox, Routes(default, {"main": own})) as fleet:
        await accept(outbox, new_row(2, 1))
        await change(fleet, outbox, Routes(default))
        await accept(outbox, new_row(1, 2))
        await change(fleet, outbox, Routes(default, {"main": own}))
        await accept(outbox, new_row(2, 3))
        await wait_until_async(lambda: not any(r.pending_rows for r in outbox.stats.routes.values()))
        assert sorted(fleet.shippers) == [1, 2]
    stored = await run_sync(jetstream.read), await run_sync(jetstream.read, "events-main")
    assert [[message.msg_id for message in stream] for stream in stored] == [["main:2"], ["main:1", "main:3"]]


async def test_a_route_that_is_being_rerouted_is_not_ended(
    outbox: Outbox, default: Route, own: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last rows have gone, and the answer is still to be given."""
    away = Route("main", Server(("nats://127.0.0.1:1",)), own.stream, own.prefix)
    looked = anyio.Event()
    reroute = outbox.reroute

    async def slowly(number: int, choose: Choose) -> int:
        moved = await reroute(number, choose)
        fleet._retire(list(fleet.shippers.values()))
        looked.set()
        return moved

    monkeypatch.setattr(outbox, "reroute", slowly)
    async with fleet_of(outbox, Routes(default, {"main": away})) as fleet:
        await accept(outbox, new_row(2, 1))
        await change(fleet, outbox, Routes(Route(DEFAULT_ROUTE, away.server, "d", "d")))
        assert await fleet.reroute("main", None) == 1
        assert looked.is_set()
        await wait_until_async(lambda: 2 not in fleet.shippers)


async def test_the_order_is_found_again_at_the_start(outbox: Outbox, default: Route, own: Route) -> None:
    """By what each route has of which agent, whatever the configuration was between."""
    await register_routes(outbox, Routes(default, {"main": own}))
    other = await outbox.register_route("other", "elsewhere", "acme")
    await accept(outbox, new_row(1, 1, "main"), new_row(1, 2, "tim"), new_row(2, 3), new_row(1, 4))
    await accept(outbox, new_row(2, 5), new_row(other, 6, "other"))
    routes = Routes(default, {"main": own})
    fleet = Fleet(routes, await register_routes(outbox, routes), outbox, fixed, lambda _route, _size: None)
    await fleet.keep_order_from_start()
    found = {
        number: [(a.shipper.number, a.agent, a.upto) for a in shipper.precedence.ahead]
        for number, shipper in fleet.shippers.items()
    }
    assert found == {1: [(2, "main", 5)], 2: [(1, "main", 4)], other: []}


async def test_only_what_is_left_behind_is_rerouted(outbox: Outbox, default: Route, own: Route) -> None:
    """Of several all, or the one with a stream; the routes in use are left alone."""
    away = Server(("nats://127.0.0.1:1",))
    first = Route("main", away, "one", "one")
    second = Route("main", away, "two", "two")
    async with fleet_of(outbox, Routes(Route(DEFAULT_ROUTE, away, "d", "d"), {"main": first})) as fleet:
        await accept(outbox, new_row(2, 1))
        routes = Routes(fleet.routes.default, {"main": second})
        await change(fleet, outbox, routes)
        await accept(outbox, new_row(3, 2))
        await change(fleet, outbox, Routes(routes.default))
        for name, stream in (("main", "three"), ("default", None), ("tim", None)):
            with pytest.raises(NotLeftBehind) as refused:
                await fleet.reroute(name, stream)
            assert "main (stream one), main (stream two)" in refused.value.hint
        assert await fleet.reroute("main", "two") == 1
        stats = outbox.stats.routes
        assert [stats[number].pending_rows for number in (1, 2, 3)] == [1, 1, 0]
        assert await fleet.reroute("main", None) == 1
        rows = await outbox.pending(1, after=0, limit=10, max_bytes=10_000)
        assert [row.subject for row in rows] == ["d.main.custom", "d.main.custom"]
