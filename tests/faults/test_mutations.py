"""The suite bites: each guarantee is broken on purpose inside a real daemon, and the oracle has to notice.

Each scenario runs twice, with the daemon as it is (nothing may be found) and with the mutation (something
has to be). A mutation is Python that patches one function before the daemon starts. The one that skips
the fsync needs a power cut; it is in tests/outbox.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import NANOSECONDS, STREAM, JetStream
from support.load import Load, Shape, emit
from support.nats import NatsServer
from support.oracle import Findings, examine
from support.proxy import Proxy
from support.waiting import wait_until

pytestmark = pytest.mark.faults

ACK_BEFORE_COMMIT = """
import asyncio
from eventd.outbox.outbox import Outbox
submit = Outbox.submit
def early(self, submissions, done):
    done(submissions)
    asyncio.get_running_loop().call_later(0.05, submit, self, submissions, lambda _: None)
Outbox.submit = early
"""

NO_MSG_ID = """
from eventd.jetstream import publishing
publishing._headers = lambda row, stream: {"Nats-Expected-Stream": stream.name}
"""

NO_LOOK_UP = """
from eventd.shipping import reconcile
async def nothing(*_args, **_options):
    return {}
reconcile._present = nothing
"""

NO_REPAIR = """
from eventd.shipping import reconcile
async def nothing(*_args):
    return None
reconcile._repair = nothing
"""

DELETIONS_REPAIRED = """
from eventd.shipping import reconcile
async def always(*_args):
    return "a message is missing"
newest_held = reconcile._newest_held
async def recreated(session, stream, outbox, route, runs, position, recreated):
    return await newest_held(session, stream, outbox, route, runs, position, True)
reconcile._rollback, reconcile._newest_held = always, recreated
"""

SEVERAL_BATCHES_IN_FLIGHT = """
import asyncio
from eventd.jetstream.publishing import Published
from eventd.shipping import sending
atomic = sending.publish_atomic
async def several(session, stream, rows, after=None):
    parts = [rows[i : i + 60] for i in range(0, len(rows), 60)]
    answers = await asyncio.gather(*(atomic(session, stream, part) for part in parts))
    result = Published()
    for answer in answers:
        if answer.verdict is not None:
            return result.stop(answer.verdict, answer.reason)
        for stored in answer.stored:
            for n in range(stored.count):
                result.store(stored.stream_seq + n)
    return result
sending.publish_atomic = several
"""

NO_CONDITION = """
from eventd.jetstream import publishing
publishing._expected = lambda after: {}
"""

WINDOW = 1.0  # seconds for which the stream remembers ids


class Scene:
    """A broker behind a proxy, its operator, and a daemon, mutated or not."""

    def __init__(self, server: NatsServer, proxy: Proxy, factory: DaemonFactory, folder: Path) -> None:
        self.server = server
        self.proxy = proxy
        self.jetstream = JetStream(server.url)
        self.folder = folder
        self._factory = factory

    def daemon(self, mutation: str) -> Daemon:
        """Return a started daemon whose first events are in its stream."""
        daemon = self._factory(self.proxy.url, mutation=mutation)
        emit(daemon.socket, "first", [1])
        daemon.wait_shipped()
        return daemon

    def findings(self, acked: dict[str, list[str]]) -> Findings:
        """Ask the oracle."""
        return examine(acked, [message for message in self.jetstream.read() if message.agent != "first"])


@pytest.fixture
def scene(nats_server: NatsServer, proxy: Proxy, daemon_factory: DaemonFactory, short_tmp: Path) -> Scene:
    """A scene with a proxy that forwards everything."""
    return Scene(nats_server, proxy, daemon_factory, short_tmp)


def daemon_killed(scene: Scene, mutation: str) -> Findings:
    """kill -9 right after acks."""
    daemon = scene.daemon(mutation)
    with Load(daemon.socket, shape=Shape(pause=0.0)) as load:
        for _ in range(3):
            load.wait_acked(200)
            daemon.restart(kill=True)
        acked = load.finish()
    daemon.wait_shipped()
    return scene.findings(dict(acked))


def ack_lost(scene: Scene, mutation: str) -> Findings:
    """An ack is lost, more events come, and the connection is back at once."""
    daemon = scene.daemon(mutation)
    scene.proxy.drop_replies()
    acked = emit(daemon.socket, "main", range(1, 101))
    wait_until(lambda: scene.jetstream.last_seq() == 101, what="the stream has what nobody acked")
    scene.proxy.refuse()
    scene.proxy.cut()
    acked += emit(daemon.socket, "main", range(101, 151))
    scene.proxy.resume()
    daemon.wait_shipped()
    return scene.findings({"main": acked})


def ack_lost_and_ids_forgotten(scene: Scene, mutation: str) -> Findings:
    """The same with an outage that is longer than the broker remembers ids."""
    scene.jetstream.make(allow_atomic=True, duplicate_window=int(WINDOW * NANOSECONDS))
    daemon = scene.daemon(mutation)
    scene.proxy.drop_replies()
    acked = emit(daemon.socket, "main", range(1, 101))
    wait_until(lambda: scene.jetstream.last_seq() == 101, what="the stream has what nobody acked")
    scene.proxy.refuse()
    scene.proxy.cut()
    time.sleep(2 * WINDOW)  # the outage itself; nothing shows that the broker has forgotten
    scene.proxy.resume()
    daemon.wait_shipped()
    return scene.findings({"main": acked})


def broker_rolled_back(scene: Scene, mutation: str) -> Findings:
    """The broker comes back with an older copy of its store."""
    daemon = scene.daemon(mutation)
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    scene.server.stop()
    copy = scene.server.copy_store(scene.folder / "copy")
    scene.server.start()
    acked += emit(daemon.socket, "main", range(51, 101))
    daemon.wait_shipped()
    scene.server.kill()
    scene.server.restore_store(copy)
    scene.server.start()
    acked += emit(daemon.socket, "main", range(101, 111))
    daemon.wait_shipped()
    return scene.findings({"main": acked})


def stream_full(scene: Scene, mutation: str) -> Findings:
    """The stream has no room for large events, but still some for the small ones behind them."""
    scene.jetstream.make(allow_atomic=True, max_bytes=50_000, discard="new")
    daemon = scene.daemon(mutation)
    scene.proxy.refuse()
    scene.proxy.cut()
    acked = emit(daemon.socket, "main", range(1, 61), Shape(size=2000))
    acked += emit(daemon.socket, "main", range(61, 121), Shape(size=1))
    scene.proxy.resume()
    daemon.wait_for(lambda status: status["routes"][0]["state"] == "stalled", what="the stream is full")
    scene.jetstream.edit(max_bytes=-1)
    daemon.wait_shipped()
    return scene.findings({"main": acked})


def stream_purged(scene: Scene, mutation: str) -> Findings:
    """An operator deletes everything; nothing of it may come back."""
    daemon = scene.daemon(mutation)
    emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    scene.jetstream.purge()
    scene.server.restart()
    acked = emit(daemon.socket, "main", range(51, 101))
    daemon.wait_shipped()
    return scene.findings({"main": acked})


def stream_made_anew(scene: Scene, mutation: str) -> Findings:
    """An operator deletes the stream and makes it again while the connection stays."""
    daemon = scene.daemon(mutation)
    acked = emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    config = scene.jetstream.info()["config"]
    scene.jetstream.delete()
    scene.jetstream.api(f"STREAM.CREATE.{STREAM}", config)
    acked += emit(daemon.socket, "main", range(51, 101))
    daemon.wait_shipped()
    return scene.findings({"main": acked})


@pytest.mark.parametrize("mutated", [False, True], ids=["as it is", "mutated"])
@pytest.mark.parametrize(
    ("scenario", "mutation", "kind"),
    [
        pytest.param(daemon_killed, ACK_BEFORE_COMMIT, "missing", id="G1 ack before commit"),
        pytest.param(ack_lost, NO_MSG_ID, "repeated", id="G2 no Nats-Msg-Id"),
        pytest.param(ack_lost_and_ids_forgotten, NO_LOOK_UP, "repeated", id="G2 no look-up by id"),
        pytest.param(broker_rolled_back, NO_REPAIR, "missing", id="G2 no repair"),
        pytest.param(stream_purged, DELETIONS_REPAIRED, "strange", id="G2 deletions repaired"),
        pytest.param(stream_full, SEVERAL_BATCHES_IN_FLIGHT, "disordered", id="G3 several batches in flight"),
        pytest.param(stream_made_anew, NO_CONDITION, "disordered", id="G3 no condition on the stream's end"),
    ],
)
def test_a_broken_guarantee_is_found(
    scene: Scene, scenario: Callable[[Scene, str], Findings], mutation: str, kind: str, mutated: bool
) -> None:
    found = scenario(scene, mutation if mutated else "")
    assert bool(getattr(found, kind)) is mutated, str(found)
    assert mutated or not found
