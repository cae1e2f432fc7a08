"""Stored events as people read them, and as programs do. Never fails: other writers store what they like."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from eventd_ipc.messages import StoredEvent

from .output import neutral, printable, shorten

TIME_KEYS = ("timestamp", "ts")  # `ts` is what older writers have
MOST = 500  # characters of an event's text where the terminal sets no limit
UNKNOWN = "-"

_encode = msgspec.json.Encoder().encode
Tree = dict[str, Any]


def as_json(stored: StoredEvent) -> Tree:
    """Return the document of `--json`; the event in it is the stored text itself.

    A body that is no JSON stands as text under `raw`.
    """
    document: Tree = {
        "stream": stored.stream,
        "seq": stored.seq,
        "subject": stored.subject,
        "time": stored.time,
        "event": None,
    }
    # Line ends between the parts of JSON mean nothing, and inside its texts there are none.
    body = stored.body.replace(b"\n", b" ").replace(b"\r", b" ")
    try:
        body.decode()
        document["event"] = msgspec.json.decode(body, type=msgspec.Raw)
    except (ValueError, RecursionError):
        document["raw"] = stored.body.decode("utf-8", "replace")
    return document


def as_line(stored: StoredEvent, width: int | None = None) -> tuple[str, str]:
    """Return one line: when, who, where and what; and in a second part its text.

    Args:
        width: Columns that the two may take together.
    """
    decoded = _decoded(stored.body)
    event = decoded or {}
    head = "  ".join(
        (
            local_time(_time_of(event, stored.time)),
            f"{_word(event.get('agent')):<10}",
            f"{_word(event.get('session')):<18}",
            f"{_word(event.get('type')):<26}",
        )
    )
    text = text_of(event) if decoded is not None else stored.body[:MOST].decode("utf-8", "replace")
    return head, shorten(neutral(text), MOST if width is None else max(0, width - len(head) - 2))


def as_page(stored: StoredEvent) -> str:
    """Return an event in full."""
    when = local_time(stored.time)
    head = f"{printable(stored.stream)} {stored.seq}  {when}  {printable(stored.subject)}"
    try:
        body = msgspec.json.format(stored.body, indent=2).decode()
    except (ValueError, RecursionError):
        body = stored.body.decode("utf-8", "replace")
    return "\n".join((head, *map(printable, body.splitlines())))


def text_of(event: Tree) -> str:
    """Return what an event says: its text, its tool, or else all that it holds."""
    payload = _tree(event.get("payload"))
    data = _tree(payload.get("data"))
    for said in (data.get("text"), payload.get("content"), payload.get("text_preview"), payload.get("text")):
        if text := _plain(said):
            return text
    tool = data.get("name") or payload.get("toolName")
    if isinstance(tool, str):
        return f"{tool} {_tool(data or payload)}"
    held = payload.get("data", payload)
    return _short_json(held) if held else ""


def _tool(data: Tree) -> str:
    for key, sign in (("error", "failed: "), ("result", "→ "), ("args", ""), ("params", "")):
        if data.get(key) is not None:
            value = data[key]
            return sign + (value if isinstance(value, str) else _short_json(value))
    return ""


def _plain(said: object) -> str:
    """Return a text, or the texts of a list of parts."""
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return " ".join(filter(None, (_plain(_tree(part).get("text")) for part in said)))
    return ""


def local_time(milliseconds: int) -> str:
    """Return a time as the clock on the wall has it."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds:<19}"


def _time_of(event: Tree, otherwise: int) -> int:
    for key in TIME_KEYS:
        value = event.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
    return otherwise


def _decoded(body: bytes) -> Tree | None:
    try:
        return msgspec.json.decode(body, type=Tree)
    except (ValueError, RecursionError):
        return None


def _tree(value: object) -> Tree:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    return neutral(value) if isinstance(value, str) and value else UNKNOWN


def _short_json(value: object) -> str:
    return _encode(value)[: 4 * MOST].decode("utf-8", "replace")
