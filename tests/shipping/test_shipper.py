"""A shipper against a real outbox and a real stream: what it sends, how it stalls, and how it goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from msgspec import structs

from eventd.jetstream.endpoint import fixed
from eventd.jetstream.session import Session
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server
from eventd.shipping.fleet import Fleet, register_routes
from eventd.shipping.shipper import STALL_PAUSE_FIRST, STALL_PAUSE_MAX, Shipper
from eventd.shipping.state import State
from eventd_ipc.backoff import Backoff
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until_async

from .support import accept, make_stream, new_row, pending, publish

pytestmark = pytest.mark.anyio


@pytest.fixture
def route(nats_server: NatsServer) -> Route:
    """The default route to `nats_server`."""
    return Route(DEFAULT_ROUTE, Server((nats_server.url,)), "openclaw-events", "openclaw.events")


@pytest.fixture
async def number(outbox: Outbox, route: Route) -> int:
    """The route's number in the outbox."""
    return await outbox.register_route(route.name, route.stream, route.prefix)


@asynccontextmanager
async def shipping(outbox: Outbox, route: Route, number: int, **options: Any) -> AsyncIterator[Shipper]:
    """Run a shipper until the end of the block."""
    shipper = Shipper(route, number, outbox, fixed(route.server), **options)
    async with anyio.create_task_group() as group:
        group.start_soon(shipper.run)
        yield shipper
        group.cancel_scope.cancel()


async def settled(shipper: Shipper) -> None:
    with anyio.fail_after(20):
        await shipper.wait_settled()


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Let `actions` see what is not worth a warning."""
    caplog.set_level("INFO", "eventd")


def actions(log: pytest.LogCaptureFixture) -> set[str]:
    """The keys of what was logged."""
    return {getattr(record, "action", "") for record in log.records}


async def stored(jetstream: JetStream, stream: str = "openclaw-events") -> list[str]:
    """Message ids in stream order."""
    return [message.msg_id for message in await run_sync(jetstream.read, stream)]


async def test_rows_are_shipped_in_accept_order_and_settled(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    async with shipping(outbox, route, number) as shipper:
        for n in range(5):
            await accept(outbox, new_row(number, 2 * n, "ann"), new_row(number, 2 * n + 1, "bob"))
        await settled(shipper)
        assert (shipper.status.shipped, shipper.status.repeated) == (10, 0)
    assert await pending(outbox, number) == []
    assert await stored(jetstream) == [f"{'bob' if n % 2 else 'ann'}:{n}" for n in range(10)]


async def test_a_narrow_stream_is_made_with_its_first_agent_and_grows_with_the_next(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, caplog: pytest.LogCaptureFixture
) -> None:
    """Also within one batch: nothing is sent before its subject is listed."""
    async with shipping(outbox, route, number, narrow=True) as shipper:
        await accept(outbox, new_row(number, 1, "ann"))
        await settled(shipper)
        await accept(
            outbox,
            *(new_row(number, n, a) for n, a in enumerate(("ann", "bob", "cat", "ann"), start=2)),
        )
        await settled(shipper)
    subjects = (await run_sync(jetstream.info))["config"]["subjects"]
    assert sorted(subjects) == [f"openclaw.events.{agent}.>" for agent in ("ann", "bob", "cat")]
    assert await stored(jetstream) == ["ann:1", "ann:2", "bob:3", "cat:4", "ann:5"]
    assert not actions(caplog) & {"batch_split", "route_stalled"}


async def test_a_batch_with_an_id_that_is_there_already_is_split(
    outbox: Outbox, session: Session, route: Route, number: int, jetstream: JetStream
) -> None:
    """The server refuses the whole batch; one by one it drops only what it has."""
    await accept(outbox, *(new_row(number, n) for n in range(1, 6)))
    rows = await pending(outbox, number)
    await publish(session, rows[:2])
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        assert (shipper.status.shipped, shipper.status.repeated) == (3, 2)
    assert await stored(jetstream) == [f"main:{n}" for n in range(1, 6)]


async def test_a_row_that_can_never_be_stored_does_not_hold_up_the_rest(
    outbox: Outbox, session: Session, route: Route, number: int, jetstream: JetStream
) -> None:
    """It becomes a dead letter; those before and behind it are shipped, in order."""
    await run_sync(lambda: jetstream.make(allow_atomic=True, max_msg_size=1000))
    rows = [new_row(number, n, size=2000 if n == 3 else 20) for n in range(1, 6)]
    await accept(outbox, *rows)
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        assert shipper.status.dead == 1
    assert [letter.msg_id for letter in await outbox.dead_letters(0, 10)] == ["main:3"]
    assert await stored(jetstream) == ["main:1", "main:2", "main:4", "main:5"]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "pipeline"])
async def test_a_stall_is_shown_with_its_reason_and_heals(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, batches: bool
) -> None:
    await run_sync(lambda: jetstream.make(allow_atomic=batches, max_msgs=3, discard="new"))
    await accept(outbox, *(new_row(number, n) for n in range(1, 8)))
    async with shipping(outbox, route, number) as shipper:
        await wait_until_async(lambda: shipper.status.state is State.STALLED, what=lambda: shipper.status)
        assert "maximum messages exceeded" in shipper.status.reason
        assert shipper.status.unready_since is not None
        await run_sync(lambda: jetstream.edit(max_msgs=-1))
        await settled(shipper)
        await wait_until_async(lambda: shipper.status.unready_since is None, what=lambda: shipper.status)
    assert await stored(jetstream) == [f"main:{n}" for n in range(1, 8)]


async def test_a_stall_is_tried_again_less_and_less_often(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try sends a whole batch; a look at the stream that goes well is no progress."""
    pauses: list[float] = []

    class Noted(Backoff):
        def pause(self) -> float:
            pauses.append(super().pause())
            return 0.01

    monkeypatch.setattr("eventd.shipping.shipper.Backoff", Noted)
    await run_sync(lambda: jetstream.make(allow_atomic=True, max_msgs=1, discard="new"))
    await accept(outbox, new_row(number, 1), new_row(number, 2))
    async with shipping(outbox, route, number):
        await wait_until_async(lambda: len(pauses) >= 6, what="it has tried a few times")
    assert pauses[0] <= STALL_PAUSE_FIRST
    assert pauses[5] >= STALL_PAUSE_MAX / 2


async def test_a_stream_that_does_not_fit_is_a_stall_with_a_remedy(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """Somebody else's stream of that name, with other subjects."""
    await run_sync(jetstream.make, "openclaw-events", "other.>")
    await accept(outbox, new_row(number, 1))
    async with shipping(outbox, route, number) as shipper:
        await wait_until_async(lambda: shipper.status.state is State.STALLED, what=lambda: shipper.status)
        assert "openclaw.events.main.>" in shipper.status.reason
        await run_sync(lambda: jetstream.edit(subjects=["openclaw.events.>"]))
        await settled(shipper)
    assert await stored(jetstream) == ["main:1"]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "pipeline"])
async def test_an_agent_that_a_listing_stream_does_not_take_holds_up_no_other(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, batches: bool
) -> None:
    """Its events are kept as dead letters, and go when somebody has let the stream take them."""
    await run_sync(lambda: jetstream.make("openclaw-events", "openclaw.events.main.>", allow_atomic=batches))
    await accept(outbox, *(new_row(number, n, "stranger" if n % 3 == 1 else "main") for n in range(1, 8)))
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        assert await stored(jetstream) == ["main:2", "main:3", "main:5", "main:6"]
        letters = await outbox.dead_letters(0, 10)
        assert [letter.msg_id for letter in letters] == ["stranger:1", "stranger:4", "stranger:7"]
        assert "does not take openclaw.events.stranger.>" in letters[0].reason
        assert "deadletter retry" in letters[0].reason
        await run_sync(
            lambda: jetstream.edit(subjects=["openclaw.events.main.>", "openclaw.events.stranger.>"])
        )
        await accept(outbox, new_row(number, 8, "stranger"))
        await outbox.retry_dead(None)
        await settled(shipper)
    assert sorted(await stored(jetstream))[4:] == ["stranger:1", "stranger:4", "stranger:7", "stranger:8"]
    assert not await outbox.dead_letters(0, 10)


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "pipeline"])
async def test_a_busy_other_writer_stops_nobody(
    outbox: Outbox,
    route: Route,
    number: int,
    jetstream: JetStream,
    caplog: pytest.LogCaptureFixture,
    batches: bool,
) -> None:
    """The end of the stream is never where we left it; what is ours is in order all the same."""
    await run_sync(lambda: jetstream.make(allow_atomic=batches))

    async def write() -> None:
        for _ in range(10):
            await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 50)

    async with shipping(outbox, route, number) as shipper, anyio.create_task_group() as group:
        group.start_soon(write)
        for n in range(100):
            await accept(outbox, *(new_row(number, 10 * n + i) for i in range(10)))
        await settled(shipper)
        assert shipper.status.repairs == 0
    ours = [msg_id for msg_id in await stored(jetstream) if msg_id.startswith("main:")]
    assert ours == [f"main:{n}" for n in range(1000)]
    assert "route_stalled" not in actions(caplog)


async def test_draining_waits_for_a_broker_that_is_away(
    outbox: Outbox, route: Route, number: int, nats_server: NatsServer, jetstream: JetStream
) -> None:
    """Whoever wants to wait only so long sets the limit."""
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)  # there is nothing
        await run_sync(nats_server.kill)
        await accept(outbox, new_row(number, 1))
        with anyio.move_on_after(0.3) as patience:
            await shipper.wait_settled()
        assert patience.cancelled_caught
        await run_sync(nats_server.start)
        await settled(shipper)
    assert await stored(jetstream) == ["main:1"]


async def test_the_limit_of_the_server_is_told(outbox: Outbox, route: Route, number: int) -> None:
    """Admission refuses by it what could only become a dead letter."""
    told: list[tuple[int, int]] = []
    async with shipping(outbox, route, number, on_limit=lambda n, size: told.append((n, size))):
        await wait_until_async(lambda: told, what="a limit")
    assert told == [(number, 1024 * 1024)]


async def test_the_backlog_of_a_route_that_is_gone_from_the_configuration_is_shipped(
    outbox: Outbox, session: Session, route: Route, jetstream: JetStream
) -> None:
    """To the stream for which it was accepted."""
    gone = replace(route, name="tim", stream="events-tim", prefix="old.tim")
    left = await outbox.register_route(gone.name, gone.stream, gone.prefix)
    await accept(outbox, structs.replace(new_row(left, 1, "tim"), subject="old.tim.custom"))
    routes = Routes(route)
    fleet = Fleet(routes, await register_routes(outbox, routes), outbox, fixed, lambda _n, _b: None)
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.run)
        with anyio.fail_after(20):
            await fleet.drain()
        group.cancel_scope.cancel()
    assert await stored(jetstream, "events-tim") == ["tim:1"]
    assert (await make_stream(session)).last_seq == 0
