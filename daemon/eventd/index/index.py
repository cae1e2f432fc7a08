"""The index as the event loop sees it: one writer, a few readers, each on a thread of its own while it works.

It is disposable. When its file turns out to be damaged it is thrown away, and whoever feeds it begins anew
from `taken` and the streams' positions, which are then 0; `generation` tells that it happened.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic, thread_time

import anyio
import anyio.to_thread
import apsw

from ..errors import IndexUnusable
from .connection import CORRUPT, DAMAGE, open_reader, open_writer, remove, size_of
from .model import NewEvent, Placed
from .reads import Reads
from .store import Store, StreamState

logger = logging.getLogger(__name__)

READERS = 2  # reading connections: a long search does not keep others waiting
READ_LIMIT = 10.0  # seconds after which a read is given up, so that the log can be checkpointed
PROGRESS_STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock, well below 1 ms
PRUNE_STEP = 500  # events removed in one transaction
TRIM_PAGES = 512  # pages given back after it


class Index:
    """Events as they are read. All methods are for the event loop; none blocks it.

    Attributes:
        generation: Grows each time the index begins anew.
        taken: The newest outbox number that is in here.
        newest: The newest number of an event.
        count: How many events there are.
        cpu_seconds: Seconds of CPU that its threads have used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self.taken = 0
        self.newest = 0
        self.count = 0
        self.cpu_seconds = 0.0
        self._wanted = anyio.Event()
        self._store: Store | None = None
        self._stopping = False
        self._damage: BaseException | None = None  # what a reader came across
        self._writing = anyio.CapacityLimiter(1)
        self._readers: list[Reads] = []
        self._reading = anyio.Semaphore(READERS)
        self._changed = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator["Index"]:
        """Open the index, or make it. Where neither is possible now, the next write tries again."""
        index = cls(path)
        try:
            try:
                await anyio.to_thread.run_sync(index._open, limiter=index._writing)
                index._note()
            except IndexUnusable as error:
                extra = {"action": "index_unusable", "hint": error.hint}
                logger.error("%s", error, extra=extra)
            yield index
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(index._close, limiter=index._writing)

    def watch(self) -> anyio.Event:
        """Return an event that is set at the next change. Ask for it before looking."""
        return self._changed

    async def wait_taken(self, outbox: int) -> None:
        """Wait until everything up to an outbox number is in here."""
        while self.taken < outbox:
            changed = self.watch()
            self._wanted.set()
            await changed.wait()

    async def wanted(self) -> None:
        """Wait until somebody waits for what is not in here yet."""
        self._wanted = anyio.Event()
        await self._wanted.wait()

    def stop_reading(self) -> None:
        """Let every read that is under way, and every later one, end at once with `IndexUnusable`."""
        self._stopping = True

    # Writing

    async def stream(self, name: str, created: str) -> StreamState:
        """Return a stream's number and how far it has been read; a new one when it is not known."""
        state: StreamState = await self._write(lambda store: store.stream(name, created))
        return state

    async def add_accepted(self, events: Sequence[tuple[int, int, NewEvent]], taken: int) -> None:
        """Take in events that were accepted here; see `Store.add_accepted`."""
        await self._write(lambda store: store.add_accepted(events, taken))

    async def add_stored(self, stream: int, name: str, events: Sequence[NewEvent], position: int) -> int:
        """Take in a page of a stream; return how many of its events were not known."""
        added: int = await self._write(lambda store: store.add_stored(stream, name, events, position))
        return added

    async def place_runs(
        self, route: int, stream: int, runs: Sequence[Placed], settled: int, rewinds: int
    ) -> bool:
        """Give settled rows of a route their places; return whether the route was moved back since."""
        moved_back: bool = await self._write(
            lambda store: store.place_runs(route, stream, runs, settled, rewinds)
        )
        return moved_back

    async def set_position(self, stream: int, position: int) -> None:
        """Note that a stream has been read up to a sequence."""
        await self._write(lambda store: store.set_position(stream, position))

    async def unplace_beyond(self, stream: int, last: int) -> None:
        """Note that a stream went back and ends at a sequence now."""
        await self._write(lambda store: store.unplace_beyond(stream, last))

    async def begin_anew_with_outbox(self) -> None:
        """Note that the outbox begins anew: its numbers mean other rows than before."""
        await self._write(Store.begin_anew)

    async def settled(self, route: int) -> int:
        """Return up to which outbox number the rows of a route have been given their places."""
        found: int = await self._write(lambda store: store.settled(route))
        return found

    async def prune(self, before: int | None, max_bytes: int | None) -> int:
        """Remove some of what is too old or too much; return how many events that were.

        Args:
            before: Events from before this time go, Unix ms.
            max_bytes: The oldest go while the index takes more.
        """

        def work(store: Store) -> int:
            gone = 0 if before is None else store.prune(before, PRUNE_STEP)
            if not gone and max_bytes is not None and store.used_bytes() > max_bytes:
                gone = store.prune(None, PRUNE_STEP)
            if gone:
                store.trim(TRIM_PAGES)
            return gone

        removed: int = await self._write(work)
        return removed

    async def rebuild(self) -> None:
        """Throw everything away and begin anew."""
        await self._write(self._discard)

    async def heal(self) -> None:
        """Begin anew if a reader has found the file damaged.

        Raises:
            IndexUnusable: It was.
        """
        if self._damage is not None:
            await self._write(lambda store: None)

    async def size(self) -> int:
        """Return the bytes that it takes on the disk."""
        return await anyio.to_thread.run_sync(size_of, self.path)

    async def _write[T](self, work: Callable[[Store], T]) -> T:
        result = await anyio.to_thread.run_sync(self._run, work, limiter=self._writing)
        self._note()
        return result

    def _run[T](self, work: Callable[[Store], T]) -> T:
        """Do something with the store; a damaged file is replaced by an empty one."""
        began = thread_time()
        try:
            if self._damage is not None:
                raise self._damage
            return work(self._store or self._open())
        except apsw.FullError as error:
            raise IndexUnusable(
                "the disk is full, so the index stands still", hint="free some space; it goes on by itself"
            ) from error
        except DAMAGE as error:
            logger.error(
                "the index is damaged and is built anew: %s", error, extra={"action": "index_discarded"}
            )
            self._discard()
            raise IndexUnusable("the index was damaged and is built anew") from error
        finally:
            self.cpu_seconds += thread_time() - began

    def _discard(self, _store: Store | None = None) -> None:
        self._damage = None
        self._close()
        remove(self.path)
        self.generation += 1
        self._open()

    def _open(self) -> Store:
        db, new = open_writer(self.path)
        if new:
            self.generation += 1
        self._store = Store(db)
        return self._store

    def _close(self) -> None:
        while self._readers:
            self._readers.pop().db.close()
        if self._store is not None:
            self._store.db.close()
            self._store = None

    def _note(self) -> None:
        if (store := self._store) is not None:
            self.taken, self.newest, self.count = store.taken, store.newest, store.count
        self._changed.set()
        self._changed = anyio.Event()

    # Reading

    async def read[T](self, use: Callable[[Reads], T]) -> T:
        """Read; everything that `use` sees is of one moment. It runs on a thread, for `READ_LIMIT` at most.

        Raises:
            IndexUnusable: It cannot be read now, or takes too long.
        """
        async with self._reading:
            return await anyio.to_thread.run_sync(self._read, use)

    def _read[T](self, use: Callable[[Reads], T]) -> T:
        """Read with a connection that is free; one to a file that was replaced is closed."""
        generation = self.generation
        reads: Reads | None = None
        try:
            with suppress(IndexError):
                reads = self._readers.pop()
            if reads is not None and reads.generation != generation:
                reads.db.close()
                reads = None
            if reads is None:
                reads = Reads(open_reader(self.path), generation)
            deadline = monotonic() + READ_LIMIT
            reads.db.set_progress_handler(lambda: self._stopping or monotonic() > deadline, PROGRESS_STEPS)
            reads.begin()
            try:
                return use(reads)
            finally:
                reads.end()
                self._readers.append(reads)
        except apsw.InterruptError as error:
            raise IndexUnusable(
                f"the answer was not found within {READ_LIMIT:g} s",
                hint="ask for less: a shorter time, one agent, one session",
            ) from error
        except (*DAMAGE, apsw.Error) as error:
            if generation == self.generation and isinstance(error, CORRUPT):
                self._damage = error  # the next write begins anew
            raise IndexUnusable(
                f"the index cannot be read now: {error}", hint="try again in a moment"
            ) from error
