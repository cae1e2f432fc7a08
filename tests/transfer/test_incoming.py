"""What becomes of a line: whose event it is, its id, its bytes; the same each time."""

import json
from typing import Any

import pytest

from eventd.transfer.incoming import NotTaken, Place, Reader
from eventd.transfer.record import Record
from eventd_ipc.messages import RawEvent

SUBJECT = "openclaw.events.main.conversation_message_in"
OLD = {
    "id": "same-for-all",
    "ts": 1_700_000_000_000,
    "agent": "main",
    "type": "msg.in",
    "payload": {"content": "x"},
}

PLACED = "import-old-events-7-1700000000000"
"""The id of a message of `record` that has none of ours."""


def read(line: bytes, *, agent: str | None = None, max_event: int = 1000) -> RawEvent:
    return Reader("hello-agent", agent, max_event).read(line).event


def record(stored: bytes = b"{}", *, subject: str = SUBJECT, **headers: str) -> bytes:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Record.of("old-events", 7, 1_700_000_000_000, subject, named, stored).line()


def event(**fields: Any) -> bytes:
    return json.dumps({"type": "note.short", **fields}).encode()


# Records.


@pytest.mark.parametrize(
    "stored", [b'{ "b": 1.50, "a": 1 }', b"not json", b"", b'{"agent":"bob","type":"x"}']
)
def test_what_eventd_has_stored_comes_back_as_it_was(stored: bytes) -> None:
    """Agent and id are those of its message id; headers that a server makes are not looked at."""
    line = record(
        stored, Nats_Msg_Id="main:e:1", Nats_Batch_Id="x", Nats_Expected_Stream="old-events", Nats_TTL="never"
    )
    assert read(line) == RawEvent("main", "e:1", SUBJECT, stored, never_expires=True)


@pytest.mark.parametrize(
    "msg_id", ["", "e-1", "bob:e-1", "main:", "main:with space", "a:b:c", f"main:{'i' * 129}"]
)
def test_messages_of_other_writers_are_known_by_their_place(msg_id: str) -> None:
    """So is one whose message id names another agent than its subject: nobody's memory gets it by that."""
    assert read(record(b"x", Nats_Msg_Id=msg_id)) == RawEvent("main", PLACED, SUBJECT, b"x")


def test_the_same_place_in_two_stores_is_two_messages() -> None:
    """Every machine of a person has a stream of the same name, and each begins with sequence 1."""
    ids = {read(Record.of("events", 1, time, SUBJECT, {}, b"x").line()).id for time in (1_000, 2_000)}
    assert len(ids) == 2


def test_only_other_writers_messages_have_a_place() -> None:
    reader = Reader("hello-agent", None, 1000)
    assert reader.read(record()).place == Place("old-events", 7, 1_700_000_000_000)
    assert reader.read(record(Nats_Msg_Id="main:e-1")).place is None
    assert reader.read(event()).place is None


def test_whose_it_is_was_decided_where_it_comes_from() -> None:
    """Who writes into an agent's stream can name others in subject, id and body: it stays that agent's."""
    forged = Record.of("events-eve", 9, 1, SUBJECT, {"Nats-Msg-Id": "main:e-1"}, b'{"agent":"main"}', "eve")
    assert read(forged.line()).agent == "eve"
    assert read(forged.line()).id == "import-events-eve-9-1"
    nobodys = Record.of("events-eve", 9, 1, SUBJECT, {"Nats-Msg-Id": "main:e-1"}, b"{}", "")
    with pytest.raises(NotTaken) as refused:
        read(nobodys.line())
    assert refused.value.code == "no_agent"
    assert read(nobodys.line(), agent="ann").agent == "ann"


@pytest.mark.parametrize(
    ("subject", "agent"),
    [
        ("openclaw.events.main.msg_in", "main"),
        ("events.Zo%C3%AB.msg_in", "Zoë"),
        ("own.msg_in", "own"),
        ("openclaw.events.agent.msg_in", "agent"),
    ],
)
def test_the_subject_says_whose_it_is(subject: str, agent: str) -> None:
    assert read(record(subject=subject)).agent == agent


@pytest.mark.parametrize("subject", ["msg_in", "events.ma%in.msg_in", "events.a%3Ab.msg_in", "events..x"])
def test_a_subject_that_names_nobody_needs_an_agent(subject: str) -> None:
    with pytest.raises(NotTaken) as refused:
        read(record(subject=subject))
    assert refused.value.code == "no_agent"
    assert read(record(subject=subject), agent="ann").agent == "ann"


def test_of_older_writers_the_session_tells_the_agent() -> None:
    """They put all agents under one token. Once it was imported its message id names the agent."""
    subject, stored = "openclaw.events.agent.msg_in", b'{"session":"agent:bob:main","type":"msg.in"}'
    first = read(record(stored, subject=subject))
    assert first == RawEvent("bob", PLACED, subject, stored)
    again = read(record(stored, subject=subject, Nats_Msg_Id=f"bob:{PLACED}"))
    assert again.id == PLACED
    assert again == first


def test_a_place_that_is_no_id_becomes_one() -> None:
    line = Record.of("ström", 3, 1, SUBJECT, {}, b"x").line()
    other = Record.of("strom ", 3, 1, SUBJECT, {}, b"x").line()
    ids = {read(line).id, read(other).id}
    assert len(ids) == 2
    assert all(each.isascii() and each.startswith("import-") for each in ids)


@pytest.mark.parametrize("of_type", ["memory_fact", "migration_daily_note"])
def test_memories_never_expire_wherever_they_were(of_type: str) -> None:
    """A stream without that setting could not say so."""
    assert read(record(subject=f"openclaw.events.main.{of_type}")).never_expires
    assert not read(record()).never_expires


# Events as other tools write them.


def test_what_an_event_leaves_out_is_added() -> None:
    """And nothing else is touched: not the order of keys, nor how numbers are written."""
    taken = read(b'{"payload":{"f":1.50,"big":123456789012345678901},"type":"note.short","meta":{}}')
    assert taken.body.startswith(b'{"payload":{"f":1.50,"big":123456789012345678901},"type":"note.short",')
    added = json.loads(taken.body)
    assert (added["id"], added["agent"], added["visibility"]) == (taken.id, "hello-agent", "internal")
    assert added["timestamp"] > 1_700_000_000_000
    assert taken.subject == "hello-agent.note_short"


def test_a_whole_event_stays_as_it_is() -> None:
    line = b'{ "visibility":"public", "id":"e-1","timestamp":5, "agent":"ann","type":"memory.fact" }'
    assert read(b"  " + line + b"\r") == RawEvent("ann", "e-1", "ann.memory_fact", line, never_expires=True)


@pytest.mark.parametrize(
    ("fields", "agent"),
    [
        ({"agent": "ann", "session": "agent:bob:x"}, "ann"),
        ({"session": "agent:bob:x"}, "bob"),
        ({"agent": "agent", "session": "agent:bob:x"}, "bob"),
        ({"agent": "agent"}, "agent"),
        ({"agent": None, "session": "0192"}, "hello-agent"),
        ({"session": "agent:*:x"}, "hello-agent"),
        ({}, "hello-agent"),
    ],
)
def test_whose_an_event_is(fields: dict[str, Any], agent: str) -> None:
    assert read(event(**fields)).agent == agent


def test_events_without_an_id_get_one_of_their_content() -> None:
    """The same each time, and another one for the next line that says the same."""
    lines = [event(n=1), event(n=2), event(n=1), event(n=1)]
    first, second = (
        [reader.read(line).event.id for line in lines]
        for reader in (Reader("m", None, 999), Reader("m", None, 999))
    )
    assert first == second
    assert len(set(first)) == 4
    assert all(each.startswith("import-") for each in first)


@pytest.mark.parametrize("event_id", ["", 7, "with space", "i" * 129, None])
def test_an_id_that_can_be_none_is_replaced(event_id: Any) -> None:
    taken = read(event(id=event_id))
    assert taken.id.startswith("import-")
    assert json.loads(taken.body)["id"] == taken.id


def test_older_shapes_stay_as_they_are() -> None:
    """Their writers have used one id for several events, so it does not tell them apart."""
    lines = [json.dumps(OLD | {"payload": {"content": text}}).encode() for text in ("one", "two")]
    reader = Reader("hello-agent", None, 1000)
    first, second = (reader.read(line).event for line in lines)
    assert [first.body, second.body] == lines
    assert first.id != second.id
    assert (first.agent, first.subject) == ("main", "main.msg_in")


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"type":"note.short","torn":',
        b'{"type":"note.short","text":"\xfc"}',
        b'{"type":"note.short"} {}',
        b"[]",
        b"17",
        b"{}",
        b'{"type":17}',
        b'{"type":"No Type"}',
        b'{"type":"x","agent":"a:b"}',
        b'{"type":"x","agent":17}',
        b'{"stream":"s","seq":1,"subject":"x","type":null}',
        b'{"type":"x","payload":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        "{}".encode("utf-16"),
    ],
    ids=range(14),
)
def test_what_is_no_event_is_told(line: bytes) -> None:
    with pytest.raises(NotTaken) as refused:
        read(line, max_event=10**7)
    assert refused.value.code == "malformed"
    assert 0 < len(str(refused.value)) < 200


def test_what_is_too_large_is_told() -> None:
    for line in (record(b"x" * 1001), event(text="x" * 1000)):
        with pytest.raises(NotTaken) as refused:
            read(line)
        assert refused.value.code == "too_large"


# All for one agent.


@pytest.mark.parametrize(
    ("stored", "body"),
    [
        (b'{ "agent": "main", "type": "x", "n": 1.50 }', b'{"agent":"ann","type":"x","n":1.50}'),
        (b'{"type":"x"}', b'{"type":"x","agent":"ann"}'),
        (b'{"agent":"ann", "type":"x"}', b'{"agent":"ann", "type":"x"}'),
        (b'{"agent":"main"}', b'{"agent":"main"}'),
        (b"not json", b"not json"),
    ],
)
def test_all_become_one_agents_where_that_is_asked_for(stored: bytes, body: bytes) -> None:
    """Then their bodies say so too: else they would count as claims of somebody else."""
    taken = read(record(stored, Nats_Msg_Id="main:e-1"), agent="ann")
    assert (taken.agent, taken.id, taken.body) == ("ann", "e-1", body)


def test_so_do_events_of_other_tools() -> None:
    for line in (event(agent="bob"), json.dumps(OLD).encode(), event(agent="no:name")):
        taken = read(line, agent="ann")
        assert (taken.agent, json.loads(taken.body)["agent"]) == ("ann", "ann")
