"""Requests made of keyword arguments, once for both clients; the keywords are the keys of the messages.

What is left out has the default of the message. Names of types and visibilities may be one text, or several.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import msgspec

from .messages import Context, Known, Put, Query, RawEvent, Recall, Replay, Tail

Names = str | Sequence[str]
"""One name, or several."""


_encode = msgspec.msgpack.Encoder().encode

QUERY_CREDIT = 1024  # events; what is asked for has an end, and waiting for credit took a third of the time


class _Filters(TypedDict, total=False):
    """What `query`, `tail` and `replay` have in common."""

    agent: str | None
    session: str | None
    types: Names
    visibility: Names
    since: int | None
    run: str | None
    stream: str | None
    credit: int


class QueryOptions(_Filters, total=False):
    """Keywords of `query`; `eventd_ipc.messages.Query` says what they mean."""

    until: int | None
    text: str | None
    order: Literal["newest", "oldest"]
    limit: int | None
    cursor: str | None


class TailOptions(_Filters, total=False):
    """Keywords of `tail`; `eventd_ipc.messages.Tail` says what they mean."""

    last: int | None
    follow: bool
    text: str | None


class ReplayOptions(_Filters, total=False):
    """Keywords of `replay`; `eventd_ipc.messages.Replay` says what they mean."""

    until: int | None
    first: int | None
    last: int | None
    speed: float | None
    to: str | None
    headers: bool
    route: str | None


def query(**wanted: Unpack[QueryOptions]) -> Query:
    """Return the request of `query`."""
    return Query(0, **{"credit": QUERY_CREDIT, **_listed(wanted)})


def tail(**wanted: Unpack[TailOptions]) -> Tail:
    """Return the request of `tail`."""
    return Tail(0, **_listed(wanted))


def replay(**wanted: Unpack[ReplayOptions]) -> Replay:
    """Return the request of `replay`."""
    return Replay(0, **_listed(wanted))


def put(events: Sequence[RawEvent | msgspec.Raw]) -> Put:
    """Return the request of `put`, for events or their msgpack form."""
    return Put(
        0, [event if isinstance(event, msgspec.Raw) else msgspec.Raw(_encode(event)) for event in events]
    )


def known(agent: str, ids: Sequence[str]) -> Known:
    """Return the request of `known`."""
    return Known(0, agent, list(ids))


class RecallOptions(TypedDict, total=False):
    """Keywords of `recall`; `eventd_ipc.messages.Recall` says what they mean."""

    agent: str | None
    session: str | None
    types: Names
    since: int | None
    until: int | None
    limit: int
    around: int


class BlockOptions(TypedDict, total=False):
    """Keywords that say what is in a context block; `eventd_ipc.messages.Context` says what they mean."""

    agent: str | None
    query: str | None
    budget: int | None
    hours: float | None
    events: int | None
    tools: bool | None


class ContextOptions(BlockOptions, total=False):
    """Keywords of `context`."""

    session: str | None


def recall(text: str, **wanted: Unpack[RecallOptions]) -> Recall:
    """Return the request of `recall`."""
    return Recall(0, text, **_listed(wanted))


def context(**wanted: Unpack[ContextOptions]) -> Context:
    """Return the request of `context`."""
    return Context(0, **wanted)


class SessionStart(NamedTuple):
    """What `session_start` brings back.

    Attributes:
        ids: Of the events that were stored: that of `lifecycle.start`.
        document: The context, as `context` returns it.
    """

    ids: list[str]
    document: dict[str, Any]

    @property
    def text(self) -> str:
        """The block for the system prompt; empty where there is nothing to remember."""
        return str(self.document.get("text", ""))


def _listed(wanted: Any) -> dict[str, Any]:
    """Return the keywords with names as the list that the message has."""
    listed = dict(wanted)
    for key in ("types", "visibility"):
        if key in listed:
            names = listed[key] or ()
            listed[key] = [names] if isinstance(names, str) else list(names)
    return listed
