"""Rows that may be in the stream already are never stored twice, whatever broke off in between."""

from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from msgspec.structs import replace

from eventd.jetstream.session import Session
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Server
from eventd.shipping import shipper as shipper_module
from support.jetstream import JetStream
from support.nats import NatsServer
from support.proxy import Proxy
from support.waiting import wait_until_async

from .support import accept, new_row, pending, publish
from .test_shipper import settled, shipping, stored

pytestmark = pytest.mark.anyio

NatsFactory = Callable[..., NatsServer]

SHORT_WINDOW = 100_000_000  # ns; the server's memory of ids is of no help after it


@pytest.fixture
def proxy(nats_server: NatsServer) -> Iterator[Proxy]:
    with Proxy(nats_server.port) as proxy:
        yield proxy


@pytest.fixture
def route(proxy: Proxy) -> Route:
    """The default route, over a connection that can go wrong."""
    return Route(DEFAULT_ROUTE, Server((proxy.url,)), "openclaw-events", "openclaw.events")


@pytest.fixture
async def number(outbox: Outbox, route: Route) -> int:
    return await outbox.register_route(route.name, route.stream, route.prefix)


async def test_a_batch_whose_ack_was_lost_is_found_after_the_window(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("eventd.jetstream.publishing.ACK_TIMEOUT", 0.5)
    await run_sync(lambda: jetstream.make(allow_atomic=True, duplicate_window=SHORT_WINDOW))
    async with shipping(outbox, route, number) as shipper:
        await wait_until_async(lambda: shipper.status.stream)
        proxy.drop_replies()
        await accept(outbox, *(new_row(number, n) for n in range(5)))
        await wait_until_async(lambda: run_sync(lambda: jetstream.last_seq() == 5))
        await wait_until_async(lambda: shipper.status.state.value == "connecting")
        proxy.resume()
        await settled(shipper)
        assert (shipper.status.shipped, shipper.status.repeated) == (0, 5)
    assert await stored(jetstream) == [f"main:{n}" for n in range(5)]


async def test_an_earlier_life_may_have_sent_what_is_pending(
    outbox: Outbox, session: Session, route: Route, number: int, jetstream: JetStream
) -> None:
    """Also far behind the first row: a repair was broken off, say."""
    await run_sync(lambda: jetstream.make(allow_atomic=True, duplicate_window=SHORT_WINDOW))
    await accept(outbox, *(new_row(number, n) for n in range(50)))
    await publish(session, (await pending(outbox, number))[40:])
    await anyio.sleep(0.2)  # longer than the window; nothing can be waited for
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
    assert sorted(await stored(jetstream)) == sorted(f"main:{n}" for n in range(50))


async def test_rows_stored_behind_a_stream_made_anew_are_not_stored_again(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """Another writer hides the new stream's end, so rows are sent before the loss is noticed."""
    await run_sync(lambda: jetstream.make(allow_atomic=True, duplicate_window=SHORT_WINDOW))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(30)))
        await settled(shipper)
        shipper._shared_until = float("inf")  # as while another writer is busy
        await run_sync(jetstream.delete)
        await run_sync(lambda: jetstream.make(allow_atomic=True, duplicate_window=SHORT_WINDOW))
        await accept(outbox, *(new_row(number, n) for n in range(30, 35)))
        await settled(shipper)
        assert shipper.status.repairs == 1
    assert sorted(await stored(jetstream)) == sorted(f"main:{n}" for n in range(35))


async def test_an_idle_route_notices_that_its_stream_was_made_anew(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for the next event would let the retained rows go meanwhile."""
    monkeypatch.setattr(shipper_module, "LOOK_INTERVAL", 0.1)
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(5)))
        await settled(shipper)
        await run_sync(jetstream.delete)
        await run_sync(jetstream.make)
        await wait_until_async(lambda: shipper.status.repairs == 1 and shipper.status.state.value == "idle")
    assert await stored(jetstream) == [f"main:{n}" for n in range(5)]


async def test_a_line_that_loses_batches_gets_smaller_ones(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What did not get through once would not the next time either."""
    monkeypatch.setattr("eventd.jetstream.publishing.ACK_TIMEOUT", 0.3)
    async with shipping(outbox, route, number) as shipper:
        await wait_until_async(lambda: shipper.status.stream)
        whole = shipper._sender._batch_bytes
        proxy.drop_replies()
        await accept(outbox, *(new_row(number, n) for n in range(5)))
        await wait_until_async(lambda: shipper._sender._batch_bytes < whole)
        proxy.resume()
        await settled(shipper)
        assert shipper._sender._batch_bytes <= whole
    assert await stored(jetstream) == [f"main:{n}" for n in range(5)]


async def test_another_server_with_a_stream_of_that_name_is_no_rollback(
    outbox: Outbox, route: Route, number: int, nats_factory: NatsFactory, jetstream: JetStream
) -> None:
    """What was settled stays where it is."""
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(3)))
        await settled(shipper)
    other = nats_factory()
    elsewhere = Route(route.name, Server((other.url,)), route.stream, route.prefix)
    async with shipping(outbox, elsewhere, number) as shipper:
        await accept(outbox, new_row(number, 3))
        await settled(shipper)
        assert shipper.status.repairs == 0
    assert await stored(jetstream) == ["main:0", "main:1", "main:2"]
    assert await stored(JetStream(other.url)) == ["main:3"]


async def test_a_narrow_stream_that_vanishes_while_its_route_is_idle_is_repaired(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that waits to be shipped says which subjects it had; what is retained does."""
    monkeypatch.setattr(shipper_module, "LOOK_INTERVAL", 0.1)
    async with shipping(outbox, route, number, narrow=True) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(5)))
        await settled(shipper)
        await run_sync(jetstream.delete)
        await wait_until_async(lambda: shipper.status.repairs == 1 and shipper.status.state.value == "idle")
    assert await stored(jetstream) == [f"main:{n}" for n in range(5)]


async def test_a_rollback_is_repaired_where_rows_stand_in_another_order_than_they_were_accepted(
    outbox: Outbox, session: Session, route: Route, number: int, jetstream: JetStream,
    nats_server: NatsServer, short_tmp: Path,
) -> None:  # fmt: skip
    """Rows that were found in the stream keep their places, before others that were accepted earlier."""
    await run_sync(lambda: jetstream.make(allow_atomic=True, duplicate_window=SHORT_WINDOW))
    await accept(outbox, *(new_row(number, n) for n in range(50)))
    await publish(session, (await pending(outbox, number))[40:])
    nats_server.stop()
    old = nats_server.copy_store(short_tmp / "old")
    nats_server.start()
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        nats_server.stop()
        nats_server.restore_store(old)
        nats_server.start()
        await wait_until_async(lambda: shipper.status.repairs == 1, timeout=30.0)
        await settled(shipper)
    assert sorted(await stored(jetstream)) == sorted(f"main:{n}" for n in range(50))


async def test_rows_for_another_stream_are_looked_up_there(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Theirs is the duplicate window that was too short this time; they also decide about expiry."""
    monkeypatch.setattr("eventd.jetstream.publishing.ACK_TIMEOUT", 0.5)
    await run_sync(lambda: jetstream.make("viola", "openclaw.events.viola.>", duplicate_window=SHORT_WINDOW))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, replace(new_row(number, 1, "viola"), never_expires=True), new_row(number, 1))
        await settled(shipper)
        proxy.drop_replies()
        await accept(outbox, new_row(number, 2, "viola"))
        await wait_until_async(lambda: run_sync(lambda: jetstream.last_seq("viola") == 2))
        await wait_until_async(lambda: shipper.status.state.value == "connecting")
        proxy.resume()
        await settled(shipper)
    assert await stored(jetstream, "viola") == ["viola:1", "viola:2"]
    assert await stored(jetstream) == ["main:1"]


async def test_rows_of_several_agents_are_looked_up_in_the_stream_that_takes_them_all(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("eventd.jetstream.publishing.ACK_TIMEOUT", 0.5)
    plain = {"subjects": ["openclaw.events.ann.>", "openclaw.events.bob.>"], "duplicate_window": SHORT_WINDOW}
    await run_sync(lambda: jetstream.api("STREAM.CREATE.both", {"name": "both", **plain}))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 0, "ann"), new_row(number, 0, "bob"))
        await settled(shipper)
        proxy.drop_replies()
        await accept(outbox, new_row(number, 1, "bob"))
        await wait_until_async(lambda: run_sync(lambda: jetstream.last_seq("both") == 3))
        await accept(outbox, new_row(number, 1, "ann"))
        await wait_until_async(lambda: shipper.status.state.value == "connecting")
        proxy.resume()
        await settled(shipper)
    assert sorted(await stored(jetstream, "both")) == ["ann:0", "ann:1", "bob:0", "bob:1"]
