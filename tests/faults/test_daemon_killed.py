"""G1, G2, G3 when the daemon dies: what was acked is on disk, and ends up in the stream once, in order."""

import random
import signal
import subprocess

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape
from support.nats import NatsServer
from support.oracle import check
from support.rounds import DAEMON_KILLS, FALLBACK_KILLS, STOPS, rounds

pytestmark = pytest.mark.faults

BACKLOG = rounds(3_000, 50_000)  # events that wait when the daemon is told to stop


def test_kill_9_in_a_loop_under_load(daemon: Daemon, jetstream: JetStream) -> None:
    """Wherever a kill falls, between publish and settle too: nothing acked is lost, nothing comes twice."""
    with Load(daemon.socket) as load:
        for _ in range(DAEMON_KILLS):
            load.wait_acked(random.randint(50, 600))
            daemon.restart(kill=True)
        acked = load.finish()
    daemon.wait_shipped()
    check(acked, jetstream.read())


def test_kill_9_of_daemon_and_broker_where_the_stream_takes_no_batches(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """The ordered fallback: a stream that somebody else made, as the document says."""
    jetstream.make()
    daemon = daemon_factory(nats_server.url)
    with Load(daemon.socket) as load:
        for _ in range(FALLBACK_KILLS):
            load.wait_acked(random.randint(50, 400))
            daemon.restart(kill=True)
            load.wait_acked(random.randint(50, 400))
            nats_server.restart(kill=True)
        acked = load.finish()
    daemon.wait_shipped()
    assert daemon.route()["mode"] == "pipeline"
    check(acked, jetstream.read())


def test_a_frozen_daemon_goes_on_where_it_was(daemon: Daemon, jetstream: JetStream) -> None:
    """A laptop's lid: acks come late, nothing else happens."""
    with Load(daemon.socket) as load:
        load.wait_acked(200)
        daemon.pause()
        daemon.resume()
        load.wait_acked(200)
        acked = load.finish()
    daemon.wait_shipped()
    check(acked, jetstream.read())


def test_sigterm_under_load_loses_nothing(daemon: Daemon, jetstream: JetStream) -> None:
    """An emit in flight at SIGTERM is acked and stored, or sent again; the daemon says that all went well."""
    with Load(daemon.socket, shape=Shape(pause=0.0)) as load:
        for _ in range(STOPS):
            load.wait_acked(random.randint(50, 600))
            assert daemon.stop() == 0, daemon.complaint()
            daemon.start()
        acked = load.finish()
    daemon.wait_shipped()
    check(acked, jetstream.read())


def test_sigterm_with_nats_away_keeps_the_backlog_for_the_next_start(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """The budget bounds the wait; what was not shipped goes first the next time."""
    daemon = daemon_factory(nats_server.url, shutdownTimeout="500ms")
    with Load(daemon.socket, limit=5) as load:
        load.finish()
    nats_server.kill()
    with Load(daemon.socket, agents=["ann", "bob"], shape=Shape(events=500), limit=BACKLOG) as backlog:
        acked = backlog.finish()
    assert daemon.stop(timeout=5.0) == 0, daemon.complaint()
    assert not daemon.socket.exists()
    nats_server.start()
    daemon.start().wait_shipped()
    check({**load.acked, **acked}, jetstream.read())


def test_a_second_signal_ends_it_at_once(nats_server: NatsServer, daemon_factory: DaemonFactory) -> None:
    """Whoever presses Ctrl-C twice means it; what was acked is there at the next start all the same."""
    daemon = daemon_factory(nats_server.url, shutdownTimeout="1h")
    nats_server.kill()
    with Load(daemon.socket, limit=100) as load:
        acked = load.finish()
    daemon.send(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait_end(timeout=0.5)
    daemon.send(signal.SIGTERM)
    assert daemon.wait_end(timeout=5.0) == -signal.SIGTERM
    nats_server.start()
    daemon.start().wait_shipped()
    check(acked, JetStream(nats_server.url).read())
