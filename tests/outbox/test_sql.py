"""The SQL files and the statements made of them."""

from pathlib import Path

import apsw
import pytest

from eventd.outbox import checks, sql
from outbox.support import ALL, event_id, opened, pending, register, rows, store_rows


def test_queries_are_split_by_name() -> None:
    """Comments say why, and do not reach SQLite."""
    text = "-- a file\n-- name: one\n-- why\nSELECT 1\n\n-- name: two\nSELECT 2\nFROM x;\n"
    assert sql.parse(text) == {"one": "SELECT 1", "two": "SELECT 2\nFROM x"}


def test_every_query_fits_the_schema(short_tmp: Path) -> None:
    """A statement that nobody runs in a test is at least understood by SQLite."""
    with opened(short_tmp / "outbox.db") as store:
        store.db.execute("CREATE TEMP TABLE seen_rows (seq, route); CREATE TEMP TABLE seen_dead (number)")
        for query in sql.QUERIES.values():
            store.db.execute(
                f"EXPLAIN {query}", [None] * query.count("?")
            ).close() if ":" not in query else None


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 700])
def test_many_rows_go_in_few_statements(short_tmp: Path, count: int) -> None:
    """Any number of rows is stored whole and in order."""
    with opened(short_tmp / "outbox.db") as store:
        register(store)
        assert store_rows(store, rows(1, count)) == [None]
        assert [row.seq for row in pending(store)] == list(range(1, count + 1))
    assert count < ALL


def test_only_an_insert_of_values_can_be_repeated() -> None:
    """Anything else would be changed in meaning."""
    with pytest.raises(ValueError, match="SELECT 1"):
        sql.insert_many(apsw.Connection(""), "SELECT 1", 1, [1, 2])


def test_ledger_keys_of_different_ids_differ() -> None:
    """A UUID keeps its bytes, so that new ones are the greatest; others are hashed, to another length."""
    uuid = event_id(5)
    keys = [checks.ledger_key(name) for name in (uuid, uuid.upper(), "{" + uuid + "}", "x", "", "ü" * 36)]
    assert len(set(keys)) == len(keys)
    assert [len(key) for key in keys] == [16, 17, 17, 17, 17, 17]
    assert keys[0].hex() == uuid.replace("-", "")
    assert checks.ledger_key(event_id(6)) > keys[0]


@pytest.mark.parametrize("digest", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -1, -(1 << 63)])
def test_digests_fit_sqlite_whatever_their_sign(digest: int) -> None:
    """64 bits are 64 bits."""
    folded = checks.signed(digest)
    assert -(1 << 63) <= folded < 1 << 63
    assert (folded - digest) % (1 << 64) == 0
