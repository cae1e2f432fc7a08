"""What the index takes in and gives out. Plain data; no SQL, no I/O."""

from dataclasses import dataclass
from typing import NamedTuple

from ..events.types import Kind


class NewEvent(NamedTuple):
    """An event on its way into the index.

    Attributes:
        seq: Its sequence in the stream; None while it is not known.
        outbox: Its outbox number; None for an event that came from a stream.
        agent: Whose it is; "" where it is nobody's.
        subject: Its NATS subject.
        stored: When it was accepted, or when the stream took it, Unix ms.
        event_id: The id within the agent, from `Nats-Msg-Id` or the body; "" where there is none.
        body: The stored JSON.
        by_session: See `events.attribution.Origin`; for events that came from a stream.
        again: Whether it was in the outbox before, under another number.
    """

    seq: int | None
    outbox: int | None
    agent: str
    subject: str
    stored: int
    event_id: str
    body: bytes
    by_session: bool = False
    again: bool = False


class Placed(NamedTuple):
    """Where rows of the outbox came to stand in the stream.

    Attributes:
        first, last: Outbox numbers of the first and the last of them.
        rows: How many they are.
        seq: Sequence of the first; each of the others is one behind the one before it.
    """

    first: int
    last: int
    rows: int
    seq: int


class Entry(NamedTuple):
    """An event in the index.

    Attributes:
        n: Its number in the index: the order in which the index took events.
        stream: Name of the stream that it is in, or will be.
        seq: Its sequence there; 0 while it is not known.
        agent: Whose it is; "" where it is nobody's.
        session: Session key, "" without one.
        type: The document's name of its type; the writer's own where it is not understood.
        visibility: One of `eventd.events.normal.VISIBILITIES`.
        time: When it happened, Unix ms.
        stored: When it was accepted, or when the stream took it, Unix ms.
        run: Id of its run, "" without one.
        call: Id of a tool call, in the call and in its result.
        event_id: "" where the writer gave none.
        words: Number of words that are searched.
        body: The stored JSON, byte for byte.
    """

    n: int
    stream: str
    seq: int
    subject: str
    agent: str
    session: str
    type: str
    kind: Kind
    visibility: str
    time: int
    stored: int
    run: str
    call: str
    event_id: str
    words: int
    body: bytes


class Shown(NamedTuple):
    """As much of an event as a query sends; `Entry` says what the parts are."""

    n: int
    time: int
    stream: str
    seq: int
    subject: str
    stored: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events are looked at.

    Attributes:
        author: Only events of this agent.
        reader: Only what this agent may read: its own events, public ones of others, and internal ones of
            those in `granted`. None is an administrator, who may read all of them.
    """

    author: str | None = None
    reader: str | None = None
    granted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; what is not set does not restrict.

    Attributes:
        session: Session key; a `*` at its end stands for anything that follows, as in `agent:main:*`.
        types: Canonical types; one that ends in `.*` stands for all below it.
        since, until: Unix ms of the event's own time; `until` is not included.
        text: All of its words are in the event.
        stream: Name of the stream.
        account: Only the stream of that name in this account; see `routes.StreamKey`.
    """

    scope: Scope = Scope()
    session: str | None = None
    types: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    run: str | None = None
    text: str | None = None
    stream: str | None = None
    account: str | None = None


class Seen(NamedTuple):
    """What a reader has seen of an index that has begun anew since.

    Attributes:
        outbox: Rows up to this outbox number.
        stored: Of other writers' what was stored before this time, Unix ms.
    """

    outbox: int
    stored: int


class Hit(NamedTuple):
    """An event that recall found.

    Attributes:
        score: The greater the better; comparable only within one answer.
        around: Its neighbours in the session, oldest first, where they were asked for.
    """

    entry: Entry
    score: float
    around: tuple[Entry, ...] = ()
