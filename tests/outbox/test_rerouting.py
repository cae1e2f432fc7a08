"""A backlog moves to other routes: each row once, at the tail, over crashes and damage."""

from pathlib import Path

import pytest

from eventd.outbox import feeding, rerouting
from eventd.outbox.outbox import Outbox
from eventd.outbox.rerouting import Target
from eventd.outbox.store import Store

from .support import ALL, event_id, msg_id, opened, pending, row, rows, settle, store_rows

NEW = Target(2, "q.main.t")


def move(store: Store, route: int = 1, target: Target = NEW) -> rerouting.Step:
    store.begin()
    step = rerouting.reroute(store, route, lambda _agent, _subject: target)
    store.commit()
    return step


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def register(store: Store) -> None:
    store.begin()
    store.register_route("old", "S", "p")
    store.register_route("new", "T", "q")
    store.commit()


def test_pending_rows_move_in_their_order(path: Path) -> None:
    """Behind what waits there already; what was settled stays."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 5), [row(6, route=2)])
        settle(store, 2, stream_seq=1)
        assert move(store) == (3, None)
        assert pending(store, 1) == []
        assert [(r.seq, r.msg_id, r.subject) for r in pending(store, 2)] == [
            (6, msg_id(6), "p.main.t"),
            *((number + 4, msg_id(number), "q.main.t") for number in (3, 4, 5)),
        ]
        assert move(store) == (0, None)
        stats = {state.stats.number: state.stats for state in store.routes()}
        assert (stats[1].pending_rows, stats[1].pending_bytes, stats[1].retained_rows) == (0, 0, 2)
        assert stats[2].pending_rows == 4
    with opened(path) as store:
        assert [r.seq for r in pending(store, 2)] == [6, 7, 8, 9]
        assert store.totals.lost_events == 0


def test_a_repeat_is_known_afterwards(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 3))
        move(store)
        assert store_rows(store, [row(2, route=2)]) == [None]
        assert len(pending(store, 2)) == 3
        [conflict] = store_rows(store, [row(2, route=2, digest=99)])
        assert conflict is not None
        assert conflict.code == "id_conflict"


def test_the_index_is_told_that_they_come_again(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 2))
        assert [r.again for r in feeding.accepted(store, 0, ALL, ALL).rows] == [False, False]
        move(store)
        again = feeding.accepted(store, 2, ALL, ALL).rows
        assert [(r.seq, r.event_id, r.again) for r in again] == [
            (3, event_id(1), True),
            (4, event_id(2), True),
        ]


def test_a_damaged_row_is_not_moved(path: Path) -> None:
    """Those before it are; it is named, to be buried."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 3))
        store.begin()
        store.db.execute("UPDATE rows SET body = x'00' WHERE seq = 2")
        store.commit()
        assert move(store) == (1, 2)
        assert move(store) == (0, 2)
        assert [r.msg_id for r in pending(store, 2)] == [msg_id(1)]


@pytest.mark.anyio
async def test_all_of_it_step_by_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerouting, "STEP_ROWS", 7)
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 100))
        store.begin()
        store.db.execute("UPDATE rows SET body = x'00' WHERE seq IN (1, 50)")
        store.commit()
    async with Outbox.open(path) as outbox:
        woken = outbox.watch(2)
        assert await outbox.reroute(1, lambda _agent, _subject: NEW) == 98
        assert woken.is_set()
        found = await outbox.pending(2, after=0, limit=ALL, max_bytes=ALL)
        expected = [msg_id(number) for number in range(1, 101) if number not in (1, 50)]
        assert [row.msg_id for row in found] == expected
        assert outbox.stats.lost_events == 2
