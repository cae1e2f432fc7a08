"""Opening the database: settings that hold, upgrades, and what is refused instead of salvaged."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from eventd.errors import OutboxError
from eventd.outbox import checks, connection
from eventd.outbox.connection import DamagedOutbox, open_database, schema_crc, set_fact
from eventd.outbox.files import Files
from eventd.outbox.sql import migrations
from outbox.support import TUNING, opened, pending, register, row, rows, settle, store_rows


@pytest.fixture
def files(short_tmp: Path) -> Files:
    return Files(short_tmp / "outbox.db")


def test_every_setting_holds(files: Files) -> None:
    """Durability is a matter of pragmas, so they are read back from the open file."""
    with opened(files.db) as store:
        for name, value in connection.PRAGMAS.items():
            assert store.db.execute(f"PRAGMA {name}").get == value
        assert store.db.execute("PRAGMA journal_mode").get == "wal"
        assert store.db.execute("PRAGMA synchronous").get == 2
        assert store.db.execute("PRAGMA auto_vacuum").get == 2


def test_a_setting_that_does_not_hold_is_noticed(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds of SQLite differ: what is set and not honoured must not go unseen."""
    monkeypatch.setitem(connection.PRAGMAS, "synchronous", 7)
    with pytest.raises(DamagedOutbox, match="synchronous"):
        open_database(files, TUNING)


def test_version_1_is_upgraded(files: Files) -> None:
    """Rows, watermark and route survive; the file then is exactly what a new one would be.

    What its digests mean is not known any more: a repeat of the same event is no conflict.
    """
    with opened(files.db) as store:
        register(store)
        store_rows(store, rows(1, 5))
        settle(store, 2)
        new_schema = schema_crc(store.db)
        content = {
            table: store.db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names from here
            for table in ("routes", "rows", "runs", "agents", "ledger", "marks")
        }
    content["rows"] = [_as_it_was(record) for record in content["rows"]]
    for path in (*files.set, files.mark):
        path.unlink(missing_ok=True)

    old = apsw.Connection(str(files.db))
    old.execute(f"PRAGMA page_size = {connection.PAGE_SIZE}; PRAGMA auto_vacuum = incremental; BEGIN")
    old.execute(Path(__file__).with_name("schema_1.sql").read_text())
    for table, records in content.items():
        places = ", ".join("?" * len(records[0]))
        old.executemany(f"INSERT INTO {table} VALUES ({places})", records)  # noqa: S608 - names from here
    set_fact(old, "schema", 1)
    set_fact(old, "schema_sql", schema_crc(old))
    old.execute("COMMIT")
    old.close()

    with opened(files.db) as store:
        assert [found.seq for found in pending(store)] == [3, 4, 5]
        assert store.route(1).settled == 2
        assert schema_crc(store.db) == new_schema
        assert connection.facts(store.db)["schema"] == connection.SCHEMA
        assert store_rows(store, [row(6)], [row(1)], [row(2, digest=99)]) == [None, None, None]
        assert (store.totals.accepted, store.totals.repeated) == (1, 2)
        (refusal,) = store_rows(store, [row(6, digest=99)])
        assert refusal is not None
        assert refusal.code == "id_conflict"
    assert not files.quarantine.exists()


def _as_it_was(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a record of `rows` with the checksum that versions before 3 wrote."""
    seq, route, owner, msg_id, subject, flags, at, _, body = record
    columns = (seq, route, owner, msg_id, subject, flags & ~checks.XXH3, at)
    return (*columns, checks.row_crc(*columns, body), body)


def test_there_is_a_script_for_every_version() -> None:
    """Any older file can be brought here, step by step."""
    assert sorted(migrations()) == list(range(2, connection.SCHEMA + 1))


def test_a_newer_schema_is_refused_and_left_alone(files: Files) -> None:
    """It is not damage: the newer eventd must find its outbox as it was."""
    with opened(files.db) as store, store.transaction():
        set_fact(store.db, "schema", connection.SCHEMA + 1)
    with pytest.raises(OutboxError, match="knows up to") as caught, opened(files.db):
        pass
    assert not isinstance(caught.value, DamagedOutbox)
    assert caught.value.hint
    assert not files.quarantine.exists()


@pytest.mark.parametrize("query", ["BEGIN; SELECT * FROM routes", "SELECT * FROM routes"])
def test_a_file_that_somebody_else_has_open_is_not_salvaged(files: Files, query: str) -> None:
    """A forgotten sqlite3 shell, busy or idle, is no reason to move the outbox away."""
    with opened(files.db) as store:
        register(store)
    other = apsw.Connection(str(files.db))
    assert other.execute(query).fetchall()
    try:
        with pytest.raises(OutboxError, match="another program"), opened(files.db):
            pass
    finally:
        other.close()
    assert not files.quarantine.exists()
    with opened(files.db) as store:
        assert len(store.routes()) == 1


def test_a_folder_that_cannot_be_written_is_named(short_tmp: Path) -> None:
    """The message says which file, the hint what to do."""
    (short_tmp / "outbox.db").mkdir()
    with pytest.raises(OutboxError, match=r"outbox\.db") as caught, opened(short_tmp / "outbox.db"):
        pass
    assert caught.value.hint


def test_nobody_else_can_read_along(files: Files) -> None:
    """A reader would keep the log from being checkpointed, without bound."""
    with opened(files.db) as store:
        register(store)
        other = apsw.Connection(str(files.db))
        with pytest.raises(apsw.BusyError):
            other.execute("SELECT * FROM routes").fetchall()
        other.close()


def test_a_foreign_schema_counts_as_damage(files: Files) -> None:
    """Somebody's ALTER TABLE, or a bit in the schema: the statements would not mean what they say."""
    with opened(files.db) as store:
        store.db.execute("CREATE INDEX more ON rows (at)")
    with pytest.raises(DamagedOutbox, match="schema"):
        open_database(files, TUNING)
