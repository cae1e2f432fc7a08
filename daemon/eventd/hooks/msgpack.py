"""A small msgpack, for what the protocol needs: `import msgspec` alone takes longer than a hook.

Maps, arrays, texts, bytes, integers, floats, booleans and nil; no extensions. `eventd_ipc.codec` is the real
one, and the tests hold this one against it.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 96  # levels; the protocol allows an event 64

_INT64, _UINT64, _FLOAT64, _FLOAT32 = (struct.Struct(form) for form in (">q", ">Q", ">d", ">f"))
_SIZES = (struct.Struct(">B"), struct.Struct(">H"), struct.Struct(">I"))
_INTEGERS = tuple(struct.Struct(form) for form in (">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"))
_MAX_INT, _MIN_INT = 2**64 - 1, -(2**63)


class NotMsgpack(ValueError):
    """Bytes that this is not able to read, or a value that it is not able to write."""


def pack(value: Any) -> bytes:
    """Return a value as msgpack.

    Raises:
        NotMsgpack: It holds something else than JSON does and bytes, or too many levels.
    """
    parts: list[bytes] = []
    _pack(value, parts, 0)
    return b"".join(parts)


def unpack(data: bytes) -> Any:
    """Return the one value that the bytes hold.

    Raises:
        NotMsgpack: They hold less, more, or something else.
    """
    try:
        value, end = _unpack(data, 0, 0)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError) as error:
        raise NotMsgpack(f"these bytes are no msgpack: {error}") from error
    if end != len(data):
        raise NotMsgpack(f"{len(data) - end} bytes too many")
    return value


def _pack(value: Any, parts: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotMsgpack("too many levels")
    match value:
        case None:
            parts.append(b"\xc0")
        case bool():
            parts.append(b"\xc3" if value else b"\xc2")
        case str():
            data = value.encode("utf-8", "replace")  # half a character is none
            parts += _head(len(data), 0xA0, 31, (0xD9, 0xDA, 0xDB)), data
        case int():
            parts.append(_pack_int(value))
        case float():
            parts.append(b"\xcb" + _FLOAT64.pack(value))
        case dict():
            parts.append(_head(len(value), 0x80, 15, (None, 0xDE, 0xDF)))
            for key, held in value.items():
                _pack(key, parts, depth + 1)
                _pack(held, parts, depth + 1)
        case list() | tuple():
            parts.append(_head(len(value), 0x90, 15, (None, 0xDC, 0xDD)))
            for held in value:
                _pack(held, parts, depth + 1)
        case bytes():
            parts += _head(len(value), 0, -1, (0xC4, 0xC5, 0xC6)), value
        case _:
            raise NotMsgpack(f"a {type(value).__name__} cannot be written")


def _pack_int(value: int) -> bytes:
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    if not _MIN_INT <= value <= _MAX_INT:
        raise NotMsgpack("an integer of more than 64 bits")
    return b"\xcf" + _UINT64.pack(value) if value > 0 else b"\xd3" + _INT64.pack(value)


def _head(size: int, small: int, most: int, leads: tuple[int | None, int, int]) -> bytes:
    """Return what stands before a value of a size; `small` is its lead byte up to the size `most`."""
    if size <= most:
        return bytes((small | size,))
    for lead, form in zip(leads, _SIZES, strict=True):
        if lead is not None and size < 256**form.size:
            return bytes((lead,)) + form.pack(size)
    raise NotMsgpack("a value that is too large")


def _unpack(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise NotMsgpack("too many levels")
    lead = data[at]
    at += 1
    if lead < 0x80:
        return lead, at
    if lead >= 0xE0:
        return lead - 0x100, at
    if lead < 0x90:
        return _unpack_map(data, at, lead & 0x0F, depth)
    if lead < 0xA0:
        return _unpack_array(data, at, lead & 0x0F, depth)
    if lead < 0xC0:
        return _text(data, at, lead & 0x1F)
    if lead in _CONSTANTS:
        return _CONSTANTS[lead], at
    if 0xCC <= lead <= 0xD3:
        form = _INTEGERS[lead - 0xCC]
        return form.unpack_from(data, at)[0], at + form.size
    if lead in (0xCA, 0xCB):
        form = _FLOAT32 if lead == 0xCA else _FLOAT64
        return form.unpack_from(data, at)[0], at + form.size
    for first, (lowest, read) in _LONG.items():
        if first <= lead < first + 3 - lowest:
            form = _SIZES[lead - first + lowest]
            size = form.unpack_from(data, at)[0]
            found: tuple[Any, int] = read(data, at + form.size, size, depth)
            return found
    raise NotMsgpack(f"the lead byte 0x{lead:02x} is not known here")


def _unpack_map(data: bytes, at: int, size: int, depth: int) -> tuple[dict[Any, Any], int]:
    found: dict[Any, Any] = {}
    for _ in range(size):
        key, at = _unpack(data, at, depth + 1)
        found[key], at = _unpack(data, at, depth + 1)
    return found, at


def _unpack_array(data: bytes, at: int, size: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    for _ in range(size):
        value, at = _unpack(data, at, depth + 1)
        found.append(value)
    return found, at


def _bytes(data: bytes, at: int, size: int, _depth: int = 0) -> tuple[bytes, int]:
    if at + size > len(data):
        raise NotMsgpack("the bytes end before")
    return data[at : at + size], at + size


def _text(data: bytes, at: int, size: int, _depth: int = 0) -> tuple[str, int]:
    found, at = _bytes(data, at, size)
    return found.decode(), at


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
# By the first lead byte: the first size of `_SIZES` that there is, and what reads the value.
_LONG: dict[int, tuple[int, Any]] = {
    0xC4: (0, _bytes),
    0xD9: (0, _text),
    0xDC: (1, _unpack_array),
    0xDE: (1, _unpack_map),
}
