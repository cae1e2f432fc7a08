"""From an event to the values of its row and its words."""

import logging
from typing import Any, NamedTuple

from ..events.attribution import UPSTREAM_AGENT, Origin, attribute
from ..events.normal import VISIBILITIES, Normal, normalise
from ..events.types import Kind
from .model import NewEvent
from .words import Indexed, indexed

logger = logging.getLogger(__name__)

POISON = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AttributeError)
"""What an event that nobody expected can make the code raise."""

SECRET = "secret"  # noqa: S105 - the visibility of events that no search looks at
MAX_NAME = 1024  # characters of a session or type of another writer
MAX_ID = 256  # characters of an id of another writer

_NOTHING = Indexed(("", ""), 0)


class Parts(NamedTuple):
    """What an event's row is made of, with names in place of their numbers."""

    agent: str
    session: str
    type: str
    kind: Kind
    visibility: int
    time: int
    run: str
    call: str
    event_id: str
    indexed: Indexed


def parts_of(event: NewEvent, *, own: bool) -> Parts:
    """Return what the row of an event is made of. An event that is not understood becomes a raw row.

    Args:
        own: It was accepted here, so its agent is known, whatever the body says; see `attribute`.
    """
    try:
        return _understood(event, own=own)
    except POISON:
        logger.exception(
            "an event on %s is not understood and is kept as it is: a bug in eventd", event.subject,
            extra={"action": "event_kept_raw", "agent": event.agent},
        )  # fmt: skip
        return _raw(event, event.agent)


def _raw(event: NewEvent, agent: str) -> Parts:
    return Parts(agent, "", "", Kind.RAW, 0, event.stored, "", "", id_of(event.event_id), _NOTHING)


def _understood(event: NewEvent, *, own: bool) -> Parts:
    agent, normal = event.agent, normalise(event.body)
    if not own:
        agent, normal = attribute(Origin(agent, event.by_session), event.body, normal)
    elif normal is not None and normal.agent != agent:  # put here as it is, from another stream
        normal = _believed(event, normal)
    if normal is None:
        return _raw(event, agent)
    time = event.stored if normal.time is None else normal.time
    return Parts(
        agent=agent,
        session=_clean(normal.session),
        type=_clean(normal.type),
        kind=normal.kind,
        visibility=VISIBILITIES.index(normal.visibility),
        time=time,
        run=id_of(normal.run),
        call=id_of(normal.call or _counterpart(normal)),
        event_id=id_of(event.event_id or normal.id),
        indexed=_NOTHING if normal.visibility == SECRET else indexed(normal, time),
    )


def _believed(event: NewEvent, normal: Normal) -> Normal | None:
    """Return the event in a body that may claim somebody else, as far as its stream is believed later."""
    shared = event.subject.split(".")[-2:-1] == [UPSTREAM_AGENT]
    origin = Origin(UPSTREAM_AGENT, by_session=True) if shared else Origin(event.agent)
    agent, believed = attribute(origin, event.body, normal)
    return believed if agent == event.agent else None


def row_of(
    n: int, stream: int, route: int | None, event: NewEvent, parts: Parts, numbers: Any
) -> tuple[Any, ...]:
    """Return the values of a row, in the order of `add_events`.

    Args:
        numbers: Number of each name.
    """
    return (
        n, stream, event.seq, event.outbox, route,
        numbers[parts.agent], numbers[parts.session], numbers[parts.type], numbers[event.subject],
        int(parts.kind), parts.visibility, parts.time, event.stored,
        parts.indexed.words, parts.run, parts.call, parts.event_id, event.body,
    )  # fmt: skip


def _counterpart(normal: Normal) -> str:
    """Return what a memory resolves, as far as it is one."""
    if normal.kind is not Kind.MEMORY:
        return ""
    value = normal.data.get("factId")
    return value if isinstance(value, str) else ""


def id_of(text: str) -> str:
    """Return an id of an event, run or call as the index holds it."""
    return _clean(text, MAX_ID)


def _clean(text: str, most: int = MAX_NAME) -> str:
    """Return a name that SQLite takes: headers can hold lone surrogates, and anything can be too long."""
    if len(text) > most:
        text = text[:most]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
