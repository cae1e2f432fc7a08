"""Stored events as people read them, and as programs do. Never fails: other writers store what they like.

People see the normal form of all writers' shapes; programs get what was stored.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from eventd_ipc.messages import StoredEvent

from ..events.identity import agent_of_session
from ..events.normal import Normal, gather, normalise
from ..events.types import Kind
from .output import neutral, printable, shorten

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
    event = normalise(stored.body)
    if event is None:
        when, agent, session, kind = stored.time, "", "", ""
        text = stored.body[:MOST].decode("utf-8", "replace")
    else:
        when = stored.time if event.time is None else event.time
        agent = event.agent or agent_of_session(event.session) or ""
        session, kind, text = event.session, event.type, text_of(event)
    head = "  ".join((local_time(when), f"{_word(agent):<10}", f"{_word(session):<18}", f"{_word(kind):<26}"))
    return head, shorten(neutral(text), MOST if width is None else max(0, width - len(head) - 2))


def as_page(stored: StoredEvent) -> str:
    """Return an event in full."""
    when = local_time(stored.time)
    place = str(stored.seq) if stored.seq else "(on its way)"
    head = f"{printable(stored.stream)} {place}  {when}  {printable(stored.subject)}"
    try:
        body = msgspec.json.format(stored.body, indent=2).decode()
    except (ValueError, RecursionError):
        body = stored.body.decode("utf-8", "replace")
    return "\n".join((head, *map(printable, body.splitlines())))


def text_of(event: Normal) -> str:
    """Return what an event says: its text, its tool, or else all that it holds."""
    if event.kind is Kind.TOOL_CALL:
        return f"{event.tool} {event.text}"
    if event.kind is Kind.TOOL_RESULT:
        return f"{event.tool} {'failed:' if event.failed else '→'} {event.text}"
    if event.text and event.text != gather(event.data):
        return event.text
    # What a type that we do not know says is a bag of words; as JSON it can be read.
    return _short_json(event.data) if event.data else event.text


def local_time(milliseconds: int) -> str:
    """Return a time as the clock on the wall has it."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds:<19}"


def _word(value: object) -> str:
    return neutral(value) if isinstance(value, str) and value else UNKNOWN


def _short_json(value: object) -> str:
    return _encode(value)[: 4 * MOST].decode("utf-8", "replace")
