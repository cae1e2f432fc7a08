"""Rates over the last minute, with a clock that the test sets."""

import pytest

from eventd.rate import SLOT, WINDOW, Rate


class Clock:
    """Seconds, as the test wants them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rate(clock: Clock) -> Rate:
    return Rate(clock)


def test_a_steady_rate_is_told_as_it_is(rate: Rate, clock: Clock) -> None:
    """From the first seconds on, and for as long as it lasts."""
    told = []
    for _ in range(300):
        clock.now += 1.0
        rate.count(20)
        told.append(rate.per_second)
    assert all(20.0 <= each < 20.5 for each in told)  # counted in slots: it is not exact


def test_what_is_over_is_forgotten_within_a_minute(rate: Rate, clock: Clock) -> None:
    """Not before: a burst is still seen by whoever looks half a minute later."""
    clock.now += 600.0
    rate.count(600)
    clock.now += WINDOW - SLOT - 1.0
    assert rate.per_second > 0
    clock.now += SLOT + 1.0
    assert rate.per_second == 0.0


@pytest.mark.parametrize("pause", [SLOT, WINDOW, 7 * WINDOW + 3.0, 1e6])
def test_a_pause_leaves_nothing_behind(rate: Rate, clock: Clock, pause: float) -> None:
    """However long it was, the ring holds no counts of the round before."""
    rate.count(1000)
    clock.now += pause
    rate.count(6)
    clock.now += WINDOW
    assert rate.per_second == 0.0


def test_one_event_at_the_start_is_no_flood(rate: Rate, clock: Clock) -> None:
    """Divided by a millisecond it would be a thousand a second."""
    rate.count()
    clock.now += 0.001
    assert rate.per_second == 1.0
