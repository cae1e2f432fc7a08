"""What an event must be: the schema, and nothing that JSON cannot hold.

Nearly all events are sound and shallow, so the usual way through is one decode in C, whose types refuse
what JSON cannot hold, and a proof that it dropped nothing. Deep events take a walk in Python beside it. Only
where one of these objects does an exact scanner read the bytes again; it decides, and names the place. It
takes about a second for each MiB.
"""

import functools
import json
import math
import re
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from .errors import MalformedEvent
from .events import Event, Visibility
from .forms import FORMS, read_form

MAX_DEPTH: Final = (
    64  # levels of maps and arrays, the event itself being the first; many JSON readers end here
)
MAX_TYPE: Final = 128  # bytes
MAX_ID: Final = 128  # bytes
MAX_AGENT: Final = 64  # bytes of UTF-8
MAX_SESSION: Final = 512  # bytes of UTF-8
MAX_TIMESTAMP: Final = 2**53  # the last integer that every JSON reader holds exactly

_FLOAT_MAX: Final = sys.float_info.max
_encode = msgspec.msgpack.Encoder().encode
_is_type = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*").fullmatch
_is_id = re.compile(rf"[!-~]{{1,{MAX_ID}}}").fullmatch
_KNOWN = frozenset(Event.__struct_fields__)
_is_plain_key = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*").fullmatch
_SHOWN = 40  # characters of a key that a path shows
_FLOAT32 = 0xCA  # lead byte
_FIXMAP = 0x80  # lead byte of a map with up to 15 keys, whose number is added to it
_GROWTH = 4  # bytes that a float32 takes more once it is decoded and encoded again

# What JSON holds, for the decoder: msgspec has no recursive types, and each level doubles its table.
_Finite = Annotated[float, msgspec.Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)]  # NaN is outside of every range
_Scalar = str | int | _Finite | bool | None
_Json1 = _Scalar | list[_Scalar] | dict[str, _Scalar]
_Json2 = _Scalar | list[_Json1] | dict[str, _Json1]
_Json3 = _Scalar | list[_Json2] | dict[str, _Json2]
_Json4 = _Scalar | list[_Json3] | dict[str, _Json3]
_Json5 = _Scalar | list[_Json4] | dict[str, _Json4]


class _ShallowEvent(Event, omit_defaults=True):
    """An event whose payload and meta have few levels, and values that JSON holds."""

    payload: dict[str, _Json5] = msgspec.field(default_factory=dict)
    meta: dict[str, _Json5] = msgspec.field(default_factory=dict)


class SoundEvent(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """An event of which everything is checked but its labels (`check_labels`).

    No `Event`, because this is the hot path: nothing here can be in a cycle, so the collector need not look.
    """

    type: str
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)] | None = None
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIMESTAMP)] | None = None
    agent: str | None = None
    session: str | None = None
    visibility: Visibility | None = None
    payload: dict[str, _Json5] = msgspec.field(default_factory=dict)
    meta: dict[str, _Json5] = msgspec.field(default_factory=dict)


_shallow_events = msgspec.msgpack.Decoder(_ShallowEvent)
_sound_lists = msgspec.msgpack.Decoder(list[SoundEvent])
_events = msgspec.msgpack.Decoder(Event)
_fields = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


def decode_event(raw: bytes | msgspec.Raw) -> Event:
    """Return the event in its msgpack form.

    Integers beyond 2**53 are kept. Unknown keys of the event itself are ignored, with all that they hold.

    Raises:
        MalformedEvent: NaN or an infinity, binary data, an extension or timestamp, a key that is no text or
            occurs twice, text that is not UTF-8, too deep nesting, a wrong type, or a field against its rule.
    """
    data = bytes(raw)
    try:
        event: Event = _shallow_events.decode(data)
        event.__class__ = Event  # the same fields; only the reading was different
    except (ValueError, RecursionError):
        event = _decode_deep(data)
    # Encoding again never takes more bytes than the sender used, but for a float32, which grows. So where
    # there is none, the same length proves that no key was repeated (or unknown) and dropped in decoding.
    if (len(_encode(event)) != len(data) or _FLOAT32 in data) and not _is_complete(event, data):
        _scan(data)
    check_fields(event)
    return event


def decode_together(raws: Sequence[msgspec.Raw]) -> list[SoundEvent] | None:
    """Return the events of an emit where one look proves all of them sound.

    In batches of 20 it takes 0.6 µs an event instead of 1.3, because everything is called once.

    Returns:
        None where `decode_event` must look at each of them: it knows more kinds of sound events, and names
        what is wrong with the others.
    """
    data = b"".join((_array_header(len(raws)), *raws))
    try:
        events = _sound_lists.decode(data)
    except (ValueError, RecursionError):
        return None
    # The proof of `decode_event`, for all at once: where none can grow, none can make up for what another
    # one has dropped. The very same bytes prove the same, and that there was no float32 among them.
    again = _encode(events)
    if len(again) != len(data) or (_FLOAT32 in data and again != data):
        return None
    ids = "".join([event.id for event in events if event.id is not None])
    if not (ids.isascii() and ids.isprintable()) or " " in ids:  # as `_is_id`; the lengths were checked
        return None
    return events


@functools.lru_cache(maxsize=64)
def _array_header(count: int) -> bytes:
    """Return what stands before the items of an array, in the form that the encoder uses."""
    items = _encode([None] * count)
    return items[: len(items) - count]


def _is_complete(event: Event, data: bytes) -> bool:
    """Tell whether the bytes prove that decoding has dropped nothing; False where that is open."""
    try:
        fields = _fields.decode(data)
    except (ValueError, RecursionError):  # in an unknown key
        return False
    if data[0] != _FIXMAP + len(fields) or not fields.keys() <= _KNOWN:
        return False
    return all(
        _is_same(value, bytes(fields[name]))
        for name, value in (("payload", event.payload), ("meta", event.meta))
        if name in fields
    )


def _is_same(value: object, data: bytes) -> bool:
    """Tell whether a decoded value is all that the bytes say: by the bytes themselves or by their number.

    Only a float32 grows, by 4 bytes. So as many more bytes as all floats together can have grown mean that
    each was a float32, and that there was nothing else that went away.
    """
    again = _encode(value)
    return again == data or len(again) == len(data) + _GROWTH * _count_floats(value)


def _count_floats(value: object) -> int:
    match value:
        case float():
            return 1
        case list():
            items = value
        case dict():
            items = list(value.values())
        case _:
            return 0
    kinds = Counter(map(type, items))
    below = [item for item in items if isinstance(item, list | dict)] if kinds[list] or kinds[dict] else ()
    return kinds[float] + sum(map(_count_floats, below))


def _decode_deep(data: bytes) -> Event:
    """Decode an event that is deeper than usual, or not sound."""
    try:
        event = _events.decode(data)
    except (ValueError, RecursionError) as error:
        _scan(data)
        raise _schema_fault(error) from error
    if not (_is_json(event.payload, 2) and _is_json(event.meta, 2)):
        _scan(data)
    return event


def check_fields(event: Event) -> None:
    """Check the fields of an event, all but `payload` and `meta`.

    Raises:
        MalformedEvent: One is against its rule.
    """
    check_labels(event.type, event.agent, event.session)
    if event.id is not None and (fault := id_fault(event.id)) is not None:
        raise MalformedEvent("$.id", fault)
    if event.timestamp is not None and not 0 <= event.timestamp <= MAX_TIMESTAMP:
        raise MalformedEvent("$.timestamp", "a timestamp is Unix milliseconds from 0 to 2^53")


@functools.lru_cache(maxsize=1024)
def check_labels(type_: str, agent: str | None, session: str | None) -> None:
    """Check the fields that repeat from event to event.

    Raises:
        MalformedEvent: One is against its rule.
    """
    if (fault := type_fault(type_)) is not None:
        raise MalformedEvent("$.type", fault)
    if agent is not None and (fault := agent_fault(agent)) is not None:
        raise MalformedEvent("$.agent", fault)
    if session is not None and (fault := session_fault(session)) is not None:
        raise MalformedEvent("$.session", fault)


def type_fault(name: str) -> str | None:
    """Say what is wrong with an event's type; None when nothing is."""
    if len(name) > MAX_TYPE or _is_type(name) is None:
        return f"a type is dotted lower-case words of a-z, 0-9 and _, at most {MAX_TYPE} bytes"
    return None


def agent_fault(name: str) -> str | None:
    """Say what is wrong with an agent's name; None when nothing is.

    It becomes a token of the subject and the part before the colon in `Nats-Msg-Id`, a header line, which
    readers trim; `*` stands for all agents in the configuration.
    """
    if not 0 < _size(name) <= MAX_AGENT:
        return f"an agent's name is 1 to {MAX_AGENT} bytes"
    if not name.isprintable() or name != name.strip() or ":" in name or name == "*":
        return "an agent's name is printable, without a colon, without spaces at its ends, and not '*'"
    return None


def id_fault(event_id: str) -> str | None:
    """Say what is wrong with an event's id; None when nothing is."""
    if _is_id(event_id) is None:
        return f"an id is 1 to {MAX_ID} printable ASCII characters without spaces"
    return None


def session_fault(key: str) -> str | None:
    """Say what is wrong with a session key; None when nothing is."""
    if not 0 < _size(key) <= MAX_SESSION:
        return f"a session key is 1 to {MAX_SESSION} bytes"
    return None


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _is_json(value: object, depth: int) -> bool:
    """Tell whether JSON holds a decoded value exactly."""
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list():
            return depth <= MAX_DEPTH and all(_is_json(item, depth + 1) for item in value)
        case dict():
            return (
                depth <= MAX_DEPTH
                and all(isinstance(key, str) for key in value)
                and all(_is_json(item, depth + 1) for item in value.values())
            )
    return False


def _schema_fault(error: Exception) -> MalformedEvent:
    """Turn msgspec's message, `Expected ... - at `$.x``, into path and reason."""
    reason, _, place = str(error).partition(" - at ")
    path = place.strip("`") or "$"
    return MalformedEvent(path, reason)


# The exact scanner.


_FLOATS = {4: struct.Struct(">f"), 8: struct.Struct(">d")}
_REFUSED = {
    "bin": "binary data has no JSON form (send text, e.g. base64)",
    "ext": "msgpack extensions and timestamps have no JSON form (send Unix milliseconds or text)",
}


def _scan(data: bytes) -> None:
    """Read an event byte by byte.

    Raises:
        MalformedEvent: The first thing, in the order of the bytes, that JSON cannot hold.
    """
    try:
        end = _scan_value(data, 0, "$", 1, checked=True)
    except ValueError as error:
        raise MalformedEvent("$", "not one whole msgpack value") from error
    if end != len(data):
        raise MalformedEvent("$", "bytes are left over after the msgpack value")


def _scan_value(data: bytes, at: int, path: str, depth: int, *, checked: bool) -> int:
    """Scan one value and return the offset behind it; unchecked ones are only skipped."""
    kind, size, at = read_form(data, at)
    if kind in {"array", "map"}:
        if depth > MAX_DEPTH:
            raise MalformedEvent(path, f"nested deeper than {MAX_DEPTH} levels")
        scan = _scan_array if kind == "array" else _scan_map
        return scan(data, at, size, path, depth, checked=checked)
    end = at + size
    if end > len(data) or kind == "never":
        raise MalformedEvent(path, "not one whole msgpack value")
    if checked:
        if kind == "str":
            _text(data[at:end], path)
        elif kind == "float":
            (number,) = _FLOATS[size].unpack_from(data, at)
            if not math.isfinite(number):
                raise MalformedEvent(path, f"JSON has no {number} (send null or text)")
        elif kind in _REFUSED:
            raise MalformedEvent(path, _REFUSED[kind])
    return end


def _scan_array(data: bytes, at: int, size: int, path: str, depth: int, *, checked: bool) -> int:
    for index in range(size):
        at = _scan_value(data, at, f"{path}[{index}]", depth + 1, checked=checked)
    return at


def _scan_map(data: bytes, at: int, size: int, path: str, depth: int, *, checked: bool) -> int:
    seen: set[str] = set()
    for _ in range(size):
        start = at
        at = _scan_value(data, at, path, depth + 1, checked=False)
        if not checked:
            at = _scan_value(data, at, path, depth + 1, checked=False)
            continue
        kind, _, length = FORMS[data[start]]
        if kind != "str":
            raise MalformedEvent(path, f"a key of a map is text, not {kind}")
        key = _text(data[start + 1 + (length.size if length else 0) : at], path)
        below = f"{path}.{key}" if _is_plain_key(key) and len(key) <= _SHOWN else f"{path}[{_quoted(key)}]"
        if key in seen:
            raise MalformedEvent(below, "the key is repeated")
        seen.add(key)
        at = _scan_value(data, at, below, depth + 1, checked=depth > 1 or key in _KNOWN)
    return at


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedEvent(path, "text is not UTF-8 (lone surrogates are not)") from error


def _quoted(key: str) -> str:
    return json.dumps(key if len(key) <= _SHOWN else key[: _SHOWN - 1] + "…", ensure_ascii=False)
