"""One account with least privilege, as `eventd nats-config --mode users` makes it.

All is denied but what the server cannot deny: to add to a neighbour's stream by a reply subject. What was
added that way lacks the proof of origin.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.to_thread
import pytest

from eventd.access.scopes import EVERYBODY
from eventd.jetstream.headers import EXPECTED_STREAM, parse_headers
from eventd.routes import DEFAULT_ROUTE
from eventd_ipc.blocking import connect as connect_as
from support.oracle import check

from .attacks import ATTACKS, FORGED, Scene, inject, run, scene_of
from .parties import connect
from .servers import Made, made
from .work import do_own_work, let_everybody_work

pytestmark = pytest.mark.anyio

ALICE, BOB, CAROL = "alice", "bob.smith", "carol"  # Carol has no entry
AGENTS = [ALICE, BOB, CAROL, "main"]
SETTINGS: dict[str, Any] = {"agents": {ALICE: {}, BOB: {}}}


@pytest.fixture(scope="module", params=["nkey", "password"])
def users(request: pytest.FixtureRequest) -> Iterator[Made]:
    """The server, with the streams that the printed command makes."""
    options = ["--mode", "users", "--login", request.param, "--agent", CAROL]
    with made(SETTINGS, *options) as server:
        server.make_streams(CAROL)
        yield server


@pytest.fixture(scope="module")
def acked(users: Made) -> dict[str, list[str]]:
    """What agents have stored through the daemon, under exactly these permissions; it is stopped again."""
    with users.daemon() as daemon:
        return let_everybody_work(daemon, AGENTS)


@pytest.fixture
async def scene(users: Made, acked: object) -> AsyncIterator[Scene]:
    """Alice, and her neighbour Bob at work."""
    async with scene_of(users.server.url, users.party(ALICE), users.party(BOB)) as between:
        yield between


def test_every_event_is_in_exactly_one_stream_and_names_it(users: Made, acked: dict[str, list[str]]) -> None:
    """The default stream lists its agents, so the others' streams have room below its prefix."""
    streams = users.administrator()
    for owner, agents in ((ALICE, [ALICE]), (BOB, [BOB]), (DEFAULT_ROUTE, [CAROL, "main"])):
        stream = users.party(owner).stream
        stored = streams.read(stream)
        check({agent: acked[agent] for agent in agents}, stored)
        assert {message.headers[EXPECTED_STREAM] for message in stored} == {stream}


def test_the_streams_are_nobodys_to_change_and_fit_for_batches(users: Made, acked: object) -> None:
    """They carry no mark of eventd's, so that the daemon never tries what it may not do."""
    for agent in (ALICE, BOB, DEFAULT_ROUTE):
        config = users.administrator().info(users.party(agent).stream)["config"]
        assert "eventd" not in config["metadata"]
        assert config["allow_atomic"]
        assert config["allow_msg_ttl"]


def test_making_the_streams_again_changes_nothing(users: Made, acked: object) -> None:
    lines = users.make_streams(CAROL).splitlines()
    assert len(lines) == 3
    assert all(line.endswith("is as it should be") for line in lines)


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_denied(scene: Scene, name: str) -> None:
    await scene.neighbour_works()
    assert await run(ATTACKS[name], scene) is None
    await scene.neighbour_works()


@pytest.mark.parametrize("way", ["ack", "pull", "push"])
async def test_a_reply_subject_adds_to_the_neighbours_stream_without_the_proof(
    scene: Scene, way: str
) -> None:
    """The documented limit of one account, as of nats-server 2.15; an index can tell such a message."""
    added = await inject(scene, way)
    assert added
    assert (base64.b64decode(added[0]["data"]) == FORGED) == (way != "ack")
    for message in added:
        assert EXPECTED_STREAM not in parse_headers(base64.b64decode(message.get("hdrs", "")))


async def test_the_index_takes_nothing_that_was_injected_for_the_neighbours(
    users: Made, scene: Scene
) -> None:
    """Whatever way it came and is asked for; the administrator finds it as nobody's."""
    injected: set[bytes] = set()
    for way in ("ack", "pull", "push"):
        injected |= {base64.b64decode(message["data"]) for message in await inject(scene, way)}
    assert len(injected) > 1

    def look() -> None:
        stream = users.party(BOB).stream
        with users.daemon() as daemon, connect_as(BOB, socket=daemon.socket) as client:
            daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="all is indexed")
            assert injected <= {event.body for event in client.query(agent=EVERYBODY)}
            for events in (
                client.query(),
                client.query(agent=BOB),
                client.tail(last=1000, agent=BOB),
                client.tail(last=1000, agent=BOB, stream=stream),
                client.replay(agent=BOB),
            ):
                assert injected.isdisjoint(event.body for event in events)
            assert client.recall("not by the neighbour", agent=BOB)["hits"] == []
            assert "by the neighbour" not in client.context(agent=BOB)["text"]

    await anyio.to_thread.run_sync(look)


@pytest.mark.parametrize("agent", [ALICE, BOB, DEFAULT_ROUTE])
async def test_own_work_goes_on(users: Made, acked: object, agent: str) -> None:
    connection = await connect(users.server.url, users.party(agent))
    await do_own_work(connection)
    assert connection.errors == []
    await connection.client.close()


def test_the_daemon_works_in_a_jetstream_domain() -> None:
    """Then the subjects of the API are others, for the daemon and for the administrator."""
    settings = {"url": "nats://localhost", "jsDomain": "hub", "agents": {ALICE: {}}}
    with made(settings, "--mode", "users") as users:
        assert "made" in users.make_streams()
        with users.daemon() as daemon:
            let_everybody_work(daemon, [ALICE, "main"])
