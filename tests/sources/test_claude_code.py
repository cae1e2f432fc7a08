"""Claude Code's lines: what a person and the agent said, and nothing that the program put among it."""

import json
from pathlib import Path
from typing import Any

import pytest

from eventd.sources.claude_code import ClaudeCode as Adapter
from eventd.sources.model import NotUnderstood, Options, Seen, Transcript
from eventd_ipc.events import Event
from sources.support import START, ClaudeCode, Plain, jsonl, told

TRANSCRIPT = Transcript("claude-code", "claude-code", Path("/p/s-1.jsonl"), 0, START * 1000, "s-1")


def read(session: ClaudeCode, *, thinking: bool = False, seen: Seen | None = None) -> list[Event]:
    """Return the events of a session."""
    adapter = Adapter(TRANSCRIPT, Options(Plain(), thinking), seen or Seen())
    events = [event for line in jsonl(session.lines).splitlines() for event in adapter.read(line)]
    return [*events, *adapter.finish()]


def said(session: ClaudeCode) -> list[tuple[str, str]]:
    """Return what the events say, without the beginning of the session."""
    return told(read(session))[1:]


def test_a_session_becomes_its_events() -> None:
    """Word for word: ids of the tool's own, times of their own, who said it, and where it comes from."""
    session = ClaudeCode().ask("Why is the shop slow?")
    session.use("toolu_1", "Bash", {"command": "uptime"}, "load 9").say("The disk is full.")
    source = {
        "tool": "claude-code", "via": "import", "transcript": "/p/s-1.jsonl", "cwd": "/work/shop",
        "version": "2.1.252",
    }  # fmt: skip
    [start, prompt, call, result, answer] = read(session)
    key = "agent:claude-code:s-1"
    assert start.id == "claude-code:s-1:start"
    assert start.type == "session.start"
    assert prompt == Event(
        type="conversation.message.in",
        id="claude-code:s-1:in:p-0:83f098935f5f6a35",
        timestamp=START * 1000,
        agent="claude-code",
        session=key,
        payload={
            "runId": "p-0",
            "stream": "user",
            "data": {"role": "user", "text": "Why is the shop slow?"},
            "sessionKey": key,
            "ts": START * 1000,
        },
        meta={"runId": "p-0", "origin": "person", "source": source},
    )
    assert (call.id, result.id) == ("claude-code:s-1:call:toolu_1", "claude-code:s-1:result:toolu_1")
    assert call.payload["data"] == {"name": "Bash", "toolCallId": "toolu_1", "args": {"command": "uptime"}}
    assert result.payload["data"] == {
        "name": "Bash", "toolCallId": "toolu_1", "result": "load 9", "isError": False
    }  # fmt: skip
    assert [event.meta["origin"] for event in (call, result, answer)] == ["agent", "tool", "agent"]
    assert answer.meta["model"] == "claude-opus-5"
    assert answer.meta["runId"] == "p-0"
    assert answer.timestamp == (START + 3) * 1000


PROGRAM: dict[str, Any] = {
    "meta": {"content": "Caveat", "isMeta": True},
    "output": {"content": "<local-command-stdout>x</local-command-stdout>"},
    "command": {"content": "<command-name>/clear</command-name><command-args></command-args>"},
    "bash": {"content": "<bash-input>ls</bash-input>"},
    "interrupted": {"content": [{"type": "text", "text": "[Request interrupted by user]"}]},
    "notification": {"content": "<task-notification><result>done</result></task-notification>"},
    "peer": {"content": "do this", "origin": {"kind": "peer"}},
    "system": {"content": "continue", "promptSource": "system"},
    "reminder": {"content": "<system-reminder>be nice</system-reminder>"},
    "beside a result": {
        "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "r"},
            {"type": "text", "text": "Tool loaded."},
        ]
    },
}


@pytest.mark.parametrize("kind", PROGRAM)
def test_what_the_program_says_is_no_person(kind: str) -> None:
    """It stands in lines of a user, too."""
    session = ClaudeCode()
    session.line("user", **PROGRAM[kind])
    assert "message.in" not in dict(said(session))


def test_a_command_with_words_is_what_a_person_typed() -> None:
    """As are a prompt's own words beside a reminder, and what is typed while the agent works."""
    session = ClaudeCode()
    session.line("user", "<command-name>/review</command-name>\n<command-args>the parser</command-args>")
    session.line(
        "user",
        [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "hi"}],
    )
    session.line(
        "attachment", attachment={"type": "queued_command", "commandMode": "prompt", "prompt": "stop"}
    )
    session.line("attachment", attachment={"type": "todo", "prompt": "no"})
    assert said(session) == [
        ("message.in", "/review the parser"),
        ("message.in", "hi"),
        ("message.in", "stop"),
    ]


def test_a_summary_is_a_compaction_and_no_message() -> None:
    """With what is known of it."""
    [compaction] = read(ClaudeCode().ask("hi").compact("We talked."))[2:]
    assert compaction.type == "session.compaction_end"
    assert compaction.payload["data"] == {"summary": "We talked.", "trigger": "auto", "tokensBefore": 155_000}


def test_a_subagent_is_a_run_of_its_session() -> None:
    """Its task and its last words are told once; its tool calls are calls of that run."""
    sub = ClaudeCode()
    side: dict[str, Any] = {"isSidechain": True, "agentId": "a7"}
    sub.line("user", "Look for the bug", **side)
    sub.say("Looking.", **side).use("toolu_9", "Grep", {"q": "bug"}, "line 3", **side).say("Line 3.", **side)
    events = read(sub)
    assert told(events) == [
        ("start", "Look for the bug"), ("tool_call", '{"q": "bug"}'), ("tool_result", "line 3"),
        ("end", "Line 3."),
    ]  # fmt: skip
    assert {event.payload["runId"] for event in events} == {"a7"}
    assert {event.session for event in events} == {"agent:claude-code:s-1"}
    assert events[0].id == "claude-code:s-1:run:a7:start"


def test_lines_that_another_transcript_has_told_are_not_told_again() -> None:
    """A resumed session of an older version begins with a copy, under its own id."""
    first = ClaudeCode().ask("one").say("two")
    again = ClaudeCode("s-2")
    again.lines = [line | {"sessionId": "s-2"} for line in first.lines]
    again.ask("three")
    seen = Seen()
    read(first, seen=seen)
    assert told(read(again, seen=seen)) == [("start", "startup"), ("message.in", "three")]


def test_a_fork_that_says_so_tells_its_copies_under_their_first_session() -> None:
    """Whichever of the two files is read first, the ids are the same."""
    first = ClaudeCode().ask("one")
    fork = ClaudeCode("s-2")
    fork.lines = [line | {"sessionId": "s-2", "forkedFrom": {"sessionId": "s-1"}} for line in first.lines]
    fork.ask("two")
    assert next(event.id for event in read(fork)) == read(first)[1].id
    assert [event.session for event in read(fork)][-1] == "agent:claude-code:s-2"


def test_thinking_is_told_when_asked_for() -> None:
    """And is no message even then."""
    session = ClaudeCode()
    session.line("assistant", [{"type": "thinking", "thinking": "hm", "signature": "x"}])
    assert said(session) == []
    assert told(read(session, thinking=True))[1:] == [("thinking", "hm")]


def test_images_are_named_and_not_stored() -> None:
    """In prompts and in results."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJDRA=="}}
    session = ClaudeCode()
    session.line("user", [{"type": "text", "text": "what is this?"}, image])
    session.line("user", [{"type": "tool_result", "tool_use_id": "t", "content": [image]}])
    assert said(session) == [
        ("message.in", "what is this?\n[image image/png, 4 bytes, not stored]"),
        ("tool_result", "[image image/png, 4 bytes, not stored]"),
    ]


def test_answers_from_the_web_are_told_apart() -> None:
    """By the tool's name."""
    results = [
        event
        for event in read(ClaudeCode().use("t", "WebFetch", {"url": "u"}, "page", error=True))
        if "result" in event.type
    ]
    assert results[0].meta["origin"] == "web"
    assert results[0].payload["data"]["isError"] is True


@pytest.mark.parametrize(
    "line",
    [b"[1]", b"{", b'"text"', b'{"type": 5}', b'{"type":"user","message":{"content":7}}', b"\xff\xfe{}"],
    ids=["list", "torn", "text", "type", "content", "bytes"],
)
def test_what_is_of_another_format_is_not_understood(line: bytes) -> None:
    """And never a crash."""
    with pytest.raises(NotUnderstood):
        list(Adapter(TRANSCRIPT, Options(Plain()), Seen()).read(line))


def test_types_of_lines_that_are_not_known_are_none_of_ours() -> None:
    """New ones come with every version, some without a session or a time."""
    session = ClaudeCode()
    session.lines += [
        {"type": "ai-title", "aiTitle": "x", "sessionId": "s-1"},
        {"type": "summary", "summary": "y"},
    ]
    session.lines += [{"type": "file-history-snapshot", "snapshot": {"a": [1]}}, {"leafUuid": "z"}]
    assert read(session) == []


def test_half_a_character_does_not_cost_the_line() -> None:
    """Tools cut their output within an emoji."""
    session = ClaudeCode().ask("x")
    line = json.dumps(session.lines[0]).replace('"x"', '"\\ud83d end"').encode()
    adapter = Adapter(TRANSCRIPT, Options(Plain()), Seen())
    assert told(list(adapter.read(line)))[1:] == [("message.in", "\ufffd end")]
