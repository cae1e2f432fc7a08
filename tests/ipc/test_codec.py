"""Frames and messages: one table of cases runs through every way in which bytes can arrive."""

import contextlib
import struct
import tracemalloc
from collections.abc import Iterable
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd_ipc.codec import (
    NEED_DATA,
    REQUESTS,
    FrameDecoder,
    decode_reply,
    decode_request,
    encode,
)
from eventd_ipc.errors import BadFrame, FrameTooLarge, ProtocolError, RequestInvalid
from eventd_ipc.messages import (
    MAX_EVENTS,
    Ack,
    Backlog,
    Cancel,
    Context,
    Credit,
    DeadLetters,
    Emit,
    End,
    Error,
    Forget,
    Get,
    Hello,
    Index,
    Known,
    Limits,
    Metrics,
    Ping,
    Pong,
    Put,
    Query,
    RawEvent,
    Recall,
    Reload,
    Replay,
    Reply,
    Request,
    Reroute,
    Result,
    Selected,
    Status,
    StoredEvent,
    Tail,
    Welcome,
)
from eventd_ipc.sender import Settings

EVENT = msgspec.Raw(msgspec.msgpack.encode({"type": "conversation.message.out", "payload": {"n": 1}}))
RAW = msgspec.Raw(msgspec.msgpack.encode(RawEvent("main", "a", "s.main.x", b"{}", never_expires=True)))

MESSAGES: list[Request | Reply] = [
    Hello(protocol=1, agent="main", client="test 1", token="t"),
    Emit(id=1, events=[EVENT, EVENT]),
    Emit(id=2, events=[]),
    Put(id=13, events=[RAW]),
    Known(id=14, agent="main", ids=["a", "b"]),
    Backlog(id=15, dead=True, after=7),
    Forget(id=16, agent="main", events=[Selected("a"), Selected(stream="S", seq=7)]),
    Forget(id=17, agent="main", action="progress", tombstones=["t"]),
    Metrics(id=10),
    Reload(id=11),
    Reroute(id=12, route="tim", stream="events-tim"),
    Get(id=3, seq=7, stream="events"),
    Query(id=8, agent="*", types=["memory.*"], order="oldest", limit=5, cursor="c"),
    Tail(id=4, last=10, follow=True),
    Replay(id=9, first=1, speed=2.5, to="x"),
    Recall(id=10, text="Vienna", around=1),
    Context(id=11, session="s", hours=1.5, tools=True),
    Index(id=12, action="rebuild"),
    Credit(id=4, n=128),
    Cancel(id=4),
    Status(id=5),
    DeadLetters(id=6, action="retry", numbers=[1, 2]),
    Ping(id=7),
    Welcome(protocol=1, server="eventd 1", limits=Limits(1, 2, 3, 4), agent="main", can=["emit"]),
    Ack(id=1, ids=["a", "b"]),
    Error(code="malformed", message="no", id=1, index=3, retry_after_ms=50),
    StoredEvent(id=3, stream="events", seq=7, subject="s.main.x", time=1, body=b"{}"),
    StoredEvent(id=9, stream="events", seq=7, subject="s", time=1, body=b"{}", headers={"A": "b"}),
    End(id=4),
    End(id=8, cursor="c"),
    Result(id=5, data={"state": "ok", "big": "x" * 70_000}),
    Pong(id=7),
]
MAP = b"\x80"
DEEP = b"\x91" * 100_000 + b"\x90"

messages = pytest.mark.parametrize(
    "message", MESSAGES, ids=lambda m: f"{type(m).__name__}-{getattr(m, 'id', '')}"
)


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def pull(decoder: FrameDecoder) -> list[bytes]:
    frames = []
    while (body := decoder.next_frame()) is not NEED_DATA:
        frames.append(body)
    return frames


def pull_from(chunks: Iterable[bytes], max_frame: int = 1 << 20) -> list[bytes]:
    decoder = FrameDecoder(max_frame)
    frames: list[bytes] = []
    for chunk in chunks:
        decoder.feed(chunk)
        frames += pull(decoder)
    return frames


def decode(body: bytes) -> Request | Reply:
    op = msgspec.msgpack.decode(body)["op"]
    return decode_request(body) if op in REQUESTS else decode_reply(body)


def test_the_table_has_every_message() -> None:
    """A new message cannot be forgotten here."""
    assert {type(message) for message in MESSAGES} == {*get_args(Request), *get_args(Reply)}


@messages
def test_message_arrives_whole(message: Request | Reply) -> None:
    [body] = pull_from([encode(message)])
    assert decode(body) == message


@messages
def test_message_arrives_byte_by_byte(message: Request | Reply) -> None:
    data = encode(message)
    [body] = pull_from(data[at : at + 1] for at in range(len(data)))
    assert decode(body) == message


@messages
def test_message_arrives_with_a_second_one_behind_it(message: Request | Reply) -> None:
    first, second = pull_from([encode(message) + encode(Pong(9))])
    assert decode(first) == message
    assert decode(second) == Pong(9)


@messages
def test_message_arrives_with_the_beginning_of_a_second_one(message: Request | Reply) -> None:
    """What is cut off stays until the rest has come."""
    pong = encode(Pong(9))
    for cut in range(1, len(pong)):
        first, second = pull_from([encode(message) + pong[:cut], pong[cut:]])
        assert (decode(first), decode(second)) == (message, Pong(9))


@given(st.lists(st.binary(max_size=40), max_size=20), st.data())
def test_frames_do_not_depend_on_how_the_bytes_are_split(bodies: list[bytes], data: st.DataObject) -> None:
    """Any split gives the same frames, and nothing stays behind."""
    stream = b"".join(map(frame, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder = FrameDecoder(40)
    frames: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoder.feed(stream[start:stop])
        frames += pull(decoder)
    assert frames == bodies
    assert decoder.buffered == 0


def test_buffered_tells_a_torn_frame() -> None:
    decoder = FrameDecoder()
    for torn in (b"\0\0", b"\0\5abc"):
        decoder.feed(torn)
        assert decoder.next_frame() is NEED_DATA
    assert decoder.buffered == 7


def test_largest_frame_is_taken_and_the_next_larger_one_refused() -> None:
    assert pull_from([frame(b"x" * 10)], max_frame=10) == [b"x" * 10]
    with pytest.raises(FrameTooLarge, match="11 bytes"):
        pull_from([frame(b"x" * 11)], max_frame=10)


def test_too_large_frame_is_refused_before_its_body_arrives() -> None:
    """The announced length is enough; the frames before it were taken."""
    decoder = FrameDecoder(10)
    decoder.feed(frame(MAP) + struct.pack(">I", 11))
    assert decoder.next_frame() == MAP
    with pytest.raises(FrameTooLarge):
        decoder.next_frame()


def test_decoder_stays_refusing_and_keeps_no_bytes_after_a_too_large_frame() -> None:
    decoder = FrameDecoder(10)
    decoder.feed(b"\xff\xff\xff\xff")
    for _ in range(3):
        with pytest.raises(FrameTooLarge):
            decoder.next_frame()
        decoder.feed(frame(MAP))
    assert decoder.buffered == 0


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_give_frames_or_the_one_peer_error(chunks: list[bytes]) -> None:
    """Parses, or raises `ProtocolError`; a frame parses, or raises it, or can be answered."""
    try:
        bodies = pull_from(chunks, max_frame=64)
    except ProtocolError:
        return
    for body in bodies:
        check_body(body)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda body, at, junk: body[:at] + junk + body[at + len(junk) :],
            st.sampled_from([encode(message)[4:][:300] for message in MESSAGES]),
            st.integers(0, 300),
            st.binary(max_size=3),
        ),
    )
)
def test_any_body_is_a_message_or_the_one_peer_error_or_can_be_answered(body: bytes) -> None:
    check_body(body)


def check_body(body: bytes) -> None:
    with contextlib.suppress(ProtocolError, RequestInvalid):
        decode_request(body)
    with contextlib.suppress(ProtocolError):
        decode_reply(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"\xc1", "malformed", id="not msgpack"),
        pytest.param(b"\x93\x01\x02\x03", "array", id="not a map"),
        pytest.param(MAP, "op", id="no op"),
        pytest.param(b"\x81\xa2op\x01", "str", id="op is no text"),
        pytest.param(b"\x81\xa2op\xa1\xff", "utf-8", id="op is not utf-8"),
        pytest.param(encode(Ping(1))[4:] + b"\0", "trailing", id="bytes left over"),
        pytest.param(encode(Ping(1))[4:-1], "truncated", id="torn"),
        pytest.param(b"\x81\xa2op\xa4ping", "`id`", id="no id"),
        pytest.param(b"\x82\xa2op\xa4ping\xa2id\xa1x", "id", id="id is no integer"),
        pytest.param(b"\x82\xa2op\xa4ping\xa1x" + b"\x91" * 100_000, "truncated", id="nested without end"),
        pytest.param(b"\x82\xa2op\xa4ping\xa1x" + DEEP, "`id`", id="nested, no id"),
        pytest.param(DEEP, "array", id="nested, not a map"),
        pytest.param(b"\x82\xa2op\xa4emit\xa2id" + DEEP, "id", id="nested id"),
        pytest.param(b"\x81\xa1x" + DEEP + b"\0", "trailing", id="nested, bytes left over"),
    ],
)
def test_frame_that_cannot_be_answered_is_a_bad_frame(body: bytes, why: str) -> None:
    with pytest.raises(BadFrame, match=why) as caught:
        decode_request(body)
    assert caught.value.code == "bad_frame"
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("request_", "code", "request_id"),
    [
        pytest.param({"op": "wash", "id": 5}, "unknown_op", 5, id="unknown"),
        pytest.param({"op": "ack", "id": 5, "ids": []}, "unknown_op", 5, id="a reply"),
        pytest.param({"op": "emit", "id": 5}, "bad_request", 5, id="key is missing"),
        pytest.param({"op": "emit", "id": 5, "events": "x"}, "bad_request", 5, id="wrong type"),
        pytest.param({"op": "tail", "id": 5, "credit": 1.5}, "bad_request", 5, id="wrong number"),
        pytest.param({"op": "hello"}, "bad_request", None, id="hello has no id"),
    ],
)
def test_request_that_can_be_answered_keeps_the_connection(
    request_: dict[str, object], code: str, request_id: int | None
) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode_request(msgspec.msgpack.encode(request_))
    assert (caught.value.code, caught.value.id) == (code, request_id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"\x83\xa2op\xa4ping\xa2id\5\xa1x" + DEEP, "bad_request", id="unknown key"),
        pytest.param(b"\x83\xa2op\xa4wash\xa2id\5\xa1x" + DEEP, "unknown_op", id="unknown request"),
        pytest.param(b"\x83\xa1x" + DEEP + b"\xa2op\xa4emit\xa2id\5", "bad_request", id="no events"),
        pytest.param(
            b"\x84\xa1x" + DEEP + b"\xa2op\xa4emit\xa2id\5\xa6events\1", "bad_request", id="events no array"
        ),
        pytest.param(
            b"\x83\xa2op\xa4emit\xa2id\5\xa6events\xdd\0\1\0\1" + DEEP + b"\xc0" * MAX_EVENTS,
            "bad_request",
            id="too many events",
        ),
    ],
)
def test_request_nested_too_deep_keeps_the_connection(body: bytes, code: str) -> None:
    """However deep, whether it can be answered is the same question."""
    with pytest.raises(RequestInvalid) as caught:
        decode_request(body)
    assert (caught.value.code, caught.value.id) == (code, 5)


@pytest.mark.parametrize("head", [b"\xa2op\xa4emit", b"\xd9\2op\xd9\4emit"], ids=["usual", "wide"])
def test_event_nested_too_deep_does_not_spoil_the_decoding_of_the_others(head: bytes) -> None:
    """So that the one can be named, and a client that drops it gets on."""
    events = [bytes(EVENT), b"\x82\xa4type\xa1a\xa7payload\x81\xa1x" + DEEP, bytes(EVENT)]
    body = b"\x83" + head + b"\xa2id\5\xa6events\x93" + b"".join(events)
    request = decode_request(body)
    assert isinstance(request, Emit)
    assert (request.id, [bytes(raw) for raw in request.events]) == (5, events)


def test_events_beyond_any_limit_are_counted_before_they_are_made() -> None:
    """An array of millions of the smallest values takes no memory."""
    body = b"\x83\xa2op\xa4emit\xa2id\5\xa6events\xdd\0\x10\0\0" + b"\xc0" * (1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(RequestInvalid) as caught:
            decode_request(body)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()
    assert (caught.value.code, caught.value.id) == ("bad_request", 5)
    assert str(MAX_EVENTS) in str(caught.value)


def test_unknown_keys_are_ignored() -> None:
    """That is how the protocol grows."""
    body = msgspec.msgpack.encode({"op": "ping", "id": 1, "future": [1, {"a": None}]})
    assert decode_request(body) == Ping(1)


def test_events_of_an_emit_stay_as_they_came() -> None:
    """A bad event must not spoil the decoding of the others."""
    bad = b"\xa1\xff"
    body = b"\x83\xa2op\xa4emit\xa2id\x01\xa6events\x92" + bytes(EVENT) + bad
    request = decode_request(body)
    assert isinstance(request, Emit)
    assert [bytes(raw) for raw in request.events] == [bytes(EVENT), bad]


def test_unknown_reply_is_the_peers_error() -> None:
    with pytest.raises(BadFrame):
        decode_reply(msgspec.msgpack.encode({"op": "song", "id": 1}))


def test_a_token_is_not_shown() -> None:
    """Programs print what they hold when they fail, and reports of that go far."""
    shown = repr(Hello(protocol=1, agent="main", client="test 1", token="s3cret"))
    assert shown == "Hello(protocol=1, agent='main', client='test 1')"
    assert "s3cret" not in repr(Settings("main", None, "s3cret", "", 1, 1))
