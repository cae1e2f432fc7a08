"""Stored events for people and for programs: all writers' shapes, and nothing that can do harm."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.cli import views
from eventd_ipc.messages import StoredEvent


def stored(body: bytes | dict[str, Any], **fields: Any) -> StoredEvent:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    known: dict[str, Any] = {
        "stream": "s",
        "seq": 1,
        "subject": "openclaw.events.main.x",
        "time": 1700000000123,
    }
    return StoredEvent(id=1, body=text, **(known | fields))


DOCUMENT = {
    "id": "1",
    "timestamp": 1700000001000,
    "agent": "main",
    "session": "agent:main:main",
    "type": "conversation.message.in",
    "visibility": "internal",
    "payload": {"data": {"text": "hello\n  there"}},
    "meta": {},
}
PLUGIN = {
    "ts": 1700000001000,
    "agent": "main",
    "session": "s",
    "type": "msg.in",
    "payload": {"content": "hi"},
}
SYNC = {"type": "conversation.message.out", "payload": {"text_preview": [{"text": "pre"}, {"text": "view"}]}}
ENVELOPE = {
    "id": "2",
    "ts": 1700000001000,
    "agent": "main",
    "session": "agent:main:main",
    "type": "msg.in",
    "canonicalType": "message.in.received",
    "visibility": "confidential",
    "payload": {"content": "hey"},
}
CALL = {"type": "conversation.tool_call"}
RESULT = {"type": "conversation.tool_result"}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (DOCUMENT, "hello there"),
        (PLUGIN, "hi"),
        (SYNC, "pre view"),
        (ENVELOPE, "hey"),
        (CALL | {"payload": {"data": {"name": "read", "args": {"path": "a.md"}}}}, 'read {"path":"a.md"}'),
        ({"type": "tool.call", "payload": {"toolName": "read", "params": {"x": 1}}}, 'read {"x":1}'),
        (RESULT | {"payload": {"data": {"name": "read", "result": "text"}}}, "read → text"),
        ({"type": "tool.result", "payload": {"toolName": "read", "error": "no"}}, "read failed: no"),
        (RESULT | {"payload": {"data": {"name": "x", "result": "r", "isError": True}}}, "x failed: r"),
        ({"type": "lifecycle.start", "payload": {"data": {"phase": "start"}}}, '{"phase":"start"}'),
        ({"type": "x", "payload": {"custom": [1, 2]}}, '{"custom":[1,2]}'),
        ({"type": "x", "payload": {"data": {"text": "said"}}}, "said"),
        ({"type": "x", "payload": {}}, ""),
        ({"no": "event"}, '{"no": "event"}'),
        ({}, "{}"),
    ],
)
def test_what_an_event_says(event: dict[str, Any], text: str) -> None:
    """Each writer has it at another place."""
    assert views.as_line(stored(event))[1] == text


def test_a_line_says_when_who_where_and_what() -> None:
    """The event's own time counts, under either name; the stream's where it has none."""
    head, _ = views.as_line(stored(DOCUMENT))
    assert head.split() == [
        *views.local_time(1700000001000).split(),
        "main",
        "agent:main:main",
        "conversation.message.in",
    ]
    assert views.as_line(stored(PLUGIN))[0].startswith(views.local_time(1700000001000))
    assert views.as_line(stored(ENVELOPE))[0] == head
    assert views.as_line(stored(SYNC))[0].startswith(views.local_time(1700000000123))


def test_a_line_fits_the_terminal() -> None:
    """Long texts are cut, and say so."""
    event = {"type": "note", "payload": {"data": {"text": "x" * 5000}}}
    head, text = views.as_line(stored(event), 100)
    assert len(f"{head}  {text}") == 100
    assert text.endswith("…")


def test_control_characters_do_not_reach_the_terminal() -> None:
    """An agent's text cannot move the cursor, colour the screen or turn the line around."""
    event = DOCUMENT | {
        "agent": "a\x1b[2J",
        "payload": {"data": {"text": "\x1b[31m\x9b\u202e\x07 née 👩\u200d💻"}},
    }
    head, text = views.as_line(stored(event))
    assert text == r"\x1b[31m\x9b\u202e\x07 née 👩" + "\u200d💻"
    assert r"a\x1b[2J" in head
    page = views.as_page(stored(json.dumps(event, ensure_ascii=False).encode(), subject="x\x1b"))
    assert all(line.isprintable() for line in page.replace("\u200d", "").splitlines())


def test_json_holds_the_stored_text_itself() -> None:
    """Numbers and the order of keys stay as they were written; line ends do not break the line."""
    body = b'{\n  "b": 1.50,\r\n  "a": 12345678901234567890123\n}'
    line = msgspec.json.encode(views.as_json(stored(body)))
    assert b'{   "b": 1.50,    "a": 12345678901234567890123 }' in line
    assert b"\n" not in line
    assert list(json.loads(line)) == ["stream", "seq", "subject", "time", "event"]


@pytest.mark.parametrize("body", [b"", b"hello", b'{"a": ', b'{"a": "\xff"}', b"{}{}", b"[" * 100_000])
def test_what_is_no_json_is_shown_all_the_same(body: bytes) -> None:
    """As text, beside an event that is null."""
    document = views.as_json(stored(body))
    assert document["event"] is None
    assert document["raw"] == body.decode("utf-8", "replace")
    assert views.as_line(stored(body))
    assert views.as_page(stored(body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
keys = st.sampled_from(
    ["timestamp", "ts", "agent", "session", "type", "payload", "data", "text", "content", "text_preview"]
) | st.sampled_from(["name", "toolName", "args", "params", "result", "error"])
events = st.recursive(json_values, lambda inner: st.dictionaries(keys, inner), max_leaves=12)


@settings(max_examples=50)
@given(st.dictionaries(keys, events))
def test_no_event_is_too_strange(event: dict[str, Any]) -> None:
    """Whatever stands under the known keys, the line is one line, and the JSON is the event."""
    found = stored(event)
    assert "".join(views.as_line(found)).replace("\u200c", "").replace("\u200d", "").isprintable()
    assert json.loads(msgspec.json.encode(views.as_json(found)))["event"] == event
    assert views.as_page(found)
