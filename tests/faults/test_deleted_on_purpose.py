"""What was deleted, by age, purge or by hand, never comes back: that is no rollback."""

from collections.abc import Callable

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import emit
from support.nats import NatsServer
from support.oracle import check
from support.waiting import wait_until

pytestmark = pytest.mark.faults

BEFORE = range(1, 101)


def purge(jetstream: JetStream) -> set[int]:
    """Purge; return the sequences that are left."""
    jetstream.purge()
    return set()


def delete_newest(jetstream: JetStream) -> set[int]:
    """Delete the newest messages by hand; return the sequences that are left."""
    for seq in (100, 99, 98):
        jetstream.delete_message(seq)
    return set(range(1, 98))


def delete_some(jetstream: JetStream) -> set[int]:
    """Delete messages here and there; return the sequences that are left."""
    for seq in (1, 50, 51, 75):
        jetstream.delete_message(seq)
    return set(BEFORE) - {1, 50, 51, 75}


@pytest.mark.parametrize("delete", [purge, delete_newest, delete_some])
def test_what_an_operator_deletes_stays_away(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, delete: Callable[[JetStream], set[int]]
) -> None:
    """Over reconnects and restarts of either side, and while new events come."""
    for n in range(10):
        emit(daemon.socket, "main", BEFORE[n * 10 : n * 10 + 10])
    daemon.wait_shipped()
    left = [f"main-{seq:06d}" for seq in sorted(delete(jetstream))]
    nats_server.restart(kill=True)
    left += emit(daemon.socket, "main", range(101, 111))
    daemon.wait_shipped()
    daemon.restart(kill=True)
    left += emit(daemon.socket, "main", range(111, 121))
    daemon.wait_shipped()
    nats_server.restart()
    daemon.restart()
    left += emit(daemon.socket, "main", range(121, 131))
    daemon.wait_shipped()
    check({"main": left}, jetstream.read())
    assert daemon.route()["repairs"] == 0


def test_what_has_aged_out_stays_away(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """The stream is empty, but its sequence says that it had been there."""
    daemon = daemon_factory(nats_server.url, stream={"maxAge": "1s", "duplicateWindow": "500ms"})
    emit(daemon.socket, "main", BEFORE)
    daemon.wait_shipped()
    wait_until(lambda: jetstream.info()["state"]["messages"] == 0, what="all have aged out")
    nats_server.restart(kill=True)
    daemon.restart(kill=True)
    nats_server.restart()
    emit(daemon.socket, "main", range(101, 111))
    daemon.wait_shipped()
    assert jetstream.last_seq() == 110
    assert daemon.route()["repairs"] == 0
