"""The normal form of what any writer has stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.events.attribution import Origin, attribute
from eventd.events.normal import (
    MAX_LEAVES,
    MAX_TEXT,
    VISIBILITIES,
    Normal,
    gather,
    normalise,
    plain,
    searchable,
)
from eventd.events.types import Kind

NOW = 1_795_374_000_000


def normal(event: Any) -> Normal:
    found = normalise(json.dumps(event).encode())
    assert found is not None
    return found


# The shapes


def test_the_documents_shape() -> None:
    """Every field of the schema has its place."""
    event = normal(
        {
            "id": "01-x",
            "timestamp": NOW,
            "agent": "main",
            "session": "agent:main:s",
            "type": "conversation.tool_result",
            "visibility": "public",
            "payload": {
                "runId": "r1",
                "stream": "tool",
                "data": {"name": "exec", "toolCallId": "c1", "result": "ok", "isError": True},
            },
            "meta": {"channel": "matrix"},
        }
    )
    assert (event.id, event.time, event.agent, event.session) == ("01-x", NOW, "main", "agent:main:s")
    assert (event.type, event.kind, event.visibility) == (
        "conversation.tool_result",
        Kind.TOOL_RESULT,
        "public",
    )
    assert (event.run, event.tool, event.call, event.text, event.failed) == ("r1", "exec", "c1", "ok", True)
    assert event.data["name"] == "exec"
    assert event.meta == {"channel": "matrix"}
    assert searchable(event) == "exec ok"


@pytest.mark.parametrize("kind", ["in", "out"])
def test_the_first_plugins_shape(kind: str) -> None:
    """`ts` is the time, and the text of a message is `payload.content`."""
    event = normal(
        {
            "id": "a",
            "ts": NOW,
            "agent": "main",
            "session": "main",
            "type": f"msg.{kind}",
            "payload": {"content": "hello", "runId": "r"},
        }
    )
    assert (event.time, event.text, event.type) == (NOW, "hello", f"conversation.message.{kind}")
    assert (event.visibility, event.run) == ("internal", "r")
    assert event.data["content"] == "hello"


def test_the_first_plugins_tools() -> None:
    """A call has `params`, its result `result`, `error` and no level of data."""
    call = normal({"type": "tool.call", "payload": {"toolName": "read", "params": {"path": "/etc"}}})
    result = normal({"type": "tool.result", "payload": {"toolName": "read", "result": {"lines": 3}}})
    failed = normal({"type": "tool.result", "payload": {"toolName": "read", "error": "no such file"}})
    assert (call.kind, call.tool, call.text) == (Kind.TOOL_CALL, "read", '{"path":"/etc"}')
    assert (result.text, result.failed) == ('{"lines":3}', False)
    assert (failed.text, failed.failed) == ("no such file", True)


def test_plugin_0_2_2() -> None:
    """The old name decides; `canonicalType` helps where the old name is new to us."""
    event = normal(
        {
            "id": "a",
            "ts": NOW,
            "type": "msg.out",
            "canonicalType": "message.out.sent",
            "schemaVersion": 1,
            "visibility": "confidential",
            "actor": {"id": "x"},
            "scope": {"sessionKey": "nope"},
            "payload": {"content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        }
    )
    assert (event.type, event.visibility, event.text) == (
        "conversation.message.out",
        "confidential",
        "one\ntwo",
    )
    assert normal({"type": "new.name", "canonicalType": "run.failed"}).kind is Kind.RUN_ERROR


def test_session_sync() -> None:
    """A fourth writer has previews of the text under the document's types."""
    event = normal(
        {
            "id": "a",
            "timestamp": NOW,
            "agent": "agent",
            "session": "agent:main:0192f3c1-7c5a-7000-8000-123456789abc",
            "type": "conversation.message.out",
            "payload": {"text_preview": [{"text": "previewed"}, {"text": "text"}]},
        }
    )
    assert event.text == "previewed\ntext"


@pytest.mark.parametrize(
    "payload",
    [
        {"data": {"text": "x", "role": "user"}},
        {"stream": "user", "data": {"text": "x"}},
        {"content": "x", "role": "user"},
    ],
)
def test_what_people_say_is_incoming(payload: dict[str, Any]) -> None:
    """The document's type for what is sent to and from the model holds the messages of people, too."""
    event = normal({"type": "conversation.message.out", "payload": payload})
    assert (event.kind, event.type) == (Kind.MESSAGE_IN, "conversation.message.in")


def test_what_the_assistant_says_is_outgoing() -> None:
    """As does everything that does not say that it is a person's."""
    event = normal(
        {"type": "conversation.message.out", "payload": {"stream": "assistant", "data": {"text": "x"}}}
    )
    assert (event.kind, event.type) == (Kind.MESSAGE_OUT, "conversation.message.out")


@pytest.mark.parametrize("type_", ["lifecycle.start", "lifecycle.end", "conversation.message.in"])
def test_runs_and_empty_messages_say_nothing(type_: str) -> None:
    """Their data is bookkeeping, no text."""
    assert normal({"type": type_, "payload": {"data": {"phase": "x", "startedAt": 1}}}).text == ""


def test_types_that_nobody_knows_are_searched_whole() -> None:
    """All names and values of what they carry, in their order."""
    event = normal(
        {"type": "my.deploy", "payload": {"data": {"target": "prod", "took": 3.5, "ok": True, "log": ["a"]}}}
    )
    assert event.text == "target prod took 3.5 ok log a"


def test_an_error_of_a_run_has_failed() -> None:
    assert normal({"type": "run.error", "payload": {"error": "boom"}}).failed


# Times


@pytest.mark.parametrize(
    ("event", "time"),
    [
        ({"timestamp": NOW}, NOW),
        ({"timestamp": float(NOW)}, NOW),
        ({"ts": NOW}, NOW),
        ({"timestamp": NOW, "ts": 5}, NOW),
        ({"timestamp": "x", "ts": 5}, 5),
        ({"payload": {"ts": 7}}, 7),
        ({"timestamp": 2**53}, None),
        ({"timestamp": 2**64}, None),
        ({"timestamp": -1}, None),
        ({"timestamp": 0}, None),
        ({"timestamp": 0.25}, None),
        ({"timestamp": True}, None),
        ({"timestamp": "2026-11-22T00:00:00Z"}, None),
        ({"timestamp": [NOW]}, None),
        ({}, None),
    ],
)
def test_times(event: dict[str, Any], time: int | None) -> None:
    """Milliseconds under any of the names; what is none leaves the event without a time of its own."""
    assert normal({"type": "x"} | event).time == time


# What is no event, or a hostile one


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"type":""}',
        b'{"type":3}',
        b'{"type":null}',
        b'{"type":["msg.in"]}',
        b'{"type":"x"}x',
        b'{"type":"\xff"}',
        b'{"type":"x","timestamp":NaN}',
        b'{"type":"x","n":1' + b"0" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_event(body: bytes) -> None:
    """It is no error, and nothing is guessed."""
    assert normalise(body) is None


def test_half_a_character() -> None:
    """Writers in JavaScript cut texts within an emoji; only the half is lost, not the event."""
    body = (
        rb'{"type":"msg.in","session":"\ud83d\ude00","payload":{"content":"cut \ud83d","b":"\\ud83d \uDE00"}}'
    )
    event = normalise(body)
    assert event is not None
    assert (event.text, event.session) == ("cut \ufffd", "😀")
    assert event.data["b"] == "\\ud83d \ufffd"


def test_every_field_may_be_missing() -> None:
    event = normal({"type": "x"})
    assert (event.id, event.time, event.agent, event.session, event.run) == ("", None, "", "", "")
    assert (event.visibility, event.text, event.tool, event.call, event.failed) == (
        "internal",
        "",
        "",
        "",
        False,
    )
    assert (event.data, event.meta) == ({}, {})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)
FIELDS = [
    "id",
    "timestamp",
    "ts",
    "agent",
    "session",
    "sessionKey",
    "type",
    "canonicalType",
    "visibility",
    "payload",
    "meta",
    "runId",
]
INNER = [
    "data",
    "text",
    "content",
    "text_preview",
    "name",
    "toolName",
    "tool",
    "toolCallId",
    "args",
    "params",
    "result",
    "output",
    "error",
    "isError",
    "role",
    "stream",
    "ts",
    "runId",
    "fact",
    "summary",
]
TYPES = st.sampled_from(["msg.in", "tool.call", "tool.result", "run.error", "memory.fact", "my.type"])


@given(JSON)
def test_any_json_has_a_normal_form_or_none(value: Any) -> None:
    """Reading never fails, whatever a stream holds."""
    normalise(json.dumps(value).encode())


@given(
    TYPES,
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.dictionaries(st.sampled_from(INNER), JSON),
    st.dictionaries(st.sampled_from(INNER), JSON),
)
def test_wrong_types_everywhere(
    type_: str, fields: dict[str, Any], payload: dict[str, Any], data: dict[str, Any]
) -> None:
    """Each field is of its own type in the normal form, whatever the writer has put there."""
    event = {"type": type_, "payload": {"data": data} | payload} | fields
    found = normalise(json.dumps(event).encode())
    if found is None:
        return
    for text in (found.id, found.agent, found.session, found.type, found.run, found.text, found.tool):
        assert isinstance(text, str)
        text.encode()  # no half characters: they are in no database
    assert found.time is None or 0 <= found.time < 2**53
    assert found.visibility in VISIBILITIES
    assert isinstance(found.data, dict)
    assert isinstance(found.meta, dict)
    assert len(found.text) <= MAX_TEXT
    for by_session in (False, True):
        assert isinstance(attribute(Origin("main", by_session), b"", found)[0], str)


@pytest.mark.parametrize("levels", [10, 100, 990, 1010, 5000, 7000])
@pytest.mark.parametrize("type_", ["msg.in", "tool.call", "tool.result", "my.type"])
@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"text":', "}"), ('{"a":[', "]}")])
def test_deep_nesting(levels: int, type_: str, open_: str, close: str) -> None:
    """No depth is too much for Python's stack."""
    deep = open_ * levels + '"x"' + close * levels
    for key in ("content", "args", "result", "error", "data"):
        normalise(f'{{"type":"{type_}","payload":{{"{key}":{deep}}}}}'.encode())


def test_a_huge_event_is_cut() -> None:
    """What is searched is bounded, in length and in the number of pieces."""
    long = "word " * (MAX_TEXT // 2)
    assert len(normal({"type": "msg.in", "payload": {"content": long}}).text) == MAX_TEXT
    assert len(normal({"type": "tool.call", "payload": {"args": {"a": long}}}).text) == MAX_TEXT
    assert len(normal({"type": "my.type", "payload": {"a": [long, long]}}).text) == MAX_TEXT
    assert len(gather(["a"] * (MAX_LEAVES * 3)).split()) == MAX_LEAVES
    assert len(plain(["a"] * (MAX_LEAVES * 3)).split()) == MAX_LEAVES
