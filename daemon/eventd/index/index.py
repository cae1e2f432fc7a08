"""The index as the event loop sees it: one writer, a few readers, each on a thread of its own while it works.

It is disposable. When its file turns out to be damaged it is thrown away, and whoever feeds it begins anew
from `taken` and the streams' positions, which are then 0; `generation` tells that it happened. What was read
for the index before, such as a page of a stream, must not get into the new one, which would then lack what
comes before it: so writes say for which generation they are, and others are refused with `BegunAnew`.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import anyio
import anyio.to_thread
import apsw

from ..errors import IndexUnusable
from ..routes import StreamKey
from . import forgetting
from .connection import CORRUPT, DAMAGE, log_size_of, open_reader, open_writer, remove, size_of
from .forgetting import Returned
from .model import NewEvent, Placed
from .reads import Reads
from .store import Store, StreamState

logger = logging.getLogger(__name__)

SIZE_TIMEOUT = 2.0  # seconds for the size of the files; who asks how we are is answered all the same
READERS = 2  # reading connections: a long search does not keep others waiting
READ_LIMIT = 10.0  # seconds after which a read is given up, so that the log can be checkpointed
PROGRESS_STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock, well below 1 ms
LOOK_STEP = 2000  # events whose age is looked at in one go, a few ms
PRUNE_STEP = 500  # events removed in one transaction
MAX_LOG = 64 * 2**20  # bytes of the log above which reads are held back until it is cut
TRIM_PAGES = 512  # pages given back after it


class BegunAnew(IndexUnusable):
    """The index has begun anew since what is written was read."""


class _Facts(NamedTuple):
    """What the index is after a write, all of one moment."""

    generation: int = 0
    taken: int = 0
    newest: int = 0
    events: int = 0
    forgets: int = 0
    wiping: bool = False
    returned: bool = False


class Index:
    """Events as they are read. All methods are for the event loop; none blocks it.

    Attributes:
        generation: Grows each time the index begins anew.
        taken: The newest outbox number that is in here.
        newest: The newest number of an event.
        count: How many events there are.
        forgets: The newest number of something that is forgotten; 0 before the first.
        wiping: Whether bytes of forgotten events may be left in the files.
        returned: Whether forgotten events may stand in a stream.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self.taken = 0
        self.newest = 0
        self.count = 0
        self.forgets = 0
        self.wiping = False
        self.returned = False
        self._facts = _Facts()
        self._files = 0  # how many there were: the generation as the threads know it
        self._closed = False
        self._wanted = anyio.Event()
        self._store: Store | None = None
        self._stopping = False
        self._size = 0  # bytes, at the last look
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
                await index._write(lambda store: None)
            except IndexUnusable as error:
                if index._store is None:
                    extra = {"action": "index_unusable", "hint": error.hint}
                    logger.error("%s", error, extra=extra)
            yield index
        finally:
            with anyio.CancelScope(shield=True):
                index._closed = True
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

    # Writing. `generation` is the one that what is written belongs to; without it, any.

    async def stream(self, key: StreamKey, created: str, *, generation: int | None = None) -> StreamState:
        """Return a stream's number and how far it has been read; a new one when it is not known."""
        return await self._write(lambda store: store.stream(key, created), generation)

    async def add_accepted(
        self, events: Sequence[tuple[int, int, NewEvent]], taken: int, *, generation: int | None = None
    ) -> None:
        """Take in events that were accepted here; see `Store.add_accepted`."""
        await self._write(lambda store: store.add_accepted(events, taken), generation)

    async def add_stored(
        self,
        stream: int,
        events: Sequence[NewEvent],
        position: int,
        *,
        generation: int | None = None,
    ) -> int:
        """Take in a page of a stream; return how many of its events were not known."""
        return await self._write(lambda store: store.add_stored(stream, events, position), generation)

    async def place_runs(
        self,
        route: int,
        stream: int,
        runs: Sequence[Placed],
        settled: int,
        rewinds: int,
        *,
        generation: int | None = None,
    ) -> bool:
        """Give settled rows of a route their places; return whether the route was moved back since."""
        return await self._write(
            lambda store: store.place_runs(route, stream, runs, settled, rewinds), generation
        )

    async def set_position(self, stream: int, position: int, *, generation: int | None = None) -> None:
        """Note that a stream has been read up to a sequence."""
        await self._write(lambda store: store.set_position(stream, position), generation)

    async def unplace_beyond(self, stream: int, last: int, *, generation: int | None = None) -> None:
        """Note that a stream went back and ends at a sequence now."""
        await self._write(lambda store: store.unplace_beyond(stream, last), generation)

    async def note_went_back(self, stream: int, *, generation: int | None = None) -> None:
        """Note that a stream went back: what was erased from it may stand there again."""
        await self._write(lambda store: forgetting.note_went_back(store, stream), generation)

    async def begin_anew_with_outbox(self) -> None:
        """Note that the outbox begins anew: its numbers mean other rows than before."""
        await self._write(Store.begin_anew)

    async def settled(self, route: int) -> tuple[int, int | None]:
        """Return up to which outbox number the rows of a route have been given their places.

        And how often the route had been moved back by then, None where no row has a place yet.
        """
        return await self._write(lambda store: (store.settled(route), store.rewinds(route)))

    async def prune(self, before: int | None, max_bytes: int | None) -> int:
        """Remove some of what is too old or too much; return how many events that were.

        Args:
            before: Events that were stored before this time go, Unix ms. A call looks at some of them only.
            max_bytes: The first that came go while the index takes more.
        """

        def work(store: Store) -> int:
            gone = 0 if before is None else store.prune_old(before, LOOK_STEP)
            if not gone and max_bytes is not None and store.used_bytes() > max_bytes:
                gone = store.prune_oldest(PRUNE_STEP)
            if gone:
                store.trim(TRIM_PAGES)
            return gone

        return await self._write(work)

    async def cut_log(self) -> None:
        """Cut the log back where it has grown: it cannot begin anew while one read follows on another.

        New reads wait until those under way have ended.
        """
        if await anyio.to_thread.run_sync(log_size_of, self.path) > MAX_LOG:
            await self._cut_log()

    async def _cut_log(self) -> None:
        async with AsyncExitStack() as held:
            for _ in range(READERS):
                await held.enter_async_context(self._reading)
            await self._write(Store.cut_log)

    async def wipe(self) -> None:
        """Do a step of overwriting what is left of forgotten events; `wiping` tells whether there is more."""
        if not await self._write(forgetting.wipe):
            await self._cut_log()
            await self._write(forgetting.end_wiping)

    async def settle_returned(self, done: list[Returned]) -> None:
        """Note that tombstones are on their way for forgotten events that stand in a stream."""
        await self._write(lambda store: forgetting.settle_returned(store, done))

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
        """Return the bytes that it takes on the disk; those of the last look where the disk hangs."""
        with anyio.move_on_after(SIZE_TIMEOUT):
            self._size = await anyio.to_thread.run_sync(size_of, self.path, abandon_on_cancel=True)
        return self._size

    async def _write[T](self, work: Callable[[Store], T], generation: int | None = None) -> T:
        try:
            return await anyio.to_thread.run_sync(self._run, work, generation, limiter=self._writing)
        finally:
            self._note()

    def _run[T](self, work: Callable[[Store], T], generation: int | None) -> T:
        """Do something with the store; a damaged file is replaced by an empty one."""
        try:
            if self._closed:
                raise IndexUnusable("the index is closed")
            if self._damage is not None:
                raise self._damage
            store = self._store or self._open()
            if generation not in (None, self._files):
                raise BegunAnew("the index has begun anew")
            return work(store)
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
        except apsw.Error as error:
            raise IndexUnusable(
                f"the index cannot be written now: {error}",
                hint="the daemon's user must be able to write it, and no other program may keep it locked",
            ) from error
        finally:
            self._facts = _Facts(self._files)
            if (held := self._store) is not None:
                self._facts = _Facts(
                    self._files, held.taken, held.newest, held.count, held.forgets, held.wiping, held.returned
                )

    def _discard(self, _store: Store | None = None) -> None:
        self._close()
        remove(self.path)
        self._open()

    def _open(self) -> Store:
        db, new = open_writer(self.path)
        try:
            self._store = Store(db)
        except BaseException:
            db.close()
            raise
        if new:
            self._files += 1
            self._damage = None
        return self._store

    def _close(self) -> None:
        with suppress(IndexError):  # a reader takes one at the same time
            while self._readers:
                self._readers.pop().db.close()
        if self._store is not None:
            self._store.db.close()
            self._store = None

    def _note(self) -> None:
        (
            self.generation, self.taken, self.newest, self.count, self.forgets, self.wiping, self.returned,
        ) = self._facts  # fmt: skip
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
        file = self._files
        try:
            reads = self._reader(file)
            try:
                deadline = monotonic() + READ_LIMIT
                reads.db.set_progress_handler(
                    lambda: self._stopping or monotonic() > deadline, PROGRESS_STEPS
                )
                reads.begin()
                try:
                    return use(reads)
                finally:
                    reads.end()
            finally:
                self._give_back(reads)
        except apsw.InterruptError as error:
            raise IndexUnusable(
                f"the answer was not found within {READ_LIMIT:g} s",
                hint="ask for less: a shorter time, one agent, one session",
            ) from error
        except (*DAMAGE, apsw.Error) as error:
            if file == self._files:
                if isinstance(error, CORRUPT):
                    self._damage = error  # the next write begins anew
                elif isinstance(error, apsw.CantOpenError) and self._store and not self.path.exists():
                    self._damage = apsw.CorruptError("the file is gone")
            raise IndexUnusable(
                f"the index cannot be read now: {error}", hint="try again in a moment"
            ) from error

    def _reader(self, file: int) -> Reads:
        with suppress(IndexError):
            while True:
                reads = self._readers.pop()
                if reads.generation == file:
                    return reads
                reads.db.close()
        return Reads(open_reader(self.path), file)

    def _give_back(self, reads: Reads) -> None:
        if self._closed or not reads.db.get_autocommit():
            reads.db.close()
        else:
            self._readers.append(reads)
