"""The buffer's books are right whatever happens to its events, and refusals are judged by the one table."""

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eventd_ipc.buffer import Buffer, Held, judge
from eventd_ipc.errors import CODES, ClientAction, Refused


def held(number: int, size: int = 10, agent: str | None = None) -> Held:
    return Held(msgspec.Raw(msgspec.msgpack.encode(number)), size, (agent, None), number)


def test_batch_has_at_least_one_event_however_large() -> None:
    buffer = Buffer(10, 1000)
    buffer.put(held(1, 500))
    buffer.put(held(2, 5))
    assert buffer.take(10, 100) == [held(1, 500)]
    assert buffer.take(10, 100) == [held(2, 5)]
    assert buffer.take(10, 100) == []


def test_what_is_under_way_still_takes_room() -> None:
    buffer = Buffer(2, 1000)
    assert buffer.put(held(1))
    assert buffer.put(held(2))
    batch = buffer.take(1, 100)
    assert not buffer.put(held(3))
    buffer.settle(batch)
    assert buffer.put(held(3))


class Books(RuleBasedStateMachine):
    """The buffer beside a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = Buffer(8, 100)
        self.waiting: list[Held] = []
        self.taken: list[Held] = []
        self.number = 0

    @rule(size=st.integers(1, 60))
    def put(self, size: int) -> None:
        event = held(self.number + 1, size)
        everything = [*self.taken, *self.waiting]
        fits = len(everything) < 8 and sum(one.size for one in everything) + size <= 100
        assert self.buffer.put(event) is fits
        if fits:
            self.number += 1
            self.waiting.append(event)

    @rule(events=st.integers(1, 5), size=st.integers(1, 100))
    def take(self, events: int, size: int) -> None:
        batch = self.buffer.take(events, size)
        assert batch == self.waiting[: len(batch)]
        assert len(batch) <= events
        assert len(batch) <= 1 or sum(one.size for one in batch) <= size
        assert bool(batch) is bool(self.waiting)
        del self.waiting[: len(batch)]
        self.taken += batch

    @rule()
    def settle_the_first(self) -> None:
        self.buffer.settle(self.taken[:1])
        del self.taken[:1]

    @rule()
    def settle_the_last(self) -> None:
        self.buffer.settle(self.taken[-1:])
        del self.taken[-1:]

    @rule()
    def put_back(self) -> None:
        self.buffer.put_back(self.taken)
        self.waiting[:0] = self.taken
        self.taken.clear()

    @rule()
    def clear(self) -> None:
        assert self.buffer.clear() == len(self.waiting) + len(self.taken)
        self.waiting.clear()
        self.taken.clear()

    @invariant()
    def counts_are_right(self) -> None:
        everything = [*self.taken, *self.waiting]
        assert self.buffer.held == len(everything)
        assert self.buffer.held_bytes == sum(one.size for one in everything)
        assert bool(self.buffer) is bool(self.waiting)
        oldest = min((one.number for one in everything), default=self.number + 1)
        assert self.buffer.newest == self.number
        assert [self.buffer.is_settled(n) for n in (oldest - 1, oldest)] == [True, oldest > self.number]


TestBooks = Books.TestCase


BATCH = [held(0, agent="a"), held(1, agent="b"), held(2, agent="a")]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("index", [None, -1, 0, 1, 2, 3])
def test_no_event_is_both_dropped_and_kept_and_none_is_forgotten(code: str, index: int | None) -> None:
    verdict = judge(Refused(code, "", index=index), BATCH)
    assert sorted([*verdict.dropped, *verdict.kept], key=BATCH.index) == BATCH
    assert [event for event in BATCH if event in verdict.kept] == verdict.kept
    assert verdict.action is CODES[code].action


@pytest.mark.parametrize("code", CODES)
def test_what_may_succeed_later_is_kept(code: str) -> None:
    verdict = judge(Refused(code, "", index=0), BATCH)
    if CODES[code].retryable or CODES[code].closes_connection:
        assert verdict.dropped == []
    else:
        assert verdict.dropped != []


def test_code_that_nobody_knows_keeps_everything() -> None:
    verdict = judge(Refused("new", "", index=0), BATCH)
    assert (verdict.dropped, verdict.action) == ([], ClientAction.RECONNECT)


def test_two_events_alike_are_not_dropped_for_each_other() -> None:
    twin = held(1)
    verdict = judge(Refused("malformed", "", index=0), [twin, held(1)])
    assert (len(verdict.dropped), len(verdict.kept)) == (1, 1)
