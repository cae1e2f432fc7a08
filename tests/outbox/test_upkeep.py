"""Chores: pruning, forgetting, giving back room."""

import os
from pathlib import Path

import pytest

from eventd.outbox import deadletters, mark, settling, upkeep
from eventd.outbox.appending import append
from eventd.outbox.checks import seal
from eventd.outbox.files import Files
from eventd.outbox.mark import MarkFile
from eventd.outbox.model import Death, Run, Settlement, Submission
from eventd.outbox.settings import OutboxSettings
from eventd.outbox.store import MARK_EVERY, Store, now_ms
from eventd.outbox.upkeep import LEDGER_LEAST, Chore, Prune, Sweep, Trim
from outbox.support import ALL, KIB, opened, pending, register, row, rows, settle, store_rows


@pytest.fixture
def path(short_tmp: Path) -> Path:
    return short_tmp / "outbox.db"


def finish(chore: Chore, store: Store) -> int:
    """Run a chore to its end; return how many steps had more behind them."""
    steps = 0
    while chore.step(store):
        steps += 1
    return steps


def test_settled_rows_stay_for_a_while(path: Path) -> None:
    """Within `retain` they can still be sent again; after it they go, run by run, in small steps."""
    with opened(path, OutboxSettings(retain=3600, min_free=0)) as store:
        register(store)
        for first in range(0, 3000, 500):
            store_rows(store, rows(first, first + 499))
            settle(store, first + 500, stream_seq=first * 2 + 1)
        store_rows(store, [row(9999)])
        assert finish(Prune(), store) == 0
        assert len(settling.runs(store, 1)) == 6
        store.settings = OutboxSettings(retain=0, min_free=0)
        assert finish(Prune(), store) == 3
        assert settling.runs(store, 1) == []
        assert [found.seq for found in pending(store)] == [3001]
        assert store.route(1).stats.retained_since is None


def test_retained_bytes_are_bounded_oldest_first(path: Path) -> None:
    """The oldest settled run of any route goes first."""
    with opened(path) as store:
        register(store)
        register(store, "other", "S2", "p.other")
        for number, route in enumerate((1, 2, 1, 2)):
            store_rows(store, [row(number, route=route, size=10 * KIB)])
            settle(store, number + 1, route=route, stream_seq=number * 5 + 1)
            store.run("put_run", _backdated(store, route, number))
        store.settings = OutboxSettings(retain_bytes=25 * KIB, min_free=0)
        finish(Prune(), store)
        assert [len(settling.runs(store, route)) for route in (1, 2)] == [1, 1]
        assert settling.runs(store, 1)[0].first == 3


def _backdated(store: Store, route: int, number: int) -> tuple[int, ...]:
    """The newest run as if it had been settled `number` seconds after the first one."""
    run = settling.RunRecord(*(store.first("newest_run", (route,)) or ())[:-1])
    run = run._replace(settled_at=now_ms() - 100_000 + number * 1000)
    return (*run, seal("runs", *run))


def test_retained_rows_give_way_to_pending_ones(path: Path) -> None:
    """Together they stay below `max_bytes`."""
    with opened(path, OutboxSettings(max_bytes=60 * KIB, min_free=0)) as store:
        register(store)
        store_rows(store, rows(0, 3, size=10 * KIB))
        settle(store, 4)
        assert finish(Prune(), store) == 0
        store_rows(store, rows(4, 7, size=10 * KIB))
        assert finish(Prune(), store) == 1
        assert store.totals.retained_bytes == 0
        assert len(pending(store)) == 4


def test_numbers_go_on_after_everything_is_gone(path: Path) -> None:
    """The counter is kept although no row bears it any more, also through kill -9 and without the mark."""
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        store_rows(store, rows(1, 7))
        settle(store, 7)
        finish(Prune(), store)
    Files(path).mark.unlink()
    with opened(path) as store:
        assert store.last_seq == 7
        store_rows(store, [row(8)])
        assert pending(store)[0].seq == 8


@pytest.mark.parametrize("deed", ["prune", "retry", "drop"])
def test_the_mark_is_on_disk_before_rows_go(path: Path, deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut and damage, a row that is gone can still be told from one that is lost."""
    synced: list[bytes] = []
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        store_rows(store, rows(1, 7))
        monkeypatch.setattr(mark, "sync_file", lambda fd: synced.append(os.pread(fd, 1 << 20, 0)))
        with store.transaction():
            settling.settle(store, Settlement(1, 7, (Run(1, 6, 6, 1),), (Death(7, "bad", 0),)))
        with store.transaction():
            if deed == "retry":
                deadletters.retry(store, [7])
            elif deed == "drop":
                deadletters.drop(store, [7])
        if deed == "prune":
            finish(Prune(), store)
    lasting = path.with_name("lasting")
    lasting.write_bytes(synced[0])
    known = MarkFile.open(lasting)
    assert known.found is not None
    assert (known.found.settled, known.found.dead) == ({1: (0, 7)}, 1)
    known.close()


def test_the_ledger_is_bounded_in_ids(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest ids go, in small steps; those of rows that are still here stay for as long as they are."""
    monkeypatch.setattr(upkeep, "SWEEP_IDS", 16)
    with opened(path, OutboxSettings(retain=0, ledger_ids=5, min_free=0)) as store:
        register(store)
        _accept(store, 1, 95, at=now_ms() - 3 * LEDGER_LEAST)
        _accept(store, 96, 100, at=now_ms() - 2 * LEDGER_LEAST)
        deaths = (Death(3, "bad", 0),)
        with store.transaction():
            settling.settle(store, Settlement(1, 90, (Run(4, 90, 87, 1),), deaths))
        finish(Prune(), store)
        assert finish(Sweep(), store) >= 5
        assert store.totals.ledger_ids == store.value("ledger_ids") == 11
        known = {seq for (seq,) in store.db.execute("SELECT seq FROM ledger")}
        assert known == {3, *range(91, 101)}
        assert store_rows(store, [row(50)]) == [None]
        assert len(pending(store)) == 11, "a forgotten id is a new event"
        assert len(deadletters.listing(store, 0, ALL).letters) == 1


def test_what_is_young_is_never_forgotten_by_count(path: Path) -> None:
    """At full rate `ledger_ids` are seconds; a client may send again for longer than that."""
    with opened(path, OutboxSettings(retain=0, ledger_ids=5, min_free=0)) as store:
        register(store)
        _accept(store, 1, 50, at=now_ms() - 3 * LEDGER_LEAST)
        _accept(store, 51, 60, at=now_ms() - LEDGER_LEAST - MARK_EVERY)
        _accept(store, 61, 100, at=now_ms() - LEDGER_LEAST // 2)
        settle(store, 100)
        finish(Prune(), store)
        finish(Sweep(), store)
        known = [seq for (seq,) in store.db.execute("SELECT seq FROM ledger ORDER BY seq")]
        assert known == list(range(51, 101))


def test_a_clock_that_was_set_back_does_not_stop_the_forgetting(path: Path) -> None:
    """The ledger's age is marked again at once, though the newest mark is from the future."""
    with opened(path) as store:
        register(store)
        _accept(store, 1, 10, at=now_ms() + 1000 * MARK_EVERY)
    with opened(path, OutboxSettings(retain=0, ledger_ids=5, min_free=0)) as store:
        _accept(store, 11, 20, at=now_ms() - 2 * LEDGER_LEAST)
        _accept(store, 21, 22, at=now_ms() - LEDGER_LEAST - MARK_EVERY)
        settle(store, 22)
        finish(Prune(), store)
        finish(Sweep(), store)
        known = [seq for (seq,) in store.db.execute("SELECT seq FROM ledger ORDER BY seq")]
        assert known == [18, 19, 20, 21, 22]


def _accept(store: Store, first: int, last: int, *, at: int) -> None:
    """Store events first..last at a time of the test's choice."""
    store.begin()
    append(store, [Submission(rows(first, last))], at)
    store.commit()


def test_the_ledger_is_bounded_in_time(path: Path) -> None:
    """Marks turn an age into a number: what was accepted before the mark is at least that old."""
    start = now_ms() - 10 * MARK_EVERY
    settings = OutboxSettings(retain=0, ledger_age=3.5 * MARK_EVERY / 1000, min_free=0)
    with opened(path, settings) as store:
        register(store)
        for step in range(10):
            store.begin()
            append(store, [Submission([row(step)])], start + step * MARK_EVERY)
            store.commit()
        settle(store, 10)
        finish(Prune(), store)
        sweep = Sweep()
        finish(sweep, store)
        known = [seq for (seq,) in store.db.execute("SELECT seq FROM ledger ORDER BY seq")]
        assert known == [7, 8, 9, 10]
        assert store.db.execute("SELECT count(*) FROM marks").get == 4
        assert finish(sweep, store) == 0, "nothing to do until more may go"


def test_free_pages_go_back_to_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage the file shrinks again, step by step; some room is kept for what comes next."""
    monkeypatch.setattr(upkeep, "TRIM_ABOVE", 100)
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        store_rows(store, rows(0, 999, size=8 * KIB))
        settle(store, 1000)
        store.checkpoint()
        before = path.stat().st_size
        finish(Prune(), store)
        assert store.room() > before // 2
        trim = Trim()
        assert finish(trim, store) > 3
        store.checkpoint(truncate=True)
        assert path.stat().st_size < before // 5
        trim.eager = True
        finish(trim, store)
        assert store.db.execute("PRAGMA freelist_count").get == 0
