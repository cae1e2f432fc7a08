"""When something was written: by its file's name, its front matter, its heading, or the disk."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

DAY = 86_400_000  # ms
EARLIEST = 1980  # no agent has written a note before
KEYS = ("date", "created", "updated")
"""Of front matter, the first that is a date counts."""

_named = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?:[-T_](\d\d)-?(\d\d)(?=\Z))?(?!\d)")
_written = re.compile(
    r"(?<!\d)(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ,]+(?:at )?(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?)?(?!\d)"
)


class Dated(NamedTuple):
    """When.

    Attributes:
        time: Unix ms. A date without a time is noon UTC.
        source: `file name`, `front matter`, `heading`, `item` or `modified`: what says so.
    """

    time: int
    source: str


def date(stem: str, front: Mapping[str, str], heading: str, modified: int, now: int) -> Dated:
    """Return when a note was written.

    Args:
        stem: The file's name without its ending.
        modified: When the file was changed, Unix ms.
        now: Dates that are more than a day ahead of it are nonsense.
    """
    if (time := in_name(stem, now)) is not None:
        return Dated(time, "file name")
    for key in KEYS:
        if (time := in_text(front.get(key, ""), now)) is not None:
            return Dated(time, "front matter")
    if (time := in_text(heading, now)) is not None:
        return Dated(time, "heading")
    return Dated(min(max(modified, 1), now), "modified")


def in_name(stem: str, now: int) -> int | None:
    """Return the time in the name of a file, Unix ms; None where there is none."""
    for found in _named.finditer(stem):
        year, month, day, hour, minute = found.groups()
        for clock in ((hour, minute), (None, None)):
            if (time := _time(now, year, month, day, *clock)) is not None:
                return time
    return None


def in_text(text: str, now: int) -> int | None:
    """Return the first time in a text, Unix ms; None where there is none."""
    for found in _written.finditer(text):
        year, month, day, hour, minute, second, fraction, zone = found.groups()
        if (time := _time(now, year, month, day, hour, minute, second, fraction, zone)) is not None:
            return time
    return None


def of_value(value: Any, now: int) -> int | None:
    """Return the time that a value of JSON stands for: a text, Unix seconds or milliseconds."""
    if isinstance(value, str):
        return in_text(value, now)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    for factor in (1, 1000):
        if datetime(EARLIEST, 1, 1, tzinfo=UTC).timestamp() * 1000 <= value * factor <= now + DAY:
            return int(value * factor)
    return None


def _time(
    now: int,
    year: str,
    month: str,
    day: str,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
    fraction: str | None = None,
    zone: str | None = None,
) -> int | None:
    try:
        then = datetime(
            int(year), int(month), int(day),
            12 if hour is None else int(hour), int(minute or 0), int(second or 0),
            int((fraction or "0").ljust(6, "0")), tzinfo=UTC,
        )  # fmt: skip
        if zone and zone[0] in "+-":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            then -= offset if zone[0] == "+" else -offset
        time = round(then.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return time if then.year >= EARLIEST and time <= now + DAY else None
