"""Streams in a real cluster: where they lie, who is believed about them, and reading where one lags."""

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from eventd.errors import NatsError
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.leader import LeaderChanged, request_of_leader
from eventd.jetstream.provision import make_streams
from eventd.jetstream.reading import get_message, last_message, open_reader
from eventd.jetstream.replicas import HEARD, NANOSECONDS, NoLeader, NoQuorum, Replicas
from eventd.jetstream.session import Session, open_session
from eventd.jetstream.stream import Stream
from eventd.jetstream.streams import (
    StreamUnfit,
    Subjects,
    ensure_stream,
    is_older,
    stream_info,
)
from eventd.routes import DEFAULT_ROUTE, Placement, Route, Server, StreamSettings
from support.cluster import Cluster, frozen
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NOW = "2026-08-21T12:00:10.987654321Z"
SERVER = Server(("nats://unused",))
LAGGING = 3000  # messages that a follower has to catch up on; enough that it is not done at once
READERS = 9  # each lies on one of three servers by chance


def route(name: str, replicas: int = 3, placement: Placement | None = None, *, manage: bool = False) -> Route:
    settings = StreamSettings(replicas=replicas, placement=placement, manage=manage)
    return Route(DEFAULT_ROUTE, SERVER, name, name, settings)


async def ensured(session: Session, wanted: Route) -> Stream:
    stream = await ensure_stream(session, wanted, Subjects(f"{wanted.prefix}.>"))
    assert stream is not None
    return stream


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def session(cluster: Cluster) -> AsyncIterator[Session]:
    async with open_session(Endpoint(tuple(cluster.urls)), "test") as session:
        yield session


async def holders(session: Session, stream: str, count: int) -> set[str]:
    """Return the names of the servers that hold a stream, once they are so many."""

    async def told() -> set[str] | None:
        replicas = Replicas.of(await stream_info(session, stream))
        names = {replicas.leader, *(f.name for f in replicas.followers)} - {""}
        return names if replicas.leader and len(names) == count else None

    found: set[str] = await wait_until_async(told, 60.0, what=f"{count} replicas of {stream}")
    return found


def info(
    leader: str, *silent: float | None, offline: bool = False, since: str | None = None
) -> dict[str, Any]:
    """A description of a stream whose followers were silent for so long; None: never heard."""
    replicas = [
        {"name": f"f{number}"} | ({} if s is None else {"current": True, "active": int(s * NANOSECONDS)})
        for number, s in enumerate(silent)
    ]
    cluster = {"leader": leader, "replicas": [r | {"offline": offline} for r in replicas]}
    return {"ts": NOW, "cluster": cluster | ({"leader_since": since} if since else {})}


@pytest.mark.parametrize(
    ("told", "stores", "surely_leads"),
    [
        ({}, True, True),
        (info("n"), True, True),
        (info("n", 0.5, 0.5), True, True),
        (info("n", 0.5, 99), True, True),
        (info("n", HEARD + 1, 99), True, False),
        (info("n", 99, 99), False, False),
        (info("n", None, None), True, False),
        (info("n", None, None, since="2026-08-21T12:00:09.123456789Z"), True, True),
        (info("n", None, None, since="2026-08-21T12:00:06Z"), True, False),
        (info("n", None, None, since="2026-08-21T12:00:00Z"), False, False),
        (info("n", None, 0.5, since="2026-08-21T12:00:00Z"), True, True),
        (info("n", None, None, offline=True), False, False),
        (info("n", 0.5), True, True),
        (info("n", 99), False, False),
        (info("", 0.5, 0.5, 0.5), False, False),
    ],
)
def test_a_leader_is_believed_while_a_majority_is_there(
    told: dict[str, Any], stores: bool, surely_leads: bool
) -> None:
    """A lone server always is. Who was elected just now had a majority then, though it has heard nobody."""
    replicas = Replicas.of(told)
    expected = NoQuorum if replicas.leader else NoLeader
    for look, well in ((replicas.check, stores), (replicas.confirm, surely_leads)):
        with nullcontext() if well else pytest.raises(expected):
            look("s")


async def test_an_administrator_is_told_that_a_stream_fits_nowhere(session: Session) -> None:
    """As the daemon tells it in status."""
    with pytest.raises(NatsError, match="nowhere cannot have 4 replicas: no suitable peers") as told:
        _ = [done async for done in make_streams(session, [(route("nowhere", 4), ["nowhere.>"])])]
    assert "lower stream.replicas" in told.value.hint


async def test_a_stream_is_made_where_it_is_wanted(cluster: Cluster, session: Session) -> None:
    stream = await ensured(session, route("placed", 1, Placement(cluster.name, ("node:2",))))
    assert stream.config["placement"] == {"cluster": cluster.name, "tags": ["node:2"]}
    assert (stream.replicas.leader, stream.replicas.count) == ("n2", 1)
    assert (stream.unplaced, stream.notes) == (False, [])


async def test_a_stream_is_moved_and_grows_one_after_the_other(session: Session) -> None:
    """JetStream refuses both at once; each look goes a step further."""
    await ensured(session, route("moves", 1, Placement(tags=("node:1",))))
    await session.request("moves.a", b"{}")
    wanted = route("moves", 2, Placement(tags=("!node:1",)))
    stream = await ensured(session, wanted)
    assert stream.unplaced
    assert "one follows the other" in stream.notes[0]

    async def placed() -> bool:
        return not (await ensured(session, wanted)).unplaced

    await wait_until_async(placed, 60.0, what="it may be moved")
    assert await holders(session, "moves", 2) == {"n2", "n3"}
    assert (await stream_info(session, "moves"))["state"]["messages"] == 1


async def test_a_stream_that_fits_nowhere_is_not_made_with_less(session: Session) -> None:
    """What is accepted stays in the outbox; to store it once where three times were asked for is no help."""
    with pytest.raises(
        StreamUnfit, match=r"with 3 replicas on servers with the tags x: .*not matched"
    ) as told:
        await ensured(session, route("nowhere", 3, Placement(tags=("x",))))
    assert "lower stream.replicas" in told.value.hint
    with pytest.raises(StreamUnfit, match="4 replicas: no suitable peers"):
        await ensured(session, route("nowhere", 4))


async def test_a_stream_that_cannot_be_moved_goes_on_where_it_is(session: Session) -> None:
    """The note says why and what to do; its other settings follow the configuration."""
    await ensured(session, route("stays", 1))
    wanted = route("stays", 5)
    stream = await ensured(session, replace(wanted, settings=replace(wanted.settings, max_age=3600)))
    assert stream.unplaced
    assert (stream.config["num_replicas"], stream.config["max_age"]) == (1, 3600 * NANOSECONDS)
    (note,) = stream.notes
    assert "cannot have 5 replicas now: no suitable peers" in note
    assert "it has 1" in note
    assert "lower stream.replicas" in note


async def test_a_stream_grows_to_the_replicas_that_are_configured(session: Session) -> None:
    await ensured(session, route("grows", 1))
    await session.request("grows.a", b"one")
    stream = await ensured(session, route("grows", 3))
    assert (stream.config["num_replicas"], stream.unplaced) == (3, False)
    assert await holders(session, "grows", 3) == {"n1", "n2", "n3"}
    assert not await is_older(session, stream, 1)
    assert stream.replicas.count == 3
    assert await is_older(session, stream, 2)


async def test_somebody_elses_stream_with_fewer_replicas_is_noted(cluster: Cluster, session: Session) -> None:
    await run_sync(cluster.jetstream().make, "theirs", "theirs.>")
    stream = await ensured(session, route("theirs", 3))
    assert stream.config["num_replicas"] == 1
    assert any("nats stream edit theirs --replicas 3`, or manageStream" in note for note in stream.notes)
    assert (await ensured(session, route("theirs", 3, manage=True))).config["num_replicas"] == 3


async def test_a_server_without_a_cluster_is_told_apart(nats_server: NatsServer) -> None:
    """The remedy is another one there."""
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        with pytest.raises(StreamUnfit, match="10074") as told:
            await ensured(session, route("alone", 3))
        assert "this server is not in a cluster" in told.value.hint
        await ensured(session, route("alone", 1))
        stream = await ensured(session, route("alone", 3))
        assert stream.unplaced
        assert "this server is not in a cluster" in stream.notes[0]


async def test_a_reader_on_a_server_that_lags_waits_for_what_the_leader_has(
    cluster: Cluster, session: Session
) -> None:
    """To take what is not there yet for lost would publish it again, or leave it out of the index."""
    stream = await ensured(session, route("lags", 3))
    (late, *_) = [
        node for node in cluster.nodes if node.name != stream.replicas.leader and node.url != session.url
    ]
    with frozen(late):
        for number in range(LAGGING):
            await session.publish(f"lags.{number % 2}", b"x" * 500)
        while await get_message(session, "lags", LAGGING) is None:
            await anyio.sleep(0.01)
    counts: list[int] = []

    async def read(subjects: tuple[str, ...]) -> None:
        async with open_reader(session, "lags", subjects=subjects, headers_only=True) as reader:
            count = 0
            while page := await reader.page():
                count += len(page)
        counts.append(count * 2 if subjects else count)

    async with anyio.create_task_group() as group:
        for number in range(READERS):
            group.start_soon(read, ("lags.1",) if number % 3 == 0 else ())
    assert counts == [LAGGING] * READERS


async def test_a_reader_waits_for_nothing_that_is_not_for_it(cluster: Cluster, session: Session) -> None:
    """Nor for what was there before it begins, or is deleted."""
    await ensured(session, route("ends", 3))
    for subject in ("ends.a", "ends.b", "ends.b"):
        await session.request(subject, b"{}")
    last = await last_message(session, "ends", "ends.a")
    assert last is not None
    assert last.seq == 1
    assert await last_message(session, "ends", "ends.c") is None
    with anyio.fail_after(5):
        async with open_reader(session, "ends", start_seq=4) as reader:
            assert await reader.page() == []
        async with open_reader(session, "ends", subjects=["ends.a", "ends.c"]) as reader:
            assert [message.seq for message in await reader.page()] == [1]
            assert await reader.page() == []
        async with open_reader(session, "ends", start_time=last.time + 3_600_000) as reader:
            assert await reader.page() == []


async def test_an_ack_of_a_leader_that_is_gone_is_not_waited_for(cluster: Cluster, session: Session) -> None:
    """Nobody says that it will not come; the new leader tells."""
    stream = await ensured(session, route("changes", 3))
    silent = await session.subscribe("nobody.answers", max_messages=10)
    async with anyio.create_task_group() as group:
        group.start_soon(run_sync, partial(cluster.jetstream().api, "STREAM.LEADER.STEPDOWN.changes"))
        with pytest.raises(LeaderChanged, match="changes has elected another leader"):
            await request_of_leader(session, stream, "nobody.answers", b"", {}, 60.0)
    await silent.unsubscribe()
