"""Forgotten events: what tombstones name is taken out, kept out, and overwritten where SQLite has put it.

A tombstone is about the events of its own agent, and of nobody else. What it names is written down, because
an event can come in after it: from another stream, after a rollback, or while the index is built anew.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from ..events.tombstones import Forgotten, forgotten_in
from ..events.types import Kind
from .entries import Parts, id_of
from .model import NewEvent

if TYPE_CHECKING:
    from .reads import Reads
    from .store import Store

DUE, DUE_AGAIN = 0, 2  # states of a full-text table in `wiping`
MERGE_PAGES = 64  # pages of a full-text table that are written in one step of its merging, some 10 ms
NO_CHANGE = 2  # changes of the database; with fewer, says FTS5, there was nothing to merge
TRIM_PAGES = 256  # free pages that are given back in one step


class Known(NamedTuple):
    """An event as far as a tombstone names it.

    Attributes:
        seq: 0 while it is not known.
        time: When the stream took it, Unix ms; 0 where the outbox has sent it.
        kind: See `events.types.Kind`.
    """

    event_id: str
    account: str
    stream: str
    seq: int
    time: int
    kind: int


class Mark(NamedTuple):
    """Something that is forgotten: `n` is its place in the order in which these came."""

    n: int
    agent: str
    event_id: str


class Returned(NamedTuple):
    """Where a forgotten event stands nonetheless, or may stand.

    Attributes:
        number: Of the stream, in the index.
    """

    number: int
    account: str
    stream: str
    seq: int
    agent: str
    event_id: str
    time: int


# Writing, within a transaction of the store.


def bury(store: "Store", agent: int, body: bytes) -> int:
    """Take out what a tombstone of an agent names, and keep it out; return how many events that were.

    What stands at a place that the tombstone does not name has to be erased there, too.
    """
    named = forgotten_in(body)
    places = {(one.stream, one.seq) for one in named}
    store.db.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        gone = new = 0
        for one in named:
            store.run("add_forgotten", (agent, id_of(one.id), one.stream, one.seq, one.time))
            new += store.db.changes()
            for n, visibility, words, stream, seq, stored, name in _named(store, agent, one):
                store.take_out(n, store.lexicons_of(agent, visibility) if words else ())
                if seq is not None and (name, seq) not in places:
                    _add_returned(store, stream, seq, agent, id_of(one.id), stored)
                gone += 1
    finally:
        store.db.execute("PRAGMA secure_delete = FAST").fetchall()
    store.forgets = store.value("newest_forgotten")
    if new or gone:
        # Also what was removed before, being too old, may be left where words and rows were.
        for lexicon in store.lexicons_there(agent):
            store.run("add_wiping", (lexicon,))
        store.run("set_fact", ("wiping", 1))
        store.wiping = True
    return gone


def _named(store: "Store", agent: int, one: Forgotten) -> list[tuple[Any, ...]]:
    if one.id:
        return store.rows("named_by_id", (id_of(one.id), agent))
    return store.rows("named_by_place", (one.stream, one.seq, agent, one.time))


def is_forgotten(store: "Store", stream: int, event: NewEvent, parts: Parts) -> bool:
    """Whether an event that comes in is kept out. Tombstones never are."""
    if not store.forgets or parts.kind is Kind.TOMBSTONE or (agent := store.number(parts.agent)) is None:
        return False
    if parts.event_id:
        return bool(store.value("forgotten_id", (agent, parts.event_id)))
    values = {"agent": agent, "stream": stream, "seq": event.seq, "time": event.stored}
    return bool(store.value("forgotten_place", values))


def note_returned(store: "Store", stream: int, event: NewEvent, parts: Parts) -> None:
    """Note that a forgotten event stands in a stream."""
    agent = store.number(parts.agent)
    if event.seq is not None and agent is not None:
        _add_returned(store, stream, event.seq, agent, parts.event_id, event.stored)


def all_may_return(store: "Store", stream: int) -> None:
    """Note that a stream went back: what was erased from it may stand there again."""
    store.run("all_may_return", (stream,))
    store.returned = bool(store.value("any_returned"))


def _add_returned(store: "Store", stream: int, seq: int, agent: int, event_id: str, stored: int) -> None:
    store.run("add_returned", (stream, seq, agent, event_id, stored))
    store.returned = True


# Steps of their own.


def wipe(store: "Store") -> bool:
    """Do a step of overwriting what is left of forgotten events; return whether there is more to do.

    Full-text tables keep the words of a removed event until what holds them is merged. Free pages keep what
    was there before they were freed. At last the log has to be cut, and `end_wiping` called.
    """
    if (next_one := store.first("next_wiping")) is not None:
        name, state = next_one
        before = store.db.total_changes()
        with store.transaction():
            merge = MERGE_PAGES if state != DUE else -MERGE_PAGES
            store.run_sql(f"INSERT INTO {name} ({name}, rank) VALUES ('merge', ?)", (merge,))
            if state == DUE:
                store.run("wiping_began", (name,))
            elif store.db.total_changes() - before < NO_CHANGE:
                store.run("wipe_again" if state == DUE_AGAIN else "end_wiping", (name,))
        return True
    if store.db.execute("PRAGMA freelist_count").get:
        store.trim(TRIM_PAGES)
        return True
    return False


def note_went_back(store: "Store", stream: int) -> None:
    """Do as `all_may_return`, in a transaction of its own."""
    with store.transaction():
        all_may_return(store, stream)


def end_wiping(store: "Store") -> None:
    """Note that nothing is left, unless something came meanwhile."""
    if store.first("next_wiping") is None and not store.db.execute("PRAGMA freelist_count").get:
        with store.transaction():
            store.run("set_fact", ("wiping", 0))
        store.wiping = False


def settle_returned(store: "Store", done: list[Returned]) -> None:
    """Note that tombstones are on their way for these."""
    with store.transaction():
        for one in done:
            store.run("delete_returned", (one.number, one.seq))
        store.returned = bool(store.value("any_returned"))


# Reading.


def places_of(reads: "Reads", agent: str, ids: list[str]) -> list[Known]:
    """Return the events of an agent with some ids."""
    number = reads.number(agent)
    return [Known(*row) for one in ids for row in reads.rows("places_of_id", (id_of(one), number))]


def event_at(reads: "Reads", agent: str, stream: str, seq: int) -> list[Known]:
    """Return the events of an agent at a place: several where accounts have streams of that name."""
    return [Known(*row) for row in reads.rows("event_at", (stream, seq, reads.number(agent)))]


def forgotten(reads: "Reads", agent: str, ids: list[str]) -> set[str]:
    """Return those of some ids that tombstones of an agent name."""
    number = reads.number(agent)
    return {one for one in ids if reads.value("forgotten_id", (number, id_of(one)))}


def marks_after(reads: "Reads", n: int, limit: int) -> list[Mark]:
    """Return what is forgotten, in the order in which it came."""
    return [Mark(*row) for row in reads.rows("forgotten_after", (n, limit))]


def returned(reads: "Reads", limit: int) -> list[Returned]:
    """Return where forgotten events may stand, agent by agent."""
    return [Returned(*row) for row in reads.rows("returned", (limit,))]
