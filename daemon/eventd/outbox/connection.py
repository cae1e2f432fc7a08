"""Opens the database file: pragmas set and read back, integrity checked, schema brought up to date."""

import contextlib
import logging
import os
from collections.abc import Iterator
from zlib import crc32

import apsw

from ..errors import DiskFailure, OutboxError
from .checks import seal
from .files import Files
from .settings import Tuning
from .sql import QUERIES, migrations, read

logger = logging.getLogger(__name__)

SCHEMA = 4
"""Schema version that this code reads and writes."""

PAGE_SIZE = 4096  # bytes; also what salvage reads by, so it never changes

PRAGMAS: dict[str, int | str] = {
    # Exclusive: no other program can read, so none can keep the log from being checkpointed; and the
    # log's index lives in memory instead of an -shm file, which a full disk could refuse to grow.
    "locking_mode": "exclusive",
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a commit returns after the log is synced
    "fullfsync": 1,  # macOS: through the drive's cache as well
    "checkpoint_fullfsync": 1,
    "wal_autocheckpoint": 0,  # we checkpoint, see Store.checkpoint
    "temp_store": 2,  # memory
    "cache_size": -16_000,  # KiB, as a negative number
    "cell_size_check": 1,
    "trusted_schema": 0,
}
"""Every pragma is read back after it is set: builds of SQLite differ in what they honour."""

# ReadOnly: that the file can be written is checked before, so it is the header that says otherwise.
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError, UnicodeDecodeError)
_DAMAGE_IO = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS})


class DamagedOutbox(OutboxError):
    """The outbox file is not what was written; it goes to the quarantine and what can be read is salvaged."""


def extended_code(error: BaseException) -> int:
    """Return SQLite's extended result code of an error, 0 if it has none."""
    return int(getattr(error, "extendedresult", 0))


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file's content is wrong (and not, say, the disk or the code)."""
    if isinstance(error, apsw.IOError):
        return extended_code(error) in _DAMAGE_IO
    return isinstance(error, _DAMAGE)


@contextlib.contextmanager
def opening(files: Files) -> Iterator[None]:
    """Turn SQLite's errors while opening into ours.

    At this point even "no such table" means damage: the statements are known to fit the schema.
    """
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise OutboxError(
            f"another program has {files.db} open", hint="close it (sqlite3, a backup tool?) and start again"
        ) from error
    except (apsw.CantOpenError, apsw.PermissionsError) as error:
        raise OutboxError(
            f"cannot open {files.db}: {error}", hint="the daemon's user must be able to write it"
        ) from error
    except apsw.FullError as error:
        raise OutboxError(f"no room on the disk to open {files.db}", hint="free some space") from error
    except apsw.IOError as error:
        if is_damage(error):
            raise DamagedOutbox(f"{files.db}: {error}") from error
        raise DiskFailure(f"cannot read {files.db}: {error}") from error
    except (*_DAMAGE, apsw.SQLError) as error:
        raise DamagedOutbox(f"{files.db}: {error}") from error


def open_database(files: Files, tuning: Tuning) -> apsw.Connection:
    """Open the database at `files.db`; make it when there is none.

    Raises:
        DamagedOutbox: The file must be salvaged.
        OutboxError: It cannot be opened, or a newer eventd wrote it.
        DiskFailure: The disk does not answer.
    """
    with contextlib.suppress(FileNotFoundError):
        if files.wal.stat().st_size and not (files.db.exists() and files.db.stat().st_size):
            raise DamagedOutbox(f"{files.db} is gone, its log is not")  # SQLite would delete the log
    try:
        os.close(os.open(files.db, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        files.db.chmod(0o600)  # SQLite gives the log the same mode
    except OSError as error:
        raise OutboxError(
            f"cannot open {files.db}: {error.strerror}", hint="the daemon's user must be able to write it"
        ) from error
    with opening(files):
        db = apsw.Connection(str(files.db), vfs=tuning.vfs or None)
        try:
            _configure(db, tuning)
            _check_integrity(db)
            _upgrade(db)
            db.execute("PRAGMA secure_delete = FAST").fetchall()  # what is freed on pages written anyway
        except BaseException:
            db.close()
            raise
    return db


def facts(db: apsw.Connection) -> dict[str, int]:
    """Read the facts about the file.

    Raises:
        DamagedOutbox: One of them fails its checksum.
    """
    found: dict[str, int] = {}
    for key, value, crc in db.execute(QUERIES["facts"]):
        if crc != seal("meta", key, value):
            raise DamagedOutbox(f"fact {key!r} fails its checksum")
        found[key] = value
    return found


def set_fact(db: apsw.Connection, key: str, value: int) -> None:
    """Write one fact; inside the caller's transaction."""
    db.execute(QUERIES["set_fact"], (key, value, seal("meta", key, value)))


def _configure(db: apsw.Connection, tuning: Tuning) -> None:
    # Closing must not checkpoint by itself: after a failed sync nothing may be written any more.
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.execute("PRAGMA locking_mode = exclusive")  # before the file is touched: then there is no -shm at all
    if not db.execute("PRAGMA page_count").get:  # on an old file these would write, and a full disk refuse it
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        db.execute("PRAGMA auto_vacuum = incremental")
    for name, value in {**PRAGMAS, "journal_size_limit": tuning.wal_max}.items():
        db.execute(f"PRAGMA {name} = {value}").fetchall()
        got = db.execute(f"PRAGMA {name}").get
        if got != value:
            raise DamagedOutbox(f"PRAGMA {name} is {got!r} although it was set to {value!r}")
    db.execute("BEGIN EXCLUSIVE; COMMIT")  # only now the lock is really taken
    if (size := db.execute("PRAGMA page_size").get) != PAGE_SIZE:
        raise DamagedOutbox(f"the page size is {size}")


def _check_integrity(db: apsw.Connection) -> None:
    """Compare rows with their indexes, so that a damaged index cannot hide a row from its shipper.

    About half a second per million rows, at each start.
    """
    verdict = db.execute("PRAGMA integrity_check(1)").get
    if verdict != "ok":
        raise DamagedOutbox(f"integrity check: {verdict}")


def schema_crc(db: apsw.Connection) -> int:
    """Return the checksum of the schema as the file states it."""
    return crc32(db.execute(QUERIES["schema_text"]).get.encode())


def _upgrade(db: apsw.Connection) -> None:
    if not schema_crc(db):
        _in_transaction(db, read("schema.sql"), SCHEMA)
        return
    known = facts(db)
    version = known.get("schema", 0)
    if known.get("schema_sql") != schema_crc(db) or version < 1:
        raise DamagedOutbox("the schema is not the one that was written")
    if version > SCHEMA:
        raise OutboxError(
            f"the outbox has schema {version}, this eventd knows up to {SCHEMA}",
            hint="a newer eventd wrote it: run that version or a newer one",
        )
    scripts = migrations()
    for target in range(version + 1, SCHEMA + 1):
        _in_transaction(db, scripts[target], target)
        logger.info(
            "brought the outbox to schema %d", target, extra={"action": "outbox_upgraded", "schema": target}
        )


def _in_transaction(db: apsw.Connection, script: str, version: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(script).fetchall()  # all of it: a pragma's row would stop it
        set_fact(db, "schema", version)
        set_fact(db, "schema_sql", schema_crc(db))
        db.execute("COMMIT")
    except BaseException:
        if not db.get_autocommit():
            db.execute("ROLLBACK")
        raise
