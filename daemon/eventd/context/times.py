"""Times as the block shows them: UTC, to the minute."""

from datetime import UTC, datetime
from functools import lru_cache

LAST = 253_402_300_799  # seconds: the end of the year 9999; a writer may claim anything
CACHED = 2048  # minutes


def day(time: int) -> str:
    """Return the date of a Unix time in ms as `2026-11-26`."""
    return moment(time)[:10]


def clock(time: int) -> str:
    """Return its time of day as `14:02`."""
    return moment(time)[11:]


def moment(time: int) -> str:
    """Return both as `2026-11-26 14:02`."""
    return _moment(time // 60_000)


def iso(time: int) -> str:
    """Return both as `2026-11-26T14:02Z`."""
    return moment(time).replace(" ", "T") + "Z"


def span(first: int, last: int) -> str:
    """Return two times as `2026-11-26 14:02–15:10`, or one where they are in the same minute."""
    if first // 60_000 == last // 60_000:
        return moment(first)
    return (
        f"{moment(first)}–{clock(last)}" if day(first) == day(last) else f"{moment(first)} – {moment(last)}"
    )


@lru_cache(CACHED)
def _moment(minute: int) -> str:
    time = datetime.fromtimestamp(min(max(minute * 60, 0), LAST), UTC)
    return time.isoformat(sep=" ", timespec="minutes")[:16]
