"""The limit on how much an agent sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.config.settings import Rate, RateSettings
from eventd.ingest.rates import MAX_BUCKETS, Rates


def rates(per_second: float = 10.0, burst: int = 20) -> Rates:
    return Rates(RateSettings(Rate(per_second, burst)))


def test_a_burst_goes_through_and_then_the_rate_holds() -> None:
    """The wait is as long as it takes until an event would go through."""
    limit = rates()
    assert limit.take("a", 20, now=100.0) == 0
    assert limit.take("a", 1, now=100.0) == pytest.approx(0.1)
    assert limit.take("a", 1, now=100.05) == pytest.approx(0.05)
    assert limit.take("a", 1, now=100.11) == 0


def test_an_emit_larger_than_the_burst_gets_its_turn_and_is_paid_for() -> None:
    """Otherwise it could never be sent; the debt keeps the average."""
    limit = rates()
    assert limit.take("a", 1000, now=0.0) == 0
    assert limit.take("a", 1, now=0.0) == pytest.approx(98.1)
    assert limit.take("a", 1, now=98.2) == 0


def test_empty_emits_are_counted() -> None:
    """They cost the daemon as much as one with an event."""
    limit = rates(per_second=1.0, burst=3)
    assert [limit.take("a", 0, now=0.0) > 0 for _ in range(5)] == [False, False, False, True, True]


def test_agents_have_buckets_of_their_own() -> None:
    """And their own limits; None is without one, also where there is a default."""
    limit = Rates(RateSettings(Rate(1, 1), {"free": None, "fast": Rate(100, 100)}))
    assert limit.take("a", 1, 0.0) == limit.take("b", 1, 0.0) == limit.take("fast", 100, 0.0) == 0
    assert limit.take("a", 1, 0.0) > 0
    assert all(limit.take("free", 1000, 0.0) == 0 for _ in range(100))


def test_names_do_not_fill_the_memory() -> None:
    """Nor does one that is in use get a new burst because many others come along once."""
    limit = rates(per_second=0.001, burst=1)
    assert limit.take("debtor", 10**9, now=0.0) == 0
    for number in range(3 * MAX_BUCKETS):
        limit.take(f"agent-{number}", 1, now=float(number))
        assert limit.take("debtor", 1, now=float(number)) > 0
    assert len(limit._buckets) <= MAX_BUCKETS


def test_a_clock_that_stood_still_lets_nothing_more_through() -> None:
    """As that of a machine that has slept may: what was to be waited for is waited for afterwards."""
    limit = rates(per_second=1.0, burst=1)
    assert limit.take("a", 1, now=5.0) == 0
    waits = [limit.take("a", 1, now=5.0) for _ in range(3)]
    assert waits == [1.0, 1.0, 1.0]
    assert limit.take("a", 1, now=1e9) == 0
    assert limit.take("a", 1, now=1e9) > 0


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 50)), max_size=60),
    st.floats(0.5, 100),
    st.integers(1, 50),
)
def test_no_more_goes_through_than_burst_and_rate_allow(
    emits: list[tuple[float, int]], per_second: float, burst: int
) -> None:
    """But for the last emit, which may be in debt; and who waits as long as told is let through."""
    limit = rates(per_second, burst)
    now, taken, last = 0.0, 0, 0
    for pause, events in emits:
        now += pause
        wait = limit.take("a", events, now)
        if wait:
            now += wait + 1e-6
            assert limit.take("a", events, now) == 0
        taken += last
        last = events
        assert taken <= burst + per_second * now + 1e-3


def test_other_limits_keep_what_was_sent() -> None:
    """But for agents whose own limit has changed: these begin anew."""
    same, changed = Rate(1.0, 1), Rate(1.0, 5)
    rates = Rates(RateSettings(agents={"a": same, "b": same}))
    assert rates.take("a", 1, 0.0) == rates.take("b", 1, 0.0) == 0.0
    rates.configure(RateSettings(agents={"a": same, "b": changed}))
    assert rates.take("a", 1, 0.0) == 1.0
    assert rates.take("b", 1, 0.0) == 0.0
    rates.configure(RateSettings())
    assert rates.take("a", 100, 0.0) == 0.0
