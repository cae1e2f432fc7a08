"""How msgpack writes values, as far as the bytes must be looked at without decoding them."""

import struct
from typing import Final, NamedTuple


class Form(NamedTuple):
    """How the value after a lead byte is read.

    Attributes:
        kind: `int`, `float`, `str`, `bin`, `ext`, `array`, `map`, `nil`, `bool`, or `never`.
        size: The value's length, or its number of items, where the lead byte tells it.
        length: How to read that number where it follows the lead byte.
    """

    kind: str
    size: int = 0
    length: struct.Struct | None = None


def _forms() -> tuple[Form, ...]:
    u8, u16, u32 = struct.Struct(">B"), struct.Struct(">H"), struct.Struct(">I")
    return (
        *(Form("int") for _ in range(0x80)),
        *(Form("map", size) for size in range(16)),
        *(Form("array", size) for size in range(16)),
        *(Form("str", size) for size in range(32)),
        Form("nil"), Form("never"), Form("bool"), Form("bool"),
        Form("bin", 0, u8), Form("bin", 0, u16), Form("bin", 0, u32),
        Form("ext", 1, u8), Form("ext", 1, u16), Form("ext", 1, u32),
        Form("float", 4), Form("float", 8),
        Form("int", 1), Form("int", 2), Form("int", 4), Form("int", 8),
        Form("int", 1), Form("int", 2), Form("int", 4), Form("int", 8),
        Form("ext", 2), Form("ext", 3), Form("ext", 5), Form("ext", 9), Form("ext", 17),
        Form("str", 0, u8), Form("str", 0, u16), Form("str", 0, u32),
        Form("array", 0, u16), Form("array", 0, u32),
        Form("map", 0, u16), Form("map", 0, u32),
        *(Form("int") for _ in range(0x20)),
    )  # fmt: skip


FORMS: Final = _forms()
"""The form of each lead byte."""


def read_form(data: bytes, at: int) -> tuple[str, int, int]:
    """Return kind and size of the value at an offset, and the offset of what follows these.

    Raises:
        ValueError: The bytes end before.
    """
    try:
        kind, size, length = FORMS[data[at]]
        at += 1
        if length is not None:
            size += length.unpack_from(data, at)[0]
            at += length.size
    except (IndexError, struct.error) as error:
        raise ValueError("the data is truncated") from error
    return kind, size, at


def skip(data: bytes, at: int) -> int:
    """Return the offset behind the value at an offset, however deep it is nested.

    Raises:
        ValueError: There is not one whole value.
    """
    values = 1
    while values:
        kind, size, at = read_form(data, at)
        values -= 1
        if kind == "array":
            values += size
        elif kind == "map":
            values += 2 * size
        elif kind == "never":
            raise ValueError("the data holds a byte that msgpack never uses")
        else:
            at += size
    if at > len(data):
        raise ValueError("the data is truncated")
    return at
