"""G4 on a full disk: events are refused, shipping goes on, and intake resumes by itself."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import apsw
import pytest

from eventd.errors import DiskFailure
from eventd.outbox.files import Files
from eventd.outbox.model import Run, Settlement
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import MIB, OutboxSettings, Tuning
from outbox.support import (
    ALL,
    KIB,
    all_pending,
    number_of,
    opened,
    outbox_at,
    register,
    row,
    rows,
    store_rows,
    submit,
)
from outbox.vfs import Faulty, write_failure

pytestmark = pytest.mark.anyio

DISK = 8 * MIB
WAL = 1 * MIB


@pytest.fixture
def small_disk(short_tmp: Path) -> Iterator[Path]:
    """A disk of `DISK` bytes."""
    folder = short_tmp / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def fill(outbox: Outbox, first: int = 0) -> list[int]:
    """Submit until events are refused for want of room; return those that were accepted."""
    for number in range(first, first + 1000):
        (refusal,) = await submit(outbox, rows(number * 10, number * 10 + 9, size=8 * KIB))
        if refusal is not None:
            assert refusal.code == "disk_full"
            return list(range(first * 10, number * 10))
    raise AssertionError("the disk was never full")


async def ship(outbox: Outbox) -> list[int]:
    """Settle all pending rows in batches; return which events they were."""
    shipped: list[int] = []
    while batch := await outbox.pending(1, after=0, limit=50, max_bytes=ALL):
        at = (await outbox.position(1)).stream_seq + 1
        run = Run(batch[0].seq, batch[-1].seq, len(batch), at)
        with anyio.fail_after(10):
            await outbox.settle(Settlement(1, batch[-1].seq, (run,)))
        shipped += [number_of(found.body) for found in batch]
    return shipped


def is_full(outbox: Outbox) -> bool:
    return outbox.stats.disk_full


async def intake_resumes(outbox: Outbox, number: int) -> None:
    with anyio.fail_after(20):
        while (await submit(outbox, [row(number)]))[0] is not None:
            await anyio.sleep(0.05)


@pytest.mark.parametrize("min_free", [0, 512 * KIB])
async def test_full_disk_then_room_again(small_disk: Path, min_free: int) -> None:
    """Whether writes fail or the limit acts first: nothing is half stored, everything accepted is shipped."""
    settings = OutboxSettings(retain=0, min_free=min_free)
    path = small_disk / "outbox.db"
    async with outbox_at(path, settings, Tuning(wal_max=WAL)) as outbox:
        await outbox.register_route("*", "S", "p")
        accepted: list[int] = []
        for round_ in range(2):
            accepted = await fill(outbox, 100 * round_)
            assert len(accepted) > 50
            assert is_full(outbox)
            assert await ship(outbox) == accepted
            await intake_resumes(outbox, 99_000 + round_)
            assert not is_full(outbox)
            assert await ship(outbox) == [99_000 + round_]
        assert Files(path).reserve.stat().st_size == WAL
        assert outbox.stats.lost_events == 0


async def test_another_program_fills_the_disk(small_disk: Path) -> None:
    """The outbox cannot make room then; it takes events again once somebody else does."""
    hog = small_disk / "hog"
    async with outbox_at(small_disk / "outbox.db", OutboxSettings(min_free=0), Tuning(wal_max=WAL)) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        with hog.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(64 * KIB))
            except OSError:
                pass
        accepted = await fill(outbox, 1)
        assert await ship(outbox) == [1, *accepted]
        hog.unlink()
        await intake_resumes(outbox, 5000)
    async with outbox_at(small_disk / "outbox.db") as outbox:
        assert [number_of(found.body) for found in await all_pending(outbox)] == [5000]


async def test_it_opens_on_a_full_disk(small_disk: Path) -> None:
    """After kill -9, and without room for anything: events are refused, what is there waits or is shipped."""
    path = small_disk / "outbox.db"
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 20))
    hog = small_disk / "hog"
    with hog.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(4096))
        except OSError:
            pass
    async with outbox_at(path, OutboxSettings(min_free=0), Tuning(wal_max=WAL)) as outbox:
        assert outbox.stats.disk_full
        assert len(await all_pending(outbox)) == 20
        hog.unlink()
        await intake_resumes(outbox, 100)
        assert len(await ship(outbox)) == 21


@pytest.mark.parametrize("error", [apsw.FullError("full"), None])
async def test_a_write_that_finds_no_room(short_tmp: Path, error: Exception | None) -> None:
    """The same without root: SQLite says "full" in the middle of a group of two submissions."""
    faulty = Faulty()
    path = short_tmp / "outbox.db"
    tuning = Tuning(wal_max=WAL, vfs=faulty.name)
    async with outbox_at(path, OutboxSettings(min_free=0), tuning) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        faulty.fail_write = error
        refusals = await submit(outbox, [row(4)], [], [row(5)])
        codes = [refusal and refusal.code for refusal in refusals]
        assert codes == (["disk_full", None, "disk_full"] if error else [None] * 3)
        assert outbox.stats.disk_full == bool(error)
        assert Files(path).reserve.exists() == (not error)
        faulty.fail_write = None
        await intake_resumes(outbox, 6)
        assert Files(path).reserve.exists()
        expected = [1, 2, 3, 6] if error else [1, 2, 3, 4, 5, 6]
        assert [number_of(found.body) for found in await all_pending(outbox)] == expected


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EDQUOT])
async def test_settling_waits_for_room_instead_of_failing(why: int, short_tmp: Path) -> None:
    """If even the reserve did not help, the shipper waits; its settlement is done when there is room.

    The same when it is a quota that is used up, which SQLite reports like a broken disk.
    """
    faulty = Faulty()
    faulty.errno = why
    tuning = Tuning(wal_max=WAL, vfs=faulty.name)
    async with outbox_at(short_tmp / "outbox.db", OutboxSettings(min_free=0), tuning) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        faulty.fail_write = apsw.FullError("full") if why == errno.ENOSPC else write_failure()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.settle, Settlement(1, 3, (Run(1, 3, 3, 1),)))
            while not outbox.stats.disk_full:
                await anyio.sleep(0.01)
            assert (await outbox.position(1)).settled == 0
            faulty.fail_write = None
        assert (await outbox.position(1)).settled == 3


async def test_a_write_that_fails_for_another_reason_ends_the_outbox(short_tmp: Path) -> None:
    """Only a full disk is waited for."""
    faulty = Faulty()
    faulty.errno = errno.EIO
    tuning = Tuning(wal_max=WAL, vfs=faulty.name)
    async with outbox_at(short_tmp / "outbox.db", OutboxSettings(min_free=0), tuning) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        faulty.fail_write = write_failure()
        with pytest.raises(DiskFailure):
            await outbox.settle(Settlement(1, 3, (Run(1, 3, 3, 1),)))


async def test_events_are_refused_before_the_disk_is_full(short_tmp: Path) -> None:
    """`min_free` is kept free for the rest of the machine; the reserve is not touched for that."""
    path = short_tmp / "outbox.db"
    async with outbox_at(path, OutboxSettings(min_free=1 << 60), Tuning(wal_max=WAL)) as outbox:
        await outbox.register_route("*", "S", "p")
        (refusal,) = await submit(outbox, [row(1)])
        assert refusal is not None
        assert refusal.code == "disk_full"
        assert outbox.stats.refused == {"disk_full": 1}
        assert Files(path).reserve.exists()


async def test_the_log_stays_within_its_bound(short_tmp: Path) -> None:
    """G7: whatever the load, the write-ahead log has a stated largest size."""
    path = short_tmp / "outbox.db"
    largest = 0
    async with outbox_at(path, OutboxSettings(min_free=0), Tuning(wal_max=4 * MIB)) as outbox:
        await outbox.register_route("*", "S", "p")
        for first in range(0, 20_000, 200):
            await submit(outbox, *[[row(number, size=500)] for number in range(first, first + 200)])
            largest = max(largest, outbox.stats.wal_bytes)
        assert await outbox.pending(1, after=0, limit=1, max_bytes=1)
    assert 2 * MIB <= largest <= 4 * MIB
