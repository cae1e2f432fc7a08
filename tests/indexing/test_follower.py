"""What a follower reads, places and leaves alone; the test says when it looks, and what happens meanwhile."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from eventd.errors import NatsError
from eventd.events.identity import IMPORTED
from eventd.index.model import NewEvent
from eventd.indexing import follower as module
from eventd.indexing.coverage import Coverage
from eventd.indexing.follower import Claims
from eventd.outbox.model import Run, Settlement
from eventd.outbox.settings import OutboxSettings
from eventd.outbox.store import Store
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server, StreamKey
from eventd.subjects import subject_of
from indexing.support import DEFAULT_STREAM, PATIENCE, STREAM, Site, default_route, routes_to, site_at
from shipping.support import new_row
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

SUBJECT = "openclaw.events.bob.msg_out"


@pytest.fixture
async def site(nats_server: NatsServer, short_tmp: Path) -> AsyncIterator[Site]:
    async with site_at(short_tmp, routes_to(nats_server.url)) as site:
        yield site


def body(number: int, agent: str = "bob") -> bytes:
    return json.dumps({"id": f"f{number}", "ts": number, "agent": agent, "type": "msg.out"}).encode()


async def settled_and_placed(site: Site, events: int) -> None:
    """Wait until each of the events is in the index once and has its place."""
    with anyio.fail_after(PATIENCE):
        while True:
            await site.look()
            places = await site.places()
            if len(places) == events and all(seq for seq, _ in places):
                break
    assert set(places.values()) == {1}


async def test_what_others_write_is_read_once(site: Site) -> None:
    await site.publish(SUBJECT, *map(body, range(5)))
    await site.look()
    await site.publish(SUBJECT, *map(body, range(5, 8)))
    await site.look()
    await site.look()
    assert await site.places() == Counter((n + 1, f"f{n}") for n in range(8))
    assert (site.follower.position, site.follower.last, site.follower.behind) == (8, 8, 0)


async def test_own_rows_are_placed_without_being_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outbox knows where they stand."""
    site.feed_from_now_on()
    await site.ship(1, 50)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("nobody has to read these")

    monkeypatch.setattr(module, "open_reader", fail)
    await site.look()
    assert await site.places() == Counter((n, str(n)) for n in range(1, 51))


async def test_own_rows_among_those_of_others(site: Site) -> None:
    site.feed_from_now_on()
    for n in range(10):
        await site.ship(10 * n + 1, 10 * n + 3)
        await site.publish(SUBJECT, body(n))
    await settled_and_placed(site, 40)


async def test_what_is_stored_while_a_page_is_read_waits_for_the_next_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be ours and not in the index yet, in which it would then be twice."""
    await site.publish(SUBJECT, *map(body, range(5)))

    async def place_and_ship(_number: int, _created: str, position: int) -> tuple[Coverage, int]:
        await site.ship(1, 30)  # the feed, which does not run, has not taken them
        return Coverage(()), position

    with monkeypatch.context() as patch:
        patch.setattr(site.follower, "_place", place_and_ship)
        await site.look()
    assert set(await site.places()) == {(n + 1, f"f{n}") for n in range(5)}
    site.feed_from_now_on()
    await settled_and_placed(site, 35)


async def test_rows_get_their_places_when_the_index_takes_them_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shipped before the feed had them: their place is not given away before they are there."""
    settled, accepted, place_runs = site.outbox.settled, site.outbox.accepted, site.index.place_runs
    placed = anyio.Event()

    async def ship_before(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(site.outbox, "settled", settled)
        await site.ship(6, 30)
        return await settled(*args, **options)

    async def take_late(**options: Any) -> Any:
        if options["after"] == 5:
            with anyio.move_on_after(1.0):  # a follower that waits for us must not wait for ever
                await placed.wait()
        return await accepted(**options)

    async def note(*args: Any, **options: Any) -> bool:
        result = await place_runs(*args, **options)
        placed.set()
        return result

    monkeypatch.setattr(site.outbox, "settled", ship_before)
    monkeypatch.setattr(site.outbox, "accepted", take_late)
    monkeypatch.setattr(site.index, "place_runs", note)
    site.feed_from_now_on()
    await site.ship(1, 5)
    await site.look()
    await settled_and_placed(site, 30)


async def test_an_imported_event_of_an_older_writer_keeps_its_agent_and_id(site: Site) -> None:
    """Its subject has the token that all agents shared; its message id says whose it was found to be."""
    body = b'{"id":"x","session":"agent:main:main","agent":"agent","type":"msg.out"}'
    await site.publish(
        "openclaw.events.agent.msg_out", body, headers={"Nats-Msg-Id": f"main:{IMPORTED}old-7"}
    )
    await site.look()
    (entry,) = await site.entries()
    assert (entry.agent, entry.event_id, entry.session) == ("main", "import-old-7", "agent:main:main")


@pytest.mark.parametrize("agent", ["main", "ümläut", "a.b", "agent", "events"])
async def test_own_rows_that_are_read_back_are_known(site: Site, agent: str) -> None:
    """Where the outbox does not tell their places any more; by agent, id and bytes."""
    site.feed_from_now_on()
    row = replace(new_row(site.numbers[DEFAULT_ROUTE], 0, agent), subject=subject(agent))
    rows = [replace(row, event_id=str(n), digest=n, body=own_body(n, agent)) for n in range(1, 11)]
    await site.accept_rows(rows)
    with anyio.fail_after(PATIENCE):
        await site.shipper().wait_settled()
        await site.index.wait_taken(site.outbox.last_seq)
    await site.outbox.leave_stream(site.numbers[DEFAULT_ROUTE])
    await site.look()
    entries = await site.entries()
    assert [(entry.seq, entry.event_id, entry.agent) for entry in entries] == [
        (n, str(n), agent) for n in range(1, 11)
    ]


def subject(agent: str) -> str:
    return subject_of("openclaw.events", agent, "conversation.message.out")


def own_body(number: int, agent: str) -> bytes:
    event = {"id": str(number), "timestamp": number, "agent": agent, "type": "conversation.message.out"}
    return json.dumps(event).encode()


DEEP = b'{"type":"x","payload":{"content":' + b"[" * 700 + b"]" * 700 + b"}}"


async def test_a_message_that_nobody_can_read_stops_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out, and said in the log; what comes behind it is read, and it is not tried again."""
    add_stored = site.index.add_stored

    async def add(stream: int, events: Any, position: int, *, generation: int) -> int:
        if any(event.body == b"poison" for event in events):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return await add_stored(stream, events, position, generation=generation)

    monkeypatch.setattr(site.index, "add_stored", add)
    await site.publish(SUBJECT, body(0), b"poison", body(1), b"poison")
    await site.look()
    assert await site.places() == Counter([(1, "f0"), (3, "f1")])
    assert (site.follower.position, site.follower.behind) == (4, 0)


async def test_a_fault_of_ours_ends_neither_the_follower_nor_the_daemon(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a problem that shows, and is tried again."""
    add_stored = site.index.add_stored

    async def add(*_: object, **__: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(module, "INTERVAL", 0.01)
    monkeypatch.setattr(site.index, "add_stored", add)
    await site.publish(SUBJECT, body(0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(site.follower.run)
        await wait_until_async(lambda: site.follower.problem == "boom")
        assert not site.follower.looked
        monkeypatch.setattr(site.index, "add_stored", add_stored)
        await wait_until_async(lambda: site.follower.looked and not site.follower.problem)
        tasks.cancel_scope.cancel()
    assert await site.places() == Counter([(1, "f0")])


@pytest.mark.parametrize(
    "message",
    [b"", b"not json", b"[]", b'"text"', b"\xff\xfe", b'{"type": 7}', b'{"type":"x","id":"\\ud800"}', DEEP,
     b'{"type":"msg.out","ts":1e300,"payload":{"content":"x"}}'],
    ids=["empty", "text", "list", "string", "no utf-8", "type", "surrogate", "deep", "time"],
)  # fmt: skip
async def test_what_others_write_may_be_anything(site: Site, message: bytes) -> None:
    """It is in the index as it is, or left out; what comes behind it is there."""
    await site.publish(SUBJECT, message, body(1))
    await site.look()
    assert (2, "f1") in await site.places()
    assert site.follower.behind == 0


@pytest.mark.parametrize("status", ["404", "409", "100", "x"])
async def test_a_message_that_looks_like_one_of_the_servers(site: Site, status: str) -> None:
    """Headers are the writer's; at the end of the stream and before others."""
    await site.publish(SUBJECT, body(0), headers={"Status": status, "Description": "Consumer Deleted"})
    await site.publish(SUBJECT, body(1))
    await site.publish(SUBJECT, body(2), headers={"Status": status})
    await site.look()
    assert await site.places() == Counter([(1, "f0"), (2, "f1"), (3, "f2")])


async def test_messages_without_an_agent_are_nobodys(site: Site) -> None:
    """Their subject names nobody, so what they claim is not believed."""
    await site.publish("openclaw.events.a.b.c", body(0, "main"))
    await site.look()
    [entry] = await site.entries()
    assert (entry.agent, entry.type, entry.seq) == ("", "", 1)


async def test_a_large_message_is_read(site: Site) -> None:
    large = body(0)[:-1] + b', "payload": {"content": "' + b"x" * 1_000_000 + b'"}}'
    await site.publish(SUBJECT, large, large, body(1))
    await site.look()
    assert len(await site.entries()) == 3


async def test_a_purged_stream_is_followed_behind_the_gap(site: Site, nats_server: NatsServer) -> None:
    await site.publish(SUBJECT, *map(body, range(5)))
    await site.look()
    await anyio.to_thread.run_sync(JetStream(nats_server.url).purge)
    await site.look()
    assert site.follower.behind == 0
    await site.publish(SUBJECT, body(9))
    await site.look()
    assert (6, "f9") in await site.places()


async def test_messages_at_the_end_that_were_deleted_are_no_reason_to_wait(
    site: Site, nats_server: NatsServer
) -> None:
    """Nor to look for them again and again."""
    await site.publish(SUBJECT, *map(body, range(5)))
    for seq in (4, 5):
        await anyio.to_thread.run_sync(JetStream(nats_server.url).delete_message, seq)
    await site.look()
    assert (site.follower.position, site.follower.behind) == (5, 0)


async def test_the_stream_is_gone_and_comes_back(site: Site, nats_server: NatsServer) -> None:
    """Nobody is behind a stream that is not there; the next one is read from its beginning."""
    jetstream = JetStream(nats_server.url)
    await site.publish(SUBJECT, *map(body, range(5)))
    await site.look()
    site.follower.last = 99
    await anyio.to_thread.run_sync(jetstream.delete)
    await site.look()
    assert (site.follower.looked, site.follower.behind) == (True, 0)
    await anyio.to_thread.run_sync(jetstream.make)
    await site.publish(SUBJECT, body(7))
    await site.look()
    assert (1, "f7") in await site.places()
    assert len(site.claims._of) == 1


async def test_the_index_begins_anew(site: Site) -> None:
    """What was seen of the stream before does not count any more."""
    site.feed_from_now_on()
    await site.publish(SUBJECT, *map(body, range(5)))
    await site.ship(1, 5)
    await settled_and_placed(site, 10)
    before = site.follower.looked
    await site.index.rebuild()
    assert (before, site.follower.looked) == (True, False)
    await settled_and_placed(site, 10)


async def test_rows_move_by_a_little(site: Site) -> None:
    """Sent again behind a few events of others, before anybody looked: new and old places overlap."""
    route = site.numbers[DEFAULT_ROUTE]
    site.feed_from_now_on()
    await site.ship(1, 20)
    await site.look()
    # As after a rollback to 10, 3 events of others, and everything shipped again.
    await site.outbox.rewind(route, to=10, stream_seq=10)
    await site.outbox.settle(Settlement(route, 20, (Run(11, 20, 10, 14),)))
    created = (await site.outbox.settled(route, after=0)).created
    number, position = await site.index.stream(DEFAULT_STREAM, created)
    _, moved_back = await site.follower._place(number, created, position)
    assert moved_back < position
    assert (await site.index.stream(DEFAULT_STREAM, created)).position == moved_back  # also after a crash
    expected = [*range(1, 11), *range(14, 24)]
    assert sorted(seq for seq, _ in await site.places()) == expected


async def test_a_run_that_grows_while_the_index_catches_up_still_tells_places(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream was looked at before these rows were in it, so nothing else would give them theirs."""
    await site.ship(1, 5)
    route = site.numbers[DEFAULT_ROUTE]
    waiting = anyio.Event()
    wait_taken = site.index.wait_taken

    async def noting(number: int) -> None:
        waiting.set()
        await wait_taken(number)

    monkeypatch.setattr(site.index, "wait_taken", noting)
    runs: list[Run] = []

    async def settled() -> None:
        runs.extend((await site.follower._settled(route, 0)).runs)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(settled)
            await waiting.wait()
            await site.ship(6, 8)
            assert [(run.first, run.last) for run in await site.outbox.runs(route)] == [(1, 8)]
            site.feed_from_now_on()
    assert [(run.first, run.last, run.count) for run in runs] == [(1, 5, 5)]


async def test_rows_that_were_dropped_before_the_index_took_them_are_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outbox that needs the room drops settled rows, also while the follower waits for the index."""
    await site.ship(*range(1, 11))
    wait_taken = site.index.wait_taken
    waits: list[int] = []

    async def wait(number: int) -> None:
        waits.append(number)
        if len(waits) == 1:  # a moment later there is more
            return
        if len(waits) == 2:
            run_of = site.numbers[DEFAULT_ROUTE]
            (run,) = await site.outbox.runs(run_of)

            def drop(store: Store) -> None:
                store.run("delete_range", (run_of, run.first, run.last))
                store.run("delete_run", (run_of, run.first))

            await site.outbox._write(drop)
            site.feed_from_now_on()
        await wait_taken(number)

    monkeypatch.setattr(site.index, "wait_taken", wait)
    await site.look()
    assert len(waits) == 2
    assert await site.places() == Counter((n, str(n)) for n in range(1, 11))


# Several routes


@pytest.fixture
async def pair(nats_server: NatsServer, short_tmp: Path) -> AsyncIterator[Site]:
    """Two routes on one stream."""
    default = default_route(nats_server.url)
    tim = Route("tim", Server((nats_server.url,)), STREAM, "openclaw.events")
    async with site_at(short_tmp, Routes(default, {"tim": tim}), OutboxSettings(min_free=0)) as site:
        yield site


async def test_a_stream_of_two_routes_is_read_once(pair: Site) -> None:
    """And both know that all of it is there."""
    pair.feed_from_now_on()
    await pair.publish(SUBJECT, *map(body, range(5)))
    for n in range(3):
        await pair.ship(10 * n + 1, 10 * n + 5)
        await pair.ship(10 * n + 1, 10 * n + 5, agent="tim", route="tim")
    for _ in range(2):
        await pair.look()
        await pair.look("tim")
    entries = await pair.entries()
    assert sorted(entry.seq for entry in entries) == list(range(1, 36))
    assert all(follower.looked and not follower.behind for follower in pair.followers.values())


async def test_an_own_row_in_another_stream_than_its_routes_is_known(pair: Site) -> None:
    """As in a wide stream that was there before the agent got one of its own: it is there once."""
    rows = [replace(new_row(pair.numbers["tim"], n, "tim"), body=own_body(n, "tim")) for n in (1, 2)]
    await pair.accept_rows(rows)
    number, _ = await pair.index.stream(StreamKey(DEFAULT_ROUTE, "events-tim"), "")
    accepted = await pair.outbox.accepted(after=0, limit=10, max_bytes=10**6)
    await pair.index.add_accepted(
        [
            (
                number,
                row.route,
                NewEvent(None, row.seq, row.agent, row.subject, row.accepted_at, row.event_id, row.body),
            )
            for row in accepted.rows
        ],
        accepted.upto,
    )
    with anyio.fail_after(PATIENCE):
        await pair.shipper("tim").wait_settled()
    await pair.look()
    entries = await pair.entries()
    assert [(entry.stream, entry.seq, entry.event_id) for entry in entries] == [
        (STREAM, 1, "1"),
        (STREAM, 2, "2"),
    ]


async def test_another_follower_takes_over(pair: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one that cannot read the stream any more."""
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    await pair.look("tim")
    first, second = pair.followers["tim"], pair.follower

    async def fail(_session: object) -> None:
        raise NatsError("not for you")

    monkeypatch.setattr(first, "_look", fail)
    await pair.publish(SUBJECT, body(0))
    await pair.look()
    assert second.position == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.run)
        tasks.start_soon(second.run)
        await wait_until_async(lambda: second.position == 1)
        tasks.cancel_scope.cancel()
    assert first.problem == "not for you"


async def test_another_follower_takes_over_without_a_connection(
    pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it followed is not held while its own route cannot be reached."""
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    await pair.look("tim")
    await pair.publish(SUBJECT, body(0))
    second = pair.follower
    async with anyio.create_task_group() as tasks:
        monkeypatch.setattr(pair.shipper("tim").link, "_session", None)
        tasks.start_soon(pair.followers["tim"].run)
        tasks.start_soon(second.run)
        await wait_until_async(lambda: second.position == 1)
        tasks.cancel_scope.cancel()


def test_a_claim_ends_with_the_next_one() -> None:
    """Whoever goes to another stream leaves the one before to others."""
    claims = Claims()
    wide, own = StreamKey(DEFAULT_ROUTE, "wide"), StreamKey(DEFAULT_ROUTE, "own")
    assert claims.take(wide, "1", "a")
    assert not claims.take(wide, "1", "b")
    assert claims.take(own, "2", "a")
    assert claims.take(wide, "1", "b")
    for created in map(str, range(1000)):
        assert claims.take(own, created, "a")
    assert len(claims._of) == 2
    claims.release("a")
    claims.release("b")
    assert not claims._of
