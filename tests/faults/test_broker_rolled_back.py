"""G2, G3 when the broker comes back without its last acknowledged writes, or without the whole stream.

A publish ack is no proof of disk. Everything that is still retained goes back into the stream, each
event once and in order; what is not retained any more is counted in status.
"""

import random
import time
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import STREAM, JetStream, Stored
from support.load import Load, emit
from support.nats import NatsServer
from support.oracle import check
from support.proxy import Proxy
from support.rounds import ROLLBACKS

pytestmark = pytest.mark.faults

WINDOW = 1.0  # seconds for which the stream remembers ids


def copy_of(server: NatsServer, folder: Path) -> Path:
    """Copy the broker's store as it is now."""
    server.pause()
    try:
        return server.copy_store(folder)
    finally:
        server.resume()


def roll_back(server: NatsServer, copy: Path) -> None:
    """Let the broker come back with an older copy of its store."""
    server.kill()
    server.restore_store(copy)
    server.start()


def ours(stored: list[Stored], *agents: str) -> list[Stored]:
    """Leave out what other writers stored."""
    return [message for message in stored if message.agent in agents]


def wait_repaired(daemon: Daemon, repairs: int = 1) -> None:
    daemon.wait_for(lambda status: status["routes"][0]["repairs"] >= repairs, what="the rollback is found")
    daemon.wait_shipped()


@pytest.mark.parametrize("window", ["2m", f"{WINDOW}s"], ids=["within the window", "beyond the window"])
def test_the_broker_comes_back_without_its_last_writes(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, short_tmp: Path, window: str
) -> None:
    daemon = daemon_factory(nats_server.url, stream={"duplicateWindow": window})
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    for first in (51, 61, 71):  # several runs are lost
        acked += emit(daemon.socket, "main", range(first, first + 10))
        daemon.wait_shipped()
    if window != "2m":
        time.sleep(WINDOW * 2)  # the broker forgets the ids; nothing shows it
    roll_back(nats_server, copy)
    acked += emit(daemon.socket, "main", range(81, 91))
    wait_repaired(daemon)
    check({"main": acked}, jetstream.read())
    assert daemon.route()["lost_by_server"] == 0


def test_another_writer_fills_the_gap_before_we_are_back(
    nats_server: NatsServer,
    proxy: Proxy,
    daemon_factory: DaemonFactory,
    jetstream: JetStream,
    short_tmp: Path,
) -> None:
    """The last sequence is not lower than ours then; another message at our sequence gives it away."""
    daemon = daemon_factory(proxy.url)
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    acked += emit(daemon.socket, "main", range(51, 81))
    daemon.wait_shipped()
    proxy.refuse()
    proxy.cut()
    roll_back(nats_server, copy)
    jetstream.publish("openclaw.events.foreign.custom", count=60)
    acked += emit(daemon.socket, "main", range(81, 91))
    proxy.resume()
    wait_repaired(daemon)
    stored = jetstream.read()
    check({"main": acked}, ours(stored, "main"))
    assert len(ours(stored, "foreign")) == 60


def test_the_broker_is_rolled_back_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, short_tmp: Path
) -> None:
    """Again and again, a repair that is not finished yet included."""
    with Load(daemon.socket) as load:
        for number in range(ROLLBACKS):
            load.wait_acked(random.randint(50, 300))
            copy = copy_of(nats_server, short_tmp / f"copy{number}")
            load.wait_acked(random.randint(100, 600))
            roll_back(nats_server, copy)
        acked = load.finish()
    daemon.wait_shipped()
    check(acked, jetstream.read())


def test_it_is_rolled_back_twice_to_the_same_copy(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, short_tmp: Path
) -> None:
    """Rows that were shipped twice are still retained for the next time."""
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    for again in (1, 2):
        acked += emit(daemon.socket, "main", range(again * 100, again * 100 + 30))
        daemon.wait_shipped()
        roll_back(nats_server, copy)
        wait_repaired(daemon, again)
        check({"main": acked}, jetstream.read())


def test_it_is_rolled_back_while_the_daemon_is_down(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, short_tmp: Path
) -> None:
    """A power cut takes both; the one that syncs knows better."""
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    acked += emit(daemon.socket, "main", range(51, 81))
    daemon.wait_shipped()
    daemon.kill()
    roll_back(nats_server, copy)
    wait_repaired(daemon.start())
    check({"main": acked}, jetstream.read())


@pytest.mark.parametrize("made", ["by nobody", "by the operator", "with our settings"])
def test_the_stream_is_deleted_and_made_anew(daemon: Daemon, jetstream: JetStream, made: str) -> None:
    """While the connection stays: all that is retained comes back, before anything newer."""
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    config = jetstream.info()["config"]
    jetstream.delete()
    if made == "by the operator":
        jetstream.make()
    elif made == "with our settings":
        jetstream.api(f"STREAM.CREATE.{STREAM}", config)
    acked += emit(daemon.socket, "main", range(51, 61))
    daemon.wait_shipped()
    check({"main": acked}, jetstream.read())
    assert daemon.route()["repairs"] == 1


def test_a_rollback_that_is_deeper_than_what_is_retained_is_counted(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, short_tmp: Path
) -> None:
    """Retained rows come back; how many may be gone for good is in status, and it is not well."""
    daemon = daemon_factory(nats_server.url, outbox={"retain": "1s"})
    kept = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    emit(daemon.socket, "main", range(51, 81))
    daemon.wait_for(
        lambda status: not status["outbox"]["rows"] and not status["outbox"]["retained_rows"],
        what="nothing is retained any more",
    )
    roll_back(nats_server, copy)
    kept += emit(daemon.socket, "main", range(81, 91))
    wait_repaired(daemon)
    check({"main": kept}, jetstream.read())
    assert daemon.route()["lost_by_server"] == 30
    assert daemon.health() == "degraded"
