"""Events in the shape of the document, numbered within their run."""

import time
import uuid

import msgspec
import pytest

from eventd_ipc import builders
from eventd_ipc.builders import Run, new_id, stamp
from eventd_ipc.events import Event
from eventd_ipc.strict import decode_event


def test_payload_and_meta_have_the_documents_keys() -> None:
    run = Run("agent:main:main", run_id="r-1", model="m1", channel="telegram")
    event = builders.message_out(run, "Hello!", final=True)
    assert event.type == "conversation.message.out"
    assert event.session == "agent:main:main"
    assert event.payload == {
        "runId": "r-1",
        "stream": "assistant",
        "data": {"role": "assistant", "text": "Hello!", "final": True},
        "sessionKey": "agent:main:main",
        "seq": 1,
        "ts": event.timestamp,
    }
    assert event.meta == {"runId": "r-1", "seq": 1, "model": "m1", "channel": "telegram"}


def test_model_and_channel_are_left_out_where_unknown() -> None:
    assert builders.message_in(Run("s", run_id="r"), "x").meta == {"runId": "r", "seq": 1}


def test_events_of_a_run_are_numbered() -> None:
    run = Run("s")
    events = [builders.lifecycle_start(run), builders.message_in(run, "x"), builders.lifecycle_end(run)]
    assert [event.payload["seq"] for event in events] == [1, 2, 3]
    assert len({event.id for event in events}) == 3
    assert {event.payload["runId"] for event in events} == {run.run_id}


@pytest.mark.parametrize(
    ("event", "event_type", "stream", "data"),
    [
        (
            builders.message_in(Run("s"), "x"),
            "conversation.message.in",
            "user",
            {"role": "user", "text": "x"},
        ),
        (
            builders.tool_call(Run("s"), "grep", {"a": 1}, call_id="c"),
            "conversation.tool_call",
            "tool",
            {"name": "grep", "toolCallId": "c", "args": {"a": 1}},
        ),
        (
            builders.tool_result(Run("s"), "grep", "none", is_error=True),
            "conversation.tool_result",
            "tool",
            {"name": "grep", "result": "none", "isError": True},
        ),
        (builders.lifecycle_start(Run("s")), "lifecycle.start", "lifecycle", {"phase": "start"}),
        (
            builders.lifecycle_end(Run("s"), ok=True),
            "lifecycle.end",
            "lifecycle",
            {"phase": "end", "ok": True},
        ),
        (builders.custom(Run("s"), "memory.fact", [1]), "memory.fact", "custom", [1]),
    ],
)
def test_each_builder_names_type_stream_and_data(
    event: Event, event_type: str, stream: str, data: object
) -> None:
    assert (event.type, event.payload["stream"], event.payload["data"]) == (event_type, stream, data)
    decode_event(msgspec.msgpack.encode(event))


def test_stamp_fills_in_what_is_missing_and_nothing_else() -> None:
    before = time.time_ns() // 1_000_000
    bare = Event(type="a", payload={"x": 1})
    stamped = stamp(bare)
    assert bare == Event(type="a", payload={"x": 1})
    assert stamped.id is not None
    assert stamped.timestamp is not None
    assert before <= stamped.timestamp <= time.time_ns() // 1_000_000
    assert stamp(stamped) == stamped
    assert stamp(Event(type="a", id="mine")).id == "mine"
    assert stamp(Event(type="a", timestamp=0)).timestamp == 0


def test_ids_are_uuids_of_version_7_in_the_order_of_their_making() -> None:
    ids = [new_id() for _ in range(100)]
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert ids == sorted(set(ids))
