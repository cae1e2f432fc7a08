"""The one form in which views, filters, recall and context see an event.

Other writers store what they like, so nothing here trusts a type: what is not understood is left out, and
what is no event at all becomes `None`. Reading never fails.
"""

import re
from typing import Any

import msgspec

from .types import Kind, canonical, kind_of

MAX_TEXT = 256 * 1024  # characters of an event that are searched; a longer one is searched up to here
MAX_LEAVES = 2000  # texts that are gathered from an event of a type that we know nothing about
MAX_DEPTH = 12  # levels of it that are looked into
MAX_PARTS_DEPTH = 4  # levels of parts within parts of a message: models have two
VISIBILITIES = ("internal", "public", "confidential", "secret")
"""In the order of their numbers in the index."""

Tree = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_surrogates = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Escapes of JSON; the group is half of a character, left by a writer that cut a text within it."""


class Normal(msgspec.Struct, gc=False):
    """An event in the document's terms.

    Attributes:
        id: Its own id; "" where the writer gave none.
        time: When it happened, Unix ms; None where the writer does not say.
        agent: Who acts, as the body claims; "" where it claims nobody. See `attribution` for who it is.
        session: Session key, "" without one.
        type: The document's name of its type.
        visibility: One of `VISIBILITIES`; what is unknown counts as `internal`.
        run: Id of the run, "" without one.
        text: What was said; of a tool call its arguments, of a result the result, as text.
        tool: Name of the tool.
        call: The tool call's own id, which ties the result to it.
        failed: Whether a tool, or a run, ended in an error.
        data: The event's own data: `payload.data`, or `payload` where older writers have no such level.
        meta: What is known about it.
    """

    id: str
    time: int | None
    agent: str
    session: str
    type: str
    kind: Kind
    visibility: str
    run: str
    text: str
    tool: str
    call: str
    failed: bool
    data: Tree
    meta: Tree


def normalise(body: bytes) -> Normal | None:
    """Return the normal form of a stored body, or None where it is no event."""
    event = _event(body)
    if not isinstance(event, dict):
        return None
    given = event.get("type")
    if not isinstance(given, str) or not given:
        return None
    event_type = canonical(given, text_or_none(event.get("canonicalType")) or "")
    payload, meta = tree(event.get("payload")), tree(event.get("meta"))
    held = payload.get("data")
    data = held if isinstance(held, dict) else payload
    kind = kind_of(event_type)
    if kind is Kind.MESSAGE_OUT and (data.get("role") == "user" or payload.get("stream") == "user"):
        # The document's type for messages "sent to/from the model" holds those of people too.
        kind, event_type = Kind.MESSAGE_IN, "conversation.message.in"
    visibility = event.get("visibility")
    tool = call = ""
    failed = kind is Kind.RUN_ERROR
    if kind is Kind.TOOL_CALL or kind is Kind.TOOL_RESULT:
        tool = first_text(data, payload, "name", "toolName", "tool")
        call = first_text(data, payload, "toolCallId", "callId", "call_id", "tool_use_id", "toolUseId")
        failed = bool(data.get("isError") or payload.get("isError") or payload.get("error"))
        text = _of_call(data) if kind is Kind.TOOL_CALL else _of_result(data, payload)
    else:
        text = _of_message(data, payload)
        if not text and kind not in _SILENT and not _is_of_file(kind, data):
            text = gather(held if held is not None else payload)
    return Normal(
        id=text_or_none(event.get("id")) or "",
        time=_time(event.get("timestamp")) or _time(event.get("ts")) or _time(payload.get("ts")),
        agent=text_or_none(event.get("agent")) or "",
        session=text_or_none(event.get("session")) or first_text(payload, event, "sessionKey"),
        type=event_type,
        kind=kind,
        visibility=visibility if visibility in VISIBILITIES else "internal",
        run=first_text(payload, meta, "runId") or first_text(data, event, "runId"),
        text=text[:MAX_TEXT],
        tool=tool,
        call=call,
        failed=failed,
        data=data,
        meta=meta,
    )


_SILENT = (Kind.MESSAGE_IN, Kind.MESSAGE_OUT, Kind.RUN_START, Kind.RUN_END, Kind.TOMBSTONE)


def _is_of_file(kind: Kind, data: Tree) -> bool:
    """Whether an event has no words but its text: that is blank, or the file is for programs."""
    return kind is Kind.NOTE and ("raw" in data or "text" in data)


def searchable(event: Normal) -> str:
    """Return what full-text search looks at, without who spoke and when."""
    return f"{event.tool} {event.text}" if event.tool else event.text


# Helpers for data that may be anything.


def _event(body: bytes) -> object:
    """Return what a body holds; None where it is no JSON."""
    try:
        return _decode(body)
    except (ValueError, RecursionError):
        whole = with_whole_characters(body)
    try:
        return _decode(whole) if whole is not body else None
    except (ValueError, RecursionError):
        return None


def with_whole_characters(body: bytes) -> bytes:
    """Return JSON with U+FFFD for each half of a character; the same bytes where there is none."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _surrogates.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


def tree(value: object) -> Tree:
    """Return a value if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_or_none(value: object) -> str | None:
    """Return a value if it is a text that is not empty."""
    return value if isinstance(value, str) and value else None


def first_text(first: Tree, second: Tree, *keys: str) -> str:
    """Return the first text under one of the keys, looked for in two maps; else ""."""
    for key in keys:
        for held in (first, second):
            value = held.get(key)
            if isinstance(value, str) and value:
                return value
    return ""


def plain(value: object, depth: int = MAX_PARTS_DEPTH) -> str:
    """Return a text, or the texts of a list of parts as models have them."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, dict):
        return plain(value.get("text"), depth - 1)
    if isinstance(value, list):
        return "\n".join(filter(None, (plain(part, depth - 1) for part in value[:MAX_LEAVES])))
    return ""


def gather(value: object) -> str:
    """Return all texts and numbers of a tree, in their order, with the names of what they belong to."""
    found: list[str] = []
    left = MAX_TEXT
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack and len(found) < MAX_LEAVES and left > 0:
        item, depth = stack.pop()
        if isinstance(item, str):
            found.append(item)
            left -= len(item)
        elif isinstance(item, bool) or item is None:
            continue
        elif isinstance(item, int | float):
            found.append(str(item))
        elif depth < MAX_DEPTH:
            if isinstance(item, dict):
                for key, held in reversed(item.items()):
                    stack.append((held, depth + 1))
                    stack.append((key, depth + 1))
            elif isinstance(item, list):
                stack.extend((held, depth + 1) for held in reversed(item))
    return " ".join(found)


def _of_message(data: Tree, payload: Tree) -> str:
    for said in (
        data.get("text"), payload.get("content"), data.get("content"), payload.get("text_preview"),
        payload.get("text"), data.get("fact"), data.get("summary"),
    ):  # fmt: skip
        if text := plain(said):
            return text
    return ""


def _of_call(data: Tree) -> str:
    for key in ("args", "params", "arguments", "input"):
        if data.get(key) is not None:
            return _as_text(data[key])
    return ""


def _of_result(data: Tree, payload: Tree) -> str:
    for held in (data, payload):
        for key in ("error", "result", "output", "content"):
            value = held.get(key)
            if value is not None and value is not False:
                return _as_text(value)
    return ""


def _as_text(value: object) -> str:
    if text := plain(value):
        return text
    if value == {} or value == []:
        return ""
    try:
        return _encode(value).decode()
    except (ValueError, OverflowError, RecursionError):
        return gather(value)


def _time(value: object) -> int | None:
    """Return a time in Unix ms as writers put it; seconds and texts are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < 2**53 else None
