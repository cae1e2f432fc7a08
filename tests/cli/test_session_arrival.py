"""How sessions are sent: what is there or forgotten is not, and what passes is waited for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd
from eventd_ipc.messages import Index, Known, Result
from ipc.support.scripted import Peer, ScriptedServer, dismiss, lose_ack, refuse, store
from sources.support import ClaudeCode, Codex

Import = Callable[..., Ended]


@pytest.fixture
def imports(eventd: Eventd, tmp_path: Path) -> Import:
    """Import the sessions in a home."""

    def run(*args: str) -> Ended:
        return eventd("import", "sessions", *args, stdin=b"", HOME=str(tmp_path))

    return run


def write(home: Path, turns: int = 3) -> None:
    """Write a session with so many prompts."""
    session = ClaudeCode()
    for turn in range(turns):
        session.ask(f"{turn}")
    session.write(home)


def figures(ended: Ended) -> dict[str, Any]:
    """Return the figures of Claude Code's sessions that are not 0 or empty."""
    [source] = [source for source in ended.objects if source["source"] == "claude-code"]
    return {key: value for key, value in source.items() if value and key not in ("source", "places")}


def test_what_was_forgotten_does_not_come_back(
    imports: Import, server: ScriptedServer, tmp_path: Path
) -> None:
    """It is not sent, and counted; nothing is wrong about that."""

    def known(peer: Peer, asked: Known) -> None:
        peer.send(Result(asked.id, {"known": [], "forgotten": asked.ids[1:3], "complete": True}))

    server.answers[Known] = known
    write(tmp_path)
    ended = imports("--json")
    assert ended.code == 0
    assert figures(ended) == {"sessions": 1, "added": 2, "forgotten": 2}
    assert len(server.stored) == 2


def test_what_was_said_while_a_session_was_turned_off_is_left_out(
    imports: Import, server: ScriptedServer, tmp_path: Path
) -> None:
    """The transcript has it, the hooks have not: the person has asked for that."""
    session = ClaudeCode()
    for text in ("before", "Eventd off.", "hidden", "eventd on", "after"):
        session.ask(text).say(f"answer to {text}")
    session.write(tmp_path)
    assert imports().code == 0
    said = [event["payload"]["data"].get("text") for event in server.stored.values()]
    assert [text for text in said if text] == [
        "before", "answer to before", "answer to eventd on", "after", "answer to after",
    ]  # fmt: skip


def test_what_two_transcripts_tell_is_sent_once(
    imports: Import, server: ScriptedServer, tmp_path: Path
) -> None:
    """Though the daemon does not know it yet when it is asked the second time."""

    def known(peer: Peer, asked: Known) -> None:
        peer.send(Result(asked.id, {"known": [], "forgotten": [], "complete": True}))

    server.answers[Known] = known
    session = Codex()
    for turn in range(3):
        session.message("user", f"{turn}")  # without ids of turns
    session.write(tmp_path)
    session.write(tmp_path, archived=True)
    ended = imports("--json")
    assert [(source["added"], source["known"]) for source in ended.objects] == [(0, 0), (4, 4), (0, 0)]
    assert len(server.stored) == 4


def test_refusals_are_counted_and_the_others_stored(
    imports: Import, server: ScriptedServer, tmp_path: Path
) -> None:
    """An id that has another content is one that is there already: a hook told the same in other words."""
    write(tmp_path, 10)
    server.script += [refuse("too_large", index=3), refuse("id_conflict", index=1)]
    ended = imports("--json")
    assert ended.code == 4
    assert figures(ended) == {"sessions": 1, "added": 9, "known": 1, "refused": {"too_large": 1}}


@pytest.mark.parametrize(
    "step", [lose_ack, dismiss("too_many_connections"), refuse("outbox_full")], ids=range(3)
)
def test_what_passes_is_waited_for(
    imports: Import, server: ScriptedServer, tmp_path: Path, step: Callable[[Peer, Any], None]
) -> None:
    """What has no ack is sent again, and stored once."""
    write(tmp_path, 2500)
    server.script += [store, step, step]
    ended = imports("--json")
    assert ended.code == 0, ended.err
    assert figures(ended)["added"] == len(server.stored) == 2501


def test_an_index_that_is_being_built_is_waited_for(
    imports: Import, server: ScriptedServer, tmp_path: Path
) -> None:
    """It may know more later. After --wait it is an error, and nothing is sent."""
    answers = iter([False, False, True, *[False] * 1000])

    def known(peer: Peer, asked: Known) -> None:
        peer.send(Result(asked.id, {"known": [], "forgotten": [], "complete": next(answers)}))

    server.answers[Known] = known
    server.answers[Index] = lambda peer, asked: peer.send(Result(asked.id, {"state": "rebuilding"}))
    write(tmp_path)
    assert imports("--dry-run").code == 0
    ended = imports("--wait", "300ms")
    assert ended.code == 1
    assert "index is not complete" in ended.err
    assert "stopped in transcript 1 of 1" in ended.err
    assert not server.stored


def test_nats_may_be_away(imports: Import, server: ScriptedServer, tmp_path: Path) -> None:
    """What the daemon has seen itself it knows all the same; that it cannot know more is said once."""

    def known(peer: Peer, asked: Known) -> None:
        ids = [event_id for event_id in asked.ids if event_id in server.stored]
        peer.send(Result(asked.id, {"known": ids, "forgotten": [], "complete": False}))

    server.answers[Known] = known
    server.answers[Index] = lambda peer, asked: peer.send(Result(asked.id, {"state": "stalled"}))
    write(tmp_path, 1500)
    ended = imports("--json", "--wait", "500ms")
    assert ended.code == 0
    assert ended.err.count("NATS is away") == 1
    assert figures(ended)["added"] == 1501
    assert figures(imports("--json", "--wait", "500ms"))["known"] == 1501
