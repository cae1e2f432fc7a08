"""Events, stores and readers for the tests of this folder."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from eventd.index.connection import SCHEMA, open_reader, open_writer
from eventd.index.index import Index
from eventd.index.model import Filter, NewEvent, Scope
from eventd.index.reads import Reads
from eventd.index.store import Store
from eventd.routes import DEFAULT_ROUTE, StreamKey
from eventd.sql import read

START = 1_795_374_000_000  # Unix ms
ALL = 1_000_000  # more than any test has
S, T = StreamKey(DEFAULT_ROUTE, "S"), StreamKey(DEFAULT_ROUTE, "T")


def body_of(number: int, **fields: Any) -> bytes:
    """The JSON of event `number`; `fields` replace or add keys, None leaves one out."""
    event = {
        "id": f"id-{number}",
        "timestamp": START + number,
        "agent": "main",
        "session": "agent:main:s",
        "type": "conversation.message.in",
        "visibility": "internal",
        "payload": {"data": {"text": f"event number{number}"}},
        "meta": {},
    } | fields
    return json.dumps({key: value for key, value in event.items() if value is not None}).encode()


def own(number: int, *, outbox: int | None = None, **fields: Any) -> NewEvent:
    """Event `number` as it comes from the outbox, under that number unless another one is given."""
    agent = fields.get("agent", "main")
    return NewEvent(
        None,
        number if outbox is None else outbox,
        agent,
        f"p.{agent}.t",
        START + number,
        f"id-{number}",
        body_of(number, **fields),
    )


def foreign(number: int, *, seq: int | None = None, owner: str | None = None, **fields: Any) -> NewEvent:
    """Event `number` as a stream has it, under that sequence unless another one is given."""
    agent = fields.get("agent", "main")
    owner = agent if owner is None else owner
    return NewEvent(
        number if seq is None else seq,
        None,
        owner,
        f"p.{owner}.t",
        START + number,
        f"id-{number}",
        body_of(number, **fields),
    )


def accept(store: Store, *events: NewEvent, route: int = 1, stream: StreamKey = S) -> None:
    """Let the store take events in as the feed does."""
    number = store.stream(stream, "").number
    store.add_accepted(
        [(number, route, event) for event in events], max((event.outbox or 0 for event in events), default=0)
    )


def read_stream(store: Store, *events: NewEvent, stream: StreamKey = S, created: str = "c1") -> int:
    """Let the store take in a page of a stream as the follower does; return how many were new."""
    number = store.stream(stream, created).number
    return store.add_stored(number, events, max((event.seq or 0 for event in events), default=0))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    """An open store."""
    db, _ = open_writer(path)
    try:
        yield Store(db)
    finally:
        db.close()


def in_memory() -> Store:
    """A store without a file, for properties with many examples."""
    db = apsw.Connection(":memory:")
    db.execute(read("eventd.index", "schema.sql"))
    db.execute("INSERT INTO meta VALUES ('schema', ?), ('taken', 0)", (SCHEMA,))
    return Store(db)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reads]:
    """A reader that sees what is there now."""
    db = open_reader(path)
    reads = Reads(db)
    reads.begin()
    try:
        yield reads
    finally:
        reads.end()
        db.close()


@contextlib.asynccontextmanager
async def index_at(path: Path) -> AsyncIterator[Index]:
    """An open index."""
    async with Index.open(path) as index:
        yield index


def rows(store: Store) -> list[tuple[str, str, int, int | None]]:
    """Id, name of the stream, sequence (0 without one) and outbox number of all events, as they arrived."""
    return list(
        store.db.execute(
            "SELECT e.event_id, s.name, coalesce(e.seq, 0), e.outbox FROM events AS e"
            " JOIN streams AS s ON s.number = e.stream ORDER BY e.n"
        )
    )


def places(store: Store) -> dict[str, int]:
    """Sequence of each event by its id, 0 while it has none; every id must be there once."""
    found = rows(store)
    assert len({event_id for event_id, *_ in found}) == len(found), found
    return {event_id: seq for event_id, _, seq, _ in found}


def ids(found: Sequence[Any]) -> list[str]:
    """The ids of entries."""
    return [entry.event_id for entry in found]


def everything(reads: Reads, scope: Scope | None = None) -> list[str]:
    """The ids of all events that a scope holds, oldest first."""
    return ids(reads.page(Filter(scope=scope or Scope()), newest=False, limit=ALL))


def tables(store: Store) -> dict[str, list[int]]:
    """What each full-text table holds, by its name."""
    names = {name for (_, name) in store.rows("lexicons")}
    return {name: [n for (n,) in store.db.execute(f"SELECT rowid FROM {name}")] for name in names}  # noqa: S608
