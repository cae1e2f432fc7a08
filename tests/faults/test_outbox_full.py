"""G4 with a full outbox: a typed refusal while NATS is away, and intake that resumes by itself."""

import pytest

from support.daemon import DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape
from support.nats import NatsServer
from support.oracle import check

pytestmark = pytest.mark.faults


def test_a_full_outbox_refuses_until_events_are_shipped(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """Whole emits are refused, none in part; retained rows do not count."""
    daemon = daemon_factory(nats_server.url, outbox={"maxBytes": "1MiB"})
    with Load(daemon.socket, shape=Shape(window=1, events=20, size=500)) as load:
        for _ in range(2):
            load.wait_acked(200)
            nats_server.kill()
            load.wait_refused("outbox_full")
            assert daemon.health() == "failing"
            daemon.restart(kill=True)
            load.wait_refused("outbox_full")
            nats_server.start()
            daemon.wait_for(lambda status: status["health"]["state"] == "ok", what="it takes events again")
            load.wait_acked(200)
        acked = load.finish()
    assert set(load.refused) == {"outbox_full"}
    daemon.wait_healed()
    check(acked, jetstream.read())
