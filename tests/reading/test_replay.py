"""`replay`: a stretch of a stream in its order, from JetStream or from the index."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventd.errors import NatsError
from eventd.jetstream import reading
from eventd.reading.replay import ORIGIN, Replays, _Pace
from eventd.reading.streams import StreamReads
from eventd.server.operations import RequestRefused
from eventd_ipc.messages import Replay, StoredEvent
from indexing.support import PATIENCE, STREAM, Site, routes_to, site_at
from support.identities import speaker
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

SUBJECT = "openclaw.events.bob.msg_out"


class Taker:
    """Who is sent the events; takes so many of them and no more until it is told to."""

    def __init__(self, credit: int = 10**6, agent: str = "bob") -> None:
        self.identity = speaker(agent)
        self.taken: list[StoredEvent] = []
        self.credit = credit
        self.cursor: str | None = None

    async def send(self, reply: StoredEvent) -> None:
        while not self.credit:
            await anyio.sleep(0.01)
        self.credit -= 1
        self.taken.append(reply)

    async def send_events(self, replies: list[StoredEvent]) -> None:
        for reply in replies:
            await self.send(reply)

    @property
    def ids(self) -> list[str]:
        return [json.loads(event.body)["id"] for event in self.taken]


@asynccontextmanager
async def replays_of(folder: Path, server: NatsServer) -> AsyncIterator[tuple[Site, Replays]]:
    routes = routes_to(server.url)
    async with site_at(folder, routes) as site:
        yield site, Replays(StreamReads(site.fleet), site.index, site.ownership)


class Place:
    """Events 0 to 9 in a stream, and who replays them."""

    def __init__(self, site: Site, replays: Replays) -> None:
        self.site = site
        self.replays = replays

    async def write(self, numbers: range, **more: Any) -> None:
        for number in numbers:
            event = {
                "id": str(number),
                "ts": number + 1,
                "type": "msg.out",
                "payload": {"content": "x"},
                **more,
            }
            await self.site.publish(SUBJECT, json.dumps(event).encode())

    async def replay(self, taker: Taker | None = None, **wanted: Any) -> Taker:
        taker = taker or Taker()
        with anyio.fail_after(PATIENCE):
            await self.replays.replay(Replay(1, **wanted), taker)  # type: ignore[arg-type]
        return taker


@pytest.fixture
async def place(nats_server: NatsServer, short_tmp: Path) -> AsyncIterator[Place]:
    async with replays_of(short_tmp, nats_server) as (site, replays):
        place = Place(site, replays)
        await place.write(range(10))
        yield place


def numbers(*wanted: int) -> list[str]:
    return [str(number) for number in wanted]


async def test_all_of_a_stream_in_its_order(place: Place) -> None:
    taker = await place.replay()
    assert taker.ids == numbers(*range(10))
    assert [event.seq for event in taker.taken] == list(range(1, 11))
    assert taker.taken[0].stream == STREAM


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (3, 5, [2, 3, 4]),
        (9, None, [8, 9]),
        (None, 2, [0, 1]),
        (11, None, []),
        (5, 4, []),
        (0, 1, [0]),
        (10, 2**52, [9]),
    ],
)
async def test_a_stretch_by_sequence(
    place: Place, first: int | None, last: int | None, found: list[int]
) -> None:
    assert (await place.replay(first=first, last=last)).ids == numbers(*found)


async def test_a_stretch_by_time(place: Place) -> None:
    """By the stream's clock, the end not included."""
    times = [event.time for event in (await place.replay()).taken]
    taken = await place.replay(since=times[2], until=times[8])
    assert taken.ids == [str(n) for n, time in enumerate(times) if times[2] <= time < times[8]]
    assert (await place.replay(since=times[9] + 60_000)).ids == []
    assert (await place.replay(until=times[0])).ids == []


async def test_headers_come_where_they_are_asked_for(place: Place) -> None:
    """As JetStream has them; of a message without any there are none."""
    await place.site.publish(SUBJECT, b"{}", headers={"Nats-Msg-Id": "bob:x", "Of-Another": "writer"})
    taken = (await place.replay(first=10, headers=True)).taken
    assert [event.headers for event in taken] == [{}, {"Nats-Msg-Id": "bob:x", "Of-Another": "writer"}]
    assert (await place.replay(first=11)).taken[0].headers is None


@pytest.mark.parametrize("since", [0, 1, 253_402_300_799_999, 2**53 - 1])
async def test_any_time_can_be_asked_for(place: Place, since: int) -> None:
    """Also one that no calendar holds."""
    assert len((await place.replay(since=since)).ids) == (10 if since < 2 else 0)


async def test_what_comes_while_it_goes_on_is_not_in_it(place: Place) -> None:
    """Its end is the stream's when it began, so it has one."""
    taker = Taker(credit=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: place.replay(taker))
        await wait_until_async(lambda: len(taker.taken) == 1)
        await place.write(range(10, 15))
        taker.credit = 10**6
    assert taker.ids == numbers(*range(10))


async def test_filters(place: Place) -> None:
    await place.write(range(20, 22), session="agent:bob:s", runId="r")
    await place.write(range(22, 23), visibility="public")
    await place.site.publish("openclaw.events.ann.tool_call", b'{"id":"30","type":"tool.call"}')
    await place.site.publish("openclaw.events.a.b.c", b"not json")
    assert (await place.replay(session="agent:bob:*")).ids == ["20", "21"]
    assert (await place.replay(visibility=["public"])).ids == ["22"]
    assert (await place.replay(agent="ann", types=["conversation.*"])).ids == ["30"]
    assert (await place.replay(Taker(agent="ann"))).ids[0] == "22", "of others what is public"
    assert len((await place.replay(agent="*")).taken) == 15


async def test_it_can_be_cancelled_and_goes_on_where_it_was(place: Place) -> None:
    taker = Taker(credit=4)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: place.replay(taker))
        await wait_until_async(lambda: len(taker.taken) == 4)
        tasks.cancel_scope.cancel()
    rest = await place.replay(first=taker.taken[-1].seq + 1)
    assert taker.ids + rest.ids == numbers(*range(10))


async def test_a_reader_that_pauses_loses_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than the server keeps a consumer that nobody asks; no more than a page waits in memory."""
    monkeypatch.setattr(reading, "INACTIVE", 0.3)
    monkeypatch.setattr(reading, "PAGE", 3)
    taker = Taker(credit=2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: place.replay(taker))
        await wait_until_async(lambda: len(taker.taken) == 2)
        session = place.site.shipper().link.session
        assert session is not None

        async def no_consumer() -> bool:
            assert session is not None
            return not (await session.api(f"STREAM.INFO.{STREAM}"))["state"]["consumer_count"]

        await wait_until_async(no_consumer, what="the server has taken the consumer away")
        taker.credit = 10**6
    assert taker.ids == numbers(*range(10))


async def test_speed_keeps_the_order_and_the_distances(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far apart as they were stored, divided by the speed; a clock that went back is no reason to wait."""
    now, waits = 1000.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    monkeypatch.setattr(anyio, "current_time", lambda: now)
    monkeypatch.setattr(anyio, "sleep", sleep)
    pace = _Pace(2.0)
    for time in (50_000, 51_000, 51_000, 55_000, 40_000, 56_000):
        await pace.wait(time)
    assert waits == [0.0, 0.5, 0.0, 2.0, 0.0, 0.5]


async def test_as_fast_as_possible_does_not_wait(place: Place) -> None:
    assert (await place.replay(speed=1e6)).ids == numbers(*range(10))


@pytest.mark.parametrize("speed", [0, -1, 1e-9, 1e9, float("nan"), float("inf")])
async def test_impossible_speeds_are_refused(place: Place, speed: float) -> None:
    with pytest.raises(RequestRefused):
        await place.replay(speed=speed)


async def test_events_are_published_again(place: Place, nats_server: NatsServer) -> None:
    """With a header that says where they come from, and without their id: they are no repeats."""
    session = place.site.shipper().link.session
    assert session is not None
    inbound = await session.subscribe("replayed.here", max_messages=100)
    await place.replay(first=2, last=4, to="replayed.here")
    with anyio.fail_after(PATIENCE):
        messages = [await inbound.next_msg(timeout=PATIENCE) for _ in range(3)]
    assert [message.headers for message in messages] == [{ORIGIN: f"{STREAM} {seq}"} for seq in (2, 3, 4)]
    assert [json.loads(message.data)["id"] for message in messages] == numbers(1, 2, 3)


@pytest.mark.parametrize(
    "to",
    ["", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\nb", "a\r\nPUB x 0\r\n", "a\x00b", "a.*", "*", ">", "a.>",
     "$JS.API.STREAM.DELETE.openclaw-events", "$SYS.x", "_INBOX.x", "openclaw.events",
     "openclaw.events.main.x", "openclaw.events.x", "a" * 257],
)  # fmt: skip
async def test_subjects_that_nobody_may_publish_to(place: Place, to: str) -> None:
    """Wildcards and what is no subject; the server's own; and where eventd's events are."""
    with pytest.raises(RequestRefused) as refused:
        await place.replay(to=to)
    assert refused.value.code == "bad_request"


async def test_from_the_index_while_nats_is_away(place: Place, nats_server: NatsServer) -> None:
    """The same stretch, whoever wrote first into the stream; nothing can be published then."""
    await place.site.look()
    place.site.feed_from_now_on()
    await place.site.ship(100, 102)
    await place.site.look()
    whole = await place.replay(agent="*")
    assert len(whole.taken) == 13
    with anyio.fail_after(PATIENCE):
        await anyio.to_thread.run_sync(nats_server.kill)
    await wait_until_async(lambda: place.site.shipper().link.session is None)
    assert [e.seq for e in (await place.replay(agent="*")).taken] == [e.seq for e in whole.taken]
    assert (await place.replay()).taken == (whole.taken[:10])
    times = [event.time for event in whole.taken]
    part = await place.replay(first=3, last=9, since=times[3], until=times[8] + 1)
    assert [event.seq for event in part.taken] == [
        event.seq for event in whole.taken if 3 <= event.seq <= 9 and times[3] <= event.time <= times[8]
    ]
    for wanted in ({"to": "replayed.here"}, {"headers": True}):
        with pytest.raises(NatsError):
            await place.replay(**wanted)
