"""Events that JSON cannot hold, or that break the schema, are found exactly; a naive reference decides."""

import contextlib
import math
import struct
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd_ipc import strict
from eventd_ipc.errors import MalformedEvent
from eventd_ipc.events import Event
from eventd_ipc.strict import MAX_DEPTH, agent_fault, check_labels, decode_event, decode_together

GOOD: dict[str, Any] = {
    "id": "0190d6f0-aaaa-7bbb-8ccc-123456789abc",
    "timestamp": 1758000000000,
    "agent": "main",
    "session": "agent:main:main",
    "type": "conversation.message.out",
    "visibility": "internal",
    "payload": {"runId": "r", "data": {"text": "Grüße 👋", "n": [1, -1, 2**63, 1.5, True, None]}, "seq": 1},
    "meta": {"runId": "r", "seq": 1},
}


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def event(**changes: object) -> bytes:
    return pack({**GOOD, **changes})


def with_payload(raw: bytes) -> bytes:
    """An event whose payload is given as msgpack."""
    return b"\x82" + pack("type") + pack("a") + pack("payload") + raw


def fault(raw: bytes) -> tuple[str, str]:
    with pytest.raises(MalformedEvent) as caught:
        decode_event(raw)
    return caught.value.path, caught.value.reason


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_good_event_comes_out_as_it_went_in() -> None:
    assert decode_event(pack(GOOD)) == Event(**GOOD)


def test_raw_of_an_emit_is_taken() -> None:
    assert decode_event(msgspec.Raw(pack(GOOD))).type == "conversation.message.out"


def test_result_is_an_event_and_nothing_else() -> None:
    assert type(decode_event(pack(GOOD))) is Event


def test_only_type_is_needed() -> None:
    assert decode_event(pack({"type": "a"})) == Event(type="a")


def test_explicit_defaults_are_fine() -> None:
    """Other encoders write null and empty maps."""
    assert decode_event(pack({"type": "a", "id": None, "payload": {}, "visibility": None})) == Event(type="a")


def test_unknown_keys_are_ignored_with_all_they_hold() -> None:
    """The schema grows; what this version does not store need not fit into JSON."""
    raw = pack({"type": "a", "future": [b"x", math.nan, {1: 2}], "payload": {"a": 1}})
    assert decode_event(raw) == Event(type="a", payload={"a": 1})


def test_integers_beyond_2_to_53_are_kept() -> None:
    numbers = [2**53 + 1, 2**64 - 1, -(2**63)]
    assert decode_event(event(payload={"n": numbers})).payload == {"n": numbers}


def test_float32_is_taken() -> None:
    raw = with_payload(b"\x81\xa1x\xca" + struct.pack(">f", 0.1))
    assert decode_event(raw).payload == {"x": pytest.approx(0.1)}


FLOATS = [math.sin(number) for number in range(1600)]
FLOATS_32 = b"\xdc\x06\x40" + b"".join(b"\xca" + struct.pack(">f", number) for number in FLOATS)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(with_payload(b"\x81\xa1x" + FLOATS_32), id="float32"),
        pytest.param(with_payload(b"\x81\xa1x\x92\xa1a\x81\xa1y" + FLOATS_32), id="float32 further below"),
        pytest.param(with_payload(pack({"x": FLOATS})), id="float64"),
        pytest.param(with_payload(pack({"x": "ʊ" * 50, "y": 0xCACACACA})), id="bytes like those of float32"),
        pytest.param(event(payload={"x": FLOATS}, meta={"y": "ʊ"}, timestamp=0xCACACACA), id="both"),
        pytest.param(pack({"type": "a", "id": None, "agent": None, "meta": {}}), id="null and empty"),
        pytest.param(pack({"meta": {}, "payload": {"x": "ʊ"}, "type": "a"}), id="another order"),
    ],
)
def test_usual_events_are_proved_to_be_sound_without_the_scanner(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a hundred times as long, and floats are usual."""
    monkeypatch.setattr(strict, "_scan", lambda _: pytest.fail("scanned"))
    assert decode_event(raw) == msgspec.msgpack.decode(raw, type=Event)


@pytest.mark.parametrize("key", ["meta", "future"])
def test_repeated_key_is_found_beside_floats_that_grow(key: str) -> None:
    """What a float32 in one place gains must not make up for what is dropped in another."""
    pairs = [("type", pack("a")), ("payload", b"\x81\xa1x\xca\0\0\0\0")]
    pairs += [(key, pack({})), (key, pack({}))]
    raw = bytes([0x80 + len(pairs)]) + b"".join(pack(name) + value for name, value in pairs)
    assert fault(raw) == (f"$.{key}", "the key is repeated")


@pytest.mark.parametrize(
    ("payload", "path", "reason"),
    [
        pytest.param({"x": math.nan}, "$.payload.x", "nan", id="NaN"),
        pytest.param({"x": [1, math.inf]}, "$.payload.x[1]", "inf", id="inf"),
        pytest.param({"x": [[], [-math.inf]]}, "$.payload.x[1][0]", "-inf", id="-inf"),
        pytest.param({"x": {"y": b"z"}}, "$.payload.x.y", "binary", id="bin"),
        pytest.param({"x": msgspec.msgpack.Ext(5, b"z")}, "$.payload.x", "extensions", id="ext"),
        pytest.param({"a b": {1: 2}}, '$.payload["a b"]', "text, not int", id="integer key"),
        pytest.param({"x": {b"k": 2}}, "$.payload.x", "text, not bin", id="binary key"),
        pytest.param({"x": {None: 2}}, "$.payload.x", "text, not nil", id="nil key"),
        pytest.param({"x" * 90: b""}, '$.payload["' + "x" * 39 + '…"]', "binary", id="long key"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(
    payload: dict[str, Any], path: str, reason: str
) -> None:
    found, why = fault(event(payload=payload))
    assert found == path
    assert reason in why


def test_float32_nan_is_found() -> None:
    """It is written in another form than the usual one."""
    assert fault(with_payload(b"\x81\xa1x\xca\x7f\xc0\0\0"))[0] == "$.payload.x"


def test_timestamp_extension_is_found() -> None:
    """Its decoder makes a date of it."""
    assert fault(with_payload(b"\x81\xa1x\xd6\xff\0\0\0\0"))[0] == "$.payload.x"


def test_repeated_key_is_found_below() -> None:
    raw = with_payload(b"\x82\xa1x\x81\xa1y\x01\xa1x\x02")
    assert fault(raw) == ("$.payload.x", "the key is repeated")


def test_repeated_key_is_found_where_other_bytes_make_up_for_it() -> None:
    """A float32 grows by 4 bytes when it is encoded again; a dropped 4-byte pair must not hide behind it."""
    raw = with_payload(b"\x83\xa1x\xca" + struct.pack(">f", 0.5) + b"\xa2yy\x01\xa2yy\x01")
    event = msgspec.msgpack.decode(raw, type=Event)
    assert len(msgspec.msgpack.encode(event)) == len(raw)
    assert fault(raw) == ("$.payload.yy", "the key is repeated")


@pytest.mark.parametrize("key", ["type", "payload", "future"])
def test_repeated_key_is_found_at_the_top(key: str) -> None:
    pairs = [
        ("type", "a"),
        (key, "a" if key != "payload" else {}),
        ("meta", {}),
        (key, {} if key == "payload" else "a"),
    ]
    raw = bytes([0x80 + len(pairs)]) + b"".join(pack(part) for pair in pairs for part in pair)
    assert fault(raw) == (f"$.{key}", "the key is repeated")


def test_lone_surrogate_is_found() -> None:
    assert fault(with_payload(b"\x81\xa1x\xa3\xed\xa0\x80"))[0] == "$.payload.x"


def test_key_that_is_not_utf_8_is_found() -> None:
    assert fault(with_payload(b"\x81\xa1x\x81\xa1\xff\x01"))[0] == "$.payload.x"


@pytest.mark.parametrize("levels", [1, 5, 6, 7, MAX_DEPTH - 1])
def test_deep_events_are_taken_up_to_the_limit(levels: int) -> None:
    """However deep, they are checked alike."""
    assert decode_event(event(payload=nested(levels))).payload == nested(levels)


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 500, 100_000])
def test_too_deep_events_are_refused(levels: int) -> None:
    path, reason = fault(with_payload(b"\x81\xa1a" * (levels - 1) + b"\x80"))
    assert path.startswith("$.payload.a.a")
    assert "deep" in reason


def test_too_deep_arrays_are_refused_in_ignored_keys_too() -> None:
    raw = b"\x82" + pack("type") + pack("a") + pack("future") + b"\x91" * 100_000
    assert "deep" in fault(raw)[1]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"type": 1}, "$.type"),
        ({"payload": []}, "$.payload"),
        ({"payload": None}, "$.payload"),
        ({"meta": "x"}, "$.meta"),
        ({"timestamp": 1.5}, "$.timestamp"),
        ({"timestamp": 1758000000000.0}, "$.timestamp"),
        ({"timestamp": True}, "$.timestamp"),
        ({"timestamp": -1}, "$.timestamp"),
        ({"timestamp": 2**53 + 1}, "$.timestamp"),
        ({"visibility": "loud"}, "$.visibility"),
        ({"id": 7}, "$.id"),
    ],
)
def test_wrong_types_and_ranges_are_named(changes: dict[str, Any], path: str) -> None:
    assert fault(event(**changes))[0] == path


@pytest.mark.parametrize("raw", [b"\xc0", b"\x01", b"\x90", pack("text")])
def test_what_is_no_map_is_refused(raw: bytes) -> None:
    assert fault(raw)[0] == "$"


@pytest.mark.parametrize("raw", [b"", pack(GOOD)[:-1], pack(GOOD) + b"\0", b"\xc1", b"\x81\xa4type\xc1"])
def test_what_is_no_msgpack_value_is_refused(raw: bytes) -> None:
    assert fault(raw)[0].startswith("$")


def test_type_is_missing() -> None:
    assert "type" in fault(pack({"id": "x"}))[1]


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (
            "type",
            ["a", "conversation.message.out", "a_b.c1", "x" * 128],
            ["", ".", "a.", ".a", "a..b", "A.b", "a b", "a-b", "ä", "a\n", "x" * 129],
        ),
        ("id", ["a", "~!", "x" * 128], ["", " ", "a b", "a\n", "a\r\n", "\x7f", "ä", "x" * 129]),
        (
            "agent",
            ["main", "My Agent", "ä" * 32, "a.b", "a*"],
            ["", " a", "a ", "a\n", "a:b", "*", "ä" * 33, "a\u2028b"],
        ),
        ("session", ["main", "agent:main:main", "x\ny", "x" * 512], ["", "x" * 513, "ä" * 257]),
        ("timestamp", [0, 2**53], [-1, 2**53 + 1]),
        ("visibility", ["internal", "public", "confidential", "secret"], ["", "Public"]),
    ],
)
def test_rule_of_each_field(field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(decode_event(event(**{field: value})), field) == value
    for value in bad:
        assert fault(event(**{field: value}))[0] == f"$.{field}", value


def test_agents_name_with_a_lone_surrogate_is_a_fault() -> None:
    """Names also come from elsewhere than msgpack."""
    assert agent_fault("\ud800") is not None


# A naive reference: values as a tree that also knows what Python's own types cannot tell apart.


@dataclass(frozen=True)
class Node:
    """One msgpack value: how it is written, what it means, and whether JSON holds it by itself."""

    raw: bytes
    value: Any = None
    sound: bool = True
    items: "tuple[Node, ...] | None" = None
    pairs: "tuple[tuple[Node, Node], ...] | None" = None


def wide_int(number: int) -> Node:
    return Node(b"\xd3" + struct.pack(">q", number), number)


def array(items: list[Node]) -> Node:
    return Node(
        struct.pack(">BH", 0xDC, len(items)) + b"".join(i.raw for i in items),
        [item.value for item in items],
        items=tuple(items),
    )


def mapping(pairs: list[tuple[Node, Node]]) -> Node:
    return Node(
        bytes([0x80 + len(pairs)]) + b"".join(k.raw + v.raw for k, v in pairs),
        {k.value: v.value for k, v in pairs if isinstance(k.value, str)},
        pairs=tuple(pairs),
    )


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
).map(lambda value: Node(pack(value), value))
faulty = st.sampled_from(
    [
        Node(pack(math.nan), sound=False),
        Node(b"\xca" + struct.pack(">f", math.inf), sound=False),
        Node(b"\xc4\x01x", sound=False),
        Node(b"\xd4\x01x", sound=False),
        Node(b"\xd6\xff\0\0\0\0", sound=False),
        Node(b"\xa1\xff", sound=False),
    ]
)
odd_forms = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(wide_int),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(
        lambda value: Node(b"\xca" + struct.pack(">f", value), value)
    ),
    st.text("ab", max_size=3).map(lambda text: Node(b"\xd9" + bytes([len(text)]) + text.encode(), text)),
)
keys = st.one_of(
    st.text("ab", max_size=2).map(lambda text: Node(pack(text), text)),
    st.text("ab", max_size=2).map(lambda text: Node(b"\xd9" + bytes([len(text)]) + text.encode(), text)),
    st.sampled_from([1, None, True, b"a"]).map(lambda value: Node(pack(value), sound=False)),
)


def trees(*leaves: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.recursive(
        st.one_of(*leaves),
        lambda below: st.one_of(
            st.lists(below, max_size=3).map(array), st.lists(st.tuples(keys, below), max_size=4).map(mapping)
        ),
        max_leaves=12,
    )


def reference(node: Node, path: str) -> str | None:
    """The path of the first thing, in the order of the bytes, that JSON cannot hold."""
    for index, item in enumerate(node.items or ()):
        if (found := reference(item, f"{path}[{index}]")) is not None:
            return found
    seen: set[str] = set()
    for key, value in node.pairs or ():
        if not key.sound:
            return path
        below = f"{path}.{key.value}" if key.value else f'{path}[""]'
        if key.value in seen:
            return below
        seen.add(key.value)
        if (found := reference(value, below)) is not None:
            return found
    return None if node.sound else path


@given(st.lists(st.tuples(keys, trees(plain, odd_forms, faulty)), max_size=4).map(mapping))
def test_payload_is_judged_as_by_the_naive_reference(payload: Node) -> None:
    """Taken with exactly its values, or refused with exactly the first bad place."""
    place = reference(payload, "$.payload")
    if place is None:
        assert decode_event(with_payload(payload.raw)).payload == payload.value
    else:
        assert fault(with_payload(payload.raw))[0] == place


def one_by_one(raws: list[bytes]) -> list[dict[str, Any]] | None:
    try:
        return [msgspec.structs.asdict(decode_event(raw)) for raw in raws]
    except MalformedEvent:
        return None


def together(raws: list[bytes]) -> list[dict[str, Any]] | None:
    events = decode_together([msgspec.Raw(raw) for raw in raws])
    if events is None:
        return None
    try:
        for found in events:
            check_labels(found.type, found.agent, found.session)
    except MalformedEvent:
        return None
    return [msgspec.structs.asdict(found) for found in events]


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 1000])
def test_good_events_come_out_together(count: int) -> None:
    """Of any number; in any order of the keys, or else with texts that have the byte of a float32."""
    raws = [event(id=f"e{number}") for number in range(count)]
    assert together(raws) == one_by_one(raws)
    assert together(raws) is not None
    raws = [pack(Event("a", id=f"e{number}", payload={"text": "ʀ"})) for number in range(count)]
    assert together(raws) == one_by_one(raws)
    assert together(raws) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "x" * 129},
        {"id": "two words"},
        {"id": "ü"},
        {"id": "\x7f"},
        {"id": "a\n"},
        {"timestamp": -1},
        {"timestamp": 2**53 + 1},
        {"timestamp": 1.0},
        {"type": "Upper"},
        {"agent": "a:b"},
        {"session": ""},
        {"visibility": "private"},
        {"payload": {"n": math.nan}},
        {"payload": {"n": b"bytes"}},
        {"payload": []},
        {"meta": {1: 1}},
    ],
)
def test_what_is_malformed_does_not_come_out_together(changes: dict[str, Any]) -> None:
    """Wherever it stands among sound events."""
    bad = event(**changes)
    assert one_by_one([bad]) is None
    for raws in ([bad], [bad, event()], [event(), bad], [event(), bad, event()]):
        assert together(raws) is None


def test_what_one_event_dropped_is_not_made_up_for_by_another() -> None:
    """A float32 grows by 4 bytes, which is what the repeated key would take."""
    grows = with_payload(b"\x81" + pack("x") + b"\xca" + struct.pack(">f", 0.1))
    repeats = with_payload(b"\x82" + 2 * (pack("k") + pack("a")))
    assert one_by_one([grows]) is not None
    assert one_by_one([repeats]) is None
    assert together([grows, repeats]) is None


payload_maps = st.lists(st.tuples(keys, trees(plain, odd_forms, faulty)), max_size=3).map(mapping)


@given(st.lists(payload_maps, min_size=1, max_size=3))
def test_together_events_are_judged_as_one_by_one(payloads: list[Node]) -> None:
    """What comes out together is what comes out one by one; if one is malformed nothing does."""
    raws = [with_payload(payload.raw) for payload in payloads]
    found, expected = together(raws), one_by_one(raws)
    assert found is None or found == expected


@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes_are_an_event_or_malformed(junk: bytes, at: int) -> None:
    """Nothing but `MalformedEvent` comes out."""
    good = pack(GOOD)
    for raw in (junk, good[:at] + junk, good[:at] + junk + good[at + len(junk) :]):
        with contextlib.suppress(MalformedEvent):
            assert isinstance(decode_event(raw), Event)
