"""The hooks of a tool while the daemon is gone: nothing is lost, nothing twice, each session in order."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eventd.spool.files import tag_of
from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from hooks.support import HANGING, Hooks, given
from support.daemon import Daemon, DaemonFactory
from support.disks import fill
from support.forgetting import forget, wait_forgotten
from support.jetstream import JetStream
from support.nats import NatsServer
from support.rounds import SPOOLED_CALLS
from support.waiting import wait_until

pytestmark = pytest.mark.faults

PROCESSES = 8


@pytest.fixture
def hooks(short_tmp: Path) -> Hooks:
    return Hooks(short_tmp, short_tmp / "d0" / "s" / "eventd.sock")


@pytest.fixture
def daemon(daemon_factory: DaemonFactory, nats_server: NatsServer, hooks: Hooks) -> Daemon:
    """A started daemon that takes in what the hooks leave."""
    daemon = daemon_factory(nats_server.url, start=False)
    daemon.environ["EVENTD_SPOOL"] = hooks.spool.folder
    return daemon.start()


def call(hooks: Hooks, session: int, number: int) -> None:
    """One tool call of a session, told by its hook."""
    tool_use = given("claude-code", "pre_tool_use", session_id=f"s{session}", tool_use_id=f"call-{number:04}")
    ended = hooks("claude-code", tool_use)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def told(stream: JetStream) -> dict[str, list[str]]:
    """The calls in the stream, by session, in its order."""
    found: dict[str, list[str]] = {}
    for message in stream.read():
        data: dict[str, Any] = message.event["payload"]["data"]
        found.setdefault(message.event["session"].rpartition(":")[2], []).append(data["toolCallId"])
    return found


def wait_taken(hooks: Hooks, daemon: Daemon) -> None:
    wait_until(lambda: not hooks.spool.files(), HANGING, what="all is taken in")
    daemon.wait_shipped()


@pytest.mark.parametrize("kill", ["before", "during"])
def test_calls_of_eight_processes_arrive_once_and_in_order(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream, kill: str
) -> None:
    """The daemon is dead, or dies and comes back again and again, while eight sessions call their hooks."""
    calls = SPOOLED_CALLS // PROCESSES

    def session(number: int) -> None:
        for step in range(calls):
            call(hooks, number, step)

    if kill == "before":
        daemon.kill()
    with ThreadPoolExecutor(PROCESSES) as pool:
        running = [pool.submit(session, number) for number in range(PROCESSES)]
        while kill == "during" and not all(one.done() for one in running):
            daemon.restart(kill=True)
        for one in running:
            one.result()
    if kill == "before":
        assert len(hooks.spool.files()) == calls * PROCESSES
        daemon.start()
    wait_taken(hooks, daemon)
    assert told(jetstream) == {
        f"s{number}": [f"call-{step:04}" for step in range(calls)] for number in range(PROCESSES)
    }
    assert daemon.status()["spool"]["lost"] == 0


def test_a_daemon_that_dies_while_it_takes_in_takes_nothing_twice(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream
) -> None:
    """Also where it dies after the commit and before the file is deleted."""
    daemon.kill()
    steps = 40
    for step in range(steps):
        hooks.spool.write(document(step))
    daemon.mutation = "import eventd.intake, os; eventd.intake.Intake._remove = lambda *_: os._exit(9)"
    daemon.crashes_expected = True
    daemon.launch()
    assert daemon.wait_end() == 9
    assert len(hooks.spool.files()) == steps
    daemon.mutation = ""
    daemon.start()
    wait_taken(hooks, daemon)
    assert told(jetstream) == {"s": [f"call-{step:04}" for step in range(steps)]}


def document(step: int, session: str = "s", **changes: Any) -> dict[str, Any]:
    event = {
        "id": f"{session}-{step}", "timestamp": 1_790_000_000_000 + step, "type": "conversation.tool_call",
        "session": f"agent:claude-code:{session}", "payload": {"data": {"toolCallId": f"call-{step:04}"}},
    } | changes  # fmt: skip
    return {"agent": "claude-code", "session": event["session"], "events": [event]}


def test_what_is_torn_foreign_or_refused_does_not_hold_up_the_rest(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream
) -> None:
    """It is set aside, with a line in the log."""
    daemon.kill()
    spool, folder = hooks.spool, Path(hooks.spool.folder)
    for step in range(6):
        spool.write(document(step))
    spool.write(document(6, type="No Type"))  # refused
    spool.write(document(7))
    torn = folder / spool.files()[2].name
    torn.write_bytes(torn.read_bytes()[:40])
    (folder / "README").write_text("somebody else's, and not touched")
    (folder / f".{torn.name}").write_text("{")
    os.utime(folder / f".{torn.name}", (0, 0))
    (folder / "00000000000000000000000-00000000-1.2.json").symlink_to("/etc/passwd")
    daemon.start()
    wait_taken(hooks, daemon)
    assert told(jetstream) == {"s": [f"call-{step:04}" for step in (0, 1, 3, 4, 5, 7)]}
    assert len(list((folder / "aside").iterdir())) == daemon.status()["spool"]["set_aside"] == 4
    assert (folder / "README").exists()
    assert daemon.log_text.count('"spool_set_aside"') == 4


def test_a_session_that_has_to_wait_holds_up_no_other(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream
) -> None:
    """One agent sends faster than it may: its events come later, in order, and all of them."""
    daemon.kill()
    daemon.settings["agents"] = {"slow": {"maxEventsPerSecond": 4, "burst": 4}}
    sessions = ("slow-1", "slow-2", "slow-3", "other")
    for step in range(4):
        for session in sessions:
            agent = session.partition("-")[0]
            hooks.spool.write(document(step, session, agent=agent) | {"agent": agent})
    daemon.start()
    daemon.wait_for(lambda status: "slow_down" in status["spool"]["problem"], what="it says what waits")
    wait_taken(hooks, daemon)
    assert told(jetstream) == {session: [f"call-{step:04}" for step in range(4)] for session in sessions}


def test_what_is_stored_already_is_no_trouble(hooks: Hooks, daemon: Daemon, jetstream: JetStream) -> None:
    """A hook that was called twice, once while the daemon was away: the same id at another time."""
    with connect("claude-code", socket=daemon.socket) as client:
        client.emit([Event(**document(step, timestamp=5)["events"][0]) for step in (1, 3)])
    for step in range(5):
        hooks.spool.write(document(step))
    wait_taken(hooks, daemon)
    assert told(jetstream) == {"s": [f"call-{step:04}" for step in (1, 3, 0, 2, 4)]}
    assert daemon.status()["spool"]["set_aside"] == 0


def test_what_was_forgotten_is_kept_nowhere(hooks: Hooks, daemon: Daemon) -> None:
    """A hook that did not hear in time that it is stored has spooled it as well; then it is forgotten."""
    (event,) = document(1)["events"]
    with connect("claude-code", socket=daemon.socket) as client:
        client.emit([Event(**event)])
    wait_forgotten(daemon, forget(daemon, [event["id"]], agent="claude-code"), agent="claude-code")
    for step in range(3):
        hooks.spool.write(document(step))
    wait_taken(hooks, daemon)
    assert daemon.status()["spool"] | {"taken": 2, "set_aside": 0} == daemon.status()["spool"]
    assert not (Path(hooks.spool.folder) / "aside").exists()


def test_while_somebody_empties_the_spool_later_events_go_behind(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream
) -> None:
    """Else they would be stored before those that are on their way. Other sessions are not concerned."""
    hooks.spool.write(document(0, "first"))
    wait_taken(hooks, daemon)  # makes the folder, and its lock
    right = hooks.spool.begin_emptying()
    assert right is not None
    hooks.spool.write(document(0, "s0"))
    call(hooks, 0, 1)
    call(hooks, 1, 0)
    tag = tag_of("agent:claude-code:s0")
    assert sum(file.session == tag for file in hooks.spool.files()) == 2
    hooks.spool.end_emptying(right)
    wait_taken(hooks, daemon)
    assert told(jetstream)["s0"] == ["call-0000", "call-0001"]


def test_a_disk_without_room_loses_no_more_than_it_says(
    hooks: Hooks, daemon: Daemon, jetstream: JetStream, disk: Path
) -> None:
    """Each call ends well, what found no room is counted, and the daemon tells it when it is back."""
    hooks.environ["EVENTD_SPOOL"] = str(disk / "spool")
    hooks.environ["XDG_STATE_HOME"] = str(disk / "state")
    daemon.environ["EVENTD_SPOOL"] = str(disk / "spool")
    daemon.kill()
    call(hooks, 0, 0)
    filler = fill(disk)
    for step in range(1, 4):
        call(hooks, 0, step)
    lost = hooks.spool.lost
    assert lost == 3
    filler.unlink()
    call(hooks, 0, 4)
    daemon.start()
    wait_taken(hooks, daemon)
    daemon.wait_for(lambda status: status["spool"]["lost"] == lost, what="it says what was lost")
    assert told(jetstream) == {"s0": ["call-0000", "call-0004"]}
    assert "spool_lost" in daemon.log_text


def test_hooks_empty_the_spool_where_the_daemon_does_not(
    hooks: Hooks, daemon_factory: DaemonFactory, nats_server: NatsServer, jetstream: JetStream
) -> None:
    """The daemon is a service with a user of its own: the next call brings along what waits, in order."""
    for step in range(3):
        call(hooks, 0, step)
        call(hooks, 1, step)
    daemon = daemon_factory(nats_server.url)  # has no spool of its own: it is not asked to
    assert daemon.status()["spool"] is None
    call(hooks, 0, 3)
    call(hooks, 1, 3)
    wait_until(lambda: not hooks.spool.files(), HANGING, what="the hooks have sent it")
    daemon.wait_shipped()
    steps = [f"call-{step:04}" for step in range(4)]
    assert told(jetstream) == {"s0": steps, "s1": steps}
