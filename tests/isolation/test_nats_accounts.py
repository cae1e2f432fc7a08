"""An account for each agent, as `eventd nats-config` makes it: attacks are denied, own work goes on."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from eventd.routes import DEFAULT_ROUTE
from support.oracle import check

from .attacks import ATTACKS, Scene, inject, run, scene_of
from .parties import connect
from .servers import Made, made
from .work import do_own_work, let_everybody_work

pytestmark = pytest.mark.anyio

ALICE, BOB = "alice", "bob.smith"
AGENTS = [ALICE, BOB, "main"]
SETTINGS: dict[str, Any] = {"agents": {ALICE: {}, BOB: {}}}


@pytest.fixture(scope="module", params=["nkey", "password"])
def accounts(request: pytest.FixtureRequest) -> Iterator[Made]:
    """The server."""
    with made(SETTINGS, "--login", request.param) as server:
        yield server


@pytest.fixture(scope="module")
def acked(accounts: Made) -> dict[str, list[str]]:
    """What agents have stored through the daemon, which made the streams; it is stopped again."""
    with accounts.daemon() as daemon:
        return let_everybody_work(daemon, AGENTS)


@pytest.fixture
async def scene(accounts: Made, acked: object) -> AsyncIterator[Scene]:
    """Alice, and her neighbour Bob at work."""
    async with scene_of(accounts.server.url, accounts.party(ALICE), accounts.party(BOB)) as between:
        yield between


def test_every_event_is_in_the_stream_of_its_agent_alone(accounts: Made, acked: dict[str, list[str]]) -> None:
    """The subjects overlap, and in accounts of their own nothing comes of it."""
    for agent in (ALICE, BOB):
        check({agent: acked[agent]}, accounts.streams(agent).read(accounts.party(agent).stream))
    check({"main": acked["main"]}, accounts.streams().read(accounts.party().stream))


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_denied(scene: Scene, name: str) -> None:
    await scene.neighbour_works()
    assert await run(ATTACKS[name], scene) is None
    await scene.neighbour_works()


@pytest.mark.parametrize("way", ["ack", "pull", "push"])
async def test_a_reply_subject_reaches_nobody_else(scene: Scene, way: str) -> None:
    """What can be added to another's stream in one account cannot be in two."""
    assert await inject(scene, way) == []


@pytest.mark.parametrize("agent", [ALICE, BOB, DEFAULT_ROUTE])
async def test_own_work_goes_on(accounts: Made, acked: object, agent: str) -> None:
    connection = await connect(accounts.server.url, accounts.party(agent))
    await do_own_work(connection)
    assert connection.errors == []
    await connection.client.close()
