"""Codex's rollouts: each saying once though it stands there twice, and no words that the program put in."""

from pathlib import Path

import pytest

from eventd.sources.codex import Codex as Adapter
from eventd.sources.model import NotUnderstood, Options, Seen, Transcript
from eventd_ipc.events import Event
from sources.support import START, Codex, Json, Plain, at, jsonl, told

TRANSCRIPT = Transcript("codex", "codex", Path("/p/rollout.jsonl"), 0, START * 1000, "by-name")
ID = "01a038a1-c2ee-7642-98e4-c94d7a479e0c"


def read(session: Codex, *, thinking: bool = False, seen: Seen | None = None) -> list[Event]:
    """Return the events of a thread."""
    adapter = Adapter(TRANSCRIPT, Options(Plain(), thinking), seen or Seen())
    events = [event for line in jsonl(session.lines).splitlines() for event in adapter.read(line)]
    return [*events, *adapter.finish()]


def test_a_thread_becomes_its_events() -> None:
    """With the thread's own id, not the file's name; turns are runs."""
    session = (
        Codex()
        .ask("Run the tests")
        .use("call_1", "exec_command", {"cmd": "make"}, "Exit code: 2\nOutput:\nno")
    )
    events = read(session.say("They fail."))
    assert told(events) == [
        ("start", "startup"), ("message.in", "Run the tests"), ("tool_call", '{"cmd": "make"}'),
        ("tool_result", "Exit code: 2\nOutput:\nno"), ("message.out", "They fail."),
    ]  # fmt: skip
    assert [event.id for event in events[2:4]] == [f"codex:{ID}:call:call_1", f"codex:{ID}:result:call_1"]
    assert events[1].id == f"codex:{ID}:in:01a038a1-turn-1:cfa685e12bdaf829"
    assert events[3].payload["data"]["isError"] is True
    assert {event.session for event in events} == {f"agent:codex:{ID}"}
    assert {event.payload["runId"] for event in events[1:]} == {"01a038a1-turn-1"}
    assert events[4].meta["model"] == "gpt-6"
    assert events[4].meta["source"]["cwd"] == "/work/api"
    assert events[4].meta["source"]["version"] == "0.149.1"
    assert events[1].timestamp == (START + 3) * 1000


@pytest.mark.parametrize("only", ["response_item", "event_msg"])
def test_one_of_the_two_records_is_enough(only: str) -> None:
    """Versions differ in which they keep."""
    session = Codex().ask("one").say("two")
    session.lines = [line for line in session.lines if line["type"] == only or line["payload"].get("turn_id")]
    assert told(read(session))[1:] == [("message.in", "one"), ("message.out", "two")]


def test_what_is_said_twice_is_told_twice() -> None:
    """Its two records are one saying, the same words again are another."""
    session = Codex().ask("go").say("Done.").ask("go").say("Done.")
    events = read(session)[1:]
    assert told(events) == [("message.in", "go"), ("message.out", "Done.")] * 2
    assert len({event.id for event in events}) == 4


@pytest.mark.parametrize(
    "text",
    [
        "<environment_context>\n<cwd>/x</cwd></environment_context>",
        "# AGENTS.md instructions for /work\n\n<INSTRUCTIONS>be nice</INSTRUCTIONS>",
        "<user_instructions>be nice</user_instructions>",
        "<turn_aborted>the user interrupted</turn_aborted>",
        "<subagent_notification>{}</subagent_notification>",
    ],
    ids=["environment", "agents", "instructions", "aborted", "notification"],
)
def test_what_the_program_puts_in_is_no_person(text: str) -> None:
    """Though it has a person's role."""
    assert told(read(Codex().message("user", text).message("developer", "rules"))) == []


def test_a_fork_does_not_tell_its_copies_again() -> None:
    """It begins with the records of another thread, at new times, that thread's name among them."""
    seen = Seen()
    parent = Codex().ask("one").use("c1", "shell", {}, "x").say("two")
    read(parent, seen=seen)
    fork = Codex("02b038a1-c2ee-7642-98e4-c94d7a479e0c", forked_from_id=ID)
    fork.lines += [line | {"timestamp": at(500)} for line in parent.lines]
    fork.ask("three")
    events = read(fork, seen=seen)
    assert told(events) == [("start", "startup"), ("message.in", "three")]
    assert events[1].session == "agent:codex:02b038a1-c2ee-7642-98e4-c94d7a479e0c"


def test_a_thread_of_a_subagent_is_a_run_of_its_session() -> None:
    """What it is told is no person's, and its end is what it said last."""
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": ID, "depth": 1}}}
    session = Codex("child", source=spawn).ask("look there").use("c", "shell", {}, "x").say("Found it.")
    events = read(session)
    assert [(event.type, event.payload["runId"]) for event in events] == [
        ("lifecycle.start", "child"), ("conversation.tool_call", "child"),
        ("conversation.tool_result", "child"), ("lifecycle.end", "child"),
    ]  # fmt: skip
    assert {event.session for event in events} == {f"agent:codex:{ID}"}
    assert events[-1].payload["data"]["text"] == "Found it."


def test_other_tools_and_forms_of_output() -> None:
    """Custom tools, the shell, searches; outputs as text, JSON, parts and maps."""
    session = Codex()
    session.item(type="custom_tool_call", name="apply_patch", input="*** Begin", call_id="a")
    session.item(
        type="custom_tool_call_output", call_id="a", output='{"output":"ok","metadata":{"exit_code":1}}'
    )
    session.item(type="local_shell_call", call_id="b", action={"command": ["ls"]}, status="completed")
    session.item(type="function_call_output", call_id="b", output=[{"type": "input_text", "text": "files"}])
    session.item(type="web_search_call", id="c", action={"type": "search", "query": "nats"})
    session.item(type="function_call", name="f", arguments="{torn", call_id="d")
    session.item(type="function_call_output", call_id="d", output={"content": "no", "success": False})
    data = [event.payload["data"] for event in read(session)[1:]]
    assert [one["name"] for one in data] == ["apply_patch"] * 2 + ["shell"] * 2 + ["web_search"] + ["f"] * 2
    assert [one.get("result") for one in data] == [None, "ok", None, "files", None, None, "no"]
    assert [one.get("isError") for one in data] == [None, True, None, False, None, None, True]
    assert data[5]["args"] == "{torn"


def test_a_compaction_has_its_summary() -> None:
    """Without one there is nothing to tell."""
    session = Codex().record("compacted", {"message": "We talked.", "replacement_history": [{"x": 1}]})
    assert told(read(session.record("compacted", {"message": ""})))[1:] == [("compaction_end", "We talked.")]


def test_an_image_is_named_once() -> None:
    """One of the two records has it, as a part between two tags."""
    parts = [
        {"type": "input_text", "text": "see"}, {"type": "input_text", "text": "<image name=[Image #1]>"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJDRA=="},
        {"type": "input_text", "text": "</image>"},
    ]  # fmt: skip
    session = Codex().item(type="message", role="user", content=parts)
    session.record("event_msg", {"type": "user_message", "message": "see", "images": ["x"]})
    assert told(read(session))[1:] == [("message.in", "see\n[image image/png, 4 bytes, not stored]")]


def test_thinking_is_told_when_asked_for() -> None:
    """As far as it is not encrypted."""
    summary = [{"type": "summary_text", "text": "hm"}]
    session = Codex().item(type="reasoning", summary=summary, encrypted_content="xx")
    assert told(read(session)) == []
    assert told(read(session, thinking=True)) == [("thinking", "hm")]


def test_the_oldest_form_is_read_too() -> None:
    """Records without an envelope, behind a first line that names the session."""
    lines: list[Json] = [
        {"id": "old", "timestamp": at(0), "instructions": None, "git": {}},
        {"record_type": "state"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"},
    ]
    session = Codex()
    session.lines = lines
    events = read(session)
    assert told(events) == [("start", "startup"), ("message.in", "hi"), ("tool_call", "{}")]
    assert events[0].timestamp == START * 1000
    assert events[0].session == "agent:codex:old"


def test_types_that_are_not_known_are_none_of_ours() -> None:
    """New ones come with every version."""
    session = Codex().record("world_state", {"x": 1}).record("event_msg", {"type": "token_count"})
    assert read(session.item(type="ghost_snapshot", call_id="x")) == []


@pytest.mark.parametrize(
    "line", [b"[]", b"{", b'{"type":"response_item","payload":5}'], ids=["list", "torn", "payload"]
)
def test_what_is_of_another_format_is_not_understood(line: bytes) -> None:
    """And never a crash."""
    with pytest.raises(NotUnderstood):
        list(Adapter(TRANSCRIPT, Options(Plain()), Seen()).read(line))
