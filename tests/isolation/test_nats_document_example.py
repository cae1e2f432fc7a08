"""The document's own "secure config": the same attacks find its leaks, so they bite."""

from collections.abc import AsyncIterator, Callable

import pytest

from support.jetstream import JetStream
from support.nats import NatsServer

from .attacks import ATTACKS, Scene, run, scene_of
from .parties import Party
from .work import do_own_work

pytestmark = pytest.mark.anyio

SECURE_CONFIG = """
accounts {
AGENTS: {
jetstream: enabled
users: [
{ user: main, password: "xxx", permissions: { publish: [">"], subscribe: [">"] } },
{ user: agent1, password: "xxx", permissions: {
publish: ["openclaw.events.agent1.>", "$JS.API.>", "_INBOX.>"],
subscribe: ["openclaw.events.agent1.>", "_INBOX.>", "$JS.API.>"]
}}
{ user: agent2, password: "xxx", permissions: {
publish: ["openclaw.events.agent2.>", "$JS.API.>", "_INBOX.>"],
subscribe: ["openclaw.events.agent2.>", "_INBOX.>", "$JS.API.>"]
}}
]
}
}
"""
"""As it stands there, and a second agent in the very same words."""

HELD = {
    "listen_to_events",
    "listen_to_everything",
    "listen_to_acks_and_flow_control",
    "publish_as_the_neighbour",
    "let_a_trace_be_published",
    # By the server itself, whatever is permitted.
    "read_by_a_consumer_of_ones_own_that_names_the_other_stream",
    "take_the_subjects_with_a_stream_of_ones_own",
    "purge_by_an_answer",
    "delete_by_an_answer",
}
"""What is denied in spite of `$JS.API.>` and `_INBOX.>`; all else succeeds."""


def party(agent: str) -> Party:
    """Return an agent as the document has it."""
    return Party(f"events-{agent}", f"openclaw.events.{agent}", "_INBOX", {"user": agent, "password": "xxx"})


@pytest.fixture
def server(nats_factory: Callable[..., NatsServer]) -> NatsServer:
    """A server of its own for each attack, since many of them destroy something; `main` makes the streams."""
    server = nats_factory(config=SECURE_CONFIG)
    for agent in ("agent1", "agent2"):
        own = party(agent)
        JetStream(server.url, **party("main").login).make(own.stream, f"{own.subject}.>", allow_direct=True)
    return server


@pytest.fixture
async def scene(server: NatsServer) -> AsyncIterator[Scene]:
    """The one agent, and the other one at work."""
    async with scene_of(server.url, party("agent1"), party("agent2")) as between:
        await between.neighbour_works()
        yield between


@pytest.mark.parametrize("name", ATTACKS)
async def test_the_example_leaks(scene: Scene, name: str) -> None:
    got = await run(ATTACKS[name], scene)
    assert (got is None) == (name in HELD), got


async def test_own_work_goes_on(scene: Scene) -> None:
    await do_own_work(scene.mine)
