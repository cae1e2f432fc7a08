"""What the index asks the outbox for: accepted rows in their order, and where they came to stand."""

from pathlib import Path

import anyio
import pytest

from eventd.outbox import feeding, settling
from eventd.outbox.model import Death, NewRow, Run, Settlement, Submission
from eventd.outbox.settings import OutboxSettings
from eventd.outbox.store import Store
from eventd.outbox.upkeep import Prune
from outbox.support import (
    ALL,
    KIB,
    event_id,
    opened,
    outbox_at,
    pending,
    register,
    row,
    rows,
    settle,
    store_rows,
    submit,
)


@pytest.fixture
def path(short_tmp: Path) -> Path:
    return short_tmp / "outbox.db"


def taken_from(store: Store, limit: int = ALL, max_bytes: int = ALL) -> list[feeding.Feed]:
    """Return all pieces from the beginning to the end."""
    pieces = [feeding.accepted(store, 0, limit, max_bytes)]
    while pieces[-1].upto < pieces[-1].last:
        assert len(pieces) < 1000, "it does not go on"
        pieces.append(feeding.accepted(store, pieces[-1].upto, limit, max_bytes))
    return pieces


def seqs(pieces: list[feeding.Feed]) -> list[int]:
    return [row.seq for piece in pieces for row in piece.rows]


def test_rows_of_all_routes_come_in_accept_order(path: Path) -> None:
    """Pending, retained, and with gaps where dead letters were; with everything the index needs."""
    with opened(path) as store:
        register(store)
        register(store, "tim", "S2", "q")
        for number in range(1, 11):
            store_rows(store, [row(number, route=1 + number % 2)])
        with store.transaction():
            settling.settle(store, Settlement(1, 4, (Run(2, 2, 1, 1),), (Death(4, "bad", 0),)))
        [piece] = taken_from(store)
        assert [found.seq for found in piece.rows] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
        assert (piece.upto, piece.last) == (10, 10)
        first = piece.rows[0]
        assert (first.route, first.agent, first.event_id) == (2, "main", event_id(1))
        assert (first.subject, first.body) == ("p.main.t", row(1).body)


@pytest.mark.parametrize("agent", ["a:b", "ümläut", ":", "a"])
def test_an_agent_may_be_called_anything(path: Path, agent: str) -> None:
    """Where the name ends and the id begins is stored, not guessed."""
    with opened(path) as store:
        register(store)
        store_rows(store, [row(1, agent=agent)])
        [found] = feeding.accepted(store, 0, ALL, ALL).rows
        assert (found.agent, found.event_id) == (agent, event_id(1))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 21])
def test_pieces_of_any_size_make_the_whole(path: Path, limit: int) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 20))
        pieces = taken_from(store, limit)
        assert seqs(pieces) == list(range(1, 21))
        assert all(len(piece.rows) <= limit for piece in pieces)


def test_a_piece_is_bounded_in_bytes_and_never_empty(path: Path) -> None:
    """A row that is larger than a piece comes alone."""
    with opened(path) as store:
        register(store)
        store_rows(store, [*rows(1, 4, size=KIB), row(5, size=9 * KIB), *rows(6, 8, size=KIB)])
        pieces = taken_from(store, max_bytes=2 * KIB)
        assert [[found.seq for found in piece.rows] for piece in pieces] == [[1, 2], [3, 4], [5], [6, 7], [8]]


@pytest.mark.parametrize("limit", [1, 2, ALL])
def test_damaged_rows_are_left_out_and_passed(path: Path, limit: int) -> None:
    """At the beginning, in the middle and at the end; nothing waits for them for ever."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 10))
        for seq in (1, 4, 5, 10):
            store.db.execute("UPDATE rows SET body = x'00' WHERE seq = ?", (seq,))
        pieces = taken_from(store, limit)
        assert seqs(pieces) == [2, 3, 6, 7, 8, 9]
        assert pieces[-1].upto == 10


def test_numbers_whose_rows_are_gone_are_passed(path: Path) -> None:
    """What was pruned before the index had it is in the stream, where the index finds it."""
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        store_rows(store, rows(1, 10))
        settle(store, 10)
        while Prune().step(store):
            pass
        assert taken_from(store) == [feeding.Feed([], 10, 10)]
        store_rows(store, rows(11, 12))
        assert seqs(taken_from(store)) == [11, 12]


def test_an_empty_outbox_has_nothing(path: Path) -> None:
    with opened(path) as store:
        assert feeding.accepted(store, 0, ALL, ALL) == feeding.Feed([], 0, 0)


# Where they came to stand


def test_settled_rows_are_told_with_their_places(path: Path) -> None:
    """The runs that reach above what is known, of that route alone."""
    with opened(path) as store:
        register(store)
        register(store, "tim", "S2", "q")
        store_rows(store, rows(1, 4))
        settle(store, 4, stream_seq=11)
        store_rows(store, [row(5, route=2)])
        settle(store, 5, route=2, stream_seq=1)
        store_rows(store, rows(6, 9))
        settle(store, 9, stream_seq=21)
        store_rows(store, [row(10)])
        with store.transaction():
            store.note_stream(1, "S@server 2026-01-01T00:00:00.5Z")
        found = feeding.settled(store, 1, 0)
        assert found == feeding.Settled(
            9, 24, "2026-01-01T00:00:00.5Z", 0, [Run(1, 4, 4, 11), Run(6, 9, 4, 21)]
        )
        assert feeding.settled(store, 1, 4).runs == [Run(6, 9, 4, 21)]
        assert feeding.settled(store, 1, 9).runs == []
        assert feeding.settled(store, 2, 0).runs == [Run(5, 5, 1, 1)]


def test_a_rewind_is_told(path: Path) -> None:
    """And what is above it has no place any more."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 10))
        settle(store, 10)
        with store.transaction():
            settling.rewind(store, 1, 6, 6)
        found = feeding.settled(store, 1, 0)
        assert (found.watermark, found.rewinds, found.runs) == (6, 1, [Run(1, 6, 6, 1)])
        assert seqs(taken_from(store)) == list(range(1, 11))


def test_places_in_a_stream_that_was_left_are_not_told(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 10))
        settle(store, 10)
        with store.transaction():
            settling.leave_stream(store, 1)
        assert (feeding.settled(store, 1, 0).runs, feeding.settled(store, 1, 0).created) == ([], "")


# Pruning waits for the index


def settled_outbox(store: Store, *, size: int = 60) -> None:
    """Four runs of ten rows, all settled."""
    register(store)
    for first in (1, 11, 21, 31):
        store_rows(store, rows(first, first + 9, size=size))
        settle(store, first + 9, stream_seq=first * 2)


def prune(store: Store) -> None:
    chore = Prune()
    while chore.step(store):
        pass


@pytest.mark.parametrize(("taken", "kept"), [(0, 4), (9, 4), (10, 3), (25, 2), (39, 1), (40, 0), (None, 0)])
def test_what_the_index_has_not_taken_is_kept(path: Path, taken: int | None, kept: int) -> None:
    """Whatever its age, to the whole run; where nobody indexes nothing is kept for it."""
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        settled_outbox(store)
        store.taken = taken
        prune(store)
        assert len(settling.runs(store, 1)) == kept


def test_it_is_kept_beyond_the_bytes_that_are_retained(path: Path) -> None:
    """`retainBytes` is about repairs; the room of pending rows is another matter."""
    with opened(path, OutboxSettings(retain_bytes=KIB, min_free=0)) as store:
        settled_outbox(store, size=KIB)
        store.taken = 20
        prune(store)
        assert [run.first for run in settling.runs(store, 1)] == [21, 31]


def test_it_gives_way_to_pending_rows(path: Path) -> None:
    """Agents are not refused because the index is slow: the stream has the events. No more than needed."""
    with opened(path, OutboxSettings(max_bytes=60 * KIB, min_free=0)) as store:
        settled_outbox(store, size=KIB)
        store.taken = 0
        prune(store)
        assert len(settling.runs(store, 1)) == 4
        store_rows(store, rows(41, 62, size=KIB))
        prune(store)
        assert [run.first for run in settling.runs(store, 1)] == [11, 21, 31]
        assert len(pending(store)) == 22


def test_a_stalled_index_holds_up_no_route_that_it_has_taken(path: Path) -> None:
    """One run that is kept does not keep the older runs of other routes."""
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        register(store, "tim", "S2", "q")
        store_rows(store, [row(1, route=2)])
        store_rows(store, [row(2, route=1)])
        settle(store, 2, route=1, stream_seq=1)
        settle(store, 1, route=2, stream_seq=1)
        store.taken = 1
        prune(store)
        assert [len(settling.runs(store, route)) for route in (1, 2)] == [1, 0]


def test_many_runs_that_are_kept_do_not_hide_those_that_may_go(path: Path) -> None:
    """With more of them than are looked at in one step."""
    with opened(path, OutboxSettings(retain=0, min_free=0)) as store:
        register(store)
        for number in range(1, 201):
            store_rows(store, [row(number)])
            settle(store, number, stream_seq=number * 2)
        store.taken = 150
        prune(store)
        assert [run.first for run in settling.runs(store, 1)] == list(range(151, 201))


# flush


@pytest.mark.anyio
async def test_flush_waits_for_what_was_submitted_before(path: Path) -> None:
    """The number that it returns covers all of it."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        stored = 0

        def note(_submissions: list[Submission]) -> None:
            nonlocal stored
            stored += 1

        for number in range(1, 2001):
            outbox.submit([Submission([row(number)])], note)
        assert await outbox.flush() == 2000
        assert stored == 2000


@pytest.mark.anyio
async def test_flush_is_no_event(path: Path) -> None:
    """It takes no number, wakes nobody, and is not refused where everything else is."""
    async with outbox_at(path, OutboxSettings(max_bytes=KIB, min_free=0)) as outbox:
        route = await outbox.register_route("*", "S", "p")
        assert await outbox.flush() == 0
        assert await submit(outbox, [row(1)]) == [None]
        woken = outbox.watch_all(), outbox.watch(route)
        refused: list[NewRow] = [row(2, size=4 * KIB)]
        [refusal] = await submit(outbox, refused)
        assert refusal is not None
        assert await outbox.flush() == 1
        assert (outbox.stats.accepted, outbox.stats.refused) == (1, {"outbox_full": 1})
        assert not any(event.is_set() for event in woken)


@pytest.mark.anyio
async def test_many_may_flush_at_once(path: Path) -> None:
    async with outbox_at(path) as outbox, anyio.create_task_group() as tasks:
        await outbox.register_route("*", "S", "p")
        for number in range(1, 51):
            outbox.submit([Submission([row(number)])], lambda _: None)
            tasks.start_soon(outbox.flush)
