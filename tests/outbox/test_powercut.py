"""G1: what was acknowledged survives a power cut. With its mutation check: without the fsync it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd.outbox import connection
from eventd.outbox.files import Files
from eventd.outbox.salvage import open_or_salvage
from eventd.outbox.settings import Tuning
from outbox.support import SETTINGS, TUNING, number_of, opened, register, row, settle, store_rows
from outbox.vfs import PowerCut

GROUPS = 40
SETTLED = 30


@pytest.fixture
def power() -> Iterator[PowerCut]:
    vfs = PowerCut()
    yield vfs
    vfs.unregister()


def accept_until_the_power_is_cut(path: Path, power: PowerCut) -> set[int]:
    """Commit groups, settling some, then cut the power; return the events that were acknowledged."""
    store = open_or_salvage(Files(path), SETTINGS, Tuning(wal_max=TUNING.wal_max, vfs=power.name))
    register(store)
    acked = set()
    for group in range(GROUPS):
        numbers = range(group * 10, group * 10 + 10)
        assert store_rows(store, [row(number) for number in numbers]) == [None]
        acked |= set(numbers)
        if group == GROUPS // 2:
            settle(store, SETTLED)
            store.checkpoint()
    power.cut()
    store.close()
    return acked


def survivors(path: Path) -> tuple[set[int], int]:
    """Open what is on the disk; return the events that are there, and how many are reported as lost."""
    with opened(path) as store:
        held = {number_of(body) for (body,) in store.db.execute("SELECT body FROM rows")}
        return held, store.totals.lost_events


def test_acknowledged_events_survive_a_power_cut(short_tmp: Path, power: PowerCut) -> None:
    """A commit returns only after the log is synced, so nothing that was acknowledged is in memory only."""
    path = short_tmp / "outbox.db"
    acked = accept_until_the_power_is_cut(path, power)
    assert survivors(path) == (acked, 0)


def test_without_the_fsync_they_do_not(
    short_tmp: Path, power: PowerCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutation: the test above is able to fail. And the mark then notices what is missing."""
    monkeypatch.setitem(connection.PRAGMAS, "synchronous", 0)
    path = short_tmp / "outbox.db"
    acked = accept_until_the_power_is_cut(path, power)
    monkeypatch.undo()
    held, lost = survivors(path)
    assert held < acked
    assert lost == len(acked - held) - SETTLED
