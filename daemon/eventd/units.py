"""Durations, sizes and points in time as people write them: `90d`, `1h30m`, `8MiB`, `yesterday`."""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

# Largest first. Milliseconds, so that adding the parts up is exact.
DURATION_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
SIZE_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

MAX_DURATION = 100 * 365 * 86_400.0  # seconds; JetStream counts nanoseconds in 63 bits, which is 292 years
MAX_SIZE = 2**63 - 1  # bytes; SQLite and JetStream both count in 63 bits
MAX_TEXT = 40  # characters; longer ones are no duration or size, and costly to convert
FIRST_MILLISECONDS = 10**11  # a smaller number is a time in seconds by mistake (in ms it would be 1973)

DURATION_FORM = "a number with a unit (ms, s, m, h, d, w), like 250ms, 5m, 1h30m or 90d"
SIZE_FORM = "a whole number of bytes or a number with a unit (B, KB, MB, GB, KiB, MiB, GiB), like 8MiB"
TIME_FORM = (
    "a span back from now (1h, 2d), now, today, yesterday, a date or time (2026-11-22, 2026-11-22T18:30, "
    "with Z or +01:00 if not local) or Unix milliseconds"
)

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern}\s?)+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([A-Za-z]*)", re.ASCII)
_CASELESS = {unit.lower(): factor for unit, factor in SIZE_UNITS.items()}


def parse_duration(text: str) -> float:
    """Return the seconds that a duration like `1h30m` stands for.

    Only `0` may stand without a unit: whether `5` were seconds or minutes nobody could tell.

    Raises:
        ValueError: It is no duration; the message says what is allowed.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    if len(text) > MAX_TEXT or not _DURATION.fullmatch(text):
        raise ValueError(f"a duration is {DURATION_FORM}")
    parts = _PART.findall(text)
    order = [list(DURATION_UNITS).index(unit) for _, unit in parts]
    if order != sorted(set(order)):
        raise ValueError("each unit of a duration stands once, the largest first, like 1h30m")
    seconds = float(sum(Decimal(number) * DURATION_UNITS[unit] for number, unit in parts) / 1000)
    if seconds > MAX_DURATION:
        raise ValueError("a duration is at most 100 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration as `parse_duration` reads it, to the millisecond: `90d`, `1h30m`, `0s`."""
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    text = ""
    for unit, factor in DURATION_UNITS.items():
        if unit == "w":  # people say 7d and 90d
            continue
        count, rest = divmod(rest, factor)
        text += f"{count}{unit}" if count else ""
    return text


def parse_size(text: str) -> int:
    """Return the bytes that a size like `8MiB` or `10MB` stands for; a plain number is bytes.

    Upper and lower case are the same. `KiB` is 1024 bytes, `KB` is 1000.

    Raises:
        ValueError: It is no size; the message says what is allowed.
    """
    match = _SIZE.fullmatch(text.strip()) if len(text) <= MAX_TEXT else None
    factor = _CASELESS.get(match[2].lower() or "b") if match else None
    if match is None or factor is None:
        raise ValueError(f"a size is {SIZE_FORM}")
    size = Decimal(match[1]) * factor
    if size != size.to_integral_value():
        raise ValueError("a size is a whole number of bytes")
    if size > MAX_SIZE:
        raise ValueError("a size is below 8 EiB")
    return int(size)


def format_size(size: int) -> str:
    """Write a size exactly, as `parse_size` reads it, in the unit that makes the shortest number."""
    if size == 0:
        return "0B"
    factor, unit = max((factor, unit) for unit, factor in SIZE_UNITS.items() if size % factor == 0)
    return f"{size // factor}{unit}"


def parse_time(text: str, now: int) -> int:
    """Return the Unix milliseconds of a point in time as a person writes it.

    `1h` and `1h ago` are that long before now; `today` and `yesterday` begin at local midnight; dates and
    times without an offset are local.

    Args:
        now: The present, in Unix milliseconds.

    Raises:
        ValueError: It is no time; the message says what is allowed.
    """
    text = text.strip()
    word = text.lower()
    if word.isascii() and word.isdigit() and len(word) != len("20261122"):
        return _unix_milliseconds(word)
    if word == "now":
        return now
    if word in ("today", "yesterday"):
        day = datetime.fromtimestamp(now / 1000).astimezone().date()
        return _midnight(day - timedelta(days=word == "yesterday"))
    try:
        return now - round(parse_duration(word.removesuffix("ago")) * 1000)
    except ValueError:
        pass
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"a time is {TIME_FORM}") from None


def _unix_milliseconds(digits: str) -> int:
    if len(digits) > MAX_TEXT:
        raise ValueError(f"a time is {TIME_FORM}")
    if int(digits) < FIRST_MILLISECONDS:
        raise ValueError(f"a plain number is Unix milliseconds; {digits} looks like seconds, add 000")
    return int(digits)


def _midnight(day: date) -> int:
    """Return when a local day begins; `astimezone` knows the offset of that very day (summer time)."""
    return round(datetime.combine(day, time()).astimezone().timestamp() * 1000)
