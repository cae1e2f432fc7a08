"""The SQL files and the statements made of them."""

from pathlib import Path
from zlib import crc32

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd import sql as shared
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


@pytest.mark.parametrize("count", [1, 2, 511, 512, 513, 1400])
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


_UUID = event_id(5)
_LOOKALIKES = [
    _UUID.upper(),
    _UUID[:-1] + "g",
    _UUID.replace("-", "0", 1),
    _UUID[:9] + "-" + _UUID[10:],
    " " + _UUID[1:],
    _UUID[:-1],
    _UUID + "0",
    "ü" * 36,
    "",
]


_ids = st.one_of(st.integers(0, 9).map(event_id), st.sampled_from(_LOOKALIKES), st.text(max_size=4))


@given(st.lists(_ids))
def test_many_ledger_keys_are_those_of_each_id(event_ids: list[str]) -> None:
    """Found together or one by one: the same keys."""
    assert checks.ledger_keys(event_ids) == [checks.ledger_key(name) for name in event_ids]


def test_ids_that_only_together_look_like_uuids_are_not_taken_for_such() -> None:
    """One character from the one's end to the other's beginning: the text of both is the same."""
    one, other = event_id(1), event_id(2)
    shifted = [one + other[0], other[1:]]
    assert checks.ledger_keys(shifted) == [checks.ledger_key(name) for name in shifted]


@pytest.mark.parametrize("flags", [0, checks.NEVER_EXPIRES, checks.XXH3, checks.XXH3 | checks.NEVER_EXPIRES])
def test_a_checksum_covers_every_column(flags: int) -> None:
    """Of both kinds: the one of this version, and the one of rows that older versions wrote."""
    columns = (7, 1, 4, b"main:x", b"p.main.t", flags, 1_764_000_000_000)
    crc = checks.row_crc(*columns, b"{}")
    assert 0 <= crc < 1 << 63
    record = (*columns, crc, b"{}")
    assert checks.row_is_sound(record)
    for index, other in enumerate((8, 2, 5, b"main:y", b"p.main.u", flags ^ 1, 0, crc ^ 1, b"[]")):
        assert not checks.row_is_sound((*record[:index], other, *record[index + 1 :])), index
    assert not checks.row_is_sound((*record[:5], flags ^ checks.XXH3, *record[6:]))


def test_the_checksums_of_older_versions_stay_what_they_were() -> None:
    """Rows that are on disk were written with these."""
    columns = (7, 1, 4, b"main:x", b"p.main.t", 0, 1_764_000_000_000)
    assert checks.row_crc(*columns, b"{}") == crc32(b"7 1 4 0 1764000000000 main:x p.main.t {}")


@pytest.mark.parametrize("name", ["append_ledger", "append_rows"])
def test_many_rows_fit_a_statement_that_apsw_keeps(name: str) -> None:
    """Parsing a longer one again and again would halve the speed, and nobody would see why."""
    assert shared._statements(sql.QUERIES[name])[0][0] == max(shared._CHUNKS)


def test_a_statement_that_apsw_would_not_keep_takes_fewer_rows() -> None:
    """Rows with many columns go in more statements."""
    wide = "INSERT INTO x VALUES (" + 19 * "?, " + "?)"
    statements = shared._statements(wide)
    assert all(len(text) <= shared._CACHED_TEXT for _, text in statements)
    assert statements[0][0] == 256
    assert statements[-1] == (1, wide)
