"""A loss may be overstated, never kept quiet: dead letters, of which the file alone does not tell enough."""

import json
from pathlib import Path

import pytest

from eventd.outbox import deadletters, settling
from eventd.outbox.files import Files
from eventd.outbox.model import Death, Settlement
from eventd.outbox.salvage import REPORT
from eventd.outbox.store import Store
from outbox.support import ALL, opened, pending, register, row, settle, store_rows


def die(store: Store, number: int) -> None:
    """Settle the one pending row as a dead letter."""
    with store.transaction():
        settling.settle(store, Settlement(1, number, (), (Death(number, "too large", 0),)))


def dead_numbers(store: Store) -> list[int]:
    return deadletters.numbers(store, 0, ALL)


@pytest.mark.parametrize("deed", ["drop", "retry"])
def test_a_removed_dead_letter_does_not_hide_a_lost_one(deed: str, short_tmp: Path) -> None:
    """Without its log the file still has the letter that is no more, and lacks the one that came after."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
        die(store, 1)
        store.checkpoint(truncate=True)
        with store.transaction():
            if deed == "drop":
                deadletters.drop(store, [1])
            else:
                deadletters.retry(store, [1])
        if deed == "retry":
            settle(store, 2)
        store_rows(store, [row(3)])
        die(store, store.last_seq)
    files.wal.write_bytes(b"")
    with opened(files.db) as store:
        assert dead_numbers(store) == []
        assert store.totals.lost_events == 1


def test_a_retried_dead_letter_whose_row_is_lost_comes_back(short_tmp: Path) -> None:
    """Then it is the only copy of the event."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1), row(2)])
        with store.transaction():
            deaths = (Death(1, "too large", 0), Death(2, "too large", 0))
            settling.settle(store, Settlement(1, 2, (), deaths))
        store.checkpoint(truncate=True)
        with store.transaction():
            deadletters.retry(store, [1])
    files.wal.write_bytes(b"")
    for _ in range(2):
        with opened(files.db) as store:
            assert dead_numbers(store) == [1, 2]
            assert pending(store) == []
            assert store.totals.lost_events == 1, "of the two copies one is lost"
        files.damaged.write_text("again")


def test_a_dead_letter_that_comes_back_does_not_hide_a_lost_one(short_tmp: Path) -> None:
    """It is not one of those that there were at last."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        register(store, "other", "S2", "p.other")
        store_rows(store, [row(1)])
        die(store, 1)
        store.checkpoint(truncate=True)
        with store.transaction():
            deadletters.retry(store, [1])
        store_rows(store, [row(3, route=2)])
        with store.transaction():
            settling.settle(store, Settlement(2, 3, (), (Death(3, "too large", 0),)))
    files.wal.write_bytes(b"")
    with opened(files.db) as store:
        assert dead_numbers(store) == [1]
        (report,) = files.quarantine.glob(f"*/{REPORT}")
        assert json.loads(report.read_text())["lost"]["dead_letters"] == {"numbers": [], "others": 1}
        assert store.totals.lost_events >= 2, "row 2 and dead letter 3"


def test_removals_that_nobody_remembers_overstate_the_loss(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark lists the newest removals only. What may be an older one cannot be accounted for."""
    monkeypatch.setattr("eventd.outbox.store.REMOVED_MAX", 1)
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1), row(2), row(3)])
        with store.transaction():
            deaths = tuple(Death(number, "too large", 0) for number in (1, 2, 3))
            settling.settle(store, Settlement(1, 3, (), deaths))
        store.checkpoint(truncate=True)
        with store.transaction():
            deadletters.drop(store, [1, 2])
        store_rows(store, [row(4)])
        die(store, 4)
    files.wal.write_bytes(b"")
    with opened(files.db) as store:
        assert dead_numbers(store) == [1, 3]
        assert store.totals.lost_events == 2
    files.damaged.write_text("damaged")
    with opened(files.db) as store:
        assert store.totals.lost_events == 2, (
            "reported once; the letters that are here are the known ones now"
        )


def test_removals_are_remembered_over_a_restart(short_tmp: Path) -> None:
    """The file itself does not tell which dead letters there were."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1), row(2)])
        with store.transaction():
            deaths = (Death(1, "too large", 0), Death(2, "too large", 0))
            settling.settle(store, Settlement(1, 2, (), deaths))
        store.checkpoint(truncate=True)
        with store.transaction():
            deadletters.drop(store, [1])
    with opened(files.db) as store:
        store_rows(store, [row(3)])
    files.wal.write_bytes(b"")
    with opened(files.db) as store:
        assert dead_numbers(store) == [2]
        assert store.totals.lost_events == 1
