"""How much agents may send: a bucket of tokens for each agent with a limit."""

from collections import OrderedDict
from threading import Lock

from ..config.settings import Rate, RateSettings

MAX_BUCKETS = 10_000  # names cost a stranger nothing; the one unused for longest, likely full, is forgotten


class Bucket:
    """Fills with `rate.per_second` tokens a second up to `rate.burst`; an event takes one.

    An emit goes through as long as anything is in it, and may leave it in debt: so one that is larger than
    the burst gets its turn too, and the average holds. An empty one costs as much as an event.
    """

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, events: int, now: float) -> float:
        """Take tokens for events; return 0, or the seconds to wait before any can be taken.

        Args:
            now: A clock that never goes back, seconds.
        """
        self._fill(now)
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate.per_second
        self._tokens -= max(1, events)
        return 0.0

    def _fill(self, now: float) -> None:
        self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
        self._at = now


class Rates:
    """The buckets of all agents, whatever connections they use. Large emits are counted in a thread."""

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()  # used last, last
        self._counting = Lock()

    def configure(self, settings: RateSettings) -> None:
        """Go by other limits; an agent whose limit has changed begins with a full bucket."""
        with self._counting:
            for agent in [name for name in self._buckets if settings.of(name) != self._settings.of(name)]:
                del self._buckets[agent]
            self._settings = settings

    def take(self, agent: str, events: int, now: float) -> float:
        """Count events of an agent; return 0, or the seconds that it has to wait."""
        rate = self._settings.of(agent)
        if rate is None:
            return 0.0
        with self._counting:
            bucket = self._buckets.get(agent)
            if bucket is None:
                if len(self._buckets) >= MAX_BUCKETS:
                    self._buckets.popitem(last=False)
                bucket = self._buckets[agent] = Bucket(rate, now)
            self._buckets.move_to_end(agent)
            return bucket.take(events, now)
