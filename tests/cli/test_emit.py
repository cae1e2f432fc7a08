"""`eventd emit` of one event: what the flags and standard input become."""

import json
from typing import Any

import pytest

from cli.support import Eventd
from ipc.support.scripted import ScriptedServer

EVENT = {
    "id": "a-1",
    "timestamp": 1700000000000,
    "agent": "main",
    "session": "agent:main:main",
    "type": "conversation.message.out",
    "visibility": "public",
    "payload": {"data": {"text": "hi"}, "n": 2**60},
    "meta": {"runId": "r"},
}


def only(server: ScriptedServer) -> dict[str, Any]:
    """Return the one event that was stored."""
    (event,) = server.stored.values()
    return event


@pytest.mark.parametrize(
    ("event_type", "role"), [("conversation.message.in", "user"), ("conversation.message.out", "assistant")]
)
def test_a_message_by_flags_is_a_document_message(
    eventd: Eventd, server: ScriptedServer, event_type: str, role: str
) -> None:
    """The text is where the document has it, beside what its schema asks for."""
    ended = eventd("emit", "--type", event_type, "--text", "hello")
    event = only(server)
    assert ended.lines == [event["id"]]
    assert event["type"] == event_type
    assert event["session"] == "agent:main:main"
    payload = event["payload"]
    assert payload["data"] == {"role": role, "text": "hello"}
    assert payload["sessionKey"] == event["session"]
    assert payload["ts"] == event["timestamp"]
    assert payload["runId"] == event["meta"]["runId"]
    assert payload["seq"] == event["meta"]["seq"] == 1


def test_all_flags_arrive(eventd: Eventd, server: ScriptedServer) -> None:
    """Nothing that was said is lost on the way."""
    flags = [
        "--type",
        "build.done",
        "--agent",
        "ci",
        "--session",
        "s",
        "--id",
        "b-1",
        "--visibility",
        "secret",
    ]
    json_flags = ["--payload", '{"data": {"ok": true}}', "--meta", '{"runId": "r"}']
    ended = eventd("emit", *flags, *json_flags, "--json")
    assert ended.objects == [{"id": "b-1"}]
    event = only(server)
    assert event == {
        "id": "b-1",
        "type": "build.done",
        "agent": "ci",
        "session": "s",
        "visibility": "secret",
        "payload": {"data": {"ok": True}},
        "meta": {"runId": "r"},
    }
    assert [hello.agent for hello in server.hellos] == ["ci"]


def test_text_joins_a_payload(eventd: Eventd, server: ScriptedServer) -> None:
    """--text and --payload together: the text goes into the payload's data."""
    eventd("emit", "--type", "note", "--text", "x", "--payload", '{"data": {"a": 1}, "b": 2}')
    assert only(server)["payload"] == {"data": {"a": 1, "text": "x"}, "b": 2}


def test_text_of_any_type(eventd: Eventd, server: ScriptedServer) -> None:
    """Other types have their text at the same place."""
    eventd("emit", "--type", "note", "--text", "x")
    assert only(server)["payload"]["data"] == {"text": "x"}


def test_the_session_follows_the_agent(eventd: Eventd, server: ScriptedServer) -> None:
    """An agent's main session, where none is named; the agent may come from the environment."""
    eventd("emit", "--type", "note", EVENTD_AGENT="ci")
    assert only(server)["session"] == "agent:ci:main"
    assert only(server)["agent"] == "ci"


def test_an_event_on_standard_input_arrives_as_it_is(eventd: Eventd, server: ScriptedServer) -> None:
    """Every field, over several lines, large integers too."""
    ended = eventd("emit", stdin=json.dumps(EVENT, indent=2).encode())
    assert (ended.code, ended.lines) == (0, ["a-1"])
    assert only(server) == EVENT


def test_flags_complete_an_event_on_standard_input(eventd: Eventd, server: ScriptedServer) -> None:
    """They say what it leaves out, and change nothing that it says."""
    flags = ["--agent", "ci", "--session", "s", "--visibility", "secret"]
    eventd("emit", *flags, stdin=b'{"type": "note", "id": "1"}')
    eventd("emit", *flags, stdin=json.dumps(EVENT).encode())
    first = server.stored["1"]
    assert (first["agent"], first["session"], first["visibility"]) == ("ci", "s", "secret")
    assert server.stored["a-1"] == EVENT


def test_a_session_keeps_its_agent(eventd: Eventd, server: ScriptedServer) -> None:
    """An event that names its session names its agent by that; the flag does not take it away."""
    eventd("emit", "--agent", "ci", stdin=b'{"type": "note", "session": "agent:other:main"}')
    assert "agent" not in only(server)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"hello", "JSON is malformed"),
        (b'{"payload": {}}', "missing required field `type`"),
        (b'{"type": "note", "pyload": {}}', "unknown field `pyload`"),
        (b'{"type": "Not A Type"}', "$.type"),
        (b'{"type": "note", "timestamp": "now"}', "$.timestamp"),
        (b'{"type": "note"}\n{"type": "note"}', "--stdin"),
        (b"[" * 100_000, "$"),
    ],
)
def test_what_is_no_event_is_refused(eventd: Eventd, server: ScriptedServer, text: bytes, said: str) -> None:
    """Like an event that the daemon refuses, and before it is asked; a misspelt key is not lost silently."""
    ended = eventd("emit", stdin=text)
    assert ended.code == 4
    assert said in ended.err
    assert not server.emits


def test_the_command_gives_the_id_and_the_daemon_the_time(eventd: Eventd, server: ScriptedServer) -> None:
    """With the id it could be sent again; the daemon's stamp is the one that never makes a conflict."""
    eventd("emit", "--type", "note")
    assert only(server)["id"]
    assert "timestamp" not in only(server)
