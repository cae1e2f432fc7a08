"""A record holds a message's bytes exactly, whatever they are, in one line that any program reads."""

import json
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.transfer.record import Record, is_line, read_record

HEADERS = {"Nats-Msg-Id": "main:e-1", "Nats-TTL": "never", "Of-Another": "wríter"}

AS_THEY_ARE = [
    b"{}",
    b'{"b":1.50,"a":1e2,"big":123456789012345678901234567890,"neg":-0.0,"a":2}',
    b'{ "spaced" : [ 1 , 2 ] }',
    '{"text":"Grüß dich 👋\u2028"}'.encode(),
    b'{"escaped":"\\u00fc\\/\\ud83d\\ude00"}',
    b'"text"',
    b"null",
    b"17",
    b"[" * 90 + b"]" * 90,
]
AS_BASE64 = [
    b"",
    b" {}",
    b"{}\n",
    b'{"a":\n1}',
    b'{"a":\r1}',
    b"not json",
    b'{"torn":',
    b"{} {}",
    b'{"a":NaN}',
    b'{"latin":"\xfc"}',
    b'{"half a character":"\\ud83d"}',
    b"\x00\xff\xfe",
    b"[" * 100_000 + b"]" * 100_000,
]


def record_of(stored: bytes) -> Record:
    return Record.of("openclaw-events", 7, 1_758_000_000_123, "openclaw.events.main.x", HEADERS, stored)


@pytest.mark.parametrize("stored", AS_THEY_ARE, ids=range(len(AS_THEY_ARE)))
def test_json_stands_there_as_it_was_stored(stored: bytes) -> None:
    """Every byte of it: order of keys, spaces, zeros behind the point."""
    line = record_of(stored).line()
    assert stored in line
    assert line.count(b"\n") == 1
    assert "body" in json.loads(line)
    assert read_record(line) == record_of(stored)
    assert read_record(line).stored == stored


@pytest.mark.parametrize("stored", AS_BASE64, ids=range(len(AS_BASE64)))
def test_what_is_no_line_of_json_is_base64(stored: bytes) -> None:
    line = record_of(stored).line()
    assert line.count(b"\n") == 1
    assert json.loads(line).keys() == {"stream", "seq", "time", "subject", "headers", "data"}
    assert read_record(line).stored == stored


@given(
    st.binary() | st.text().map(str.encode) | st.from_regex(rb"[\[\]{}\":,0-9a e\\.\-\n]*", fullmatch=True)
)
def test_whatever_is_stored_comes_back(stored: bytes) -> None:
    line = record_of(stored).line()
    assert read_record(line).stored == stored
    if is_line(stored):
        json.loads(stored)


def test_what_headers_say() -> None:
    assert (record_of(b"{}").message_id, record_of(b"{}").never_expires) == ("main:e-1", True)
    bare = Record.of("s", 1, 2, "x", {}, b"{}")
    assert (bare.message_id, bare.never_expires) == ("", False)
    assert b"headers" not in bare.line()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"\x28\xb5",
        b'{"type":"note"}',
        b'{"stream":"s","seq":1,"time":1,"subject":"x"}',
        b'{"stream":"s","seq":1,"time":1,"subject":"x","body":1,"data":""}',
        b'{"stream":"s","seq":"1","time":1,"subject":"x","body":1}',
        b'{"stream":"s","seq":1,"time":1,"subject":"x","data":"*"}',
        b'{"stream":"s","seq":1,"time":1,"subject":"x","body":{"torn":',
        b'{"stream":"s","seq":1,"time":1,"subject":"x","body":' + b"[" * 1_000_000,
    ],
    ids=range(11),
)
def test_a_line_that_is_no_record_says_why(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_record(line)


def test_the_deepest_body_that_stands_there_can_be_read_from_its_line() -> None:
    """Also by somebody who has called a few functions more; what is deeper is base64."""

    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    def read_below(line: bytes, calls: int) -> Record:
        return read_below(line, calls - 1) if calls else read_record(line)

    deepest = bisect_left(range(1_000_000), True, key=lambda depth: not is_line(nested(depth + 1)))
    assert 100 < deepest < 900_000
    for depth in range(deepest - 40, deepest + 40):
        assert read_below(record_of(nested(depth)).line(), 10).stored == nested(depth)
    assert record_of(nested(deepest + 100)).data is not None
