"""OpenClaw's entries: the words of people without what the channel puts before them."""

from pathlib import Path

import pytest

from eventd.sources.model import NotUnderstood, Options, Seen, Transcript
from eventd.sources.openclaw import OpenClaw as Adapter
from eventd_ipc.events import Event
from sources.support import START, OpenClaw, Plain, jsonl, told

KEY = "agent:main:telegram:direct:7"
TRANSCRIPT = Transcript("openclaw", "main", Path("/p/x.jsonl"), 0, START * 1000, "by-name", KEY)
ID = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"


def read(session: OpenClaw, *, thinking: bool = False) -> list[Event]:
    """Return the events of a session."""
    adapter = Adapter(TRANSCRIPT, Options(Plain(), thinking), Seen())
    events = [event for line in jsonl(session.entries).splitlines() for event in adapter.read(line)]
    return [*events, *adapter.finish()]


def test_a_session_becomes_its_events() -> None:
    """With the session's key, the id of its header, and times of their own."""
    session = (
        OpenClaw().ask("what is new?").use("c1", "read", {"path": "x"}, "text", error=True).say("Nothing.")
    )
    events = read(session)
    assert told(events) == [
        ("start", "startup"), ("message.in", "what is new?"), ("tool_call", '{"path": "x"}'),
        ("tool_result", "text"), ("message.out", "Nothing."),
    ]  # fmt: skip
    assert {event.session for event in events} == {KEY}
    assert events[2].id == f"openclaw:{ID}:call:c1"
    assert events[1].id == f"openclaw:{ID}:in:{(START + 1) // 60}:e65ad5d349f29f87"
    assert events[3].payload["data"] == {
        "name": "read",
        "toolCallId": "c1",
        "result": "text",
        "isError": True,
    }
    assert events[4].meta["model"] == "claude-sonnet-5"
    assert events[4].meta["source"]["sessionId"] == ID
    assert {event.payload["runId"] for event in events[1:]} == {"e1"}


def test_what_the_channel_puts_before_the_words_is_left_out() -> None:
    """But for the message's id, by which the plugin knows it, within the session's key: it has no other."""
    head = 'Conversation info (untrusted metadata):\n```json\n{"message_id": "42", "sender": "Anna"}\n```\n\n'
    [_, event] = read(OpenClaw().ask(f"{head}hello"))
    assert event.payload["data"]["text"] == "hello"
    assert event.id is not None
    assert event.id.startswith(f"openclaw:{event.session}:in:42:")


@pytest.mark.parametrize("text", ["[cron:1 plants] water them?", "System: restarted"], ids=["cron", "system"])
def test_what_a_program_says_is_no_person(text: str) -> None:
    """Though it is a message to the agent."""
    assert read(OpenClaw().ask(text))[1].meta["origin"] == "agent"


def test_other_entries() -> None:
    """Summaries, a person's own commands, images; all else is none of ours."""
    session = OpenClaw().entry("model_change", provider="x", modelId="y")
    session.entry("custom", customType="x", data={}).entry("custom_message", content="be nice")
    session.entry("compaction", summary="We talked.", firstKeptEntryId="e1", tokensBefore=9)
    session.message("bashExecution", None, command="ls", output="a b", exitCode=1)
    session.message("user", [{"type": "image", "data": "QUJDRA==", "mimeType": "image/png"}])
    events = read(session)
    assert told(events) == [
        ("compaction_end", "We talked."), ("start", "startup"), ("tool_call", "ls"),
        ("tool_result", "a b"), ("message.in", "[image image/png, 4 bytes, not stored]"),
    ]  # fmt: skip
    assert events[0].payload["data"]["tokensBefore"] == 9
    assert events[3].payload["data"]["isError"] is True


def test_thinking_is_told_when_asked_for() -> None:
    """Beside what is said."""
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]
    session = OpenClaw().message("assistant", parts)
    assert told(read(session))[1:] == [("message.out", "yes")]
    assert told(read(session, thinking=True))[1:] == [("message.out", "yes"), ("thinking", "hm")]


@pytest.mark.parametrize(
    "line", [b"[]", b"{", b'{"type":"message","message":[]}'], ids=["list", "torn", "message"]
)
def test_what_is_of_another_format_is_not_understood(line: bytes) -> None:
    """And never a crash."""
    with pytest.raises(NotUnderstood):
        list(Adapter(TRANSCRIPT, Options(Plain()), Seen()).read(line))
