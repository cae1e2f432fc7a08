"""Reading a SQLite file without SQLite: the same records, and more when SQLite gives up."""

from pathlib import Path

import apsw
import pytest

from eventd.outbox import wal
from eventd.outbox.connection import PAGE_SIZE
from eventd.outbox.files import Files
from eventd.outbox.pages import PageReader
from outbox.support import opened, register, row, rows, store_rows

SIZES = (60, 3000, 4061, 4062, 5000, 20_000, 300_000)  # bytes; around the edges of a page and of its chains


@pytest.fixture
def files(short_tmp: Path) -> Files:
    return Files(short_tmp / "outbox.db")


def bodies(reader: PageReader) -> dict[int, bytes]:
    return {rowid: record[-1] for rowid, record in reader.records() if rowid and len(record) == 9}


@pytest.mark.parametrize("checkpointed", [True, False])
def test_it_reads_what_was_stored(files: Files, checkpointed: bool) -> None:
    """From the database and from the log, rows of any size, and the entries of indexes."""
    events = [row(number, size=size) for number, size in enumerate(SIZES * 40)]
    with opened(files.db) as store:
        register(store)
        for event in events:
            store_rows(store, [event])
        if checkpointed:
            store.checkpoint(truncate=True)
        expected = dict(store.db.execute("SELECT seq, body FROM rows WHERE length(body) > 0"))
        ledger = set(store.db.execute("SELECT agent, key, digest, seq FROM ledger"))
        index = {(1, seq) for seq in expected}
    with PageReader(files.db, files.wal) as reader:
        assert bodies(reader) == expected
    with PageReader(files.db, files.wal) as reader:
        keyed = {record for rowid, record in reader.records() if rowid is None}
    assert ledger <= keyed
    assert index <= keyed


def test_integers_of_every_width_are_read(short_tmp: Path) -> None:
    """SQLite stores a number in as few bytes as it needs."""
    numbers = [
        0,
        1,
        -1,
        127,
        -128,
        1 << 15,
        -(1 << 20),
        1 << 30,
        1 << 40,
        -(1 << 47),
        1 << 50,
        -(1 << 63),
        None,
    ]
    path = short_tmp / "numbers.db"
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA page_size = {PAGE_SIZE}; CREATE TABLE numbers (a, b, c); BEGIN")
    for number in numbers:
        db.execute("INSERT INTO numbers VALUES (?, ?, ?)", (number, b"x" * 100, "ü"))
    db.execute("INSERT INTO numbers (rowid, a, b, c) VALUES (-5, 1, 1, 1); COMMIT")
    db.close()
    with PageReader(path, short_tmp / "none") as reader:
        found = dict(reader.records())
    assert [found[at + 1] for at in range(len(numbers))] == [(number, b"x" * 100, "ü") for number in numbers]
    assert found[-5] == (1, 1, 1)


@pytest.mark.parametrize("part", ["content", "salt", "checksum", "commit"])
def test_it_reads_on_behind_damage_in_the_log(files: Files, part: str) -> None:
    """SQLite stops at the first bad frame; the frames behind it are checked by themselves."""
    with opened(files.db) as store:
        register(store)
        store.checkpoint(truncate=True)
        for number in range(30):
            store_rows(store, [row(number, size=3000)])
    log = bytearray(files.wal.read_bytes())
    whole = list(wal.frames(bytes(log)))
    assert all(frame.sound for frame in whole)
    assert wal.committed(bytes(log)) == wal.readable(bytes(log))
    hit = next(index for index, frame in enumerate(whole) if index > 10 and not frame.commit)
    at = wal.HEADER + hit * wal.FRAME
    log[at + {"commit": 4, "salt": 8, "checksum": 16, "content": 1000}[part]] ^= 0x10
    files.wal.write_bytes(log)
    with PageReader(files.db, files.wal) as reader:
        before = set(bodies(reader))
        after = {rowid for rowid, record in reader.read_on() if rowid and len(record) == 9}
    assert len(before) < 12
    assert len(before | after) >= 28


def test_a_log_without_a_commit_has_nothing(files: Files) -> None:
    """What was being written when the power went is not there, and was never acknowledged."""
    with opened(files.db) as store:
        register(store)
        store.checkpoint(truncate=True)
        store_rows(store, rows(1, 50))
    frames = list(wal.frames(files.wal.read_bytes()))
    first_commit = next(index for index, frame in enumerate(frames) if frame.commit)
    log = files.wal.read_bytes()[: wal.HEADER + first_commit * wal.FRAME]
    assert wal.committed(log) == wal.readable(log) == {}


@pytest.mark.parametrize("junk", [b"", b"x" * 31, bytes(10_000), b"\xff" * 20_000])
def test_junk_is_read_as_nothing(short_tmp: Path, junk: bytes) -> None:
    """No content of the files may raise."""
    db, log = short_tmp / "db", short_tmp / "log"
    db.write_bytes(junk)
    log.write_bytes(junk)
    with PageReader(db, log) as reader:
        assert list(reader.records()) == []
        assert list(reader.read_on()) == []
