"""The verdict over samples: what grows is told, what swings or settles is not."""

import random

import pytest

from soak.gauges import GAUGES, GROWN_UP, MIB, Gauge, judge, second_half, slope_of, verdicts
from soak.samples import Sample

MEMORY = Gauge("rss", "memory", "MiB", MIB, hourly=24, noise=4, young=40, most=160)
OUTBOX = Gauge("outbox", "outbox.db", "MiB", MIB, hourly=6, noise=2, per_event=128 / MIB)
LONG, SHORT = 1200, 60  # seconds


def samples(key: str, values: list[float], seconds: float, events: float = 0.0) -> list[Sample]:
    """Samples of one gauge, evenly over a time in which so many events are accepted."""
    last = len(values) - 1
    return [
        Sample(seconds * n / last, {key: value, "accepted": events * n / last})
        for n, value in enumerate(values)
    ]


def test_the_slope_is_that_of_the_nearest_line() -> None:
    """By least squares; the order does not matter, and where all points are one there is none."""
    assert slope_of([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope_of([(2, 5), (0, 2), (1, 2)]) == pytest.approx(1.5)
    assert slope_of([(1, 5), (1, 6)]) == 0


def test_the_second_half_is_that_of_the_time() -> None:
    """Not of the samples: on a busy machine they come late."""
    times = [0, 1, 2, 3, 4, 50, 100]
    assert [sample.time for sample in second_half([Sample(time, {}) for time in times])] == [50, 100]


def test_a_steady_leak_is_told() -> None:
    """30 MiB in an hour: 5 MiB in the half of 10 minutes."""
    found = judge(MEMORY, samples("rss", [(60 + 10 * n / 240) * MIB for n in range(241)], LONG))
    assert found.slope == pytest.approx(30)
    assert found.allowed == pytest.approx(24)
    assert found.problem == "GROWS"
    assert (found.first, found.last, found.most) == (60, 70, 70)


def test_what_swings_or_settles_is_not_told() -> None:
    """Caches that fill up in the first minutes, and noise of some MiB around a level."""
    dice = random.Random(1)
    filling = [min(60.0, 40 + n / 2) + dice.uniform(-3, 3) for n in range(241)]
    assert judge(MEMORY, samples("rss", [value * MIB for value in filling], LONG)).problem == ""


def test_the_young_may_grow() -> None:
    """In a run of a minute memory that grows is a daemon that warms up; in a long one it is a leak."""
    growing = [(40 + 20 * n / 240) * MIB for n in range(241)]
    assert judge(MEMORY, samples("rss", growing, SHORT)).problem == ""
    assert judge(MEMORY, samples("rss", growing, 2 * GROWN_UP)).problem == "GROWS"


def test_a_peak_is_told() -> None:
    """Also one that was over again."""
    values = [60 * MIB] * 240
    values[50] = 200 * MIB
    assert judge(MEMORY, samples("rss", values, LONG)).problem == "MORE THAN 160"


def test_what_has_to_grow_with_the_events_may() -> None:
    """100 bytes for each id, and not 200."""
    for size, problem in ((100, ""), (200, "GROWS")):
        growing = [size * 1000.0 * n for n in range(241)]
        assert judge(OUTBOX, samples("outbox", growing, LONG, 240_000)).problem == problem


def test_what_cannot_be_read_here_has_no_verdict() -> None:
    """And a sample without it, as when the daemon was too busy for its status, is passed over."""
    found = samples("fds", [30.0] * 20, SHORT)
    found[7] = Sample(found[7].time, {})
    assert [verdict.gauge.key for verdict in verdicts(found)] == ["fds"]
    assert {gauge.key for gauge in GAUGES} > {"rss", "fds", "threads", "outbox", "outbox_wal", "index"}
