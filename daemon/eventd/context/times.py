"""Times as the block shows them: UTC, to the minute."""

from datetime import UTC, datetime

LAST = 253_402_300_799_000  # ms: the end of the year 9999; a writer may claim anything


def day(time: int) -> str:
    """Return the date of a Unix time in ms as `2026-11-26`."""
    return _utc(time).strftime("%Y-%m-%d")


def clock(time: int) -> str:
    """Return its time of day as `14:02`."""
    return _utc(time).strftime("%H:%M")


def moment(time: int) -> str:
    """Return both as `2026-11-26 14:02`."""
    return _utc(time).strftime("%Y-%m-%d %H:%M")


def iso(time: int) -> str:
    """Return both as `2026-11-26T14:02Z`."""
    return _utc(time).strftime("%Y-%m-%dT%H:%MZ")


def span(first: int, last: int) -> str:
    """Return two times as `2026-11-26 14:02–15:10`, or one where they are in the same minute."""
    if first // 60_000 == last // 60_000:
        return moment(first)
    return (
        f"{moment(first)}–{clock(last)}" if day(first) == day(last) else f"{moment(first)} – {moment(last)}"
    )


def _utc(time: int) -> datetime:
    return datetime.fromtimestamp(min(max(time, 0), LAST) / 1000, UTC)
