"""The open database: transactions, and what is kept in memory beside it. Synchronous; one thread only.

The work itself is in appending.py, settling.py, deadletters.py and upkeep.py. All of it happens between
`begin` and `commit`; totals and watermarks in memory follow at the commit, so that a rollback has
nothing to undo there.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import apsw

from ..errors import OutboxError
from ..rate import Rate
from .checks import seal
from .connection import DamagedOutbox, facts, open_database, opening, set_fact
from .disk import free_bytes, sync_folder
from .files import Files
from .mark import REMOVED_MAX, Mark, MarkFile, RouteIdentity, dead_id
from .model import RouteStats
from .settings import OutboxSettings, Tuning
from .sql import Statements

logger = logging.getLogger(__name__)

ROW_OVERHEAD = 100  # bytes; what a row costs beside its blobs: columns, index, ledger
MARK_EVERY = 60_000  # ms between two marks of the ledger's age


@dataclass(frozen=True, slots=True)
class RouteState:
    """A route's watermark; `stats` holds its totals, which change at each commit."""

    stats: RouteStats
    settled: int = 0
    stream_seq: int = 0
    stream_created: str = ""
    rewinds: int = 0


@dataclass(slots=True)
class Totals:
    """Sums over all routes, and what has been counted since the outbox was opened.

    Attributes:
        used_bytes: Bytes of pending and dead rows, which `max_bytes` bounds (shares.py).
        lost_events: Since the outbox began.
        quarantines: Since the outbox began.
    """

    used_bytes: int = 0
    pending_rows: int = 0
    retained_bytes: int = 0
    dead_rows: int = 0
    ledger_ids: int = 0
    lost_events: int = 0
    quarantines: int = 0
    accepted: int = 0
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=dict)


def now_ms() -> int:
    """Return the time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Store(Statements):
    """The open outbox.

    Attributes:
        lock: Held while `totals` and the routes' stats change, and while another thread reads them.
        last_seq: Newest outbox number that was given out and committed.
        agents: Number of each agent in the ledger.
        registered: Numbers of the routes that rows may come for in this life; others only have a backlog.
        wal_pages: Length of the log, in pages.
        next_mark: When the next mark of the ledger's age is due, Unix ms.
        disk_full: Whether events are refused for want of room (room.py).
        accepting: How fast events are accepted.
        taken: Outbox number up to which the index has the rows; None where nobody indexes. Set by the loop.
        scrubbing: Whether something may be left of forgotten events in free pages and in the log.
        forgets: How often rows were made forgotten in this life: what was read before may hold them.
    """

    def __init__(
        self, db: apsw.Connection, files: Files, settings: OutboxSettings, tuning: Tuning, mark: MarkFile
    ) -> None:
        super().__init__(db)
        self.files = files
        self.settings = settings
        self.tuning = tuning
        self.mark = mark
        self.lock = threading.Lock()
        self.totals = Totals()
        self.agents: dict[str, int] = {}
        self.registered: set[int] = set()
        self.last_seq = 0
        self.wal_pages = 0
        self.next_mark = 0
        self.disk_full = False
        self.accepting = Rate()
        self.taken: int | None = None
        self.scrubbing = False
        self.forgets = 0
        self._routes: dict[int, RouteState] = {}
        self._dead_id = 0
        self._removed: tuple[tuple[int, int], ...] = ()  # as in Mark
        self._all_removed = True
        self._begin_view()
        db.set_wal_hook(self._count_wal)

    @classmethod
    def open(cls, files: Files, settings: OutboxSettings, tuning: Tuning, mark: MarkFile) -> Self:
        """Open the outbox, or make an empty one.

        Raises:
            DamagedOutbox: It must be salvaged (salvage.py).
            OutboxError: It cannot be opened.
            DiskFailure: The disk does not answer.
        """
        new = not files.db.exists()
        db = open_database(files, tuning)
        store = cls(db, files, settings, tuning, mark)
        try:
            with opening(files):
                store._load()
                store._load_removed(new)
            if mark.found and mark.found.last_seq > store.last_seq:
                raise DamagedOutbox(
                    f"{files.db} ends at row {store.last_seq}, but {mark.found.last_seq} were accepted"
                )
            store._note_progress()
            if mark.routes != store.identities():
                mark.name_routes(store.identities())
            if new:
                sync_folder(files.db.parent)
        except BaseException:
            db.close()
            raise
        return store

    def close(self) -> None:
        """Close the file as it is, log and all: after a failure nothing more may be written."""
        self.mark.close()
        self.db.close()

    # Transactions

    def _begin_view(self) -> None:
        """Forget what the transaction was about to change in memory."""
        self._seq = self.last_seq
        self._lost = self.totals.lost_events
        self._moved: dict[int, RouteState] = {}
        self._new_agents: list[str] = []
        self._effects: list[Callable[[], None]] = []
        self.awake: set[int] = set()  # routes that got pending rows in this transaction

    def begin(self) -> None:
        """Begin a transaction."""
        self.db.execute("BEGIN IMMEDIATE")

    def commit(self) -> set[int]:
        """Commit, durably; return the routes that got pending rows."""
        self.db.execute("COMMIT")
        awake, changed = self.awake, bool(self._effects or self._moved)
        with self.lock:
            self._routes.update(self._moved)
            for effect in self._effects:
                effect()
            self.last_seq = self._seq
        self._begin_view()
        if changed:
            self._note_progress()
        return awake

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so by itself."""
        if not self.db.get_autocommit():
            self.db.execute("ROLLBACK")
        for name in self._new_agents:
            del self.agents[name]
        self._begin_view()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction of its own, for work that is not part of a group."""
        self.begin()
        try:
            yield
            self.commit()
        except BaseException:
            self.rollback()
            raise

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """One piece of work in a transaction: if it fails by itself, only it is undone.

        Trouble of the disk or the file is the whole transaction's and passes through.
        """
        before = (self._seq, self._lost, dict(self._moved), len(self._effects), set(self.awake))
        self.db.execute("SAVEPOINT work")
        try:
            yield
        except apsw.Error:
            raise
        except BaseException:
            self.db.execute("ROLLBACK TO work")
            self.db.execute("RELEASE work")
            self._seq, self._lost, self._moved, effects, self.awake = before
            del self._effects[effects:]
            raise
        self.db.execute("RELEASE work")

    def then(self, effect: Callable[[], None]) -> None:
        """Change something in memory once the transaction is committed."""
        self._effects.append(effect)

    def take_seqs(self, count: int) -> int:
        """Give out the next `count` outbox numbers; return the one before the first of them."""
        before = self._seq
        self._seq += count
        return before

    def give_back_seqs(self, before: int) -> None:
        """Take back what `take_seqs` gave out, when nothing was stored under it."""
        self._seq = before

    def keep_last_seq(self) -> None:
        """Write down the newest number, for the transaction that may delete the row that bears it."""
        set_fact(self.db, "last_seq", self._seq)

    def scrub(self, due: bool) -> None:
        """Write down whether something may be left of forgotten events; `Scrub` sees to it."""
        set_fact(self.db, "scrub", int(due))

        def effect() -> None:
            self.scrubbing = due

        self.then(effect)

    # Checkpoints and room

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the log into the database, so that the log starts again from its beginning."""
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        self.db.wal_checkpoint(mode=mode)
        self.wal_pages = 0

    def room(self) -> int:
        """Return how many bytes can still be written: on the disk, and into free pages of the file."""
        pages: int = self.db.execute("PRAGMA freelist_count").get
        size: int = self.db.execute("PRAGMA page_size").get
        return free_bytes(self.files.db.parent) + pages * size

    def _count_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    # Helpers of the work modules

    def intern(self, agent: str) -> int:
        """Return the agent's number for the ledger, a new one if need be."""
        if (known := self.agents.get(agent)) is not None:
            return known
        number = max(self.agents.values(), default=0) + 1
        self.run("add_agent", (number, agent, seal("agents", number, agent)))
        self.agents[agent] = number
        self._new_agents.append(agent)
        return number

    def add_lost(self, first: int, last: int) -> None:
        """Record that acknowledged rows are lost, so that nobody counts them again."""
        self.run("add_lost", (first, last, seal("lost", first, last)))
        self._lost += last - first + 1
        lost = self._lost
        set_fact(self.db, "lost_events", lost)

        def effect() -> None:
            self.totals.lost_events = lost

        self.then(effect)

    def mark_is_due(self, at: int) -> bool:
        """Whether the ledger's age needs a mark at `at`: in time, and when the clock was set back."""
        return not self.next_mark - MARK_EVERY <= at < self.next_mark

    # Routes

    def register_route(self, name: str, stream: str, prefix: str) -> int:
        """Return the number of a route; the same for ever for the same three names."""
        number = self._number_of(name, stream, prefix)
        self.then(lambda: self.registered.add(number))
        return number

    def _number_of(self, name: str, stream: str, prefix: str) -> int:
        for number, known_name, known_stream, known_prefix in self.identities():
            if (known_name, known_stream, known_prefix) == (name, stream, prefix):
                return number
        number = max(self._routes.keys() | self._moved.keys(), default=0) + 1
        self.move(RouteState(RouteStats(number, name, stream, prefix)))
        self.mark.name_routes(self.identities())  # an identity too many does no harm
        return number

    def identities(self) -> list[RouteIdentity]:
        """Return number, name, stream and prefix of every route."""
        states = (state.stats for state in (self._routes | self._moved).values())
        return [(stats.number, stats.name, stats.stream, stats.prefix) for stats in states]

    def routes(self) -> list[RouteState]:
        """Return every route as of the last commit."""
        return list(self._routes.values())

    def route(self, number: int) -> RouteState:
        """Return a route as this transaction sees it.

        Raises:
            OutboxError: There is no such route.
        """
        state = self._moved.get(number) or self._routes.get(number)
        if state is None:
            raise OutboxError(f"there is no route {number}")
        return state

    def move(self, state: RouteState) -> None:
        """Write a route's new state."""
        stats = state.stats
        values = (
            stats.number, stats.name, stats.stream, stats.prefix,
            state.settled, state.stream_seq, state.stream_created, state.rewinds,
        )  # fmt: skip
        self.run("put_route", (*values, seal("routes", *values)))
        self._moved[stats.number] = state

    def note_stream(self, route: int, created: str) -> None:
        """Remember the creation time of the route's stream."""
        self.move(replace(self.route(route), stream_created=created))

    def count(
        self,
        route: int,
        *,
        pending: tuple[int, int] = (0, 0),
        retained: tuple[int, int] = (0, 0),
        dead: tuple[int, int] = (0, 0),
    ) -> None:
        """Change a route's totals at the commit; each pair is (rows, bytes)."""
        if pending[0] > 0:
            self.awake.add(route)

        def effect() -> None:
            stats = self.route(route).stats
            stats.pending_rows += pending[0]
            stats.pending_bytes += pending[1]
            stats.retained_rows += retained[0]
            stats.retained_bytes += retained[1]
            stats.dead_rows += dead[0]
            stats.dead_bytes += dead[1]
            self.totals.used_bytes += pending[1] + dead[1]
            self.totals.pending_rows += pending[0]
            self.totals.retained_bytes += retained[1]
            self.totals.dead_rows += dead[0]

        self.then(effect)

    def dead_came(self, number: int) -> None:
        """Note that there is a new dead letter."""

        def effect() -> None:
            self._dead_id ^= dead_id([number])

        self.then(effect)

    def dead_went(self, number: int, became: int = 0) -> None:
        """Note that a dead letter is no more.

        Args:
            became: The row that it is again; 0 if it was dropped.
        """

        def effect() -> None:
            self._dead_id ^= dead_id([number])
            self._all_removed &= len(self._removed) < REMOVED_MAX
            self._removed = (*self._removed, (number, became))[-REMOVED_MAX:]

        self.then(effect)

    def look_at_ends(self, route: int) -> None:
        """Find the ages of the oldest pending and retained row again; after rows were settled or pruned."""
        settled = self.route(route).settled
        oldest = self.value("oldest_at", (route, settled))
        first = self.first("first_row", (route,))
        since = first[1] if first is not None and first[0] <= settled else None

        def effect() -> None:
            stats = self.route(route).stats
            stats.oldest_pending_at, stats.retained_since = oldest, since

        self.then(effect)

    # Loading

    def _load(self) -> None:
        known = facts(self.db)
        totals = self.totals
        totals.lost_events, totals.quarantines = known.get("lost_events", 0), known.get("quarantines", 0)
        self.scrubbing = bool(known.get("scrub", 0))
        self.last_seq = max(known.get("last_seq", 0), *self.rows("last_numbers")[0])
        for number, name, crc in self.rows("agents"):
            _check(crc, "agents", number, name)
            self.agents[name] = number
        for *values, crc in self.rows("routes"):
            _check(crc, "routes", *values)
            number, name, stream, prefix, *rest = values
            self._routes[number] = RouteState(RouteStats(number, name, stream, prefix), *rest)
        overhead = {"overhead": ROW_OVERHEAD}
        for number, rows, size in self.rows("pending_totals", overhead):
            self.count(number, pending=(rows, size))
        for number, rows, size in self.rows("dead_totals", overhead):
            self.count(number, dead=(rows, size))
        for *run, crc in self.rows("runs"):
            _check(crc, "runs", *run)
            self.count(run[0], retained=(run[3], run[6]))
        for number in self._routes:
            self.look_at_ends(number)
        for effect in self._effects:
            effect()
        totals.ledger_ids = self.value("ledger_ids")
        self.next_mark = self.value("newest_mark") + MARK_EVERY
        self._begin_view()

    def _load_removed(self, new: bool) -> None:
        """Take over from the mark which dead letters are no more: the file does not tell."""
        self._dead_id = dead_id(number for (number,) in self.each("dead_numbers_after", (0, -1)))
        if (found := self.mark.found) is None:
            self._all_removed = new
            return
        self._all_removed = found.all_removed
        # One may be back: a retried one whose row was lost, see Remains.
        self._removed = tuple(pair for pair in found.removed if not self.first("dead_letter", pair[:1]))

    def _note_progress(self) -> None:
        settled = {state.stats.number: (state.rewinds, state.settled) for state in self._routes.values()}
        totals = self.totals
        self.mark.write(
            Mark(
                self.last_seq,
                totals.pending_rows,
                totals.dead_rows,
                settled,
                self._dead_id,
                self._removed,
                self._all_removed,
            )
        )


def _check(crc: int, table: str, *values: object) -> None:
    if crc != seal(table, *values):
        raise DamagedOutbox(f"a row of {table} fails its checksum")
