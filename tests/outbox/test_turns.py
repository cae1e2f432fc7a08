"""Who is stored next, and who is told: order for each caller, turns between callers."""

from pathlib import Path

import anyio
import pytest

from eventd.outbox.model import Submission
from eventd.outbox.settings import MIB, Tuning
from eventd.outbox.turns import QUICK_ROWS, QUICK_SPAN, Append, Turns
from eventd.outbox.underway import UnderWay
from outbox.support import all_pending, number_of, outbox_at, row

MOST_ROWS = 2 * QUICK_ROWS
MOST_BYTES = 100_000


class Caller:
    """Somebody who hands in rows, and notes what is reported."""

    def __init__(self) -> None:
        self.reported: list[int] = []

    def done(self, submissions: list[Submission]) -> None:
        self.reported += [number_of(row.body) for submission in submissions for row in submission.rows]


def append(caller: Caller, number: int, rows: int = 1, *, size: int = 60, alone: bool = False) -> Append:
    return Append([Submission([row(number, size=size)] * rows)], caller.done, number, alone)


def taken(turns: Turns, now: float = 0.0) -> list[int]:
    """The numbers of the appends of the next group."""
    return [item.number for item in turns.take(now)]


@pytest.fixture
def turns() -> Turns:
    return Turns(MOST_ROWS, MOST_BYTES)


def test_callers_take_turns_and_each_keeps_its_order(turns: Turns) -> None:
    """Who has one append does not wait for all of somebody who has many."""
    busy, quiet = Caller(), Caller()
    for number in range(1, 6):
        turns.add(append(busy, number, MOST_ROWS // 2))
    turns.add(append(quiet, 6))
    turns.add(append(quiet, 7))
    assert taken(turns) == [1, 6]
    assert taken(turns) == [2, 7]
    assert taken(turns) == [3, 4]
    assert turns
    assert taken(turns) == [5]
    assert not turns
    assert taken(turns) == []


@pytest.mark.parametrize(("rows", "size"), [(MOST_ROWS + 1, 60), (1, MOST_BYTES + 1)])
def test_what_is_larger_than_a_group_goes_alone(turns: Turns, rows: int, size: int) -> None:
    """It is stored in whole, and nothing with it."""
    caller = Caller()
    turns.add(append(caller, 1))
    turns.add(append(caller, 2, rows, size=size))
    turns.add(append(caller, 3))
    assert [taken(turns) for _ in range(3)] == [[1], [2], [3]]


def test_groups_are_small_while_somebody_waits_for_each_ack(turns: Turns) -> None:
    """Also for a while after, so that the next event finds a small group under way; then large again."""
    busy, quiet = Caller(), Caller()
    for number in range(1, 40):
        turns.add(append(busy, number, 100))
    assert taken(turns) == list(range(1, 11)), "nobody waits"
    turns.add(append(quiet, 100, alone=True))
    assert taken(turns) == [11, 100, 12, 13, 14]
    assert taken(turns, QUICK_SPAN * 0.99) == list(range(15, 20))
    assert taken(turns, QUICK_SPAN) == list(range(20, 30))


def test_who_waits_with_nobody_beside_makes_no_group_smaller(turns: Turns) -> None:
    """There is nothing that could be kept waiting."""
    caller = Caller()
    turns.add(append(caller, 1, alone=True))
    for number in range(2, 12):
        turns.add(append(caller, number, 100))
    assert taken(turns) == list(range(1, 11))


@pytest.mark.anyio
async def test_under_way_is_what_was_not_reported() -> None:
    """Only who has nothing else under way waits for just one; a flush waits for what was there before it."""
    under_way, busy, quiet = UnderWay(), Caller(), Caller()
    first, second = (under_way.begin([], busy.done) for _ in range(2))
    third = under_way.begin([], quiet.done)
    assert [item.alone for item in (first, second, third)] == [True, False, True]
    async with anyio.create_task_group() as tasks:
        flushed = anyio.Event()

        async def flush() -> None:
            await under_way.flushed()
            flushed.set()

        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        later = under_way.begin([], quiet.done)
        for item in (third, first):
            under_way.end(item)
            await anyio.wait_all_tasks_blocked()
            assert not flushed.is_set()
        under_way.end(second)
        with anyio.fail_after(5):
            await flushed.wait()
    under_way.end(later)
    await under_way.flushed()
    assert under_way.begin([], busy.done).alone


@pytest.mark.anyio
async def test_a_quiet_caller_is_told_before_a_busy_one_is_done(short_tmp: Path) -> None:
    """Rows of each are numbered, stored and reported in the order in which they were handed in."""
    busy, quiet = Caller(), Caller()
    tuning = Tuning(wal_max=1 * MIB, group_rows=10)
    async with outbox_at(short_tmp / "outbox.db", tuning=tuning) as outbox:
        await outbox.register_route("*", "S", "p")
        for number in range(0, 2000, 5):
            outbox.submit([Submission([row(number + i)]) for i in range(5)], busy.done)
        outbox.submit([Submission([row(5000, agent="quiet")])], quiet.done)
        with anyio.fail_after(30):
            while not quiet.reported:
                await anyio.sleep(0.001)
            assert len(busy.reported) < 2000
            await outbox.flush()
        assert busy.reported == list(range(2000))
        stored = [found for found in await all_pending(outbox) if found.msg_id.startswith("main:")]
        assert [number_of(found.body) for found in stored] == list(range(2000))
