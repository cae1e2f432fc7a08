"""`eventd migrate`: what it is given, and what it says where the daemon does not take something."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.support import Eventd, Terminal
from eventd_ipc.messages import Emit, Known, Result
from ipc.support.scripted import Peer, ScriptedServer, lose_ack, refuse, store
from support.workspace import write


@pytest.fixture
def server(server: ScriptedServer) -> ScriptedServer:
    """One that has nothing of any file, and has forgotten nothing."""
    server.stream = 0
    answer(server)
    return server


def answer(
    server: ScriptedServer, *, known: Sequence[str] = (), forgotten: Sequence[str] = (), complete: bool = True
) -> None:
    """Let it answer what is asked about ids."""

    def reply(peer: Peer, request: Known) -> None:
        told: dict[str, Any] = {
            "known": [name for name in request.ids if name in known],
            "forgotten": [name for name in request.ids if name in forgotten],
            "complete": complete,
        }
        peer.send(Result(request.id, told))

    server.answers[Known] = reply


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "w", {"MEMORY.md": b"# M\n## A\na\n## B\nb\n"})


@pytest.mark.parametrize(
    "options",
    [
        ("--write-back", "x", "--dry-run"),
        ("--write-back", "x", "--workspace", "y"),
        ("--write-back", "x", "--redact"),
        ("--agent", "a:b"),
        ("--agent", "*"),
    ],
)
def test_what_makes_no_sense_is_refused(eventd: Eventd, options: tuple[str, ...]) -> None:
    """Before anybody is asked."""
    assert eventd("migrate", *options).code == 2


def test_what_is_refused_is_told_and_counted(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """The others are stored; the exit code says that not all was taken."""
    server.script.append(refuse("too_large", index=1))
    ended = eventd("migrate", "--workspace", folder)
    assert ended.code == 4
    assert "MEMORY.md: too_large: scripted too_large" in ended.err
    assert len(server.stored) == 2


def test_an_id_that_is_taken_is_there_already(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """With another date, say: the words are stored, and that is no trouble."""
    server.script.append(refuse("id_conflict", index=0))
    ended = eventd("migrate", "--workspace", folder, "--json")
    assert ended.code == 0
    summary = ended.objects[-1]["summary"]
    assert (summary["present"], summary["refused"], sum(summary["added"].values())) == (1, 0, 2)


def test_what_is_known_or_forgotten_is_not_sent(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """Each is counted."""
    eventd("migrate", "--workspace", folder)
    first, second, third = list(server.stored)
    server.stored.clear()
    answer(server, known=[first], forgotten=[second])
    ended = eventd("migrate", "--workspace", folder, "--json")
    assert list(server.stored) == [third]
    summary = ended.objects[-1]["summary"]
    assert (summary["present"], summary["forgotten"]) == (1, 1)


def test_an_index_that_is_not_complete_is_waited_for(
    eventd: Eventd, server: ScriptedServer, folder: Path
) -> None:
    """Not for ever: what is stored would be stored again, without it."""
    answer(server, complete=False)
    ended = eventd("migrate", "--workspace", folder, "--wait", "0.3s")
    assert ended.code == 1
    assert "has not read all of its streams yet" in ended.err
    assert server.emits == []


def test_a_lost_ack_loses_nothing(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """It is sent again under the same ids."""
    server.script.extend([lose_ack, store])
    ended = eventd("migrate", "--workspace", folder, "--json")
    assert ended.code == 0
    assert len(server.stored) == 3


def test_every_object_says_what_it_is(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """Events with id and type, what is skipped with the reason, and the summary last."""
    write(folder, {"SOUL.md": b"x", "life/areas/people/x/items.json": b'[{"fact": "a"}, {'})
    ended = eventd("migrate", "--workspace", folder, "--json")
    *told, last = ended.objects
    assert {each["what"] for each in told} == {"stored", "skipped", "damaged"}
    assert {each["id"] for each in told if each["what"] == "stored"} == set(server.stored)
    assert last["summary"]["agent"] == "main"
    assert last["summary"]["workspace"] == str(folder)
    assert ended.err == ""


def test_events_go_out_whole(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """With id, time and agent of their own, so that sending them again is a repeat."""
    eventd("migrate", "--workspace", folder, "--agent", "work")
    for emit in server.emits:
        assert isinstance(emit, Emit)
        for raw in emit.events:
            event = msgspec.msgpack.decode(raw)
            assert {"id", "timestamp", "agent", "type", "payload", "meta"} <= event.keys()
            assert event["agent"] == "work"
            json.dumps(event)


def test_a_bar_is_drawn_on_a_terminal_only(eventd: Eventd, server: ScriptedServer, folder: Path) -> None:
    """The table goes to standard output all the same."""
    with Terminal() as terminal:
        with eventd.start("migrate", "--workspace", folder, stderr=terminal.fd) as running:
            ended = running.end()
        drawn = terminal.close()
    assert ended.code == 0
    assert "files" in drawn
    assert b"events added" in ended.out
