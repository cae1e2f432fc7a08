"""G4 on a full disk: a typed refusal, shipping goes on, intake resumes by itself, nothing acked is lost."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.disks import MIB, fill
from support.jetstream import JetStream
from support.load import Load, Shape
from support.nats import NatsServer
from support.oracle import check
from support.rounds import DISK_FILLS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a tmpfs"),
]

ORDERLY = Shape(window=1, events=20, size=500)  # refusals and restarts may meet, see `support.load`

STEADILY = Shape(pause=0.05, size=500)  # so that the disk is full of something else


def on(disk: Path, factory: DaemonFactory, url: str) -> Daemon:
    """Return a daemon that keeps its data on that disk."""
    daemon = factory(url, start=False, outbox={"minFree": "8MiB"})
    daemon.data = disk / "data"
    return daemon.start()


@pytest.mark.parametrize("leave", [4 * MIB, 0], ids=["below minFree", "to the last byte"])
def test_intake_stops_and_resumes_while_shipping_goes_on(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, disk: Path, leave: int
) -> None:
    daemon = on(disk, daemon_factory, nats_server.url)
    with Load(daemon.socket, shape=ORDERLY) as load:
        for _ in range(DISK_FILLS):
            nats_server.kill()
            load.wait_acked(random.randint(200, 2000))
            filler = fill(disk, leave=leave)
            load.wait_refused("disk_full")
            assert daemon.health() == "failing"
            nats_server.start()
            daemon.wait_shipped()  # on the full disk
            filler.unlink()
            load.wait_acked(200)
        acked = load.finish()
    assert set(load.refused) == {"disk_full"}
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_a_daemon_on_a_full_disk_is_killed_and_starts_again(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, disk: Path
) -> None:
    """It needs no room to start, and ships what it has."""
    daemon = on(disk, daemon_factory, nats_server.url)
    with Load(daemon.socket, shape=ORDERLY) as load:
        load.wait_acked(200)
        nats_server.kill()
        load.wait_acked(1000)
        filler = fill(disk)
        load.wait_refused("disk_full")
        daemon.restart(kill=True)
        nats_server.start()
        daemon.wait_shipped()
        filler.unlink()
        load.wait_acked(200)
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_the_brokers_disk_is_full(
    nats_factory: Callable[..., NatsServer], daemon_factory: DaemonFactory, disk: Path
) -> None:
    """Events wait here, status says why, and they are stored once the broker is well again."""
    server = nats_factory(folder=disk / "nats")
    daemon = daemon_factory(server.url)
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(200)
        daemon.wait_healed()
        filler = fill(disk)
        daemon.wait_troubled()
        load.wait_acked(200)  # agents do not notice
        filler.unlink()
        server.restart()  # after a failed write it stores nothing more until then
        acked = load.finish()
    daemon.wait_healed()
    check(acked, JetStream(server.url).read())


def test_the_embedded_brokers_disk_is_full(daemon_factory: DaemonFactory, disk: Path) -> None:
    """Ours is started anew by itself once there is room."""
    daemon = daemon_factory(embedded={"storeDir": str(disk / "embedded")})
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(200)
        daemon.wait_healed()
        filler = fill(disk)
        daemon.wait_troubled()
        load.wait_acked(200)
        filler.unlink()
        acked = load.finish()
    daemon.wait_healed()
    check(acked, daemon.embedded_streams().read())
