"""Opening the index's file, whatever is there."""

import random
import shutil
import stat
from pathlib import Path

import apsw
import pytest

from eventd.errors import IndexUnusable
from eventd.index.connection import open_writer, remove, size_of
from eventd.index.model import Filter
from eventd.index.store import Store
from index.support import accept, everything, opened, own, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def fill(path: Path, events: int = 300) -> None:
    with opened(path) as store:
        accept(store, *map(own, range(1, events + 1)))


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def is_new(path: Path) -> bool:
    """Whether opening begins anew."""
    db, new = open_writer(path)
    db.close()
    return new


def test_a_new_file(path: Path) -> None:
    """Made where there is none, once."""
    assert is_new(path)
    assert not is_new(path)


def test_only_the_owner_reads_it(path: Path) -> None:
    """The index has all that agents said, and so has its log, also where a wider mode was there before."""
    path.touch(mode=0o644)
    db, _ = open_writer(path)
    accept(Store(db), own(1))
    for file in (path, wal(path)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    db.close()


def test_another_version_is_made_anew(path: Path) -> None:
    """There are no upgrades: everything in it is in streams and outbox."""
    fill(path)
    with opened(path) as store:
        store.db.execute("UPDATE meta SET value = 999 WHERE key = 'schema'")
    assert is_new(path)
    assert not is_new(path)


@pytest.mark.parametrize(
    "content",
    [b"no database at all\n" * 500, b"SQLite format 3\0" + b"\xff" * 5000, b"x", bytes(8192)],
    ids=["text", "header only", "one byte", "zeros"],
)
def test_no_database_is_made_anew(path: Path, content: bytes) -> None:
    """Whatever else is at its place."""
    path.write_bytes(content)
    db, new = open_writer(path)
    assert new
    accept(Store(db), own(1))
    db.close()
    with reading(path) as reads:
        assert everything(reads) == ["id-1"]


def test_a_database_of_somebody_else_is_made_anew(path: Path) -> None:
    """One without our tables is none of ours."""
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('schema', 'x')")
    db.close()
    assert is_new(path)


def test_an_empty_file_is_new(path: Path) -> None:
    """As a crash leaves it right after it was created."""
    path.touch()
    assert is_new(path)


def test_a_file_that_a_crash_left_without_tables(path: Path) -> None:
    """As between the first page and the schema."""
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = wal").fetchall()
    db.close()
    assert path.stat().st_size > 0
    assert is_new(path)


def test_the_log_of_another_file(path: Path, tmp_path: Path) -> None:
    """A log that was left behind by a file that is gone does not get into the new one."""
    db, _ = open_writer(path)
    accept(Store(db), own(1))
    kept = tmp_path / "kept"
    shutil.copy(wal(path), kept)
    db.close()
    remove(path)
    shutil.copy(kept, wal(path))
    db, new = open_writer(path)
    assert new
    assert Store(db).count == 0
    db.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """That is no reason not to start."""
    with pytest.raises(IndexUnusable):
        open_writer(tmp_path / "no" / "index.db")


def test_something_else_at_its_place(path: Path) -> None:
    """A folder is not removed."""
    path.mkdir()
    with pytest.raises(IndexUnusable):
        open_writer(path)
    assert path.is_dir()


def test_a_damaged_file_that_cannot_be_removed(path: Path) -> None:
    """The index cannot be used then; no other error comes out."""
    path.write_bytes(b"no database")
    blocked = path.with_name(path.name + "-shm")
    blocked.mkdir()
    with pytest.raises(IndexUnusable):
        open_writer(path)
    blocked.rmdir()
    assert is_new(path)


def test_its_size_counts_the_log(path: Path) -> None:
    """Where nothing is, there are no bytes."""
    assert size_of(path) == 0
    db, _ = open_writer(path)
    accept(Store(db), own(1))
    assert size_of(path) == path.stat().st_size + wal(path).stat().st_size
    db.close()
    remove(path)
    assert size_of(path) == 0
    remove(path)


@pytest.mark.parametrize("keep", [1, 100, 4096, 4097, 20_000, 100_000])
def test_a_file_that_was_cut(path: Path, keep: int) -> None:
    """It opens as it is, or anew; later it turns out damaged at the most, never as another error."""
    fill(path)
    with path.open("r+b") as file:
        file.truncate(keep)
    db, new = open_writer(path)
    try:
        if not new:
            accept(Store(db), own(1000))
            Store(db).prune_oldest(500)
    except (apsw.CorruptError, apsw.SQLError):
        pass
    finally:
        db.close()


@pytest.mark.parametrize("seed", range(25))
def test_a_file_with_flipped_bits(path: Path, seed: int) -> None:
    """The same for bits that flip anywhere: for the writer and for readers there is one kind of error."""
    fill(path, 120)
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(chance.choice([1, 10, 200])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    db, new = open_writer(path)
    damage = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.IOError, UnicodeDecodeError)
    try:
        if not new:
            try:
                store = Store(db)
                accept(store, own(1000))
                store.prune_oldest(20)
            except (*damage, apsw.ConstraintError):
                pass
            with reading(path) as reads:
                for wanted in (Filter(), Filter(session="agent:main:s"), Filter(text="event")):
                    try:
                        reads.page(wanted, limit=1000)
                        reads.marks("main", since=None, limit=1000)
                        reads.recall("event", wanted, limit=20, around=2)
                    except damage:
                        pass
    finally:
        db.close()
