"""G6 for what stands still without an error: it shows in status within 30 s, and is over when its cause is.

`make bench ARGS="--only stalls"` measures how soon. Here, waits that only the clock ends are shortened in the
daemon, where the way to notice is the same.
"""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import connect
from support.daemon import DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape, emit
from support.nats import NatsServer
from support.oracle import check
from support.proxy import Proxy
from support.stalls import BROKEN_INFO, HUNG_OUTBOX, HUNG_READ_LOOP, Reader, mutated, stuck

pytestmark = pytest.mark.faults

SLOWLY = Shape(pause=0.05)
LARGE = Shape(pause=0.02, events=1, size=50_000)  # a few of them fill the buffers of a socket
PLENTY = 1_000_000  # events that a reader asks for and does not take
CREDIT = 3  # events, likewise

SOON = """
from eventd import health
health.OUTBOX_GRACE = 1.0
"""

DEAF_SHIPPER = """
from pathlib import Path
from eventd import health
from eventd.shipping.shipper import Shipper
stuck, read = Path({stuck!r}), Shipper._read
async def nothing(self, after):
    return [] if stuck.exists() else await read(self, after)
Shipper._read = nothing
health.PROGRESS = 1000
"""

IMPATIENT = """
from eventd.server import operations, outgoing
operations.PAUSED = outgoing.STUCK = 0.5
"""


def reasons(status: dict[str, Any]) -> str:
    """Return why the daemon is not well."""
    return "; ".join(status["health"]["reasons"])


@pytest.mark.parametrize("said", [BROKEN_INFO, b"\xff\xfe nonsense\r\n"], ids=["INFO", "nonsense"])
def test_a_read_loop_that_dies_is_replaced(
    proxy: Proxy, daemon_factory: DaemonFactory, jetstream: JetStream, said: bytes
) -> None:
    """A zombie: nats-py says "connected" for minutes, and nothing is read any more."""
    daemon = daemon_factory(proxy.url)
    with Load(daemon.socket, shape=SLOWLY) as load:
        load.wait_acked(50)
        daemon.wait_healed()
        before = daemon.route()["disconnects"]
        assert proxy.inject(said)
        daemon.wait_for(
            lambda status: status["routes"][0]["disconnects"] > before and status["routes"][0]["connected"],
            what="there is another connection",
        )
        acked = load.finish()
    daemon.wait_healed()
    # It was noticed as such: that no answer comes would be noticed, too, but half a minute later.
    assert not re.search(r"lost: no (PONG|answer|ack)", daemon.log_text), daemon.complaint()
    check(acked, jetstream.read())


def test_what_is_frozen_is_noticed_and_goes_on(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, short_tmp: Path
) -> None:
    """A read loop that hangs in a callback, and an embedded server that is stopped: nothing ever fails."""
    zombie = daemon_factory(nats_server.url, mutation=mutated(HUNG_READ_LOOP, short_tmp))
    own = daemon_factory("embedded")
    for daemon in (zombie, own):
        daemon.wait_healed()
    frozen = own.status()["embedded"]["pid"]
    acked = {}
    with stuck(short_tmp):
        os.kill(frozen, signal.SIGSTOP)
        try:
            for daemon in (zombie, own):
                acked[daemon] = emit(daemon.socket, "main", range(1, 51))
            for daemon in (zombie, own):
                assert "route default: not ready: " in reasons(daemon.wait_troubled())
        finally:
            os.kill(frozen, signal.SIGCONT)
    for daemon, streams in ((zombie, jetstream), (own, own.embedded_streams())):
        daemon.wait_healed()
        check({"main": acked[daemon]}, streams.read())


def test_an_outbox_that_hangs_is_told_by_a_daemon_that_answers(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, short_tmp: Path
) -> None:
    """A disk that does not return: no ack comes, so nothing that is lost was promised, and status says so."""
    daemon = daemon_factory(nats_server.url, mutation=mutated(HUNG_OUTBOX, short_tmp) + SOON)
    with Load(daemon.socket, shape=SLOWLY) as load:
        load.wait_acked(50)
        with stuck(short_tmp):
            trouble = daemon.wait_troubled()
            assert trouble["health"]["state"] == "failing"
            assert "the disk may hang" in reasons(trouble)
        load.wait_acked(50)
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_a_route_that_does_nothing_and_says_it_is_well_is_found_out(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, short_tmp: Path
) -> None:
    """The net under all stalls that nobody has thought of: events wait, and none gets away."""
    daemon = daemon_factory(nats_server.url, mutation=mutated(DEAF_SHIPPER, short_tmp))
    daemon.wait_healed()
    with stuck(short_tmp):
        acked = emit(daemon.socket, "main", range(1, 51))
        trouble = daemon.wait_troubled()
        assert daemon.route()["state"] == "idle"
        assert "50 events wait, and none has been stored for" in reasons(trouble)
    acked += emit(daemon.socket, "main", range(51, 61))
    daemon.wait_healed()
    check({"main": acked}, jetstream.read())


def test_a_reader_that_takes_nothing_is_seen_and_holds_up_nobody(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """Neither one that does not read, nor one that asks for no more; what they missed still comes."""
    daemon = daemon_factory(nats_server.url, mutation=IMPATIENT)
    deaf, sated = Reader(daemon, PLENTY), Reader(daemon, CREDIT)
    daemon.wait_for(lambda status: status["server"]["streams"] == 2, what="both streams are open")
    with Load(daemon.socket, ["main"], LARGE) as load:
        status = daemon.wait_for(
            lambda status: (status["server"]["stuck"], status["server"]["paused"]) == (1, 1), what="both show"
        )
        assert status["health"]["state"] == "ok"
        load.wait_acked(20)
        with connect("main", socket=daemon.socket) as other:
            assert len(list(other.tail(last=5))) == 5
        acked = load.finish()
    daemon.wait_healed()
    wanted = acked["main"]
    sated.ask(PLENTY)
    for reader in (deaf, sated):
        assert [json.loads(body)["id"] for body in reader.take(len(wanted))] == wanted
    daemon.wait_for(
        lambda status: not status["server"]["stuck"] and not status["server"]["paused"], what="over"
    )
    deaf.close()
    sated.close()
    check(acked, jetstream.read())
