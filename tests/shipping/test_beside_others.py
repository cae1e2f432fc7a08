"""Streams, routes and servers that come and go beside a route, without holding it up."""

from collections.abc import Callable

import anyio
import pytest
from anyio.to_thread import run_sync
from msgspec.structs import replace

from eventd.jetstream.endpoint import fixed
from eventd.jetstream.stream import METADATA_KEY
from eventd.jetstream.streams import METADATA_VALUE
from eventd.outbox.model import Death, Settlement
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server
from eventd.shipping import shipper as shipper_module
from eventd.shipping.fleet import Fleet, register_routes
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until_async

from .support import accept, new_row, pending
from .test_shipper import settled, shipping, stored

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(nats_server: NatsServer) -> Server:
    return Server((nats_server.url,))


@pytest.fixture
def default(server: Server) -> Route:
    return Route(DEFAULT_ROUTE, server, "openclaw-events", "openclaw.events")


@pytest.fixture
def viola(server: Server) -> Route:
    """An agent with a stream of its own below the default prefix."""
    return Route("viola", server, "openclaw-viola", "openclaw.events")


async def run_fleet(outbox: Outbox, routes: Routes) -> Fleet:
    numbers = await register_routes(outbox, routes)
    return Fleet(routes, numbers, outbox, fixed, lambda _route, _size: None)


async def test_an_agent_whose_entry_was_removed_is_back_in_the_default_stream(
    outbox: Outbox, default: Route, viola: Route, jetstream: JetStream
) -> None:
    """What its own stream has stays there; the subjects go over to the other one with its next event."""
    number = await outbox.register_route(viola.name, viola.stream, viola.prefix)
    async with shipping(outbox, viola, number) as shipper:
        await accept(outbox, new_row(number, 0, "viola"))
        await settled(shipper)
    number = await outbox.register_route(default.name, default.stream, default.prefix)
    async with shipping(outbox, default, number) as shipper:
        await accept(
            outbox, new_row(number, 1, "main"), new_row(number, 1, "viola"), new_row(number, 2, "main")
        )
        await settled(shipper)
        assert shipper.status.notes == ()
    assert await stored(jetstream) == ["main:1", "viola:1", "main:2"]
    assert await stored(jetstream, "openclaw-viola") == ["viola:0"]
    own = await outbox.register_route(viola.name, viola.stream, viola.prefix)
    async with shipping(outbox, viola, own) as shipper:  # and back again
        await accept(outbox, new_row(own, 2, "viola"))
        await settled(shipper)
    assert await stored(jetstream, "openclaw-viola") == ["viola:0", "viola:2"]


async def test_a_stream_of_another_machine_keeps_its_subjects(
    outbox: Outbox, default: Route, jetstream: JetStream
) -> None:
    """Its eventd has an entry for the agent and ours has not: our events of the agent go into it, too."""
    ours = {METADATA_KEY: METADATA_VALUE}
    await run_sync(lambda: jetstream.make("openclaw-viola", "openclaw.events.viola.>", metadata=ours))
    number = await outbox.register_route(default.name, default.stream, default.prefix)
    async with shipping(outbox, default, number) as shipper:
        await accept(
            outbox, new_row(number, 1, "main"), new_row(number, 1, "viola"), new_row(number, 2, "main")
        )
        await settled(shipper)
        await accept(outbox, new_row(number, 2, "viola"))
        await settled(shipper)
        assert "openclaw-viola" in " ".join(shipper.status.notes)
    assert await stored(jetstream) == ["main:1", "main:2"]
    assert await stored(jetstream, "openclaw-viola") == ["viola:1", "viola:2"]


async def test_what_the_default_route_still_has_of_an_agent_with_an_entry_goes_where_it_was_accepted_for(
    outbox: Outbox, default: Route, viola: Route, jetstream: JetStream
) -> None:
    """Also when the agent's own stream has the subjects already."""
    number = await outbox.register_route(default.name, default.stream, default.prefix)
    async with shipping(outbox, default, number) as shipper:
        await accept(outbox, new_row(number, 0, "main"))
        await settled(shipper)
    await accept(outbox, new_row(number, 0, "viola"), new_row(number, 1, "main"))
    own = await outbox.register_route(viola.name, viola.stream, viola.prefix)
    async with shipping(outbox, viola, own) as shipper:
        await accept(outbox, new_row(own, 1, "viola"))
        await settled(shipper)
    async with shipping(outbox, default, number, narrow=True) as shipper:
        await settled(shipper)
    assert await stored(jetstream) == ["main:0", "viola:0", "main:1"]
    assert await stored(jetstream, "openclaw-viola") == ["viola:1"]


async def test_a_retried_dead_letter_of_a_removed_route_is_shipped(
    outbox: Outbox, default: Route, jetstream: JetStream
) -> None:
    gone = await outbox.register_route("gone", "old-events", "old")
    await accept(outbox, replace(new_row(gone, 0), subject="old.main.custom"))
    [row] = await pending(outbox, gone)
    await outbox.settle(Settlement(gone, row.seq, (), (Death(row.seq, "too large", 10054),)))
    fleet = await run_fleet(outbox, Routes(default))
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.run)
        await wait_until_async(lambda: fleet.shippers[gone].status.state.value == "idle")
        assert await outbox.retry_dead(None) == 1
        with anyio.fail_after(20):
            await fleet.shippers[gone].wait_settled()
        group.cancel_scope.cancel()
    assert await stored(jetstream, "old-events") == ["main:0"]


async def test_the_next_server_is_asked_when_the_first_cannot_serve(
    outbox: Outbox, nats_factory: Callable[..., NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections but has no JetStream, like a node that is cut off from its cluster."""
    monkeypatch.setattr(shipper_module, "STALLS_BEFORE_NEXT", 2)
    useless = nats_factory(config="jetstream: false")
    useful = nats_factory()
    route = Route(DEFAULT_ROUTE, Server((useless.url, useful.url)), "openclaw-events", "openclaw.events")
    number = await outbox.register_route(route.name, route.stream, route.prefix)
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 0))
        await settled(shipper)
        assert shipper.link.status.url == useful.url
    assert await run_sync(JetStream(useful.url).last_seq) == 1
