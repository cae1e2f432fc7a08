"""`eventd forget`: shows what would go, asks, and says truthfully what is confirmed."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd, Terminal
from eventd.events.normal import MAX_TEXT
from eventd.events.types import FACT_FILE
from eventd_ipc.events import Event, Visibility
from eventd_ipc.messages import End, Error, Forget, Query, Result, StoredEvent
from ipc.support.scripted import Peer, ScriptedServer
from support.daemon import Daemon
from support.forgetting import MARKER, admin, emit_some, shown
from support.waiting import wait_until


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with its own server; each test has an agent of its own."""
    with tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder, Daemon(Path(folder), {}) as daemon:
        emit_some(daemon, 1, agent="first")
        daemon.wait_shipped()
        daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index is ready")
        yield daemon


@pytest.fixture
def real(daemon: Daemon) -> Eventd:
    """The command, told where the real daemon's socket is."""
    return Eventd(["--socket", daemon.socket])


def outcome(ended: Ended) -> dict[str, Any]:
    """What was said at the end."""
    found: dict[str, Any] = ended.objects[-1]
    return found


def test_what_would_go_is_shown_and_nothing_goes(real: Eventd, daemon: Daemon) -> None:
    """How many of what, how much, when, and the first of them."""
    emit_some(daemon, 40, agent="ann")
    ended = real("forget", "--agent", "ann", "--text", MARKER, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert MARKER in ended.lines[0]
    assert "… and 3 events more" in ended.lines
    assert any(line.split()[:3] == ["8", "ann", "conversation.message.in"] for line in ended.lines)
    assert ended.lines[-1].startswith("8 events, ")
    document = real("forget", "--agent", "ann", "--text", MARKER, "--dry-run", "--json").objects
    assert [one["events"] for one in document] == [8]
    assert document[0]["groups"] == [
        {"agent": "ann", "type": "conversation.message.in", "stream": "openclaw-events", "events": 8}
    ]
    assert len(shown(daemon, agent="ann")) == 40


def test_it_is_confirmed(real: Eventd, daemon: Daemon) -> None:
    """By words; what cannot be reached is told."""
    _, others = emit_some(daemon, 20, agent="ben")
    ended = real("forget", "--agent", "ben", "--text", MARKER, "--yes")
    assert ended.code == 0, ended.err
    assert "4 events forgotten: removed from stream, outbox and index" in ended.err
    assert "backups, exports" in ended.err
    assert shown(daemon, agent="ben") == others


def test_words_are_found_where_no_search_looks(real: Eventd, daemon: Daemon) -> None:
    """In secret events, in what is kept for programs, behind the end of what is searched; only as words."""
    events = [
        note("secret", "Zebra\nno crossing", visibility="secret"),
        note("raw", '[{"fact": "a ZEBRA crossing"}]', key="raw", kind=FACT_FILE),
        note("long", "word " * MAX_TEXT + "zebra crossing"),
        note("plain", "the zebra is crossing"),
        note("else", "zebras crossing", visibility="secret"),
        note("half", "zebra", visibility="secret"),
    ]
    with admin(daemon) as client:
        client.emit(events)
    ended = real("forget", "--agent", "nan", "--text", "zebra crossing", "--yes", "--json")
    assert outcome(ended)["forgotten"] == 4, ended.err
    assert shown(daemon, agent="nan") == ["else", "half"]


def note(
    name: str, text: str, *, key: str = "text", kind: str = "note", visibility: Visibility = "internal"
) -> Event:
    payload = {"data": {"path": "x", key: text}}
    return Event(kind, id=name, session="agent:nan:s", visibility=visibility, payload=payload)


def test_by_ids_and_what_was_not_there_is_said(real: Eventd, daemon: Daemon) -> None:
    secrets, others = emit_some(daemon, 10, agent="cid")
    ended = real("forget", *secrets, "no-such-id", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert "no event no-such-id is stored" in ended.err
    assert outcome(ended)["forgotten"] == 2
    assert outcome(ended)["confirmed"] is True
    assert shown(daemon, agent="cid") == others


@pytest.mark.parametrize("chosen", [["--session", "agent:dan:main"], ["--agent", "dan", "--since", "1h"]])
def test_by_session_and_by_time(real: Eventd, daemon: Daemon, chosen: list[str]) -> None:
    """Tombstones are not among what is found."""
    emit_some(daemon, 5, agent="dan")
    assert real("forget", *chosen, "--yes", "--json").objects[0]["events"] == 5
    assert shown(daemon, agent="dan") == []
    again = real("forget", *chosen, "--yes")
    assert (again.code, again.err) == (1, "nothing found that could be forgotten\n")


def test_a_person_is_asked_first(real: Eventd, daemon: Daemon) -> None:
    """And nothing goes unless the answer is yes."""
    emit_some(daemon, 5, agent="eve")
    for answer, left in (("n\n", 5), ("y\n", 0)):
        with (
            Terminal() as terminal,
            real.start("forget", "--agent", "eve", stdin=terminal.fd, stderr=terminal.fd) as running,
        ):
            terminal.wait_for("Forget 5 events for good?")
            terminal.type(answer)
            assert running.end().code == (1 if left else 0)
        assert len(shown(daemon, agent="eve")) == left


def test_where_nobody_can_be_asked_yes_has_to_be_said(real: Eventd, daemon: Daemon) -> None:
    emit_some(daemon, 5, agent="fay")
    ended = real("forget", "--agent", "fay")
    assert ended.code == 2
    assert "--yes" in ended.err
    assert len(shown(daemon, agent="fay")) == 5


@pytest.mark.parametrize(
    "given", [[], ["--agent", "*"], ["--yes"], ["some-id", "--session", "s"], ["some-id", "--text", "x"]]
)
def test_it_has_to_be_said_what(real: Eventd, given: list[str]) -> None:
    """Never everything of everybody."""
    assert real("forget", *given).code == 2


BODY = b'{"id":"%d","agent":"%b","session":"s","type":"note","payload":{"data":{"text":"hi"}}}'


class Script:
    """A server with events of two agents, and what it answers about forgetting them."""

    def __init__(self, server: ScriptedServer, events: int = 3) -> None:
        self.requests: list[Forget] = []
        self.waiting: list[str] = []
        self.dead: list[dict[str, Any]] = []
        self.unreachable: list[str] = []
        self.clean = True
        self.refusal: Error | None = None
        self._events = events
        server.answers[Query] = self._query
        server.answers[Forget] = self._forget

    def _query(self, peer: Peer, request: Query) -> None:
        for number in range(self._events):
            agent = b"main" if number % 3 else b"helper"
            subject = f"openclaw.events.{agent.decode()}.note"
            stored = StoredEvent(
                request.id, "events", number, subject, 1_700_000_000_000, BODY % (number, agent)
            )
            peer.send(stored)
        peer.send(End(request.id))

    def _forget(self, peer: Peer, request: Forget) -> None:
        self.requests.append(request)
        if request.action == "progress":
            waiting = [name for name in request.tombstones if name in self.waiting]
            document = {"waiting": waiting, "done": [], "dead": self.dead, "clean": self.clean}
            peer.send(Result(request.id, document))
            return
        if self.refusal is not None:
            self.refusal.id = request.id
            peer.send(self.refusal)
            return
        answer = {
            "tombstones": [f"t-{len(self.requests)}"], "events": len(request.events), "places": 0,
            "already": [], "unknown": [], "unreachable": self.unreachable, "checked": True,
        }  # fmt: skip
        peer.send(Result(request.id, answer))


def test_it_is_asked_for_agent_by_agent_in_steps(eventd: Eventd, server: ScriptedServer) -> None:
    """Those on their way by their id, those in a stream with their place."""
    script = Script(server, 1500)
    assert eventd("forget", "--session", "s", "--yes").code == 0
    asked = [request for request in script.requests if request.action == "forget"]
    assert [(request.agent, len(request.events)) for request in asked] == [
        ("helper", 500), ("main", 500), ("main", 500),
    ]  # fmt: skip
    assert [(one.id, one.stream, one.seq) for one in asked[0].events[:2]] == [
        ("0", "", 0), ("3", "events", 3),
    ]  # fmt: skip


def test_what_waits_is_not_said_to_be_done(eventd: Eventd, server: ScriptedServer) -> None:
    """It is on disk, and goes out later; `--no-wait` says the same."""
    script = Script(server)
    script.waiting = ["t-1", "t-2"]
    ended = eventd("forget", "--session", "s", "--yes", "--json", "--no-wait")
    assert ended.code == 0
    assert (outcome(ended)["waiting"], outcome(ended)["confirmed"]) == (2, False)
    assert "may have them until NATS has confirmed it" in ended.err  # or it never had them
    assert "removed from stream" not in ended.err


def test_it_is_waited_for(eventd: Eventd, server: ScriptedServer) -> None:
    """Until the last tombstone is out, and files are overwritten."""
    script = Script(server)
    script.waiting, script.clean = ["t-1", "t-2"], False
    with eventd.start("forget", "--session", "s", "--yes", "--json") as running:
        running.read_line()
        wait_until(lambda: len(script.requests) > 4)
        script.waiting = []
        wait_until(lambda: len(script.requests) > 8)
        assert running.process.poll() is None
        script.clean = True
        assert json.loads(running.read_line())["confirmed"] is True


def test_what_failed_is_told_with_what_to_do(eventd: Eventd, server: ScriptedServer) -> None:
    script = Script(server, 1)
    script.dead = [{"id": "t-1", "number": 77, "reason": "no permission to publish to X"}]
    script.unreachable = ["old-events"]
    ended = eventd("forget", "--session", "s", "--yes")
    assert ended.code == 4
    assert "no permission to publish to X; then `eventd deadletter retry 77`" in ended.err
    assert "old-events" in ended.err
    assert "removed from stream" not in ended.err


def test_a_refusal_is_told(eventd: Eventd, server: ScriptedServer) -> None:
    script = Script(server)
    script.refusal = Error("forbidden", "nothing is forgotten: no permission", hint="grant it")
    ended = eventd("forget", "--session", "s", "--yes")
    assert ended.code == 4
    assert "nothing is forgotten: no permission" in ended.err
