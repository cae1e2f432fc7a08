"""The index as the event loop sees it."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import apsw
import pytest

from eventd.errors import IndexUnusable
from eventd.index import index as index_module
from eventd.index.index import BegunAnew, Index
from eventd.index.model import Filter, NewEvent, Placed
from eventd.index.reads import Reads
from index.support import START, S, everything, foreign, index_at, opened, own
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

SPIN = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
"""Never ends."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


async def accept(index: Index, *events: NewEvent, generation: int | None = None) -> None:
    stream = (await index.stream(S, "")).number
    await index.add_accepted(
        [(stream, 1, event) for event in events], max(event.outbox or 0 for event in events),
        generation=generation,
    )  # fmt: skip


async def all_of(index: Index) -> list[str]:
    return await index.read(everything)


def damage(path: Path) -> None:
    """Overwrite every page but the first, in the file and in its log."""
    for file in (path, path.with_name(path.name + "-wal")):
        with suppress(FileNotFoundError), file.open("r+b") as handle:
            size = file.stat().st_size
            handle.seek(4096)
            handle.write(b"\xa5" * max(0, size - 4096))


def checkpoint(index: Index) -> None:
    assert index._store is not None
    index._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


# Reading what was written


async def test_what_was_written_is_read(path: Path) -> None:
    """At once, by every reader, and the facts about it are of the same moment."""
    async with index_at(path) as index:
        assert (index.taken, index.newest, index.count) == (0, 0, 0)
        await accept(index, own(1), own(2))
        assert await all_of(index) == ["id-1", "id-2"]
        assert (index.taken, index.newest, index.count) == (2, 2, 2)
        await accept(index, own(3))
        assert await all_of(index) == ["id-1", "id-2", "id-3"]
        assert await index.size() > 0


async def test_it_goes_on_where_it_was(path: Path) -> None:
    """A restart has the same generation as a first start has: the first."""
    async with index_at(path) as index:
        await accept(index, own(1), own(2))
    async with index_at(path) as index:
        assert (index.taken, index.newest, index.count) == (2, 2, 2)
        assert await all_of(index) == ["id-1", "id-2"]


async def test_waiting_for_what_is_taken(path: Path) -> None:
    """Who waits goes on when all up to the number is there, and whoever feeds learns that somebody waits."""
    async with index_at(path) as index, anyio.create_task_group() as tasks:
        order: list[str] = []

        async def wait(number: int) -> None:
            await index.wait_taken(number)
            assert index.taken >= number
            order.append(f"has {number}")

        async def feed() -> None:
            for number in (1, 2, 3):
                await index.wanted()
                order.append(f"feeds {number}")
                await accept(index, own(number))

        with anyio.fail_after(10):
            tasks.start_soon(feed)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(wait, 3)
            tasks.start_soon(wait, 1)
            await wait(2)
            await wait_until_async(lambda: len(order) == 6)
        assert order.index("has 1") < order.index("has 2") < order.index("has 3")
        await index.wait_taken(3)


async def test_watching(path: Path) -> None:
    """An event that is asked for before looking is set by the next change, also by one that failed."""
    async with index_at(path) as index:
        changed = index.watch()
        assert not changed.is_set()
        await accept(index, own(1))
        assert changed.is_set()
        changed = index.watch()
        await index.rebuild()
        assert changed.is_set()


async def test_the_newest_is_never_ahead_of_what_can_be_read(path: Path) -> None:
    """Who shows new events up to `newest` would miss those that are not committed yet."""
    async with index_at(path) as index:
        missing: list[int] = []

        async def write(first: int) -> None:
            for number in range(first, first + 40):
                await accept(index, own(number))

        async def watch() -> None:
            seen = 0
            while seen < 120:
                changed = index.watch()
                newest = index.newest
                found = await index.read(
                    lambda reads, seen=seen, newest=newest: reads.arrived(  # type: ignore[misc]
                        Filter(), after=seen, upto=newest, limit=1000
                    )
                )
                missing.extend(set(range(seen + 1, newest + 1)) - {entry.n for entry in found})
                seen = newest
                if seen < 120:
                    await changed.wait()

        async with anyio.create_task_group() as busy:
            busy.start_soon(watch)
            for first in (1, 101, 201):
                busy.start_soon(write, first)
        assert missing == []


async def test_a_read_sees_one_state(path: Path) -> None:
    """While a read goes on, writes go on too; it sees nothing of them."""
    async with index_at(path) as index, anyio.create_task_group() as tasks:
        await accept(index, own(1))
        began, go_on = threading.Event(), threading.Event()
        seen: list[list[str]] = []

        def look(reads: Reads) -> None:
            seen.append(everything(reads))
            began.set()
            assert go_on.wait(10)
            seen.append(everything(reads))

        tasks.start_soon(index.read, look)
        await wait_until_async(began.is_set)
        await accept(index, own(2))
        go_on.set()
        await wait_until_async(lambda: len(seen) == 2)
        assert seen == [["id-1"], ["id-1"]]
        assert await all_of(index) == ["id-1", "id-2"]


async def test_readers_during_writes(path: Path) -> None:
    """Many readers and a busy writer: nobody is refused, and what a reader has seen stays."""
    async with index_at(path) as index, anyio.create_task_group() as tasks:
        done = False

        async def read() -> None:
            before = 0
            while not done:
                here = len(await all_of(index))
                assert here >= before
                before = here

        for _ in range(8):
            tasks.start_soon(read)
        for number in range(1, 100):
            await accept(index, own(number, visibility="public"))
            if number % 20 == 0:
                await index.prune(None, None)
        done = True


async def test_an_error_of_the_reader_is_his(path: Path) -> None:
    """It comes out as it is, and the next reader is served."""
    async with index_at(path) as index:

        def fail(_reads: Reads) -> None:
            raise ZeroDivisionError

        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                await index.read(fail)
        assert await all_of(index) == []
        assert len(index._readers) == 1


async def test_a_read_that_takes_too_long_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error that says what to do; the connection serves the next one."""
    async with index_at(path) as index:
        await accept(index, own(1))
        monkeypatch.setattr(index_module, "READ_LIMIT", 0.05)
        for _ in range(3):
            with pytest.raises(IndexUnusable, match="not found within") as caught:
                await index.read(lambda reads: reads.db.execute(SPIN).get)
            assert caught.value.hint
        monkeypatch.undo()
        assert await all_of(index) == ["id-1"]
        assert index.generation == 1


# Beginning anew


async def test_rebuilding(path: Path) -> None:
    """Everything is gone, and whoever feeds it can tell."""
    async with index_at(path) as index:
        await accept(index, own(1), own(2))
        before = index.generation
        await index.rebuild()
        assert index.generation > before
        assert (index.taken, index.newest, index.count) == (0, 0, 0)
        assert await all_of(index) == []
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]


async def test_rebuilding_while_readers_are_busy(path: Path) -> None:
    """They finish with what they saw; nobody sees the old file later, and the new one stays whole."""
    async with index_at(path) as index, anyio.create_task_group() as tasks:
        await accept(index, *map(own, range(1, 50)))
        began, go_on = threading.Semaphore(0), threading.Event()
        seen: list[int] = []

        def look(reads: Reads) -> None:
            began.release()
            assert go_on.wait(10)
            seen.append(len(everything(reads)))

        for _ in range(index_module.READERS):
            tasks.start_soon(index.read, look)
        for _ in range(index_module.READERS):
            await anyio.to_thread.run_sync(began.acquire)
        await index.rebuild()
        await accept(index, own(1))
        go_on.set()
        await wait_until_async(lambda: len(seen) == index_module.READERS)
        assert seen in ([49, 49], [0, 0])  # a transaction begins with its first read
        for _ in range(10):
            assert await all_of(index) == ["id-1"]
        await accept(index, own(2))
    with opened(path) as store:
        assert store.db.execute("PRAGMA integrity_check").get == "ok"
        assert store.count == 2


async def test_what_was_read_for_the_index_before_is_refused(path: Path) -> None:
    """Else the new one would believe that it has what comes before it, and lack that for ever."""
    async with index_at(path) as index:
        stream = (await index.stream(S, "c")).number
        await accept(index, own(1), own(2))
        generation = index.generation
        await index.rebuild()
        writes: list[Callable[[], object]] = [
            lambda: accept(index, own(3), generation=generation),
            lambda: index.add_stored(stream, [foreign(9)], 9, generation=generation),
            lambda: index.set_position(stream, 9, generation=generation),
            lambda: index.unplace_beyond(stream, 9, generation=generation),
            lambda: index.place_runs(1, stream, [Placed(1, 2, 2, 1)], 2, 0, generation=generation),
            lambda: index.stream(S._replace(name="T"), "c", generation=generation),
        ]
        for write in writes:
            with pytest.raises(BegunAnew):
                await write()  # type: ignore[misc]
        assert (index.taken, index.count) == (0, 0)
        await accept(index, own(1), generation=index.generation)
        assert (index.taken, index.count) == (1, 1)


async def test_damage_that_a_writer_finds(path: Path) -> None:
    """The write is refused, the index is empty and usable, and its facts say so at once."""
    async with index_at(path) as index:
        await accept(index, *map(own, range(1, 300)))
        checkpoint(index)
        before = index.generation
        assert index._store is not None
        index._store.db.execute("PRAGMA cache_size = 0").fetchall()
        index._store.db.execute("PRAGMA shrink_memory").fetchall()
        damage(path)
        with pytest.raises(IndexUnusable):
            await accept(index, *map(own, range(300, 400)))
        assert index.generation == before + 1
        assert (index.taken, index.newest, index.count) == (0, 0, 0)
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]


async def test_damage_that_a_reader_finds(path: Path) -> None:
    """The reader is refused; healing begins anew, and says that it had to."""
    async with index_at(path) as index:
        await accept(index, *map(own, range(1, 300)))
        checkpoint(index)
        damage(path)
        before = index.generation
        with pytest.raises(IndexUnusable):
            await all_of(index)
        with pytest.raises(IndexUnusable):
            await index.heal()
        assert index.generation == before + 1
        assert (index.taken, index.count) == (0, 0)
        await index.heal()
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]
        assert index.generation == before + 1


@pytest.mark.parametrize("column", ["kind", "visibility", "agent", "stream"])
async def test_values_that_cannot_be(path: Path, column: str) -> None:
    """What no code has written is damage, too."""
    async with index_at(path) as index:
        await accept(index, own(1))
        assert index._store is not None
        index._store.db.execute(f"UPDATE events SET {column} = 77")  # noqa: S608
        with pytest.raises(IndexUnusable):
            await all_of(index)
        with pytest.raises(IndexUnusable):
            await index.heal()
        assert await all_of(index) == []


async def test_a_damaged_file_is_no_reason_not_to_start(path: Path) -> None:
    """Wherever the damage is, also where opening alone does not see it."""
    async with index_at(path) as index:
        await accept(index, *map(own, range(1, 300)))
    damage(path)
    async with index_at(path) as index:
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]


async def test_a_file_that_somebody_removed(path: Path) -> None:
    """A reader that cannot find it has it made anew, without a restart."""
    async with index_at(path) as index:
        await accept(index, own(1))
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink()
        with pytest.raises(IndexUnusable):
            await all_of(index)
        with pytest.raises(IndexUnusable):
            await index.heal()
        assert index.taken == 0
        await accept(index, own(2))
        assert await all_of(index) == ["id-2"]


async def test_where_no_index_can_be_made(path: Path) -> None:
    """The daemon starts all the same; the first write after the obstacle is gone makes it."""
    path.mkdir()
    async with index_at(path) as index:
        with pytest.raises(IndexUnusable):
            await accept(index, own(1))
        with pytest.raises(IndexUnusable):
            await all_of(index)
        path.rmdir()
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]
        assert index.generation == 1


async def test_another_program_that_locks_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index cannot be written then, and goes on later; nothing is thrown away."""
    monkeypatch.setattr("eventd.index.connection.BUSY", 1)
    async with index_at(path) as index:
        await accept(index, own(1))
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnusable):
            await accept(index, own(2))
        other.execute("ROLLBACK")
        other.close()
        await accept(index, own(2))
        assert await all_of(index) == ["id-1", "id-2"]
        assert index.generation == 1


# Cancelling and closing


async def test_cancelled_writes(path: Path) -> None:
    """A write that began is finished, and its facts are known; one that did not leaves nothing."""
    async with index_at(path) as index:
        await accept(index, own(1))
        for number in range(2, 40):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(accept, index, own(number))
                    for _ in range(number % 4):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        here = await all_of(index)
        assert index.count == len(here)
        assert index.taken == max(int(event_id.removeprefix("id-")) for event_id in here)
        await accept(index, own(100))
        assert (await all_of(index))[-1] == "id-100"


async def test_cancelled_reads(path: Path) -> None:
    """No reader is lost, none is left within a transaction."""
    async with index_at(path) as index:
        await accept(index, *map(own, range(1, 50)))
        for turn in range(30):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(all_of, index)
                    for _ in range(turn % 5):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        await accept(index, own(50))
        assert len(await all_of(index)) == 50
        assert 1 <= len(index._readers) <= index_module.READERS
        assert all(reads.db.get_autocommit() for reads in index._readers)


async def test_closing_while_somebody_reads(path: Path) -> None:
    """The reader gets its answer, and no connection stays open."""
    began, go_on = threading.Event(), threading.Event()
    readers: list[Reads] = []

    def look(reads: Reads) -> int:
        readers.append(reads)
        began.set()
        assert go_on.wait(10)
        return len(everything(reads))

    async with anyio.create_task_group() as tasks:
        async with index_at(path) as index:
            await accept(index, own(1))
            tasks.start_soon(index.read, look)
            await wait_until_async(began.is_set)
        go_on.set()
    with pytest.raises(apsw.ConnectionClosedError):
        readers[0].db.execute("SELECT 1")


async def test_a_closed_index(path: Path) -> None:
    """Is not opened again by who comes late."""
    async with index_at(path) as index:
        await accept(index, own(1))
    with pytest.raises(IndexUnusable):
        await accept(index, own(2))
    with opened(path) as store:
        assert store.count == 1


# A full disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while shutil.disk_usage(disk).free:
            file.write(bytes(4096))
    return filler


async def fill_up(index: Index) -> None:
    for number in range(50, 3000):
        await accept(index, own(number, payload={"content": "word " * 2000}))


async def test_a_full_disk(disk: Path) -> None:
    """Nothing is taken in, nothing is lost, all can be read; it goes on by itself when there is room."""
    async with index_at(disk / "index.db") as index:
        await accept(index, *map(own, range(1, 50)))
        filler = fill(disk)
        with pytest.raises(IndexUnusable, match="disk is full") as caught:
            await fill_up(index)
        assert caught.value.hint
        taken, generation = index.taken, index.generation
        assert taken >= 49
        assert len(await all_of(index)) == index.count == taken
        filler.unlink()
        await accept(index, own(taken + 1))
        assert len(await all_of(index)) == index.count == taken + 1
        assert index.generation == generation == 1


async def test_beginning_on_a_full_disk(disk: Path) -> None:
    """An index cannot be made there; the first write after that makes it."""
    filler = fill(disk)
    async with index_at(disk / "index.db") as index:
        with pytest.raises(IndexUnusable):
            await accept(index, own(1))
        filler.unlink()
        await accept(index, own(1))
        assert await all_of(index) == ["id-1"]


async def test_pruning(path: Path) -> None:
    """By age, else by size; what is gone is given back step by step."""
    async with index_at(path) as index:
        await accept(index, *(own(n, payload={"content": "w " * 2000}) for n in range(1, 200)))
        assert await index.prune(None, None) == 0
        assert await index.prune(START + 100, None) == 99
        assert await index.prune(START + 100, 10**9) == 0
        size = await index.size()
        assert await index.prune(None, 1) == 100
        assert await index.prune(None, 1) == 0
        assert index.count == 0
        checkpoint(index)
        assert await index.size() < size


async def test_the_log_is_cut_although_reads_never_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read after the other keeps SQLite from beginning the log anew."""
    monkeypatch.setattr(index_module, "MAX_LOG", 2**20)
    log = tmp_path / "index.db-wal"
    async with index_at(tmp_path / "index.db") as index, anyio.create_task_group() as tasks:

        def linger(reads: Reads) -> None:
            reads.page(Filter(), limit=1)
            time.sleep(0.01)

        async def read() -> None:
            while True:
                await index.read(linger)

        for _ in range(2 * index_module.READERS):
            tasks.start_soon(read)
        stream = (await index.stream(S, "")).number
        for first in range(1, 20_000, 500):
            events = [(stream, 1, own(n)) for n in range(first, first + 500)]
            await index.add_accepted(events, first + 499)
            await index.cut_log()
            assert log.stat().st_size < 3 * 2**20
        tasks.cancel_scope.cancel()
