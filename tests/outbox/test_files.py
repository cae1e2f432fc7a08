"""The small files beside the database: lock, mark, reserve."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventd.errors import AlreadyRunning, OutboxError
from eventd.outbox.disk import Reserve, free_bytes
from eventd.outbox.lock import Lock
from eventd.outbox.mark import REMOVED_MAX, SLOT, Mark, MarkFile, dead_id

ROUTES = [(1, "*", "S", "p"), (2, "coder", "S2", "p.coder")]


def test_the_lock_names_its_holder(short_tmp: Path) -> None:
    """A person must be able to find the other daemon: process, time, socket."""
    path = short_tmp / "outbox.db.lock"
    lock = Lock.acquire(path, holder="/run/eventd/eventd.sock")
    with pytest.raises(AlreadyRunning) as caught:
        Lock.acquire(path)
    message = str(caught.value)
    assert f"process {os.getpid()} since 2" in message
    assert "/run/eventd/eventd.sock" in message
    assert str(short_tmp / "outbox.db ") in message
    lock.release()
    lock.release()
    Lock.acquire(path).release()


def test_the_lock_ends_with_its_process(short_tmp: Path) -> None:
    """A killed daemon leaves the file, but not the lock."""
    path = short_tmp / "outbox.db.lock"
    code = (
        "import sys, time; from pathlib import Path; from eventd.outbox.lock import Lock\n"
        "lock = Lock.acquire(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"):
                Lock.acquire(path)
        finally:
            holder.kill()
    Lock.acquire(path).release()


def test_an_unreadable_lock_still_holds(short_tmp: Path) -> None:
    """The name is a courtesy; the lock is what counts."""
    path = short_tmp / "outbox.db.lock"
    lock = Lock.acquire(path)
    path.write_text("{")
    with pytest.raises(AlreadyRunning, match="another process"):
        Lock.acquire(path)
    lock.release()


def test_a_lock_file_that_cannot_be_made_is_an_outbox_error(short_tmp: Path) -> None:
    """Not a traceback of the operating system."""
    with pytest.raises(OutboxError, match="lock file"):
        Lock.acquire(short_tmp / "missing" / "outbox.db.lock")


def test_the_mark_remembers_the_newest_commit(short_tmp: Path) -> None:
    """Slots are written in turns; the later one counts."""
    path = short_tmp / "mark"
    mark = MarkFile.open(path)
    assert mark.found is None
    for seq in range(1, 6):
        mark.write(Mark(seq, pending=seq, dead=2, settled={1: (0, seq), 2: (3, 0)}))
    mark.name_routes(ROUTES)
    mark.close()
    mark = MarkFile.open(path)
    assert mark.found == Mark(5, 5, 2, {1: (0, 5), 2: (3, 0)})
    assert mark.routes == ROUTES
    mark.write(Mark(6))
    mark.close()
    again = MarkFile.open(path)
    assert again.found == Mark(6)
    again.close()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_torn_slot_leaves_the_other_one(short_tmp: Path, slot: int) -> None:
    """Half a write at a power cut costs one commit's knowledge, not all of it."""
    path = short_tmp / "mark"
    mark = MarkFile.open(path)
    mark.write(Mark(1))
    mark.write(Mark(2))
    mark.close()
    data = bytearray(path.read_bytes())
    data[slot * SLOT + 20] ^= 1
    path.write_bytes(data)
    mark = MarkFile.open(path)
    assert mark.found == Mark(1 if slot == 0 else 2)
    mark.close()


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 100_000, bytes(2_000_000)])
def test_any_content_of_the_mark_can_be_opened(short_tmp: Path, content: bytes) -> None:
    """A damaged mark knows nothing; it never stops a start."""
    path = short_tmp / "mark"
    path.write_bytes(content)
    mark = MarkFile.open(path)
    assert (mark.found, mark.routes) == (None, [])
    mark.write(Mark(3))
    mark.close()


def test_more_routes_than_fit_keep_the_mark_readable(short_tmp: Path) -> None:
    """The slot is of a fixed size; routes beyond it are simply not in it."""
    mark = MarkFile.open(short_tmp / "mark")
    mark.write(Mark(1, settled={route: (0, route) for route in range(5000)}))
    mark.close()
    again = MarkFile.open(short_tmp / "mark")
    assert again.found is not None
    assert 600 < len(again.found.settled) < 700
    again.close()


@pytest.mark.parametrize("count", [1, REMOVED_MAX, REMOVED_MAX + 1])
def test_the_mark_lists_the_newest_removed_dead_letters(count: int, short_tmp: Path) -> None:
    """It says so when there were more than it can list."""
    mark = MarkFile.open(short_tmp / "mark")
    removed = tuple((number, number * 2) for number in range(1, count + 1))
    settled = {1: (0, 7)}
    mark.write(Mark(1, 2, 3, settled, dead_id([4, 5]), removed))
    mark.close()
    again = MarkFile.open(short_tmp / "mark")
    fits = count <= REMOVED_MAX
    assert again.found == Mark(1, 2, 3, settled, dead_id([5, 4]), removed[-REMOVED_MAX:], fits)
    again.close()


def test_sets_of_dead_letters_are_told_apart() -> None:
    """Those too that a plain XOR of numbers, their sum, or a CRC would take for the same."""
    sets = ((), (1,), (1, 2), (4, 7), (1, 4), (2, 3), (0, 4, 5), (1, 2, 6), (1 << 62,))
    assert len({dead_id(numbers) for numbers in sets}) == len(sets)


def test_no_room_for_the_reserve_s_name_is_no_room_either(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota may be one of files: then already making it fails."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr(os, "open", refuse)
    assert not Reserve(short_tmp / "reserve", 300_000).restore()


def test_the_reserve_takes_and_gives_room(short_tmp: Path) -> None:
    """It is real room on the disk, not a hole in a file."""
    reserve = Reserve(short_tmp / "reserve", 300_000)
    assert [reserve.held, reserve.restore(), reserve.restore(), reserve.held] == [False, True, True, True]
    stat = reserve.path.stat()
    assert stat.st_blocks * 512 >= 300_000
    assert stat.st_mode & 0o777 == 0o600
    reserve.release()
    reserve.release()
    assert not reserve.held


def test_a_reserve_that_does_not_fit_is_not_there(short_tmp: Path) -> None:
    """Half a reserve would be counted on and fail."""
    reserve = Reserve(short_tmp / "reserve", free_bytes(short_tmp) * 4)
    assert not reserve.restore()
    assert not reserve.path.exists()


def test_a_lock_card_is_plain_json(short_tmp: Path) -> None:
    """Other tools may read it."""
    lock = Lock.acquire(short_tmp / "l.lock", holder="x")
    assert json.loads((short_tmp / "l.lock").read_text())["pid"] == os.getpid()
    lock.release()
