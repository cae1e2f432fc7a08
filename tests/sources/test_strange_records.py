"""Whatever stands in a record, it becomes events or is not understood; an adapter never fails otherwise."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.sources.model import NotUnderstood, Options, Seen, Tool, Transcript
from eventd.sources.transcripts import adapter_of
from sources.support import START, ClaudeCode, Codex, Json, OpenClaw, Plain

if TYPE_CHECKING:
    from eventd_ipc.events import Event

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
TEXTS = (
    "",
    "x",
    "user",
    "text",
    "data:,",
    "2026-05-28",
    "\ud800",
    "0" * 400,
    "{",
    '{"output": "x", "metadata": 5}',
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("type", "text", "x")), inner)
    ),
    max_leaves=4,
)


def records() -> list[tuple[Tool, Json]]:
    """Return a record of each kind of each tool."""
    claude = ClaudeCode().ask("x").use("t", "Bash", {"a": 1}, [{"type": "text", "text": "y"}, IMAGE]).say("z")
    claude.compact("s").line("attachment", attachment={"type": "queued_command", "prompt": "p"})
    claude.line("user", "fork", forkedFrom={"sessionId": "f", "messageUuid": "m"})
    claude.line("user", "task", isSidechain=True, agentId="a")
    claude.line("assistant", [{"type": "thinking", "thinking": "t"}])
    codex = Codex(source={"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}).ask("x").say("y")
    codex.use("c", "exec", {}, "out").item(type="reasoning", summary=[{"text": "r"}])
    codex.item(
        type="function_call_output", call_id="d", output=[{"type": "input_image", "image_url": "data:,"}]
    )
    codex.record("compacted", {"message": "m"})
    openclaw = OpenClaw().ask("x").use("c", "read", {}, "y").say("z").entry("compaction", summary="s")
    openclaw.message("bashExecution", None, command="ls", output="o", exitCode=0)
    openclaw.message(
        "user", [{"type": "image", "data": "QUJD", "mimeType": "image/png"}], provenance={"kind": "x"}
    )
    return [
        *(("claude-code", line) for line in claude.lines),
        *(("codex", line) for line in codex.lines),
        *(("openclaw", entry) for entry in openclaw.entries),
    ]


RECORDS = records()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values in a value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        found += places(held, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a value with another one at a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def read(tool: Tool, data: bytes) -> None:
    """Read a record; what comes of it can be written."""
    transcript = Transcript(tool, tool, Path("/p"), 0, START * 1000, "s")
    adapter = adapter_of(transcript, Options(Plain(), thinking=True), Seen())
    events: list[Event] = []
    with suppress(NotUnderstood):
        events += adapter.read(data)
    events += adapter.finish()
    for event in events:
        assert event.id
        assert event.timestamp
        assert event.timestamp > 0
        assert event.agent == tool
        assert event.meta["origin"] in ("person", "agent", "tool", "web")
        assert isinstance(event.payload["data"], dict)
        msgspec.json.encode(event.type)


@pytest.mark.parametrize("tool", ["claude-code", "codex", "openclaw"])
@given(data=st.data())
def test_a_record_with_a_strange_value(tool: Tool, data: st.DataObject) -> None:
    """At any place of any kind of record."""
    record = data.draw(st.sampled_from([one for of, one in RECORDS if of == tool]))
    path = data.draw(st.sampled_from(places(record)))
    read(tool, json.dumps(replaced(record, path, data.draw(values))).encode())


@pytest.mark.parametrize("tool", ["claude-code", "codex", "openclaw"])
@given(data=st.data())
def test_a_record_that_is_torn(tool: Tool, data: st.DataObject) -> None:
    """Or has other bytes in it."""
    record = data.draw(st.sampled_from([one for of, one in RECORDS if of == tool]))
    whole = json.dumps(record).encode()
    at = data.draw(st.integers(0, len(whole)))
    read(tool, whole[:at] + data.draw(st.sampled_from([b"", b"\xff", b"\x00", b"}", whole])))
