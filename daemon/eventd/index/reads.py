"""Everything that is read from the index, on one reading connection. Synchronous; one thread at a time."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import apsw

from ..events.normal import VISIBILITIES
from ..events.types import LONG_TERM_MEMORY, Kind
from ..routes import StreamKey
from ..sql import Statements
from .conditions import (
    INTERNAL,
    PUBLIC,
    Condition,
    Walk,
    Whose,
    bound,
    condition,
    of_authors,
    parts_of,
    walk_of,
)
from .connection import QUERIES
from .entries import id_of
from .model import Entry, Filter, Hit, Scope, Seen, Shown
from .ranking import rank
from .words import parse_query

FIRST_TIME = -(2**63)  # ms; before any
MOST_APART = 2  # neighbours of a hit that need not be hits themselves, where they are shown anyway
PAGE_BYTES = 4 * 2**20  # of bodies: with more, a page ends before its limit
MAX_NOTE = 64 * 1024  # bytes of a note's body; a block shows a few hundred characters of one
MAX_NUMBERS = 10_000  # bound to one statement; SQLite takes 32 766
CACHED_NAMES = 65_536  # names whose numbers are remembered, in both directions

COLUMNS = (
    "e.n, e.stream, e.seq, e.subject, e.agent, e.session, e.type, e.kind, e.visibility, e.time, e.stored, "
    "e.run, e.call, e.event_id, e.words, e.body"
)

VALID = (
    "(+e.kind NOT IN (8, 11) OR NOT EXISTS"
    " (SELECT 1 FROM superseded AS s WHERE s.agent = e.agent AND s.event_id = e.event_id))"
)
"""Condition that an event is no memory that a later one of its agent replaces."""

SHOWN_COLUMNS = "e.n, e.time, e.stream, e.seq, e.subject, e.stored, e.body"

Key = tuple[int, int]
"""Place of an event in the order of time: its time and its number."""

_KINDS = {int(kind): kind for kind in Kind}
_VISIBILITIES = dict(enumerate(VISIBILITIES))


class Reads(Statements):
    """The index, open for reading. Between `begin` and `end` all reads see the same state.

    Attributes:
        generation: Of the file that is read; see `Index`.
    """

    def __init__(self, db: apsw.Connection, generation: int = 0) -> None:
        super().__init__(db, QUERIES)
        self.generation = generation
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._streams: dict[int, str] = {}

    def begin(self) -> None:
        """Begin to see one state."""
        self.db.execute("BEGIN")

    def end(self) -> None:
        """See what is new from now on."""
        if not self.db.get_autocommit():
            self.db.execute("ROLLBACK")

    # Pages

    def page(
        self, wanted: Filter, *, newest: bool = True, limit: int, after: Key | None = None
    ) -> list[Entry]:
        """Return events in the order of their time, then of arrival.

        Args:
            newest: The newest first; else the oldest.
            after: Begin behind this place in that order.
        """
        runs = self._pages(self._entries, wanted, newest, limit, after)
        return _first(limit, *runs, key=place, reverse=newest)

    def shown(
        self, wanted: Filter, *, newest: bool = True, limit: int, after: Key | None = None
    ) -> list[Shown]:
        """Return the same as `page`, as far as a query sends it, which takes half the time.

        A page of large events ends sooner; `is_cut` tells.
        """
        runs = self._pages(self._shown, wanted, newest, limit, after)
        return _within(_first(limit, *runs, key=place, reverse=newest))

    def _pages[T: (Entry, Shown)](
        self, fetch: Callable[..., list[T]], wanted: Filter, newest: bool, limit: int, after: Key | None
    ) -> list[list[T]]:
        """Return the page of each part of the scope."""
        direction, sign, back = ("DESC", "<", ">") if newest else ("ASC", ">", "<")
        order = f"ORDER BY e.time {direction}, e.n {direction} LIMIT ?"
        runs: list[list[T]] = []
        for must in self._musts(wanted, walk_of(wanted)):
            sql, values = must.sql, list(must.values)
            if after is not None:
                sql += f" AND (e.time, e.n) {sign} (?, ?)"
                values += after
            if runs and len(runs[0]) == limit > 0:
                # No farther than the first part reaches: behind it there may be nothing but its own events.
                sql += f" AND (e.time, e.n) {back} (?, ?)"
                values += place(runs[0][-1])
            runs.append(fetch(f"WHERE {sql} {order}", *values, limit))
        return runs

    def arrived(
        self, wanted: Filter, *, after: int, upto: int, limit: int, seen: Seen | None = None
    ) -> list[Entry]:
        """Return events in the order in which the index took them; a page as of `shown`.

        Args:
            after: Behind this number of an event.
            upto: Up to this number.
            seen: Leave out what was seen of the index that was here before.
        """
        unseen = "" if seen is None else " AND (+e.outbox > ? OR (+e.outbox IS NULL AND +e.stored >= ?))"
        runs = [
            self._some(
                f"WHERE e.n > ? AND e.n <= ?{unseen} AND {must.sql} ORDER BY e.n LIMIT ?",
                after, upto, *(seen or ()), *must.values, limit,
            )
            for must in self._musts(wanted, Walk.NUMBER, (after + 1, upto))
        ]  # fmt: skip
        return _within(_first(limit, *runs, key=lambda entry: entry.n))

    def kept(self, wanted: Filter, *, after: Key, upto: int, limit: int) -> list[Entry]:
        """Return events in the order in which they were stored, which no rebuild changes.

        A page as of `shown`.

        Args:
            after: Behind this place in that order: a time and a number.
            upto: Up to this number of an event.
        """
        runs = self._kept(self._some, _storing, wanted, after, upto, limit, newest=False)
        return _within(_first(limit, *runs, key=_storing))

    def kept_before(self, wanted: Filter, *, before: Key, upto: int, limit: int) -> list[Key]:
        """Return the places of events in that order, the newest first."""

        def fetch(tail: str, *values: Any) -> list[Any]:
            return list(self.db.execute(f"SELECT e.stored, e.n FROM events AS e {tail}", values))

        runs = self._kept(fetch, tuple, wanted, before, upto, limit, newest=True)
        return _first(limit, *runs, key=tuple, reverse=True)

    def _kept[T](
        self,
        fetch: Callable[..., list[T]],
        key: Callable[[T], Key],
        wanted: Filter,
        begin: Key,
        upto: int,
        limit: int,
        *,
        newest: bool,
    ) -> list[list[T]]:
        """Return what each part of the scope has in the order of storing, as `_pages` does."""
        direction, sign, back = ("DESC", "<", ">") if newest else ("ASC", ">", "<")
        walk = Walk.RUN if wanted.run is not None else Walk.NUMBER  # a run is short
        stored = "+e.stored" if walk is Walk.RUN else "e.stored"
        runs: list[list[T]] = []
        for must in self._musts(wanted, walk):
            sql = f"WHERE ({stored}, e.n) {sign} (?, ?) AND +e.n <= ? AND {must.sql}"
            values = [*map(bound, begin), upto, *must.values]
            if runs and len(runs[0]) == limit > 0:
                sql += f" AND ({stored}, e.n) {back} (?, ?)"
                values += key(runs[0][-1])
            runs.append(
                fetch(f"{sql} ORDER BY {stored} {direction}, e.n {direction} LIMIT ?", *values, limit)
            )
        return runs

    def in_stream(
        self, stream: StreamKey, wanted: Filter, *, after: int, upto: int, limit: int
    ) -> list[Entry]:
        """Return events in the order of a stream, as it is now; `stored` is its time. A page as of `shown`.

        Args:
            after: Behind this sequence.
            upto: Up to this sequence.
        """
        numbers = self.rows("stream_numbers", stream)
        if not numbers:
            return []
        runs = [
            self._some(
                f"WHERE e.stream = ? AND e.seq > ? AND e.seq <= ? AND {must.sql} ORDER BY e.seq LIMIT ?",
                numbers[-1][0], bound(after), bound(upto), *must.values, limit,
            )
            for must in self._musts(wanted, Walk.NUMBER)
        ]  # fmt: skip
        return _within(_first(limit, *runs, key=lambda entry: entry.seq))

    def _musts(self, wanted: Filter, walk: Walk, among: tuple[int, int] | None = None) -> list[Condition]:
        """Return the conditions of a filter, one for each part of its scope.

        Args:
            among: First and last number of the events that are looked at anyway.
        """
        return [
            condition(wanted, [part], walk, self._tables([part]) if wanted.text else [], self.number, among)
            for part in parts_of(wanted.scope, self.number)
        ]

    # Single events

    def by_id(self, event_id: str, scope: Scope) -> Entry | None:
        """Return the newest event with an id: one of the reader's own, if there is one.

        Ids are an agent's own, so anybody may share an event under the id of somebody else's.
        """
        own, *others = parts_of(scope, self.number)
        for parts in filter(None, ([own], others)):
            whose = of_authors(parts, Walk.NUMBER)
            sql = f"WHERE e.event_id = ? AND e.event_id <> '' AND {whose.sql} ORDER BY e.n DESC LIMIT 1"
            if found := self._entries(sql, id_of(event_id), *whose.values):
                return found[0]
        return None

    def known(self, agent: str, event_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that events of an agent have."""
        number = self.number(agent)
        if number is None or not event_ids:
            return set()
        sql = (
            f"SELECT e.event_id FROM events AS e WHERE e.event_id IN ({', '.join('?' * len(event_ids))}) "
            "AND e.event_id <> '' AND +e.agent = ?"
        )
        return {found for (found,) in self.db.execute(sql, (*event_ids, number))}

    def by_place(self, stream: StreamKey, seq: int, scope: Scope) -> Entry | None:
        """Return the event at a sequence of a stream; of the newest one that had this name there."""
        whose = of_authors(parts_of(scope, self.number), Walk.NUMBER)
        sql = (
            "WHERE e.stream IN (SELECT number FROM streams WHERE account = ? AND name = ?) AND e.seq = ? "
            f"AND {whose.sql} ORDER BY e.stream DESC LIMIT 1"
        )
        return next(iter(self._entries(sql, *stream, bound(seq), *whose.values)), None)

    def by_numbers(self, numbers: Sequence[int]) -> dict[int, Entry]:
        """Return events by their numbers."""
        if not numbers:
            return {}
        found = self._entries(f"WHERE e.n IN ({', '.join('?' * len(numbers))})", *numbers)
        return {entry.n: entry for entry in found}

    # Recall

    def recall(self, text: str, wanted: Filter, *, limit: int, around: int = 0) -> list[Hit]:
        """Return the events that answer a text best, best first, without memories that were replaced.

        Args:
            wanted: Where to look; its `text` is not looked at.
            around: How many events of the session before and after each are returned with it.
        """
        parts = parts_of(wanted.scope, self.number)
        must = condition(replace(wanted, text=None), parts, Walk.NUMBER, [], self.number)
        must = replace(must, sql=f"{must.sql} AND {VALID}")
        ranked = rank(
            self.db, self._tables(parts), parse_query(text),
            limit=limit, condition=must.sql, values=must.values, apart=min(around, MOST_APART),
        )  # fmt: skip
        entries = self.by_numbers([found.n for found in ranked])
        return [
            Hit(entries[found.n], found.score, self._around(entries[found.n], must, around))
            for found in ranked
            if found.n in entries
        ]

    def _around(self, entry: Entry, must: Condition, count: int) -> tuple[Entry, ...]:
        if not count or not entry.session:
            return ()
        sides = [
            self._entries(
                f"WHERE e.session = ? AND e.words > 0 AND (e.time, e.n) {sign} (?, ?) AND {must.sql}"
                f" ORDER BY e.time {order}, e.n {order} LIMIT ?",
                self.number(entry.session), *place(entry), *must.values, count,
            )
            for sign, order in (("<", "DESC"), (">", "ASC"))
        ]  # fmt: skip
        return (*reversed(sides[0]), *sides[1])

    # For the context block

    def marks(
        self, agent: str, *, since: int | None, limit: int, kinds: Sequence[Kind] = ()
    ) -> list[tuple[Any, ...]]:
        """Return what is known of an agent's own events without their bodies, newest first.

        Each is: number, session, type, kind, time, stored, run, call, id, bytes of the body.
        """
        where = ["e.agent = ?"]
        values: list[Any] = [self.number(agent)]
        if since is not None:
            where.append("e.time >= ?")
            values.append(since)
        if kinds:
            where.append(f"e.kind IN ({', '.join(str(int(kind)) for kind in kinds)})")
        rows = self.db.execute(
            "SELECT e.n, e.session, e.type, e.kind, e.time, e.stored, e.run, e.call, e.event_id, "
            "length(e.body) FROM events AS e "
            f"WHERE {' AND '.join(where)} ORDER BY e.time DESC, e.n DESC LIMIT ?",
            (*values, limit),
        )
        name, texts = self.name, self._texts  # most names are in there; a call for each takes half the time
        return [
            (n, texts.get(session) or name(session), texts.get(of_type) or name(of_type), _kind(kind), *rest)
            for n, session, of_type, kind, *rest in rows
        ]

    def bodies(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Return the stored JSON of events by their numbers."""
        found: dict[int, bytes] = {}
        for start in range(0, len(numbers), MAX_NUMBERS):
            some = numbers[start : start + MAX_NUMBERS]
            sql = f"SELECT n, body FROM events WHERE n IN ({', '.join('?' * len(some))})"
            found.update(self.db.execute(sql, tuple(some)))
        return found

    def memories(self, agent: str, *, limit: int) -> list[Entry]:
        """Return memories of an agent that were not replaced, newest first."""
        return self._memories("events_memories", "e.agent = ?", limit, self.number(agent) or 0)

    def memories_of_others(self, agent: str, granted: Iterable[str], *, limit: int) -> list[Entry]:
        """Return public memories of all but an agent, and internal ones of some, newest first.

        Args:
            granted: Whose internal ones.
        """
        public, internal = VISIBILITIES.index(PUBLIC), VISIBILITIES.index(INTERNAL)
        runs = [
            self._memories(
                "events_public_memories",
                f"e.visibility = {public} AND +e.agent <> ?",
                limit,
                self.number(agent) or 0,
            )
        ]
        for other in sorted(set(granted) - {agent}):
            where = f"e.agent = ? AND +e.visibility = {internal}"
            runs.append(self._memories("events_memories", where, limit, self.number(other) or 0))
        return _first(limit, *runs, key=place, reverse=True)

    def notes(self, agent: str, *, limit: int) -> list[Entry]:
        """Return notes of an agent that were not replaced: its long-term memory, then others, newest first.

        One that is too large to be shown is left out.

        Args:
            limit: Most of either.
        """
        number, of_type = self.number(agent) or 0, self.number(LONG_TERM_MEMORY) or 0
        runs: list[str] = [run for (run,) in self.rows("runs_of_type", (of_type, number))]
        sound = f"e.agent = ? AND e.kind = 11 AND length(e.body) <= {MAX_NOTE} AND {VALID}"
        order = "ORDER BY e.time DESC, e.n DESC LIMIT ?"
        kept: list[Entry] = []
        for run in runs[:limit]:
            where = f"INDEXED BY events_by_run WHERE e.run = ? AND e.run <> '' AND +{sound} {order}"
            kept += self._entries(where, run, number, limit)
        others = self._entries(f"INDEXED BY events_notes WHERE {sound} {order}", number, limit)
        return list({entry.n: entry for entry in (*kept, *others)}.values())

    def _memories(self, index: str, where: str, limit: int, agent: int) -> list[Entry]:
        return self._entries(
            f"INDEXED BY {index} WHERE {where} AND e.kind = 8 AND {VALID}"
            " ORDER BY e.time DESC, e.n DESC LIMIT ?",
            agent,
            limit,
        )

    # Names and tables

    def _tables(self, parts: Sequence[Whose]) -> list[str]:
        """Return the full-text tables that hold the events of parts of a scope."""
        names: dict[int, str] = dict(self.rows("lexicons"))
        public = names.pop(0, None)
        found: list[str | None] = []
        for part in parts:
            if part.visibility == (PUBLIC,):
                found.append(public)
            elif part.agent is not None:
                found.append(names.get(part.agent))
            else:
                found.extend(sorted(names.values()))
        return list(dict.fromkeys(name for name in found if name is not None))

    def number(self, name: str) -> int | None:
        """Return the number of a name; None where no event has it."""
        if (number := self._numbers.get(name)) is None:
            number = self.value("name_number", (name,))
            if number is not None:
                if len(self._numbers) >= CACHED_NAMES:
                    self._numbers.clear()
                self._numbers[name] = number
        return number

    def name(self, number: int) -> str:
        """Return the name of a number."""
        if (text := self._texts.get(number)) is None:
            if len(self._texts) >= CACHED_NAMES:
                self._texts.clear()
            text = self._texts[number] = self._text("SELECT text FROM names WHERE number = ?", number)
        return text

    def _stream(self, number: int) -> str:
        if (name := self._streams.get(number)) is None:
            name = self._streams[number] = self._text("SELECT name FROM streams WHERE number = ?", number)
        return name

    def _text(self, query: str, number: int) -> str:
        text = self.db.execute(query, (number,)).get
        if not isinstance(text, str):
            raise apsw.CorruptError(f"nothing has the number {number}")
        return text

    def _entries(self, tail: str, *values: Any) -> list[Entry]:
        rows = self.db.execute(f"SELECT {COLUMNS} FROM events AS e {tail}", values)
        return list(self._made(rows))

    def _some(self, tail: str, *values: Any) -> list[Entry]:
        """Return entries, two at least where there are so many, up to `PAGE_BYTES`."""
        rows = self.db.execute(f"SELECT {COLUMNS} FROM events AS e {tail}", values)
        found: list[Entry] = []
        room = PAGE_BYTES
        for entry in self._made(rows):
            found.append(entry)
            room -= len(entry.body)
            if room < 0 and len(found) > 1:
                rows.close()
                break
        return found

    def _shown(self, tail: str, *values: Any) -> list[Shown]:
        rows = self.db.execute(f"SELECT {SHOWN_COLUMNS} FROM events AS e {tail}", values)
        names, streams = self._texts, self._streams  # nearly all are in there, and calls take their time
        found: list[Shown] = []
        room = PAGE_BYTES
        for n, time, stream, seq, subject, stored, body in rows:
            where = streams.get(stream) or self._stream(stream)
            found.append(
                Shown(n, time, where, seq or 0, names.get(subject) or self.name(subject), stored, body)
            )
            room -= len(body)
            if room < 0 and len(found) > 1:
                rows.close()
                break
        return found

    def _made(self, rows: apsw.Cursor) -> Iterator[Entry]:
        name = self.name
        for n, stream, seq, subject, agent, session, kind_name, kind, visibility, *rest in rows:
            yield Entry(
                n, self._stream(stream), seq or 0, name(subject), name(agent), name(session), name(kind_name),
                _kind(kind), _visibility(visibility), *rest,
            )  # fmt: skip


def _kind(number: int) -> Kind:
    try:
        return _KINDS[number]
    except KeyError:
        raise apsw.CorruptError(f"there is no kind {number}") from None


def _visibility(number: int) -> str:
    try:
        return _VISIBILITIES[number]
    except KeyError:
        raise apsw.CorruptError(f"there is no visibility {number}") from None


def place(entry: Entry | Shown) -> Key:
    """Return an event's place in the order of time."""
    return entry.time, entry.n


def _storing(entry: Entry) -> Key:
    return entry.stored, entry.n


def is_cut(page: Sequence[Entry | Shown]) -> bool:
    """Whether a page may have ended before its limit, for all that its events hold."""
    return len(page) > 1 and sum(len(event.body) for event in page) > PAGE_BYTES


def _within[T: (Entry, Shown)](page: list[T]) -> list[T]:
    """Return the beginning of several parts put together: as far as each of them reaches for sure."""
    room = PAGE_BYTES
    for place, event in enumerate(page):
        room -= len(event.body)
        if room < 0 and place:
            return page[: place + 1]
    return page


def _first[T](limit: int, *runs: list[T], key: Callable[[Any], Any], reverse: bool = False) -> list[T]:
    """Return the first of several sorted runs together."""
    return runs[0] if len(runs) == 1 else list(islice(heapq.merge(*runs, key=key, reverse=reverse), limit))
