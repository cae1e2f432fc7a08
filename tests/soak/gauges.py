"""What must not grow, by how much it may, and the verdict over the samples of a run.

The slope is that of least squares over the second half: by then caches are filled, and what goes by age (the
index, retained rows) goes at the pace at which it comes. A slope counts when it comes to more than noise in
that half; so a short run shows that the machinery works, and a long one finds slow leaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .samples import Sample

HOUR = 3600.0  # seconds
MIB = 1024.0 * 1024.0
GROWN_UP = 300.0  # seconds until caches are filled and the allocator has what it needs


@dataclass(frozen=True, slots=True)
class Gauge:
    """One thing that is looked at.

    Attributes:
        key: Its name in a sample.
        scale: What a value is divided by to be in `unit`.
        hourly: How much it may grow in an hour, in `unit`.
        noise: Growth in the second half that says nothing, in `unit`.
        young: Growth that is no leak where the second half begins before `GROWN_UP`, in `unit`.
        per_event: How much it may grow with each accepted event, in `unit`.
        most: What no sample may exceed, in `unit`; None for no such bound.
    """

    key: str
    name: str
    unit: str = ""
    scale: float = 1.0
    hourly: float = 0.0
    noise: float = 0.0
    young: float = 0.0
    per_event: float = 0.0
    most: float | None = None


GAUGES = (
    Gauge("rss", "resident memory", "MiB", MIB, hourly=24, noise=4, young=40, most=160),
    Gauge("anonymous", "of that its own", "MiB", MIB, hourly=24, noise=4, young=40),
    Gauge("fds", "descriptors", hourly=6, noise=6),
    Gauge("threads", "threads", hourly=6, noise=6),
    Gauge("connections", "connections", hourly=6, noise=6),
    Gauge("streams", "open streams", hourly=6, noise=6),
    # Ids of the last 10 minutes are known in any case, so a shorter run only sees their table grow.
    Gauge("outbox", "outbox.db", "MiB", MIB, hourly=6, noise=2, per_event=128 / MIB),
    Gauge("outbox_wal", "outbox.db-wal", "MiB", MIB, hourly=1, noise=8, most=20),
    Gauge("index", "index.db", "MiB", MIB, hourly=6, noise=4),
    Gauge("index_wal", "index.db-wal", "MiB", MIB, hourly=1, noise=8, most=20),
    # Some dozens of clients that come and go in each second are summed up once a minute.
    Gauge("log", "log", "MiB", MIB, hourly=4, noise=0.2),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the samples say about a gauge; numbers in its unit.

    Attributes:
        slope: In an hour, over the second half.
        allowed: The slope that would have been too much.
        problem: What is wrong, or "".
    """

    gauge: Gauge
    first: float
    last: float
    most: float
    slope: float
    allowed: float
    problem: str

    def row(self) -> tuple[str, ...]:
        """Return a line of the table."""
        name = f"{self.gauge.name}, {self.gauge.unit}" if self.gauge.unit else self.gauge.name
        numbers = (self.first, self.last, self.most)
        slope, allowed = f"{self.slope:+,.1f}", f"{self.allowed:+,.1f}"
        return (name, *(f"{number:,.1f}" for number in numbers), slope, allowed, self.problem or "ok")


HEADING = ("", "first", "last", "most", "slope/h", "allowed/h", "")


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """Judge every gauge that can be read here."""
    found = {gauge: [sample for sample in samples if gauge.key in sample.values] for gauge in GAUGES}
    return [judge(gauge, having) for gauge, having in found.items() if len(having) > 1]


def judge(gauge: Gauge, samples: Sequence[Sample]) -> Verdict:
    """Return what the samples (at least two) say about a gauge."""
    values = [sample.values[gauge.key] / gauge.scale for sample in samples]
    half = second_half(samples)
    slope = slope_of([(s.time / HOUR, s.values[gauge.key] / gauge.scale) for s in half])
    span = (half[-1].time - half[0].time) / HOUR
    events = half[-1].values.get("accepted", 0) - half[0].values.get("accepted", 0)
    noise = gauge.noise + (gauge.young if half[0].time < GROWN_UP else 0.0)
    allowed = (max(gauge.hourly * span, noise) + gauge.per_event * events) / span
    problem = ""
    if slope > allowed:
        problem = "GROWS"
    elif gauge.most is not None and max(values) > gauge.most:
        problem = f"MORE THAN {gauge.most:g}"
    return Verdict(gauge, values[0], values[-1], max(values), slope, allowed, problem)


def second_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples from the middle of the time on."""
    middle = (samples[0].time + samples[-1].time) / 2
    return [sample for sample in samples if sample.time >= middle] if len(samples) > 3 else samples


def slope_of(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line nearest to the points, by least squares."""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0
