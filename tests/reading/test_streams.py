"""`get` and `tail` from a real stream, over the route's own connection."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from eventd.errors import NatsError
from eventd.jetstream.endpoint import fixed
from eventd.jetstream.session import Session
from eventd.outbox.outbox import Outbox
from eventd.reading.streams import NoSuchStream, StreamReads
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server, StreamKey
from eventd.shipping.fleet import Fleet, register_routes
from eventd_ipc.builders import new_id
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


class Place:
    """A stream, a connection to write to it, and what reads it."""

    def __init__(self, fleet: Fleet, reads: StreamReads) -> None:
        self.fleet = fleet
        self.reads = reads

    @property
    def session(self) -> Session:
        [shipper] = self.fleet.shippers.values()
        assert shipper.link.session is not None
        return shipper.link.session

    async def write(self, event_id: str, agent: str = "main", *, header: bool = True) -> None:
        body = json.dumps({"id": event_id, "agent": agent}).encode()
        headers = {"Nats-Msg-Id": f"{agent}:{event_id}"} if header else None
        await self.session.request(f"openclaw.events.{agent}.custom", body, headers)

    async def with_id(self, event_id: str, agent: str | None = None) -> list[int]:
        """Return the sequences of the messages that have an id."""
        async with aclosing(self.reads.by_id(event_id, None, agent)) as found:
            return [message.seq async for _, message in found]

    async def ids(
        self,
        *,
        last: int | None = None,
        since: int | None = None,
        stream: str | None = None,
        agent: str | None = None,
    ) -> list[str]:
        tail = self.reads.tail(last=last, since=since, follow=False, stream=stream, agent=agent)
        async with aclosing(tail) as events:
            return [json.loads(message.body)["id"] async for _, message in events]


@pytest.fixture
async def place(nats_server: NatsServer, short_tmp: Path) -> AsyncIterator[Place]:
    routes = Routes(Route(DEFAULT_ROUTE, Server((nats_server.url,)), "openclaw-events", "openclaw.events"))
    async with Outbox.open(short_tmp / "data" / "outbox.db") as outbox, anyio.create_task_group() as tasks:
        numbers = await register_routes(outbox, routes)
        fleet = Fleet(routes, numbers, outbox, fixed, lambda _route, _size: None)
        tasks.start_soon(fleet.run)
        [shipper] = fleet.shippers.values()
        await wait_until_async(lambda: shipper.status.stream and shipper.link.session)
        yield Place(fleet, StreamReads(fleet))
        tasks.cancel_scope.cancel()


async def test_an_event_is_found_by_its_sequence(place: Place) -> None:
    await place.write("a")
    found = await place.reads.by_sequence(1, None, None)
    assert found is not None
    stream, message = found
    assert stream == StreamKey(DEFAULT_ROUTE, "openclaw-events")
    assert (message.seq, json.loads(message.body)["id"]) == (1, "a")
    assert await place.reads.by_sequence(2, None, None) is None


@pytest.mark.parametrize(
    "event_id", [new_id(), str(uuid.uuid4()), "made-up", "with:colon"], ids=["v7", "v4", "made-up", "colon"]
)
@pytest.mark.parametrize("header", [True, False])
async def test_an_event_is_found_by_its_id_whoever_wrote_it(
    place: Place, event_id: str, header: bool
) -> None:
    """Other writers' messages carry the id in the body only."""
    await place.write("other")
    await place.write(event_id, header=header)
    assert await place.with_id(event_id) == [2]
    assert await place.with_id("missing") == []


async def test_an_id_belongs_to_its_agent(place: Place) -> None:
    """Several may use the same one, so all that have it are shown to who decides."""
    await place.write("same", "tim")
    await place.write("same", "main")
    assert await place.with_id("same", "main") == [2]
    assert await place.with_id("same") == [1, 2]


async def test_the_last_events_are_shown_in_stream_order(place: Place) -> None:
    for n in range(5):
        await place.write(str(n))
    assert await place.ids(last=2) == ["3", "4"]
    assert await place.ids(last=9) == ["0", "1", "2", "3", "4"]
    assert await place.ids(last=0) == []
    assert await place.ids() == ["0", "1", "2", "3", "4"]


async def test_the_last_events_of_one_agent_are_found_behind_many_of_others(place: Place) -> None:
    for n in range(3):
        await place.write(str(n), "tim")
    for n in range(40):
        await place.write(f"x{n}")
    assert await place.ids(last=2, agent="tim") == ["1", "2"]
    assert await place.ids(last=5, agent="nobody") == []


async def test_the_last_events_are_as_many_as_asked_for_where_others_were_deleted(place: Place) -> None:
    for n in range(10):
        await place.write(str(n))
    for seq in (5, 6, 7, 9):
        await place.session.api("STREAM.MSG.DELETE.openclaw-events", {"seq": seq})
    assert await place.ids(last=3) == ["3", "7", "9"]


async def test_a_tail_whose_reader_paused_too_long_goes_on_where_it_was(place: Place) -> None:
    """The server has removed its consumer meanwhile."""
    for n in range(1200):
        await place.write(str(n))
    seen: list[str] = []
    tail = place.reads.tail(last=None, since=None, follow=False, stream=None, agent=None)
    async with aclosing(tail) as events:
        async for _, message in events:
            seen.append(json.loads(message.body)["id"])
            if len(seen) == 10:
                [name] = (await place.session.api("CONSUMER.NAMES.openclaw-events"))["consumers"]
                await place.session.api(f"CONSUMER.DELETE.openclaw-events.{name}")
    assert seen == [str(n) for n in range(1200)]


async def test_a_tail_can_begin_at_a_time(place: Place) -> None:
    await place.write("a")
    found = await place.reads.by_sequence(1, None, None)
    assert found is not None
    assert await place.ids(since=found[1].time - 1000) == ["a"]
    assert await place.ids(since=found[1].time + 60_000) == []


async def test_a_tail_follows(place: Place) -> None:
    """New events come as they are stored, also many at once."""
    await place.write("0")
    seen: list[str] = []
    with anyio.fail_after(20):
        async with aclosing(
            place.reads.tail(last=1, since=None, follow=True, stream=None, agent=None)
        ) as events:
            async for _, message in events:
                seen.append(json.loads(message.body)["id"])
                if len(seen) == 1:
                    for n in range(1, 30):
                        await place.write(str(n))
                if len(seen) == 30:
                    break
    assert seen == [str(n) for n in range(30)]


async def test_an_unknown_stream_is_named(place: Place) -> None:
    with pytest.raises(NoSuchStream, match="nonsense"):
        await place.ids(stream="nonsense")


async def test_without_a_connection_the_reader_is_told_so(place: Place, nats_server: NatsServer) -> None:
    nats_server.kill()
    [shipper] = place.fleet.shippers.values()
    await wait_until_async(lambda: shipper.link.session is None)
    with pytest.raises(NatsError, match="no connection"):
        await place.ids()
