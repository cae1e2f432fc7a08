"""The index's one writing connection: events in, places in the stream, events out. Synchronous; one thread.

Every method is one transaction. After an error nothing of it is there, and the caches begin anew.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import apsw

from ..events.tombstones import STUB
from ..events.types import Kind
from ..routes import StreamKey
from ..sql import Statements, insert_many
from .connection import QUERIES
from .entries import Parts, id_of, parts_of, row_of
from .forgetting import all_may_return, bury, is_forgotten, note_returned
from .model import NewEvent, Placed
from .words import PUBLIC, delete_sql, insert_sql, lexicon_sql

CACHED_NAMES = 65_536  # names whose numbers are remembered; then they are looked up again
MAX_LEXICONS = 1000  # agents with a full-text table of their own; each is five tables to SQLite
REST = "fts_rest"
"""The table of all agents beyond those: their ranking counts each other's words."""

PUBLIC_NUMBER = 1  # place of `public` in VISIBILITIES


class StreamState(NamedTuple):
    """A stream in the index.

    Attributes:
        position: Everything up to this sequence is in the index.
    """

    number: int
    position: int


class Store(Statements):
    """The index, open for writing.

    Attributes:
        taken: The newest outbox number that is in here.
        newest: The newest number of an event.
        count: How many events there are.
        forgets: The newest number of something that is forgotten; 0 before the first.
        wiping: Whether bytes of forgotten events may be left in here.
        returned: Whether forgotten events may stand in a stream.
    """

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__(db, QUERIES)
        self.newest = 0
        self._looked = 0  # number of the event up to which ages were looked at
        self._reload()

    def _reload(self) -> None:
        self._names: dict[str, int] = {}
        self._lexicons: dict[int, str] = dict(self.rows("lexicons"))
        taken: int | None = self.value("fact", ("taken",))
        if taken is None:
            raise apsw.CorruptError("it does not say how much of the outbox it has")
        self.taken: int = taken
        self._anew: int = self.value("fact", ("anew",)) or 0
        # A number that was given is not given again, so that who has read up to it misses nothing.
        self.newest = max(self.newest, self.value("last_number"))
        self.count: int = self.value("count")
        self.forgets: int = self.value("newest_forgotten")
        self.wiping = bool(self.value("fact", ("wiping",)))
        self.returned = bool(self.value("any_returned"))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do something whole or not at all; after an error the caches begin anew."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if not self.db.get_autocommit():
                self.db.execute("ROLLBACK")
            self._reload()
            raise

    # Streams

    def stream(self, key: StreamKey, created: str) -> StreamState:
        """Return a stream's number and how far it has been read; a new one when it is not known.

        Args:
            created: Its creation time; "" while it is not known.
        """
        found = self.first("stream", (*key, created))
        if found is not None:
            return StreamState(*found)
        with self.transaction():
            return StreamState(self.value("add_stream", (*key, created)), 0)

    def set_position(self, stream: int, position: int) -> None:
        """Note that a stream has been read up to a sequence."""
        with self.transaction():
            self.run("set_position", (stream, position))

    # Events in

    def add_accepted(self, events: Sequence[tuple[int, int, NewEvent]], taken: int) -> None:
        """Take in events that were accepted here.

        Args:
            events: Each with the numbers of its stream and of its route, in the order of the outbox.
            taken: Everything in the outbox up to this number is in here now.
        """
        with self.transaction():
            self._insert(
                [
                    (stream, route, event, parts)
                    for stream, route, event in events
                    if not (self._anew or event.again) or not self._is_here(stream, route, event)
                    if not is_forgotten(self, stream, event, parts := parts_of(event, own=True))
                ]
            )
            self.run("set_fact", ("taken", taken))
        self.taken = taken

    def _is_here(self, stream: int, route: int, event: NewEvent) -> bool:
        """Whether an event is here already; its row is that of the outbox number that it has now, then.

        Such are events that were here when the outbox began anew, and those that have entered it again.
        """
        if (agent := self.number(event.agent)) is None:
            return False
        values = {
            "event_id": id_of(event.event_id), "agent": agent, "body": event.body,
            "outbox": event.outbox, "route": route, "stream": stream,
        }  # fmt: skip
        if event.again and self.value("renumber", values) is not None:
            return True
        return bool(self._anew) and self.value("adopt", values | {"anew": self._anew}) is not None

    def begin_anew(self) -> None:
        """Note that the outbox begins anew: its numbers mean other rows than before."""
        with self.transaction():
            self.run("forget_outbox")
            self.run("forget_routes")
            self.run("set_fact", ("taken", 0))
            self.run("set_fact", ("anew", self.newest))
        self.taken, self._anew = 0, self.newest

    def add_stored(self, stream: int, events: Sequence[NewEvent], position: int) -> int:
        """Take in what a stream holds; what is known already gets its place.

        Args:
            events: A page of the stream, oldest first, each with its sequence.
            position: The stream has been read up to here now.

        Returns:
            How many of them were not known.
        """
        kin: dict[int, int] = dict(self.rows("stream_kin", (stream,)))
        with self.transaction():
            fresh = [
                (stream, None, event, parts)
                for event in events
                if (parts := self._unknown(stream, kin, event)) is not None
            ]
            self._insert(fresh)
            self.run("set_position", (stream, position))
        return len(fresh)

    def _unknown(self, stream: int, kin: Mapping[int, int], event: NewEvent) -> Parts | None:
        """Return what the row of an event is made of; None where it is known, and has its place now.

        Args:
            kin: The streams that it may be known from, and whether this one may have replaced them.
        """
        there = self.first("at_place", (stream, event.seq))
        if there is not None:
            if there[2] == event.body:
                return None
            self.run("unplace", (there[0],))  # the stream went back, and something else stands there now
        parts = parts_of(event, own=False)
        if parts.type == STUB:
            return None
        if is_forgotten(self, stream, event, parts):
            note_returned(self, stream, event, parts)
            return None
        if not parts.event_id:
            return parts
        # Whose it was taken for may have been said by the subject, or by the session.
        for agent in dict.fromkeys((event.agent, parts.agent)):
            number = self.number(agent)
            values = {"event_id": parts.event_id, "agent": number, "body": event.body, "stream": stream}
            for n, of_stream, ours in self.rows("unplaced", values):
                # Ours may have gone into another stream than its route's: a wide one that was there before.
                if of_stream in kin and (ours or kin[of_stream]):
                    self.run("place", (n, stream, event.seq))
                    return None
        return parts

    def _insert(self, events: Sequence[tuple[int, int | None, NewEvent, Parts]]) -> None:
        if not events:
            return
        numbers = self._numbers(events)
        rows: list[Any] = []
        words: dict[str, list[Any]] = {}
        n = self.newest
        for stream, route, event, parts in events:
            n += 1
            rows.extend(row_of(n, stream, route, event, parts, numbers))
            if parts.indexed.words:
                entry = (n, *parts.indexed.columns)
                words.setdefault(self._lexicon(numbers[parts.agent]), []).extend(entry)
                if parts.visibility == PUBLIC_NUMBER:
                    words.setdefault(self._lexicon(0), []).extend(entry)
        self.insert_many("add_events", 18, rows)
        for _, _, _, parts in events:
            for event_id in parts.supersedes:
                self.run("add_superseded", (numbers[parts.agent], event_id))
        for table, values in words.items():
            insert_many(self.db, insert_sql(table), 3, values)
        self.newest = n
        self.count += len(events)
        for _, _, event, parts in events:
            if parts.kind is Kind.TOMBSTONE:
                self.count -= bury(self, numbers[parts.agent], event.body)

    # Places

    def place_runs(self, route: int, stream: int, runs: Sequence[Placed], settled: int, rewinds: int) -> bool:
        """Give settled rows of a route their places; what cannot be told here the stream will tell.

        Args:
            runs: Where settled rows are.
            settled: The route's watermark.
            rewinds: How often it was moved back.

        Returns:
            Whether the route was moved back since the last time; then what is retained must be placed anew.
        """
        known, known_rewinds = self.first("route", (route,)) or (0, rewinds)
        moved_back = bool(rewinds != known_rewinds or settled < known)
        with self.transaction():
            if moved_back:
                self.run("unplace_rows", (settled, route))
            for run in runs:
                self._place(route, stream, run)
            self.run("set_route", (route, settled, rewinds))
        return moved_back

    def settled(self, route: int) -> int:
        """Return up to which outbox number the rows of a route have been given their places."""
        known = self.first("route", (route,))
        return int(known[0]) if known else 0

    def rewinds(self, route: int) -> int | None:
        """Return how often a route had been moved back when its rows were placed; None where none were."""
        known = self.first("route", (route,))
        return int(known[1]) if known else None

    def _place(self, route: int, stream: int, run: Placed) -> None:
        there = (stream, run.seq, run.seq + run.rows - 1)
        if run.last - run.first + 1 == run.rows:
            self.run("free_places", there)
            self.run(
                "place_range",
                {"route": route, "stream": stream, "first": run.first, "last": run.last, "seq": run.seq},
            )
            return
        found = self.rows("rows_in_range", (run.first, run.last, route))
        if len(found) == run.rows:  # else the index lacks some, and only the stream knows which
            self.run("free_places", there)
            for offset, (n,) in enumerate(found):
                self.run("place", (n, stream, run.seq + offset))

    def unplace_beyond(self, stream: int, last: int) -> None:
        """Note that a stream ends at a sequence: it went back, and what was behind is not there any more."""
        with self.transaction():
            all_may_return(self, stream)
            self.run("unplace_beyond", (stream, last))
            self.run("set_position", (stream, last))

    # Events out

    def prune_old(self, before: int, look: int) -> int:
        """Remove events that were stored before a time, Unix ms; memories stay.

        A call looks at the next `look` events behind those of the last one, round and round: what came first
        is not always what was stored first.

        Returns:
            How many were removed.
        """
        found = self.rows("next_ages", (self._looked, look))
        self._looked = found[-1][0] if len(found) == look else 0
        return self._remove([row for *row, stored in found if stored < before])

    def prune_oldest(self, most: int) -> int:
        """Remove up to `most` of the events that came first; memories stay. Return how many there were."""
        return self._remove(self.rows("first_that_came", (most,)))

    def _remove(self, found: Sequence[Sequence[Any]]) -> int:
        """Remove events; each with the numbers of its agent and visibility, and of its words."""
        if not found:
            return 0
        with self.transaction():
            for n, agent, visibility, words in found:
                self.take_out(n, self.lexicons_of(agent, visibility) if words else ())
        self.count -= len(found)
        return len(found)

    def take_out(self, n: int, lexicons: Sequence[str]) -> None:
        """Remove an event, and its words from full-text tables; within a transaction."""
        for name in lexicons:
            self.run_sql(delete_sql(name), (n,))
        self.run("delete", (n,))

    def lexicons_of(self, agent: int, visibility: int) -> list[str]:
        """Return the full-text tables that an event is in, by the numbers of its agent and visibility."""
        return [self._lexicon(agent), *([self._lexicon(0)] if visibility == PUBLIC_NUMBER else [])]

    def lexicons_there(self, agent: int) -> list[str]:
        """Return the full-text tables in which words of an agent's events may be."""
        return [self._lexicons[number] for number in (agent, 0) if number in self._lexicons]

    def trim(self, pages: int) -> None:
        """Give free pages back to the disk."""
        self.db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()

    def cut_log(self) -> None:
        """Move all of the log into the database, as long as nobody reads it."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def used_bytes(self) -> int:
        """Return the bytes of the file that hold something."""
        pages: int = self.db.execute("PRAGMA page_count").get
        free: int = self.db.execute("PRAGMA freelist_count").get
        return (pages - free) * int(self.db.execute("PRAGMA page_size").get)

    def run_sql(self, statement: str, values: Sequence[Any]) -> None:
        """Run a statement that the code has put together."""
        self.db.execute(statement, values)

    # Names

    def _numbers(self, events: Sequence[tuple[int, int | None, NewEvent, Parts]]) -> dict[str, int]:
        """Return the numbers of all names of the events; new ones for those that are new."""
        if len(self._names) > CACHED_NAMES:
            self._names.clear()
        names = self._names
        for _, _, event, parts in events:
            for name in (parts.agent, parts.session, parts.type, event.subject):
                if name not in names and self.number(name) is None:
                    names[name] = self.value("add_name", (name,))
        return names

    def number(self, name: str) -> int | None:
        """Return the number of a name; None where the index has never seen it."""
        if (number := self._names.get(name)) is None:
            number = self.value("name_number", (name,))
            if number is not None:
                self._names[name] = number
        return number

    def _lexicon(self, agent: int) -> str:
        """Return the full-text table of an agent, by its number; made the first time. 0 is the public one."""
        if (name := self._lexicons.get(agent)) is not None:
            return name
        own = f"fts_{agent}" if len(self._lexicons) < MAX_LEXICONS else REST
        name = own if agent else PUBLIC
        if name not in self._lexicons.values():
            self.db.execute(lexicon_sql(name))
        self.run("add_lexicon", (agent, name))
        self._lexicons[agent] = name
        return name


Work = Callable[[Store], Any]
"""What is done with the store, on its thread."""
