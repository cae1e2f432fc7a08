"""Forgetting through all that happens to daemon and broker: nothing stays, comes back, or goes beside it."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from eventd_ipc.errors import EventdClientError, Refused
from eventd_ipc.messages import RawEvent
from faults.test_broker_rolled_back import copy_of, roll_back
from support.daemon import Daemon, DaemonFactory
from support.forgetting import (
    MARKER,
    admin,
    emit_some,
    forget,
    holding,
    ids_of,
    progress,
    shown,
    tombstones_of,
    wait_forgotten,
    wait_placed,
)
from support.jetstream import JetStream
from support.load import Load
from support.nats import NatsServer
from support.oracle import check
from support.rounds import FULL, rounds
from support.waiting import wait_until

pytestmark = pytest.mark.faults

KILLS = rounds(2, 30)

# Where the daemon dies, each time it comes there as long as a file says so: between any two steps.
DIE = """
import os, pathlib, sys
from eventd.{module} import {name}
before = {name}.{method}
{kind} dies(self, *args, **kwargs):
    due = {condition}
    result = {call}before(self, *args, **kwargs)
    if (due or {condition}) and pathlib.Path({armed!r}).exists():
        os._exit(9)
    return result
{name}.{method} = dies
"""
ANY, SENT, SETTLED = "True", "args[2][0].tombstone", "self.forgets > 0"
POINTS = {
    "the request is on disk": ("outbox.outbox", "Outbox", "forget", ANY),
    "it is published": ("shipping.sending", "Sender", "send", SENT),
    "it is settled": ("outbox.outbox", "Outbox", "settle", SETTLED),
    "the outbox is marked": ("outbox.outbox", "Outbox", "mark_forgotten", ANY),
    "outbox and log are overwritten": ("outbox.upkeep", "Scrub", "step", "args[0].scrubbing"),
    "the index has the tombstone": ("index.store", "Store", "add_accepted", "self.forgets > 0"),
    "the index is being overwritten": ("index.index", "Index", "wipe", ANY),
}
ERASED = """
import os, pathlib
from eventd.shipping import shipper
before = shipper.erase
async def dies(*args):
    result = await before(*args)
    if pathlib.Path({armed!r}).exists():
        os._exit(9)
    return result
shipper.erase = dies
"""


def mutation_at(point: str, armed: Path) -> str:
    if point == "the stream is erased":
        return ERASED.format(armed=str(armed))
    module, name, method, condition = POINTS[point]
    is_async = module in ("outbox.outbox", "shipping.sending", "index.index")
    return DIE.format(
        module=module, name=name, method=method, condition=condition, armed=str(armed),
        kind="async def" if is_async else "def", call="await " if is_async else "",
    )  # fmt: skip


def assert_gone(daemon: Daemon, nats_server: NatsServer, others: list[str]) -> None:
    """Nothing of the secrets is left anywhere, and all of the others is there, in order."""
    messages = JetStream(nats_server.url).read()
    assert ids_of(messages) == others
    assert shown(daemon) == others
    assert shown(daemon, text=MARKER) == []
    assert holding(daemon.data, nats_server.store) == []


def test_nats_is_away_meanwhile(nats_server: NatsServer, daemon: Daemon) -> None:
    """The answer comes at once, from then on nobody reads them; the stream follows when NATS is back."""
    secrets, others = emit_some(daemon)
    daemon.wait_shipped()
    nats_server.stop()
    daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it knows")
    more, plain = emit_some(daemon)
    answer = forget(daemon, secrets + more)
    assert (answer["events"], answer["checked"]) == (20, False)
    wait_until(lambda: progress(daemon, answer)["clean"], what="outbox and index are overwritten")
    assert progress(daemon, answer)["waiting"] == answer["tombstones"]
    assert shown(daemon) == others + plain
    assert holding(daemon.data) == []
    assert holding(nats_server.store)
    nats_server.start()
    wait_forgotten(daemon, answer)
    assert_gone(daemon, nats_server, others + plain)
    assert tombstones_of(JetStream(nats_server.url).read()) == [set(secrets + more)]


ALL_POINTS = [*POINTS, "the stream is erased"]
SOME_POINTS = ["the request is on disk", "the stream is erased", "the index has the tombstone"]


@pytest.mark.parametrize("point", ALL_POINTS if FULL else SOME_POINTS)
def test_the_daemon_dies_as_soon_as(nats_server: NatsServer, short_tmp: Path, point: str) -> None:
    """Wherever it is killed, the next life goes on, and others are where they were."""
    armed = short_tmp / "armed"
    daemon = Daemon(short_tmp / "d", {"url": nats_server.url}, mutation=mutation_at(point, armed))
    with daemon:
        secrets, others = emit_some(daemon)
        daemon.wait_shipped()
        wait_placed(daemon)
        armed.touch()
        with suppress(EventdClientError):
            forget(daemon, secrets)
        assert daemon.wait_end() == 9
        armed.unlink()
        daemon.start()
        again = forget(daemon, secrets)  # as a person would
        assert again["tombstones"] == []
        assert again["already"] == secrets
        daemon.wait_shipped()
        wait_until(lambda: progress(daemon, again)["clean"], what="all is overwritten")
        assert_gone(daemon, nats_server, others)
        assert set().union(*tombstones_of(JetStream(nats_server.url).read())) == set(secrets)
        assert "Traceback" not in daemon.log_text


def test_daemon_and_broker_are_killed_in_a_loop_under_load(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream
) -> None:
    """Each time some are forgotten; what others have stored is there, once and in order."""
    gone: list[str] = []
    kept: list[str] = []
    answers = []
    with Load(daemon.socket) as load:
        for number in range(KILLS):
            secrets, others = emit_some(daemon, 30, agent="forgetful")
            answers.append(forget(daemon, secrets, agent="forgetful"))
            gone, kept = gone + secrets, kept + others
            load.wait_acked(random.randint(50, 400))
            if number % 2:
                daemon.restart(kill=True)
            else:
                nats_server.kill()
                nats_server.start()
        acked = load.finish()
    for answer in answers:
        wait_forgotten(daemon, answer, agent="forgetful")
    daemon.wait_shipped()
    messages = jetstream.read()
    check(acked, [message for message in messages if message.agent in acked])
    assert ids_of([message for message in messages if message.agent == "forgetful"]) == kept
    assert shown(daemon, agent="forgetful") == kept
    assert holding(daemon.data, nats_server.store) == []


@pytest.mark.parametrize("retain", ["5m", "0s"], ids=["repaired", "beyond repair"])
def test_the_broker_comes_back_with_what_was_erased(
    nats_server: NatsServer, daemon_factory: DaemonFactory, short_tmp: Path, retain: str
) -> None:
    """A restored store has the events again; they are erased again, also if the outbox has nothing left."""
    daemon = daemon_factory(nats_server.url, outbox={"retain": retain})
    secrets, others = emit_some(daemon)
    daemon.wait_shipped()
    wait_placed(daemon)
    copy = copy_of(nats_server, short_tmp / "copy")
    wait_forgotten(daemon, forget(daemon, secrets))
    if retain == "0s":
        daemon.wait_for(lambda status: not status["routes"][0]["retained_rows"], what="nothing is retained")
    roll_back(nats_server, copy)
    assert holding(nats_server.store)
    wait_until(lambda: not holding(nats_server.store), 60, what=daemon.complaint)
    assert_gone(daemon, nats_server, others)


def test_nothing_brings_them_back(nats_server: NatsServer, daemon: Daemon) -> None:
    """No client that sends again, no import, no rebuild of the index, no new outbox."""
    secrets, others = emit_some(daemon)
    daemon.wait_shipped()
    old = [message for message in JetStream(nats_server.url).read() if message.id in secrets]
    wait_forgotten(daemon, forget(daemon, secrets))

    def refused() -> None:
        with admin(daemon) as client:
            for message in old:
                with pytest.raises(Refused, match="forgotten"):
                    client.put([RawEvent("main", message.id, message.subject, message.body)])
            assert client.known("main", secrets + others[:1]) == {
                "known": others[:1], "forgotten": secrets, "complete": True,
            }  # fmt: skip

    refused()
    with admin(daemon) as client:
        client.index("rebuild")
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index is built")
    assert_gone(daemon, nats_server, others)
    refused()
    assert daemon.stop() == 0
    for file in daemon.data.glob("outbox.*"):
        file.unlink()
    daemon.start()

    def marked() -> bool:
        with admin(daemon) as client:
            return bool(client.known("main", secrets)["forgotten"] == secrets)

    wait_until(marked, what="the new outbox knows them")
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index is ready")
    refused()
    daemon.wait_shipped()
    assert_gone(daemon, nats_server, others)


def test_a_second_host_obeys(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """Its index lets go of them, its outbox refuses them; it adds nothing of its own to the stream."""
    first, second = daemon_factory(nats_server.url), daemon_factory(nats_server.url)
    secrets, others = emit_some(first)
    wait_until(lambda: len(shown(second)) == 50, what="the second host has read them")
    wait_placed(first)
    wait_forgotten(first, forget(first, secrets))
    wait_until(lambda: shown(second) == others, what="the second host has let go of them")

    def marked() -> bool:
        with admin(second) as client:
            return bool(client.known("main", secrets)["forgotten"] == secrets)

    wait_until(marked, what="the second host refuses them")
    wait_until(lambda: not holding(second.data), what="nothing is left on the second host")
    length = jetstream.last_seq()
    more, plain = emit_some(second, 10)  # either may forget what the other has stored
    second.wait_shipped()
    assert jetstream.last_seq() == length + 10
    wait_until(lambda: set(more) <= set(shown(first)), what="the first host has read them")
    wait_forgotten(first, forget(first, more))
    wait_until(lambda: shown(second) == others + plain, what="the second host has let go of them, too")
    wait_until(lambda: not holding(second.data), what="nothing is left on the second host")
    assert_gone(first, nats_server, others + plain)
