"""The index through all that happens to daemon, broker and disk: in the end it shows what streams hold."""

import random
from pathlib import Path

import pytest

from eventd_ipc.blocking import connect
from faults.test_broker_rolled_back import copy_of, roll_back
from faults.test_disk_full import STEADILY
from support.daemon import Daemon, DaemonFactory
from support.disks import fill
from support.foreign import ForeignWriter
from support.indexed import wait_indexed
from support.jetstream import STREAM, JetStream
from support.load import Load, emit
from support.nats import NatsServer
from support.oracle import check
from support.rounds import INDEX_ROUNDS

pytestmark = pytest.mark.faults

KEEP_ALL = {"maxAge": 0}  # the load's events are of 2023


@pytest.fixture
def daemon(daemon_factory: DaemonFactory, nats_server: NatsServer) -> Daemon:
    """A started daemon whose index forgets nothing."""
    return daemon_factory(nats_server.url, index=KEEP_ALL)


def test_the_daemon_is_killed_in_a_loop_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """Wherever a kill falls, the index goes on behind what it has, and has nothing twice."""
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        for _ in range(INDEX_ROUNDS):
            load.wait_acked(random.randint(50, 600))
            daemon.restart(kill=True)
            foreign.wait_written(20)
        acked = load.finish()
    daemon.wait_shipped()
    stored = wait_indexed(daemon, jetstream)
    check(acked, [message for message in stored if message.agent in acked])


def test_the_broker_is_killed_in_a_loop_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """What others write while nobody looks is read later; our own rows get their places."""
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        for _ in range(INDEX_ROUNDS):
            foreign.wait_written(random.randint(1, 100))
            load.wait_acked(random.randint(50, 600))
            nats_server.kill()
            load.wait_acked(100)
            nats_server.start()
        acked = load.finish()
    daemon.wait_shipped()
    stored = wait_indexed(daemon, jetstream)
    check(acked, [message for message in stored if message.agent in acked])


def test_the_broker_freezes_under_load(nats_server: NatsServer, daemon: Daemon, jetstream: JetStream) -> None:
    """SIGSTOP while pages are read: the follower goes on once there is an answer again."""
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        for _ in range(INDEX_ROUNDS):
            foreign.wait_written(random.randint(1, 100))
            nats_server.pause()
            load.wait_acked(200)
            nats_server.resume()
            load.wait_acked(200)
        load.finish()
    daemon.wait_healed()
    wait_indexed(daemon, jetstream)


def test_the_broker_is_rolled_back_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, short_tmp: Path
) -> None:
    """Other events may stand at sequences that were read already; what only the index has left stays."""
    remembered: list[bytes] = []
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        for number in range(INDEX_ROUNDS):
            foreign.wait_written(random.randint(1, 100))
            load.wait_acked(random.randint(50, 300))
            copy = copy_of(nats_server, short_tmp / f"copy{number}")
            foreign.wait_written(random.randint(1, 100))
            load.wait_acked(random.randint(100, 600))
            roll_back(nats_server, copy)
        load.finish()
    remembered += foreign.bodies
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream, beside=frozenset(remembered))


@pytest.mark.parametrize("others", [20, 90], ids=["in part", "and more"])
def test_others_fill_the_gap_that_a_rollback_has_left(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, short_tmp: Path, others: int
) -> None:
    """Beyond what we had read, too: no sequence is lower than before then, and yet all of them are others."""
    emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    copy = copy_of(nats_server, short_tmp / "copy")
    emit(daemon.socket, "main", range(51, 81))
    daemon.wait_shipped()
    jetstream.publish("openclaw.events.foreign.custom", count=20, agent="lost")
    lost = [message.body for message in wait_indexed(daemon, jetstream) if message.agent == "lost"]
    daemon.kill()
    roll_back(nats_server, copy)
    jetstream.publish("openclaw.events.foreign.custom", count=others)
    daemon.start()
    emit(daemon.socket, "main", range(81, 91))
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream, beside=frozenset(lost))


@pytest.mark.parametrize("made", ["by nobody", "by the operator", "with our settings"])
def test_the_stream_is_deleted_and_made_anew(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, made: str
) -> None:
    """Our own rows get their new places, others' events stay as a memory, new ones come in."""
    emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    jetstream.publish("openclaw.events.foreign.custom", count=20, agent="lost")
    lost = [message.body for message in wait_indexed(daemon, jetstream) if message.agent == "lost"]
    config = jetstream.info()["config"]
    jetstream.delete()
    if made == "by the operator":
        jetstream.make()
    elif made == "with our settings":
        jetstream.api(f"STREAM.CREATE.{STREAM}", config)
    emit(daemon.socket, "main", range(51, 61))
    daemon.wait_shipped()
    jetstream.publish("openclaw.events.foreign.custom", count=20)
    wait_indexed(daemon, jetstream, beside=frozenset(lost))
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it knows that it has all")


def test_what_was_purged_stays_known_and_the_rest_follows(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """A memory does not go with its stream, and the follower goes on behind the gap."""
    emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    jetstream.publish("openclaw.events.foreign.custom", count=20, agent="purged")
    before = frozenset(message.body for message in wait_indexed(daemon, jetstream))
    jetstream.purge()
    jetstream.publish("openclaw.events.foreign.custom", count=20)
    emit(daemon.socket, "main", range(51, 61))
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream, beside=before)
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it knows that it has all")


def test_it_is_rebuilt_under_load(nats_server: NatsServer, daemon: Daemon, jetstream: JetStream) -> None:
    """What was on its way into the old index is in the new one too."""
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        for _ in range(INDEX_ROUNDS):
            foreign.wait_written(50)
            load.wait_acked(300)
            with connect("test", socket=daemon.socket) as client:
                client.index("rebuild")
        load.finish()
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream)
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it knows that it has all")


def test_what_is_not_retained_any_more_is_read_from_the_stream(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """A rebuild finds own rows wherever they are: pending, retained, or in the stream alone."""
    daemon = daemon_factory(nats_server.url, outbox={"retain": "1s"}, index=KEEP_ALL)
    emit(daemon.socket, "main", range(1, 301))
    daemon.wait_for(
        lambda status: not status["outbox"]["rows"] and not status["outbox"]["retained_rows"],
        what="nothing is retained any more",
    )
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket) as load:
        foreign.wait_written(50)
        load.wait_acked(300)
        with connect("test", socket=daemon.socket) as client:
            client.index("rebuild")
        load.wait_acked(300)
        load.finish()
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream)


def test_the_disk_of_the_index_is_full(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, disk: Path
) -> None:
    """Events are accepted and shipped all the same; status says it; with room the index goes on by itself."""
    daemon = daemon_factory(nats_server.url, start=False, index=KEEP_ALL)
    daemon.data.mkdir(parents=True)
    (daemon.data / "index.db").symlink_to(disk / "index.db")
    daemon.start()
    with ForeignWriter(nats_server.url) as foreign, Load(daemon.socket, shape=STEADILY) as load:
        for _ in range(INDEX_ROUNDS):
            load.wait_acked(200)
            filler = fill(disk)
            status = daemon.wait_for(
                lambda status: status["index"]["state"] == "stalled",
                what="it shows in status",
            )
            assert status["health"]["state"] == "degraded"
            load.wait_acked(200)
            foreign.wait_written(20)
            filler.unlink()
            daemon.wait_for(lambda status: status["index"]["state"] != "stalled", what="it goes on by itself")
        acked = load.finish()
    daemon.wait_healed()
    stored = wait_indexed(daemon, jetstream)
    check(acked, [message for message in stored if message.agent in acked])


@pytest.mark.parametrize("agents", [("main", "tim"), ("x.y", "agent")])
def test_agents_of_any_name(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, agents: tuple[str, ...]
) -> None:
    """Their names are read back from subjects and ids: nobody's event is there twice."""
    daemon = daemon_factory(nats_server.url, outbox={"retain": "1s"}, index=KEEP_ALL)
    with ForeignWriter(nats_server.url, agents) as foreign, Load(daemon.socket, agents) as load:
        foreign.wait_written(50)
        load.wait_acked(300)
        nats_server.restart(kill=True)
        load.wait_acked(300)
        load.finish()
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream)
