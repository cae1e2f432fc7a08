"""Durations, sizes and times: what people may write, what is refused, and that both ways agree."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.units import (
    MAX_DURATION,
    MAX_SIZE,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    parse_time,
)

DURATIONS = {
    "250ms": 0.25,
    "5s": 5,
    "5m": 300,
    "1h30m": 5400,
    "1h 30m": 5400,
    "90d": 7_776_000,
    "2w": 1_209_600,
    "1.5h": 5400,
    "0.5ms": 0.0005,
    "0": 0,
    "0s": 0,
    " 7d ": 604_800,
    "1w1d1h1m1s1ms": 694_861.001,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """The units from milliseconds to weeks, alone and together."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "1.5", "5 apples", "5M", "-5s", "s", "5s!", "1,5h", ".5s", "٣s", "9" * 41]
)
def test_what_is_no_duration_is_refused_with_what_is(text: str) -> None:
    """A number without a unit could be anything; `M` could be a month."""
    with pytest.raises(ValueError, match=r"a number with a unit \(ms, s, m, h, d, w\)"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["30m1h", "1h1h", "1s1d"])
def test_the_units_of_a_duration_are_in_order(text: str) -> None:
    """`30m1h` is a slip, and nobody knows of what."""
    with pytest.raises(ValueError, match="largest first"):
        parse_duration(text)


def test_a_duration_that_no_counter_holds_is_refused() -> None:
    """JetStream would take it for a negative one."""
    assert parse_duration(format_duration(MAX_DURATION)) == MAX_DURATION
    with pytest.raises(ValueError, match="at most 100 years"):
        parse_duration("36501d")


@pytest.mark.parametrize(("seconds", "text"), [
    (90 * 86400, "90d"), (7 * 86400, "7d"), (5400, "1h30m"), (0.25, "250ms"), (61.001, "1m1s1ms"), (0, "0s"),
])  # fmt: skip
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    """Not in weeks: 90d is what everybody says."""
    assert format_duration(seconds) == text


@given(st.integers(0, int(MAX_DURATION * 1000)))
def test_a_duration_survives_writing_and_reading(milliseconds: int) -> None:
    """To the millisecond, for all that can be configured."""
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


SIZES = {
    "0": 0,
    "1048576": 2**20,
    "1B": 1,
    "10MB": 10**7,
    "8MiB": 2**23,
    "8 mib": 2**23,
    "1GiB": 2**30,
    "1.5KiB": 1536,
    "2TB": 2 * 10**12,
    "1TiB": 2**40,
    "0.001KB": 1,
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes_are_bytes(text: str, size: int) -> None:
    """Decimal and binary units, in any case; a plain number is bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "8M", "8K", "1 GiB more", "-1", "1e6", "1_000", "0x10", "٣B", "9" * 41]
)
def test_what_is_no_size_is_refused_with_what_is(text: str) -> None:
    """`8M` is 8000000 for some and 8388608 for others."""
    with pytest.raises(ValueError, match="a whole number of bytes or a number with a unit"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "reason"), [("0.3KiB", "a whole number of bytes"), ("8388608TiB", "below 8 EiB")]
)
def test_a_size_fits_a_counter(text: str, reason: str) -> None:
    """Whole bytes, in 63 bits."""
    with pytest.raises(ValueError, match=reason):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(2**23, "8MiB"), (10**7, "10MB"), (2**30, "1GiB"), (1537, "1537B"), (0, "0B")]
)
def test_sizes_are_written_in_the_unit_that_fits(size: int, text: str) -> None:
    """Never rounded: it is a setting, not a measurement."""
    assert format_size(size) == text


@given(st.integers(0, MAX_SIZE))
def test_a_size_survives_writing_and_reading(size: int) -> None:
    """To the byte."""
    assert parse_size(format_size(size)) == size


@given(st.text(max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes anything but a value or a ValueError."""
    for parse in (parse_duration, parse_size, lambda text: parse_time(text, 0)):
        with contextlib.suppress(ValueError):
            parse(text)


NOW = round(datetime(2026, 11, 22, 12, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone with summer time; in rules that need no database."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", "2026-11-22T12:30"),
        ("1h", "2026-11-22T11:30"),
        ("1h ago", "2026-11-22T11:30"),
        ("2d", "2026-11-20T12:30"),
        ("today", "2026-11-21T23:00"),
        ("Yesterday", "2026-11-20T23:00"),
        ("2026-11-22", "2026-11-21T23:00"),
        ("20261122", "2026-11-21T23:00"),
        ("2026-07-01T12:00", "2026-07-01T10:00"),
        ("2026-07-01 12:00:00.5", "2026-07-01T10:00:00.500"),
        ("2026-07-01T12:00Z", "2026-07-01T12:00"),
        ("2026-07-01T12:00+05:30", "2026-07-01T06:30"),
        (str(NOW - 1), "2026-11-22T12:29:59.999"),
    ],
)
def test_times_are_unix_milliseconds(text: str, wanted: str) -> None:
    """Back from now, by name, by date (local unless it says otherwise), or as a number."""
    assert parse_time(text, NOW) == utc(wanted)


@pytest.mark.usefixtures("berlin")
def test_a_day_begins_at_midnight_also_when_the_clock_is_changed() -> None:
    """On 25 October 2026 the local day has 25 hours."""
    now = utc("2026-10-26T12:00")
    assert parse_time("today", now) - parse_time("yesterday", now) == 25 * 3_600_000


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "12", "1h later", "0001-01-01", "9" * 50, "ago"])
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    """The message is the help."""
    with pytest.raises(ValueError, match=r"a time is a span back|Unix milliseconds"):
        parse_time(text, NOW)


def test_seconds_in_place_of_milliseconds_are_noticed() -> None:
    """They would ask for the events since 1970."""
    with pytest.raises(ValueError, match="1795350600 looks like seconds, add 000"):
        parse_time("1795350600", NOW)
