"""How much agents may send: a bucket of tokens for each agent with a limit."""

from ..config.settings import Rate, RateSettings

MAX_BUCKETS = 10_000  # beyond that, those that are full again are forgotten


class Bucket:
    """Fills with `rate.per_second` tokens a second up to `rate.burst`; an event takes one.

    An emit goes through as long as anything is in it, and may leave it in debt: so one that is larger than
    the burst gets its turn too, and the average holds.
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
        self._tokens -= events
        return 0.0

    def is_full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        self._fill(now)
        return self._tokens >= self._rate.burst

    def _fill(self, now: float) -> None:
        self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
        self._at = now


class Rates:
    """The buckets of all agents, whatever connections they use."""

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._buckets: dict[str, Bucket] = {}

    def take(self, agent: str, events: int, now: float) -> float:
        """Count events of an agent; return 0, or the seconds that it has to wait."""
        bucket = self._buckets.get(agent)
        if bucket is None:
            rate = self._settings.of(agent)
            if rate is None:
                return 0.0
            if len(self._buckets) >= MAX_BUCKETS:  # names cost nothing, and must not fill the memory
                self._buckets = {name: held for name, held in self._buckets.items() if not held.is_full(now)}
            bucket = self._buckets[agent] = Bucket(rate, now)
        return bucket.take(events, now)
