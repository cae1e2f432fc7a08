"""The writer: the one thread that touches the database, and group commit.

It takes everything that is queued, makes one transaction of it, and reports results only once that is
on disk. While one group is being synced the next one gathers, so the group grows with the load by itself.

Where the next group waits already, a group is reported when the rows of that one are in SQLite, just
before they are synced. What a report sets going on the event loop (replies, the reading of more emits) then
runs while the disk is waited for, and not in competition for the interpreter: 5 to 8 % more events a second.
Who waits for just one append is told at once: that is little work.
Calls overtake the rows that wait: under full load those are several groups, and shipping makes a call or two
for each of its batches.
"""

import asyncio
import contextlib
import enum
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import apsw

from ..errors import DiskFailure, EventdError, OutboxError
from .appending import append, refuse
from .connection import PAGE_SIZE, DamagedOutbox, is_damage
from .model import Done, Submission
from .room import Room, is_full
from .store import Store, now_ms
from .turns import Append, Turns
from .underway import UnderWay
from .upkeep import Chore, Prune, Scrub, Sweep, Trim

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at the chores when nothing happens
CHORE_PAUSE = 0.02  # seconds between steps of the chores while there is other work

Work = Callable[[Store], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function to run on the store.

    Attributes:
        writes: Run inside the group's transaction; else after it.
    """

    work: Work
    future: asyncio.Future[Any]
    writes: bool


class Wake(enum.Enum):
    """The type of `WAKE`."""

    WAKE = "WAKE"


WAKE: Final = Wake.WAKE
"""In the queue of rows: there is a call."""


@dataclass(slots=True)
class Group:
    """What is committed together, and what is read after it."""

    appends: list[Append] = field(default_factory=list)
    writes: list[Call] = field(default_factory=list)
    reads: list[Call] = field(default_factory=list)
    stop: bool = False


Result = tuple[Call, Any, BaseException | None]


class Writer:
    """Owns the thread.

    Attributes:
        commits: Number of group commits so far.
        commit_ms: Duration of the last one.
        commit_s: Seconds that all of them took together.
        failure: Why the writer stopped, if it failed.
        under_way: What `append` has queued and was not reported yet.
    """

    def __init__(self, open_store: Callable[[], Store], on_rows: Callable[[set[int]], None]) -> None:
        """Prepare the thread.

        Args:
            open_store: Opens the outbox; runs on the thread.
            on_rows: Called on the event loop with the routes that got pending rows.
        """
        self.commits = 0
        self.commit_ms = 0.0
        self.commit_s = 0.0
        self.failure: EventdError | None = None
        self.under_way = UnderWay()
        self._open_store = open_store
        self._on_rows = on_rows
        self._queue: queue.SimpleQueue[Append | Wake | None] = queue.SimpleQueue()  # None: stop
        self._calls: deque[Call] = deque()
        self._group = Group()
        self._untold: list[Append] = []  # on disk or refused, and not reported yet
        self._postponed: list[Call] = []  # writes that found no room on the disk
        self._trim = Trim()
        self._chores: tuple[Chore, ...] = (Prune(), Sweep(), Scrub(), self._trim)
        self._chores_left = False
        self._chores_at = 0.0
        self._busy_since: float | None = None  # time.monotonic(); None while it waits for work
        # asyncio, because anyio has no way to call into a loop from a thread without waiting for it.
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[Store] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._main, name="outbox", daemon=True)

    # On the event loop

    async def start(self) -> Store:
        """Start the thread and open the outbox.

        Raises:
            EventdError: It cannot be opened.
        """
        self._thread.start()
        with anyio.CancelScope(shield=True):  # what was opened must be handed over to be closed
            await asyncio.wait([self._opened])
        return self._opened.result()

    def append(self, submissions: list[Submission], done: Done) -> None:
        """Queue submissions; `done` is never called for them if the writer fails first."""
        if self.failure is None:
            self._queue.put(self.under_way.begin(submissions, done))

    @property
    def busy_s(self) -> float:
        """Seconds for which the thread has been at one group and what belongs to it."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    async def call(self, work: Work, *, writes: bool) -> Any:
        """Run a function on the thread: in the next group's transaction or after it; return its result.

        Cancelling the caller does not stop it once it is queued.
        """
        if self.failure is not None:
            raise self.failure
        if self._ended.done():
            raise OutboxError("the outbox is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._calls.append(Call(work, future, writes))
        self._queue.put(WAKE)
        return await future

    async def ended(self) -> None:
        """Wait until the thread has ended."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Finish what is queued, then close the outbox."""
        self._queue.put(None)
        with anyio.CancelScope(shield=True):
            await self.ended()
        self._thread.join()

    def _deliver(self, appends: Sequence[Append], results: Sequence[Result], awake: set[int]) -> None:
        for item in appends:
            self.under_way.end(item)
            try:
                item.done(item.submissions)
            except Exception:
                logger.exception("an acknowledgement failed", extra={"action": "ack_failed"})
        for call, value, error in results:
            if call.future.done():
                continue  # nobody waits any more
            if error is not None:
                call.future.set_exception(error)
            else:
                call.future.set_result(value)
        if awake:
            self._on_rows(awake)

    def _finish(self, failure: EventdError | None) -> None:
        self.failure = failure
        left = [*self._group.writes, *self._group.reads, *self._postponed, *self._calls]
        self._deliver(
            [], [(call, None, failure or OutboxError("the outbox is closed")) for call in left], set()
        )
        self._ended.set_result(None)

    # On the thread

    def _main(self) -> None:
        try:
            store, room = self._open()
        except BaseException as error:
            self._post(self._opened.set_exception, error)
            return
        self._post(self._opened.set_result, store)
        failure: EventdError | None = None
        try:
            self._serve(store, room)
            room.checkpoint(truncate=True)
            store.mark.sync()
        except BaseException as error:
            failure = _explain(store, error)
        with contextlib.suppress(apsw.Error):
            store.close()
        self._tell()
        self._post(self._finish, failure)

    def _tell(self) -> None:
        """Report what is on disk, or refused."""
        if self._untold:
            self._post(self._deliver, self._untold, (), set())
            self._untold = []

    def _tell_waiting(self) -> None:
        """Report at once what somebody waits for who has nothing else under way."""
        if alone := [item for item in self._untold if item.alone]:
            self._post(self._deliver, alone, (), set())
            self._untold = [item for item in self._untold if not item.alone]

    def _open(self) -> tuple[Store, Room]:
        store = self._open_store()
        try:
            return store, Room(store)
        except BaseException as error:
            store.close()
            raise _explain(store, error) from error

    def _post(self, function: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function, *args)

    def _serve(self, store: Store, room: Room) -> None:
        turns = Turns(store.tuning.group_rows, store.tuning.wal_max // 8)
        while not self._group.stop:
            self._busy_since = None
            group = self._group = self._gather(turns)
            self._busy_since = time.monotonic()
            if not group.appends:
                self._tell()
            if group.appends or group.writes or self._postponed:
                self._commit(store, room, group)
            if not turns and self._queue.empty():
                self._tell()
            if group.reads:
                results = [_run(store, call) for call in group.reads]
                self._post(self._deliver, (), results, set())
            self._tend(store, room)

    def _gather(self, turns: Turns) -> Group:
        """Wait for something to do; take all calls, and what waits to be stored up to a group's bounds."""
        stopping = self._line_up(turns)
        group = Group(turns.take(time.monotonic()))
        group.stop = stopping and not turns
        while self._calls:
            call = self._calls.popleft()
            (group.writes if call.writes else group.reads).append(call)
        return group

    def _line_up(self, turns: Turns) -> bool:
        """Let what was queued wait for its turn; return whether nothing comes after it.

        Where there is nothing to do, wait for something to come.
        """
        try:
            item = self._queue.get(block=not (turns or self._chores_left), timeout=TICK)
            while item is not None:
                if isinstance(item, Append):
                    turns.add(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return False
        self._queue.put(None)  # as long as something waits, there is another look
        return True

    def _commit(self, store: Store, room: Room, group: Group) -> None:
        """Commit a group and report it. Without room only the appends suffer: the rest frees some."""
        started = time.perf_counter()
        submissions = [submission for item in group.appends for submission in item.submissions]
        if submissions and (refusal := room.refusal()):
            refuse(store, submissions, refusal)
            submissions = []
        writes, self._postponed = [*self._postponed, *group.writes], []
        try:
            results, awake = self._transact(store, submissions, writes)
        except apsw.Error as error:
            if not is_full(store, error):
                raise
            store.rollback()
            refuse(store, submissions, room.run_out(error))
            try:
                results, awake = self._transact(store, [], writes)
            except apsw.Error as again:  # even the reserve was not enough
                if not is_full(store, again):
                    raise
                store.rollback()
                results, awake, self._postponed = [], set(), writes
        self.commits += 1
        took = time.perf_counter() - started
        self.commit_ms = took * 1000
        self.commit_s += took
        self._tell()
        self._untold = group.appends
        self._tell_waiting()
        if results or awake:
            self._post(self._deliver, (), results, awake)

    def _transact(
        self, store: Store, submissions: Sequence[Submission], writes: Sequence[Call]
    ) -> tuple[list[Result], set[int]]:
        if not submissions and not writes:
            return [], set()
        store.begin()
        if submissions:
            append(store, submissions, now_ms())
        self._tell()
        results = [_run(store, call) for call in writes]
        return results, store.commit()

    def _tend(self, store: Store, room: Room) -> None:
        """Keep the log short, and do a step of each chore when it is time."""
        if store.wal_pages * PAGE_SIZE >= store.tuning.wal_max // 2:
            room.checkpoint()
        now = time.monotonic()
        if now < self._chores_at and not (self._chores_left and self._queue.empty()):
            return
        room.look()
        self._trim.eager = room.full
        try:
            self._chores_left = False
            for chore in self._chores:
                self._chores_left |= chore.step(store)
        except apsw.Error as error:
            if not is_full(store, error):
                raise
            room.run_out(error)
            self._chores_left = False
        self._chores_at = now + (CHORE_PAUSE if self._chores_left else TICK)


def _run(store: Store, call: Call) -> Result:
    """Run one call; its own errors are its caller's, the disk's and the file's are everybody's."""
    try:
        if not call.writes:
            return call, call.work(store), None
        with store.savepoint():
            return call, call.work(store), None
    except (apsw.Error, DamagedOutbox, DiskFailure, UnicodeDecodeError):
        raise
    except Exception as error:
        return call, None, error


def _explain(store: Store, error: BaseException) -> EventdError:
    """Return what the daemon is told about an error that ends the writer, the cause kept."""
    failure: EventdError
    if is_damage(error) or isinstance(error, DamagedOutbox):
        with contextlib.suppress(OSError):
            store.files.damaged.write_text(str(error), encoding="utf-8")
        failure = DiskFailure(
            f"the outbox {store.files.db} is damaged: {error}",
            hint="the next start moves it to the quarantine and salvages what can be read",
        )
    elif isinstance(error, EventdError):
        return error
    elif isinstance(error, (apsw.Error, OSError)):
        failure = DiskFailure(
            f"the disk did not confirm a write to {store.files.db}: {error}",
            hint="nothing that was not written has been acknowledged; look at the disk, then start again",
        )
    else:
        failure = OutboxError(f"the outbox stopped: {error!r}")
    failure.__cause__ = error
    logger.error("%s", failure, extra={"action": "outbox_failed", "hint": failure.hint}, exc_info=error)
    return failure
