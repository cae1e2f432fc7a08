"""A stream that starts to refuse in the middle: the route stalls, says so, and goes on in order."""

from collections.abc import Callable

import pytest

from support.daemon import DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape
from support.nats import NatsServer
from support.oracle import check

pytestmark = pytest.mark.faults

STEADILY = Shape(pause=0.02)
BATCHES = pytest.mark.parametrize("batches", [True, False], ids=["batches", "pipeline"])


def users(publish: str) -> str:
    """Return the broker's configuration with one user that may publish only so."""
    return f"""
    authorization {{ users: [ {{ user: agents, password: right, permissions: {{
        publish: [{publish}], subscribe: ["_INBOX.>", "_INBOX_eventd.>", ">"] }} }} ] }}
    """


@BATCHES
def test_a_full_stream_that_discards_new_messages_stalls_its_route(
    daemon_factory: DaemonFactory, nats_server: NatsServer, jetstream: JetStream, batches: bool
) -> None:
    """Its limit falls into the middle of a batch or pipeline; what stands behind it waits."""
    jetstream.make(allow_atomic=batches, max_bytes=60_000, discard="new")
    daemon = daemon_factory(nats_server.url)
    with Load(daemon.socket, shape=STEADILY) as load:
        trouble = daemon.wait_for(lambda status: status["health"]["state"] != "ok", what="it is full")
        assert "maximum bytes exceeded" in str(trouble["health"]["reasons"])
        load.wait_acked(200)  # agents do not notice
        check_prefix(load, jetstream)
        jetstream.edit(max_bytes=-1)
        daemon.wait_for(lambda status: status["health"]["state"] == "ok", what="it has room again")
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


@BATCHES
def test_a_permission_that_is_taken_away_stalls_its_route(
    daemon_factory: DaemonFactory, nats_factory: Callable[..., NatsServer], batches: bool
) -> None:
    """The broker answers a denied publish with silence; status names the permission all the same."""
    server = nats_factory(config=users('">"'))
    jetstream = JetStream(server.url, user="agents", password="right")
    jetstream.make(allow_atomic=batches)
    daemon = daemon_factory(server.url, user="agents", password="right")
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(100)
        server.reload(users('"$JS.API.>", "_INBOX.>"'))
        trouble = daemon.wait_troubled()
        assert "openclaw.events." in str(trouble["health"]["reasons"])
        server.reload(users('">"'))
        daemon.wait_for(lambda status: status["health"]["state"] == "ok", what="it may publish again")
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


def check_prefix(load: Load, jetstream: JetStream) -> None:
    """What was stored so far is the beginning of what was accepted, without a gap."""
    stored = jetstream.read()
    for agent, acked in load.acked.items():
        theirs = [message.id for message in stored if message.agent == agent]
        assert theirs == acked[: len(theirs)]
