"""The outbox as the event loop sees it: every event is on disk before it is acknowledged."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio
import apsw

from ..errors import OutboxError
from . import appending, deadletters, feeding, forgetting, rerouting, settling
from .connection import SCHEMA
from .files import Files
from .lock import Lock
from .model import DeadLetter, Done, NewRow, OutboxStats, Position, Row, Run, Settlement, Submission
from .rerouting import Choose
from .salvage import open_or_salvage
from .settings import OutboxSettings, Tuning
from .shares import share_of
from .store import Store
from .writer import Work, Writer

DEAD_STEP = 100  # dead letters retried or dropped in one transaction
MARK_STEP = 200  # events that are made forgotten in one transaction


class DeadAction(Protocol):
    """Retries or drops dead letters."""

    def __call__(self, store: Store, chosen: Sequence[int]) -> deadletters.Progress:
        """Act on the first of the chosen ones, as many as fit one transaction."""


class Outbox:
    """A durable queue, one lane per route. All methods are for the event loop; none blocks it.

    Rows of a route are *pending* until a settlement moves the route's watermark over them; then they are
    *retained* for a while, for repairs, or *dead letters*.
    """

    def __init__(self, files: Files, settings: OutboxSettings, tuning: Tuning) -> None:
        self._files = files
        self._writer = Writer(partial(open_or_salvage, files, settings, tuning), self._wake)
        self._opened: Store
        self._watched: dict[int | None, anyio.Event] = {}  # None: any route

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        settings: OutboxSettings | None = None,
        *,
        tuning: Tuning | None = None,
        holder: str = "",
    ) -> AsyncIterator["Outbox"]:
        """Open the outbox at `path`, make it when there is none, salvage it when it is damaged.

        Leaving the context finishes what is queued, then closes the file.

        Args:
            holder: What tells this daemon from others (its socket); named to a second one.

        Raises:
            AlreadyRunning: Another daemon uses it.
            OutboxError: It cannot be opened.
            DiskFailure: The disk does not answer.
        """
        files = Files(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutboxError(
                f"cannot make the folder {path.parent}: {error.strerror}",
                hint="give the daemon a data folder that its user can write",
            ) from error
        lock = Lock.acquire(files.lock, holder=holder)
        try:
            outbox = cls(files, settings or OutboxSettings(), tuning or Tuning())
            outbox._opened = await outbox._writer.start()
            try:
                yield outbox
            finally:
                await outbox._writer.stop()
        finally:
            lock.release()

    async def watch_failure(self) -> None:
        """Wait until the outbox fails; run it in the daemon's task group. Returns when it is closed.

        Raises:
            DiskFailure: A write was not confirmed, or the file is damaged. What was submitted and not yet
                acknowledged never will be.
        """
        await self._writer.ended()
        if self._writer.failure is not None:
            raise self._writer.failure

    async def answers(self) -> None:
        """Return once the outbox's thread has come to this question, behind what it is doing now.

        It never does while the disk hangs.

        Raises:
            OutboxError: It is closed, or has failed.
        """
        await self._read(lambda store: None)

    # Intake

    def submit(self, submissions: list[Submission], done: Done) -> None:
        """Store submissions, each all or none.

        Args:
            done: Called once on the event loop when all of these submissions are on disk or refused. Never
                called if the outbox fails before that. Calls with the same `done` are stored and reported in
                their order; those with different ones take turns.
        """
        self._writer.append(submissions, done)

    async def known(self, agent: str, event_ids: Sequence[str]) -> set[str]:
        """Return those of some ids of an agent that were accepted, as far back as the ledger reaches."""
        found: set[str] = await self._read(lambda store: appending.known(store, agent, event_ids))
        return found

    # Routes

    async def register_route(self, name: str, stream: str, prefix: str) -> int:
        """Return the number of a route; the same for ever for the same three names."""
        number: int = await self._write(lambda store: store.register_route(name, stream, prefix))
        return number

    async def configure(self, settings: OutboxSettings, routes: Collection[int]) -> None:
        """Go on with other bounds.

        Args:
            routes: Numbers of the routes that rows may come for from now on; others only have a backlog.
        """

        def configure(store: Store) -> None:
            store.settings = settings
            store.registered = set(routes)

        await self._write(configure)

    async def position(self, route: int) -> Position:
        """Return how far a route has come."""
        position: Position = await self._read(lambda store: settling.position(store, route))
        return position

    async def note_stream(self, route: int, created: str) -> None:
        """Remember the creation time of the route's stream."""
        await self._write(lambda store: store.note_stream(route, created))

    async def leave_stream(self, route: int) -> None:
        """Forget where settled rows are: the route goes to another stream now, its position there is 0."""
        await self._write(lambda store: settling.leave_stream(store, route))

    # Shipping

    def watch(self, route: int) -> anyio.Event:
        """Return an event that is set at the next commit that gives the route pending rows.

        Ask for it before looking at `pending`, so that nothing is missed in between.
        """
        return self._watched.setdefault(route, anyio.Event())

    async def pending(self, route: int, *, after: int, limit: int, max_bytes: int) -> list[Row]:
        """Return pending rows above `after` in accept order; at least one if there is any.

        Rows that fail their checksum are not among them: they become dead letters and count as lost.
        """
        while True:
            reading: settling.Reading = await self._read(
                lambda store: settling.pending(store, route, after, limit, max_bytes)
            )
            if reading.damaged:
                await self._write(partial(deadletters.bury_damaged, route=route, seqs=reading.damaged))
            if reading.rows or not reading.damaged:
                return reading.rows

    async def first_pending(self, route: int, agent: str | None, *, after: int) -> int | None:
        """Return the oldest pending row above `after`; of an agent, or of all for None."""
        first: int | None = await self._read(lambda store: settling.first_pending(store, route, agent, after))
        return first

    async def pending_agents(self, route: int) -> dict[str, int]:
        """Return the agents that have pending rows, with the newest of each. It reads all these rows."""
        found: dict[str, int] = await self._read(lambda store: settling.pending_agents(store, route))
        return found

    async def settle(self, settlement: Settlement) -> None:
        """Apply what a publish achieved.

        Raises:
            OutboxError: It does not fit the rows that are there; nothing is changed.
        """
        await self._write(lambda store: settling.settle(store, settlement))

    async def rewind(self, route: int, *, to: int, stream_seq: int) -> int:
        """Set the watermark back to `to`; the retained rows above it are pending again.

        Returns:
            How many rows that are.
        """
        rows: int = await self._write(lambda store: settling.rewind(store, route, to, stream_seq))
        return rows

    async def runs(self, route: int) -> list[Run]:
        """Return the retained runs of a route, oldest first."""
        runs: list[Run] = await self._read(lambda store: settling.runs(store, route))
        return runs

    async def row_in_run(self, route: int, run: Run, offset: int) -> tuple[int, str]:
        """Return outbox number and `Nats-Msg-Id` of the offset-th row of a run, from 0.

        Raises:
            RunGone: It is not retained any more.
        """
        row: tuple[int, str] = await self._read(lambda store: settling.row_in_run(store, route, run, offset))
        return row

    async def find(self, route: int, msg_ids: Sequence[str]) -> dict[str, int]:
        """Return the outbox number of each `Nats-Msg-Id` that is a pending or retained row of the route."""
        found: dict[str, int] = await self._read(lambda store: settling.find(store, route, msg_ids))
        return found

    # Indexing

    def watch_all(self) -> anyio.Event:
        """Return an event that is set at the next commit that gives any route pending rows."""
        return self._watched.setdefault(None, anyio.Event())

    async def accepted(self, *, after: int, limit: int, max_bytes: int) -> feeding.Feed:
        """Return rows of all routes above an outbox number, pending and retained, in accept order."""
        feed: feeding.Feed = await self._read(lambda store: feeding.accepted(store, after, limit, max_bytes))
        return feed

    async def settled(self, route: int, *, after: int) -> feeding.Settled:
        """Return how far a route has come, and where its rows above `after` are in the stream."""
        found: feeding.Settled = await self._read(lambda store: feeding.settled(store, route, after))
        return found

    def keep_from(self, taken: int) -> None:
        """Keep settled rows above an outbox number: the index has not taken them yet.

        Only where pending rows need the room do they go all the same; the index has the stream then.
        """
        self._opened.taken = taken

    async def flush(self) -> int:
        """Wait until everything that was submitted so far is on disk or refused; return the newest number."""
        await self._writer.under_way.flushed()
        return self._opened.last_seq

    # Dead letters

    async def dead_letters(self, after: int, limit: int) -> list[DeadLetter]:
        """Return dead letters with a number above `after`, oldest first."""
        listing: deadletters.Listing = await self._read(
            lambda store: deadletters.listing(store, after, limit)
        )
        if listing.damaged:
            await self._write(lambda store: deadletters.condemn(store, listing.damaged))
        return listing.letters

    async def retry_dead(self, numbers: Sequence[int] | None) -> int:
        """Let dead letters enter again at the tail, under new numbers; all of them for None.

        Returns:
            How many did; damaged ones stay.
        """
        return await self._each_dead(numbers, deadletters.retry)

    async def drop_dead(self, numbers: Sequence[int] | None) -> int:
        """Delete dead letters for good; all of them for None. Return how many there were."""
        return await self._each_dead(numbers, deadletters.drop)

    # Forgetting

    async def forget(self, tombstone: NewRow, ids: Sequence[str]) -> int:
        """Make events of an agent forgotten, and store the tombstone that names them; return its number.

        Nothing is left of them here, and their ids are refused from now on. The tombstone is shipped in its
        turn, and what it names is erased from the stream before.

        Raises:
            OutboxFull: There is no room for the tombstone; nothing is changed.
        """
        number: int = await self._write(lambda store: forgetting.forget(store, tombstone, ids))
        return number

    async def mark_forgotten(self, agent: str, ids: Sequence[str]) -> None:
        """Make events of an agent forgotten that a tombstone names which is elsewhere."""
        for start in range(0, len(ids), MARK_STEP):
            some = ids[start : start + MARK_STEP]
            if left := await self._read(partial(forgetting.unmarked, agent=agent, ids=some)):
                await self._write(partial(forgetting.mark, agent=agent, ids=left))

    async def postpone(self, route: int, seq: int) -> bool:
        """Let the tombstone that is next of a route go behind what waits; return whether anything does."""
        postponed: bool = await self._write(lambda store: forgetting.postpone(store, route, seq))
        return postponed

    async def forgotten(self, agent: str, ids: Sequence[str]) -> set[str]:
        """Return those of some ids of an agent that are refused, since their events are forgotten."""
        found: set[str] = await self._read(lambda store: forgetting.forgotten(store, agent, ids))
        return found

    async def places(self, agent: str, ids: Sequence[str]) -> list[forgetting.Place]:
        """Return where those events of an agent came to stand whose rows are retained."""
        found: list[forgetting.Place] = await self._read(lambda store: forgetting.places(store, agent, ids))
        return found

    async def progress(self, agent: str, tombstones: Sequence[str]) -> forgetting.Progress:
        """Return what has become of tombstones of an agent, by their ids."""
        found: forgetting.Progress = await self._read(
            lambda store: forgetting.progress(store, agent, tombstones)
        )
        return found

    @property
    def forgets(self) -> int:
        """How often events were made forgotten: rows that were read before may still hold them."""
        return self._opened.forgets

    # Moving

    async def reroute(self, route: int, choose: Choose) -> int:
        """Move the pending rows of a route to others; nobody may ship the route meanwhile.

        They enter again at the tail, under new numbers. Rows that fail their checksum are buried.

        Returns:
            How many rows were moved.
        """
        moved = 0
        while True:
            step: rerouting.Step = await self._write(lambda store: rerouting.reroute(store, route, choose))
            moved += step.moved
            if step.damaged is not None:
                await self._write(partial(deadletters.bury_damaged, route=route, seqs=[step.damaged]))
            elif not step.moved:
                return moved

    async def _each_dead(self, numbers: Sequence[int] | None, act: DeadAction) -> int:
        """Act on dead letters step by step, so that no transaction grows large."""
        newest = self.stats.last_seq  # one that dies again meanwhile has a greater number
        left = [number for number in numbers or () if number <= newest]
        after = done = 0
        while True:
            if numbers is None:
                left = await self._read(partial(deadletters.numbers, after=after, limit=DEAD_STEP))
            chosen = [number for number in left[:DEAD_STEP] if number <= newest]
            if not chosen:
                return done
            progress: deadletters.Progress = await self._write(partial(act, chosen=chosen))
            done += progress.done
            after = chosen[progress.looked - 1]
            del left[: progress.looked]

    # State

    @property
    def last_seq(self) -> int:
        """The newest outbox number that was given out."""
        return self._opened.last_seq

    @property
    def stats(self) -> OutboxStats:
        """A snapshot of what the outbox holds."""
        store = self._opened
        with store.lock:
            routes = {
                state.stats.number: replace(state.stats, max_bytes=share_of(store, state.stats.number))
                for state in store.routes()
            }
            totals = replace(store.totals, refused=dict(store.totals.refused))
        return OutboxStats(
            path=str(self._files.db),
            sqlite=apsw.sqlite_lib_version(),
            schema=SCHEMA,
            file_bytes=_size(self._files.db),
            wal_bytes=_size(self._files.wal),
            last_seq=store.last_seq,
            accepted=totals.accepted,
            accepted_per_s=store.accepting.per_second,
            repeated=totals.repeated,
            refused=totals.refused,
            commits=self._writer.commits,
            commit_ms=self._writer.commit_ms,
            commit_s=self._writer.commit_s,
            busy_s=self._writer.busy_s,
            disk_full=store.disk_full,
            ledger_ids=totals.ledger_ids,
            lost_events=totals.lost_events,
            quarantines=totals.quarantines,
            routes=routes,
        )

    async def _read(self, work: Work) -> Any:
        return await self._writer.call(work, writes=False)

    async def _write(self, work: Work) -> Any:
        return await self._writer.call(work, writes=True)

    def _wake(self, routes: set[int]) -> None:
        for route in (None, *routes):
            if (event := self._watched.pop(route, None)) is not None:
                event.set()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
