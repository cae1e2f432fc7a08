"""Opens the index's file. It is disposable: one that is damaged, or of another version, is made anew."""

import contextlib
import logging
import os
from pathlib import Path

import apsw

from ..errors import IndexUnusable
from ..sql import parse, read

logger = logging.getLogger(__name__)

SCHEMA = 4
"""Version of the schema; another one means to build the index anew."""

PAGE_SIZE = 4096  # bytes
WRITE_CACHE = 24_000  # KiB; a batch touches some hundred pages of a dozen trees
READ_CACHE = 8_000  # KiB, for each reader
CHECKPOINT_PAGES = 1000  # of the log, after which SQLite moves it into the database
WAL_KEPT = 16 * 2**20  # bytes; the log is cut back to this after a checkpoint
BUSY = 5000  # ms that a connection waits for another one, as at a checkpoint

QUERIES = parse(read(__package__, "queries.sql"))
"""Every query of `queries.sql` by name."""

CORRUPT = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError)
"""Errors that say that the file's content is wrong."""

DAMAGE = (*CORRUPT, apsw.IOError, apsw.SQLError, apsw.ConstraintError)
"""Errors of the writer after which the index is built anew; `SQLError` is a schema that is not ours,
`ConstraintError` is what an index of SQLite that contradicts its table ends in."""


def open_writer(path: Path) -> tuple[apsw.Connection, bool]:
    """Open the index for writing; make it when there is none, or none that can be used.

    Returns:
        The connection, and whether it is new and empty.

    Raises:
        IndexUnusable: The file cannot be made.
    """
    for attempt in (1, 2):
        try:
            return _open(path)
        except DAMAGE as error:
            if attempt == 2:
                raise IndexUnusable(
                    f"cannot open the index {path}: {error}",
                    hint="the daemon's user must be able to write it",
                ) from error
            logger.warning(
                "the index is not usable and is built anew: %s", error, extra={"action": "index_discarded"}
            )
            remove(path)
        except (apsw.Error, OSError) as error:
            raise IndexUnusable(
                f"cannot open the index {path}: {error}",
                hint="free space on the disk, and let the daemon's user write there",
            ) from error
    raise AssertionError("unreachable")


def open_reader(path: Path) -> apsw.Connection:
    """Open the index for reading; it must be there."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(BUSY)
    for pragma in (f"cache_size = -{READ_CACHE}", "query_only = 1", "temp_store = 2", "trusted_schema = 0"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    return db


def remove(path: Path) -> None:
    """Remove the index with its log.

    Raises:
        IndexUnusable: That is not possible.
    """
    for suffix in ("", "-wal", "-shm"):
        try:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise IndexUnusable(
                f"cannot remove the damaged index: {error}",
                hint="the daemon's user must be able to write in its folder",
            ) from error


def size_of(path: Path) -> int:
    """Return the bytes that the index and its log take on the disk."""
    total = 0
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            total += path.with_name(path.name + suffix).stat().st_size
    return total


def log_size_of(path: Path) -> int:
    """Return the bytes that the log of the index takes."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _open(path: Path) -> tuple[apsw.Connection, bool]:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)  # SQLite gives the log the same mode
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(BUSY)
        new = not db.execute("PRAGMA page_count").get
        if new:
            db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            db.execute("PRAGMA auto_vacuum = incremental")
        for pragma in (
            "journal_mode = wal",
            "synchronous = 1",  # NORMAL: a power cut may take the newest batches, which come again
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {WAL_KEPT}",
            f"cache_size = -{WRITE_CACHE}",
            "temp_store = 2",
            "trusted_schema = 0",
            "secure_delete = FAST",  # what is freed on pages that are written anyway
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
        if new:
            db.execute(
                f"BEGIN IMMEDIATE; {read(__package__, 'schema.sql')};"
                f"INSERT INTO meta VALUES ('schema', {SCHEMA}), ('taken', 0); COMMIT"
            )
            return db, True
        if (version := db.execute("SELECT value FROM meta WHERE key = 'schema'").get) != SCHEMA:
            raise apsw.CorruptError(f"it has version {version}, this eventd uses {SCHEMA}")
    except BaseException:
        db.close()
        raise
    return db, False
