"""What the writer does between commits: prune settled rows, forget old ids, give back room."""

from typing import Protocol

from .settling import RunRecord
from .store import Store, now_ms

PRUNE_ROWS = 1000  # rows deleted in one transaction
SWEEP_IDS = 2000  # ids looked at in one transaction
SWEEP_SHARE = 20  # sweep when 1/20 of the ledger may go …
SWEEP_PAUSE = 3_600_000  # … or anything may, once in an hour (ms)

# `ledger_ids` never makes the ledger forget what is younger. At full rate that bound may be filled in half a
# minute, while a client that lost its acknowledgement sends again after its time-out and a reconnect, or
# after a restart of the daemon. What is kept in excess is the rate times this (and a little, see MARK_EVERY);
# it is on disk only, where `min_free` bounds it: short of that, no event is accepted and so no id either.
LEDGER_LEAST = 600_000  # ms
TRIM_PAGES = 256  # pages given back in one transaction
TRIM_ABOVE = 4096  # free pages that are kept for new rows


class Chore(Protocol):
    """Work that is done in steps."""

    def step(self, store: Store) -> bool:
        """Do a little, in a transaction of its own; return whether there is more to do right now."""


class Prune:
    """Deletes settled rows, run by run, that are older than `retain` or too many.

    They are too many above `retain_bytes`, and where pending rows need the room below `max_bytes`. What the
    index has not taken goes in the last case only, and so do rows that a tombstone which waits will look for.
    """

    def step(self, store: Store) -> bool:
        """Delete up to `PRUNE_ROWS` rows."""
        settings, totals = store.settings, store.totals
        needed = totals.retained_bytes - max(0, settings.max_bytes - totals.used_bytes)
        excess = max(needed, totals.retained_bytes - settings.retain_bytes)
        before = now_ms() - int(settings.retain * 1000)
        due: list[RunRecord] = []
        rows = 0
        for run in self._oldest(store):
            if rows >= PRUNE_ROWS or not (run.settled_at <= before or excess > 0):
                break
            if needed <= 0 and (not _is_taken(store, run) or _is_sought(store, run)):
                continue
            due.append(run)
            rows += run.rows
            excess -= run.bytes
            needed -= run.bytes
        if not due:
            return False
        store.mark.sync()  # it must know these as settled before they are gone
        with store.transaction():
            store.keep_last_seq()
            for run in due:
                store.run("delete_range", (run.route, run.first, run.last))
                store.run("delete_run", (run.route, run.first))
                store.count(run.route, retained=(-run.rows, -run.bytes))
            for route in {run.route for run in due}:
                store.look_at_ends(route)
        return True

    @staticmethod
    def _oldest(store: Store) -> list[RunRecord]:
        found = []
        for state in store.routes():
            if state.stats.retained_rows:
                rows = store.rows("oldest_runs", (state.stats.number,))
                found += [RunRecord(*values) for *values, _ in rows]
        return sorted(found, key=lambda run: run.settled_at)


def _is_taken(store: Store, run: RunRecord) -> bool:
    """Whether the index has taken the rows of a run."""
    return store.taken is None or run.last <= store.taken


def _is_sought(store: Store, run: RunRecord) -> bool:
    """Whether a tombstone that waits may have to know where rows of a run stand in the stream."""
    if not store.value("forgotten_in", (run.route, run.first, run.last)):
        return False
    return bool(store.value("tombstone_after", (run.route, store.route(run.route).settled)))


class Sweep:
    """Forgets ids beyond `ledger_age` and `ledger_ids`, stretch by stretch through the whole ledger.

    Both bounds become one number: ids of rows up to it may go. Those of rows that are still here stay, and
    so do those of the last `LEDGER_LEAST`.
    """

    _BEGIN = (-1, b"")

    def __init__(self) -> None:
        self._at: tuple[int, bytes] | None = None  # where in the ledger this sweep is; None between sweeps
        self._floor = 0
        self._swept = 0
        self._rest_until = 0

    def step(self, store: Store) -> bool:
        """Look at up to `SWEEP_IDS` ids."""
        if self._at is None and not self._due(store):
            return False
        agent, key = self._at or self._BEGIN
        end = store.first("sweep_boundary", (agent, key, SWEEP_IDS - 1))
        values: dict[str, int | bytes] = {"agent": agent, "key": key, "floor": self._floor}
        with store.transaction():
            if end is None:
                store.run("sweep_rest", values)
            else:
                store.run("sweep", values | {"last_agent": end[0], "last_key": end[1]})
            gone = store.db.changes()

            def effect() -> None:
                store.totals.ledger_ids -= gone

            if gone:
                store.then(effect)
        self._at = end
        if end is None:
            self._swept = self._floor
        return end is not None

    def _due(self, store: Store) -> bool:
        now = now_ms()
        old = now - int(store.settings.ledger_age * 1000)
        by_age: int = store.value("seq_before", (old,))
        old_enough: int = store.value("seq_before", (now - LEDGER_LEAST,))
        floor = max(by_age, min(old_enough, store.last_seq - store.settings.ledger_ids))
        progress = floor - self._swept
        if progress <= 0 or (progress * SWEEP_SHARE < store.totals.ledger_ids and now < self._rest_until):
            return False
        with store.transaction():
            store.run("drop_marks", (old,))
        self._floor, self._rest_until = floor, now + SWEEP_PAUSE
        return True


class Scrub:
    """Sees to it that nothing is left of forgotten events where nobody looks: in free pages and in the log.

    A transaction that makes rows forgotten overwrites them; what was freed before, such as the rows of events
    that were shipped long ago, was not overwritten.
    """

    def step(self, store: Store) -> bool:
        """Give back up to `TRIM_PAGES` free pages, at last the log."""
        if not store.scrubbing:
            return False
        if store.db.execute("PRAGMA freelist_count").get:
            store.db.execute(f"PRAGMA incremental_vacuum({TRIM_PAGES})").fetchall()
            return True
        store.checkpoint(truncate=True)
        with store.transaction():
            store.scrub(False)
        return False


class Trim:
    """Gives free pages back to the disk, beyond what new rows will soon need.

    Attributes:
        eager: Give back all of them, because the disk is full.
    """

    def __init__(self) -> None:
        self.eager = False

    def step(self, store: Store) -> bool:
        """Give back up to `TRIM_PAGES` pages."""
        free: int = store.db.execute("PRAGMA freelist_count").get
        pages: int = store.db.execute("PRAGMA page_count").get
        if free <= (0 if self.eager else max(TRIM_ABOVE, pages // 4)):
            return False
        store.db.execute(f"PRAGMA incremental_vacuum({TRIM_PAGES})").fetchall()
        return True
