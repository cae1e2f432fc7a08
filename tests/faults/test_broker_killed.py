"""G2, G3, G6 when the broker dies, freezes, or is away for longer than it remembers ids."""

import random
import time
from functools import partial

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import NANOSECONDS, JetStream
from support.load import Load, emit
from support.nats import NatsServer
from support.oracle import check
from support.proxy import Proxy
from support.rounds import BROKER_KILLS, BROKER_PAUSES, FULL, LOST_ACKS
from support.waiting import wait_until

pytestmark = pytest.mark.faults

WINDOW = 1.0  # seconds for which the stream remembers ids


def test_the_broker_is_killed_in_a_loop_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """Batches whose fate nobody knows are found out about, not guessed."""
    with Load(daemon.socket) as load:
        for _ in range(BROKER_KILLS):
            load.wait_acked(random.randint(50, 600))
            nats_server.kill()
            load.wait_acked(100)  # agents do not notice
            nats_server.start()
            daemon.wait_for(lambda status: status["routes"][0]["connected"], what="it is connected again")
        acked = load.finish()
    daemon.wait_shipped()
    check(acked, jetstream.read())


def test_the_broker_freezes_and_goes_on_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """SIGSTOP, SIGCONT: what was on its way arrives late, perhaps after it was sent again."""
    with Load(daemon.socket) as load:
        for _ in range(BROKER_PAUSES):
            load.wait_acked(random.randint(50, 600))
            nats_server.pause()
            load.wait_acked(100)
            if FULL:
                daemon.wait_troubled()
            nats_server.resume()
            daemon.wait_for(lambda status: status["routes"][0]["connected"], what="it is connected again")
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


@pytest.mark.parametrize("restarted", [False, True], ids=["daemon stays", "daemon killed meanwhile"])
@pytest.mark.parametrize("theirs", [False, True], ids=["our stream, batches", "their stream, pipeline"])
def test_an_ack_is_lost_and_the_broker_stays_away_for_longer_than_its_duplicate_window(
    nats_server: NatsServer,
    proxy: Proxy,
    daemon_factory: DaemonFactory,
    jetstream: JetStream,
    theirs: bool,
    restarted: bool,
) -> None:
    """The broker has forgotten the ids by then, so only a look into the stream tells what it holds."""
    if theirs:
        jetstream.make(duplicate_window=int(WINDOW * NANOSECONDS))
    daemon = daemon_factory(proxy.url, stream={"duplicateWindow": f"{WINDOW}s"})
    acked = emit(daemon.socket, "main", range(1, 21))
    daemon.wait_shipped()
    for outage in range(1, LOST_ACKS + 1):
        proxy.drop_replies()
        first = outage * 1000
        end = jetstream.last_seq() + 100
        acked += emit(daemon.socket, "main", range(first, first + 100))
        wait_until(partial(has_come_to, jetstream, end), what="the stream has what nobody acked")
        proxy.refuse()
        proxy.cut()
        acked += emit(daemon.socket, "main", range(first + 100, first + 150))
        time.sleep(WINDOW * 2)  # the outage itself; nothing shows that the broker has forgotten
        if restarted:
            daemon.restart(kill=True)
        proxy.resume()
        daemon.wait_shipped()
    check({"main": acked}, jetstream.read())
    assert jetstream.info()["config"]["duplicate_window"] == WINDOW * NANOSECONDS


def has_come_to(jetstream: JetStream, seq: int) -> bool:
    """Whether the stream has taken so many messages."""
    return jetstream.last_seq() == seq
