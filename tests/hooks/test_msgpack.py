"""The small codec says the same as the real one, and refuses what it does not know."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.hooks.msgpack import NotMsgpack, pack, unpack

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=40,
)
LONG = ["x" * size for size in (31, 32, 255, 256, 65_535, 65_536)]  # at the sizes where the lead byte changes


@given(VALUES)
def test_what_is_written_is_read_by_the_real_one(value: object) -> None:
    assert msgspec.msgpack.decode(pack(value)) == value


@given(VALUES)
def test_what_the_real_one_writes_is_read(value: object) -> None:
    assert unpack(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize("length", [len(text) for text in LONG])
@pytest.mark.parametrize("make", [lambda n: "x" * n, lambda n: b"x" * n, lambda n: [1] * n], ids="sba")
def test_every_size_of_head(make: "object", length: int) -> None:
    value = make(length)  # type: ignore[operator]
    assert msgspec.msgpack.decode(pack(value)) == unpack(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, object(), {1, 2}], ids=["big", "small", "obj", "set"])
def test_what_it_cannot_write_is_refused(value: object) -> None:
    with pytest.raises(NotMsgpack):
        pack(value)


def test_endless_levels_are_refused() -> None:
    value: list[object] = []
    for _ in range(200):
        value = [value]
    with pytest.raises(NotMsgpack):
        pack(value)
    with pytest.raises(NotMsgpack):
        unpack(b"\x91" * 100_000)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(NotMsgpack):
        unpack(data)


def test_half_a_character_becomes_a_question_mark() -> None:
    assert msgspec.msgpack.decode(pack("a\ud800b")) == "a?b"
