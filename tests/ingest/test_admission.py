"""Admission: what becomes of an event, case by case."""

import json
from typing import Any

import msgspec
import pytest

from eventd.access.identity import Identity, Proof
from eventd.config.settings import Rate, RateSettings
from eventd.ingest.admission import HEADER_ROOM, MAX_SHRINKING, Admission
from eventd.outbox.model import NewRow, Submission
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server
from eventd_ipc.messages import Emit, Error, Limits, Put
from support.identities import agent, speaker

NOW = 1_763_800_000_000
SERVER = Server(("nats://127.0.0.1:4222",))
NUMBERS = {DEFAULT_ROUTE: 1, "own": 2, "silent": 3}
ID = "0192f3c1-7c5a-7000-8000-123456789abc"


def make(limits: Limits | None = None, **options: Any) -> Admission:
    routes = Routes(
        Route(DEFAULT_ROUTE, SERVER, "openclaw-events", "openclaw.events"),
        {
            "own": Route("own", SERVER, "events-own", "openclaw.events.own"),
            "silent": Route("silent", SERVER, "events-silent", "openclaw.events.silent", enabled=False),
        },
    )
    limits = limits or Limits(max_frame=1 << 20, max_event=64 * 1024, max_events=4, max_in_flight=1 << 20)
    options.setdefault("clock", lambda: NOW)
    return Admission(routes, NUMBERS, limits, **options)


def emit(*events: Any) -> Emit:
    return Emit(5, [msgspec.Raw(msgspec.msgpack.encode(event)) for event in events])


def rows_of(admission: Admission, *events: Any, hello: str = "hello-agent") -> list[NewRow]:
    verdict = admission.admit(emit(*events), speaker(hello))
    assert isinstance(verdict, Submission), verdict
    return list(verdict.rows)


def row_of(event: dict[str, Any], hello: str = "hello-agent", admission: Admission | None = None) -> NewRow:
    (row,) = rows_of(admission or make(), event, hello=hello)
    return row


def refusal_of(*events: Any, admission: Admission | None = None) -> Error:
    verdict = (admission or make()).admit(emit(*events), speaker("hello-agent"))
    assert isinstance(verdict, Error), verdict
    assert verdict.id == 5
    return verdict


@pytest.mark.parametrize(
    ("event", "agent"),
    [
        ({"agent": "given", "session": "agent:main:x"}, "given"),
        ({"session": "agent:main:x"}, "main"),
        ({"session": "helper:matrix:room"}, "helper"),
        ({"session": "main"}, "main"),
        ({"session": "0192f3c1"}, "hello-agent"),
        ({"session": "agent::x"}, "hello-agent"),
        ({}, "hello-agent"),
    ],
)
def test_whose_an_event_is(event: dict[str, Any], agent: str) -> None:
    """The event's own agent, else the session's, else hello's."""
    row = row_of({"type": "custom.thing", **event})
    assert row.agent == agent
    assert json.loads(row.body)["agent"] == agent
    assert row.subject == f"openclaw.events.{agent}.custom_thing"


@pytest.mark.parametrize(
    ("agent", "number", "subject"),
    [
        ("main", 1, "openclaw.events.main.lifecycle_start"),
        ("own", 2, "openclaw.events.own.lifecycle_start"),
        ("Zoë", 1, "openclaw.events.Zo%C3%AB.lifecycle_start"),
    ],
)
def test_where_an_event_goes(agent: str, number: int, subject: str) -> None:
    """An agent with an entry has its own route; all others share the default one."""
    row = row_of({"type": "lifecycle.start", "agent": agent})
    assert (row.route, row.subject) == (number, subject)


def test_what_is_absent_is_stamped_in_the_order_of_the_schema() -> None:
    """The stored JSON always has all keys of the document's schema, in its order."""
    row = row_of({"type": "custom"}, hello="main")
    stored = json.loads(row.body)
    assert list(stored) == ["id", "timestamp", "agent", "session", "type", "visibility", "payload", "meta"]
    assert stored == {
        "id": row.event_id,
        "timestamp": NOW,
        "agent": "main",
        "session": "",
        "type": "custom",
        "visibility": "internal",
        "payload": {},
        "meta": {},
    }
    assert row.event_id[14] == "7", "a UUIDv7"
    assert row_of({"type": "custom"}).event_id != row.event_id


def test_what_is_given_is_stored_as_it_is() -> None:
    """Nothing that the agent said is changed; large integers and all of Unicode included."""
    event = {
        "id": ID,
        "timestamp": 17,
        "agent": "main",
        "session": "agent:main:main",
        "type": "conversation.message.out",
        "visibility": "secret",
        "payload": {"text": 'quotes " and \\ and \u2028 and 😀', "n": 2**63, "f": 0.1, "deep": [{"x": None}]},
        "meta": {"runId": "r", "seq": 3},
    }
    row = row_of(event)
    assert json.loads(row.body) == event
    assert list(json.loads(row.body)) == list(event)
    assert row.event_id == ID


@pytest.mark.parametrize(
    ("event_type", "never_expires"),
    [
        ("memory.note", True),
        ("memory.tombstone", True),
        ("migration.file", True),
        ("memory", False),
        ("memories.note", False),
        ("conversation.message.out", False),
        ("custom.memory.note", False),
    ],
)
def test_memory_does_not_expire(event_type: str, never_expires: bool) -> None:
    """`memory.*` and `migration.*` outlive the stream's max_age."""
    assert row_of({"type": event_type}).never_expires is never_expires


def test_a_repeat_has_the_same_digest_although_the_clock_went_on() -> None:
    """Stamps are not content: an event sent again later is the same event."""
    event = {"type": "custom", "id": ID, "payload": {"text": ',"agent":'}}
    later = make(clock=lambda: NOW + 60_000)
    first, again = row_of(event), row_of(event, admission=later)
    assert first.body != again.body
    assert first.digest == again.digest


def test_a_digest_is_an_integer_of_sqlite() -> None:
    """64 bits with a sign."""
    digests = [row_of({"type": "custom", "payload": {"n": number}}).digest for number in range(64)]
    assert all(-(2**63) <= digest < 2**63 for digest in digests)
    assert len(set(digests)) == 64


@pytest.mark.parametrize(
    "other",
    [
        {"payload": {"text": "another", "agent": "x"}},
        {"meta": {"seq": 1}},
        {"timestamp": 17},
        {"timestamp": NOW},
        {"visibility": "public"},
        {"type": "custom.other"},
        {"agent": "main"},
        {"session": "s"},
    ],
)
def test_other_content_has_another_digest(other: dict[str, Any]) -> None:
    """Whatever the agent changes, the daemon can tell it from a repeat."""
    event = {"type": "custom", "id": ID, "payload": {"text": "one", "agent": "x"}}
    assert row_of(event).digest != row_of(event | other).digest


def test_given_timestamps_are_content() -> None:
    """Two events that differ only in the time that the agent gave are two events."""
    event = {"type": "custom", "id": ID}
    assert row_of(event | {"timestamp": 1}).digest != row_of(event | {"timestamp": 2}).digest


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"type": "Custom"}, "$.type"),
        ({}, "type"),
        ({"type": "custom", "id": "two words"}, "$.id"),
        ({"type": "custom", "agent": "a:b"}, "$.agent"),
        ({"type": "custom", "payload": {"x": [float("nan")]}}, "$.payload.x[0]"),
        ({"type": "custom", "payload": {"x": b"bytes"}}, "$.payload.x"),
        ({"type": "custom", "session": "agent: padded :x"}, "$.session"),
        ({"type": "custom", "session": "agent:" + "ü" * 33 + ":x"}, "$.session"),
        ("no map", "$"),
    ],
)
def test_malformed_names_the_event_and_the_place(event: Any, place: str) -> None:
    """`index` says which event spoiled the emit, the message where."""
    error = refusal_of({"type": "custom"}, event, {"type": "custom"})
    assert (error.code, error.index) == ("malformed", 1)
    assert place in error.message


def test_too_large_by_the_limit_of_an_event() -> None:
    """What counts is the JSON that is stored, and the limit itself is allowed."""
    admission = make(Limits(max_frame=1 << 20, max_event=300, max_events=4, max_in_flight=1 << 20))
    event: dict[str, Any] = {
        "type": "custom",
        "id": ID,
        "timestamp": NOW,
        "agent": "main",
        "payload": {"text": ""},
    }
    event["payload"]["text"] = "x" * (300 - len(row_of(event).body))
    assert len(row_of(event, admission=admission).body) == 300
    event["payload"]["text"] += "x"
    error = refusal_of({"type": "custom"}, event, admission=admission)
    assert (error.code, error.index) == ("too_large", 1)


def test_too_large_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot become small enough costs neither memory nor time; what may, is decoded."""
    admission = make(Limits(max_frame=1 << 20, max_event=300, max_events=4, max_in_flight=1 << 20))
    event = {"type": "custom", "ignored": ""}
    event["ignored"] = "x" * (300 * MAX_SHRINKING - len(msgspec.msgpack.encode(event)) - 2)
    assert len(msgspec.msgpack.encode(event)) == 300 * MAX_SHRINKING
    row_of(event, admission=admission)
    for name in ("decode_event", "decode_together"):
        monkeypatch.setattr(f"eventd.ingest.admission.{name}", lambda _: pytest.fail("decoded"))
    event["ignored"] += "x"
    error = refusal_of(event, admission=admission)
    assert (error.code, error.index) == ("too_large", 0)


def test_too_large_for_the_server_of_the_route() -> None:
    """A server's max_payload counts headers too, and binds only its own route."""
    admission = make()
    admission.set_max_payload(2, HEADER_ROOM + 400)
    event = {"type": "custom", "payload": {"text": "x" * 400}}
    row_of(event | {"agent": "main"}, admission=admission)
    assert refusal_of(event | {"agent": "own"}, admission=admission).code == "too_large"
    admission.set_max_payload(2, 1 << 20)
    row_of(event | {"agent": "own"}, admission=admission)


def test_a_large_max_payload_does_not_lift_the_limit_of_an_event() -> None:
    """The smaller of the two limits counts."""
    admission = make()
    admission.set_max_payload(1, 1 << 30)
    event = {"type": "custom", "payload": {"text": "x" * 64 * 1024}}
    assert refusal_of(event, admission=admission).code == "too_large"


def test_a_disabled_store_takes_nothing() -> None:
    """`enabled: false` refuses what comes, and names the agent."""
    error = refusal_of({"type": "custom", "agent": "silent"})
    assert (error.code, error.index) == ("disabled", 0)
    assert "silent" in error.message


def test_an_agent_writes_as_itself_and_as_whom_it_may() -> None:
    """What counts is whom an event ends up with: by its own word, by its session key, or by hello."""
    alice = Identity("alice", admin=False, proof=Proof.TOKEN, can_write_as=frozenset({"bob"}))
    admission = make()

    def owner(event: dict[str, Any]) -> str:
        verdict = admission.admit(emit({"type": "custom"}, {"type": "custom"} | event), alice)
        if isinstance(verdict, Error):
            assert (verdict.code, verdict.index) == ("forbidden", 1)
            return ""
        return verdict.rows[1].agent

    assert owner({}) == owner({"agent": "alice"}) == owner({"session": "agent:alice:x"}) == "alice"
    assert (
        owner({"agent": "bob"}) == owner({"session": "agent:bob:x"}) == owner({"session": "bob:x"}) == "bob"
    )
    assert owner({"agent": "alice", "session": "agent:eve:x"}) == "alice"
    assert owner({"agent": "eve"}) == owner({"session": "agent:eve:x"}) == owner({"session": "main"}) == ""
    assert owner({"agent": "bob", "session": "agent:eve:x"}) == "bob"
    assert (
        owner({"agent": "Alice"}) == owner({"agent": "аlice"}) == owner({"agent": "alice "[:5] + "."}) == ""
    )


def test_who_is_called_as_older_writers_are_does_not_write_as_others() -> None:
    """Readers take what came on the subject of an agent "agent" for one of the agent in its session key."""
    admission = make()

    def owner(identity: Identity, session: str) -> str | None:
        event = {"type": "custom", "agent": "agent", "session": session}
        verdict = admission.admit(emit(event), identity)
        return verdict.rows[0].agent if isinstance(verdict, Submission) else None

    plain, granted = agent("agent"), agent("agent", can_write_as="bob")
    assert owner(plain, "agent:agent:x") == owner(plain, "some-run") == "agent"
    assert owner(plain, "agent:bob:x") is owner(plain, "bob:x") is owner(plain, "main") is None
    assert owner(granted, "agent:bob:x") == owner(speaker("main"), "agent:bob:x") == "agent"
    assert owner(granted, "agent:eve:x") is None
    assert owner(agent("bob", can_write_as="agent"), "agent:eve:x") is None


def test_what_may_be_written_is_not_kept_over_a_change_of_rights() -> None:
    """Two connections of one agent with different rights do not share a decision."""
    admission = make()
    event = {"type": "custom", "agent": "bob"}
    for can_write_as in (frozenset({"bob"}), frozenset[str](), frozenset({"bob"})):
        alice = Identity("alice", admin=False, proof=Proof.TOKEN, can_write_as=can_write_as)
        assert isinstance(admission.admit(emit(event), alice), Submission if can_write_as else Error)


def test_an_agent_beyond_its_limit_is_told_how_long_to_wait() -> None:
    """Other agents are not concerned; nothing of a refused emit counts."""
    admission = make(rates=RateSettings(agents={"fast": Rate(0.001, 3)}))
    event = {"type": "custom"}
    assert len(rows_of(admission, event, event, hello="fast")) == 2
    assert len(rows_of(admission, event, event, hello="fast")) == 2  # into debt
    refused = admission.admit(emit(event), speaker("fast"))
    assert isinstance(refused, Error)
    assert (refused.code, refused.retryable) == ("slow_down", True)
    assert 1_900_000 < (refused.retry_after_ms or 0) <= 2_000_000
    assert len(rows_of(admission, event, hello="other")) == 1


def test_an_emit_is_admitted_whole_or_not() -> None:
    """All rows in the agent's order; one event too many refuses the emit as a whole."""
    admission = make()
    rows = rows_of(admission, *({"type": "custom", "id": f"e{number}"} for number in range(4)))
    assert [row.event_id for row in rows] == ["e0", "e1", "e2", "e3"]
    assert rows_of(admission) == []
    error = refusal_of(*[{"type": "custom"}] * 5, admission=admission)
    assert (error.code, error.index) == ("bad_request", None)


# Putting back what a stream has held.

BODY = b'{ "ts": 1.50, "type": "msg.in", "big": 123456789012345678901234567890 }'


def put(*events: dict[str, Any]) -> Put:
    sound = {"agent": "main", "id": "e-1", "subject": "openclaw.events.main.msg_in", "body": BODY}
    return Put(5, [msgspec.Raw(msgspec.msgpack.encode(sound | event)) for event in events])


def put_row(admission: Admission | None = None, **fields: Any) -> NewRow:
    verdict = (admission or make()).admit_put(put(fields), speaker("me"))
    assert isinstance(verdict, Submission), verdict
    (row,) = verdict.rows
    return row


def put_refusal(*events: dict[str, Any], admin: bool = True) -> Error:
    verdict = make().admit_put(put(*events), speaker("main") if admin else agent("main"))
    assert isinstance(verdict, Error), verdict
    assert verdict.id == 5
    return verdict


@pytest.mark.parametrize("body", [BODY, b"", b"\xff\x00", b"[" * 1000, b'{"agent": "other"}'])
def test_what_is_put_stays_as_it_is(body: bytes) -> None:
    """Every byte of it, be it an event or not."""
    row = put_row(body=body, neverExpires=True)
    assert (row.agent, row.event_id, row.body, row.never_expires) == ("main", "e-1", body, True)
    assert not put_row().never_expires


@pytest.mark.parametrize(
    ("agent", "subject", "kept"),
    [
        ("main", "openclaw.events.main.msg_in", True),
        ("Zoë", "openclaw.events.Zo%C3%AB.msg_in", True),
        ("own", "openclaw.events.own.msg_in", True),
        ("main", "openclaw.events.other.msg_in", False),
        ("main", "old.prefix.main.msg_in", False),
        ("main", "openclaw.events.main.deeper.msg_in", False),
        ("own", "openclaw.events.main.msg_in", False),
        ("main", "msg_in", False),
    ],
)
def test_a_subject_stays_where_it_is_one_of_the_agents(agent: str, subject: str, kept: bool) -> None:
    """Else the event goes under the agent's own, with the type that the old one ends in."""
    row = put_row(agent=agent, subject=subject)
    own = {"main": "main", "Zoë": "Zo%C3%AB", "own": "own"}[agent]
    assert row.subject == (subject if kept else f"openclaw.events.{own}.msg_in")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"type": "msg.in", "session": "agent:main:x", "agent": "agent"}', True),
        (b'{"type": "msg.in", "session": "agent:main:x", "agent": "main"}', True),
        (b'{"type": "msg.in", "session": "agent:other:x", "agent": "main"}', False),
        (b'{"type": "msg.in", "session": "agent:other:x"}', False),
        (BODY, False),
        (b"", False),
        (b"[" * 10_000, False),
    ],
)
def test_the_subject_of_older_writers_stays_where_it_is_read_as_the_agents(body: bytes, kept: bool) -> None:
    """All agents share it: an index that is built anew must not give the event to another one, or nobody."""
    row = put_row(subject="openclaw.events.agent.msg_in", body=body)
    assert row.subject == f"openclaw.events.{'agent' if kept else 'main'}.msg_in"


def test_what_is_put_is_the_event_that_was_emitted() -> None:
    """By its digest, so that one is a repeat of the other."""
    emitted = row_of({"type": "memory.fact", "id": "e-1", "timestamp": NOW, "agent": "main"})
    again = put_row(subject=emitted.subject, body=emitted.body, neverExpires=True)
    assert again == emitted


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agent": "silent"}, "disabled"),
        ({"body": b"x" * (64 * 1024 + 1)}, "too_large"),
        ({"agent": "a:b"}, "malformed"),
        ({"id": "i" * 129}, "malformed"),
        ({"subject": "a.*"}, "malformed"),
    ],
)
def test_a_put_is_refused_as_a_whole(fields: dict[str, Any], code: str) -> None:
    refused = put_refusal({}, fields, {})
    assert (refused.code, refused.index) == (code, 1)


def test_who_is_no_administrator_puts_nothing() -> None:
    """Not even as itself: a body may say what it likes."""
    assert put_refusal({}, admin=False).code == "forbidden"
    assert put_refusal(admin=False).code == "forbidden"


def test_a_put_has_the_limits_of_an_emit() -> None:
    """Of its number, and of the rate of who sends it."""
    assert put_refusal(*[{}] * 5).code == "bad_request"
    limited = make(rates=RateSettings(Rate(0.001, 1)))
    put_row(limited)
    verdict = limited.admit_put(put({}), speaker("me"))
    assert isinstance(verdict, Error)
    assert verdict.code == "slow_down"
