"""A note is dated by its name, its front matter, its heading, and then the disk; nonsense is passed over."""

from datetime import UTC, datetime

import pytest

from eventd.migration.dating import Dated, date, in_text, of_value

NOW = int(datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp() * 1000)
MODIFIED = int(datetime(2026, 10, 1, 1, 2, 3, tzinfo=UTC).timestamp() * 1000)


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("stem", "front", "heading", "expected"),
    [
        ("2026-04-25", {"date": "2026-01-01"}, "2026-02-02", Dated(ms(2026, 4, 25, 12), "file name")),
        ("2026-04-25-1544", {}, "", Dated(ms(2026, 4, 25, 15, 44), "file name")),
        ("2026-04-25-2544", {}, "", Dated(ms(2026, 4, 25, 12), "file name")),
        ("2026-04-25-a-plan", {}, "", Dated(ms(2026, 4, 25, 12), "file name")),
        ("2026-11-26", {}, "", Dated(ms(2026, 11, 26, 12), "file name")),
        ("2026-13-45", {"date": "2026-01-01"}, "", Dated(ms(2026, 1, 1, 12), "front matter")),
        ("2031-01-01", {"date": "?", "created": "2026-01-01"}, "", Dated(ms(2026, 1, 1, 12), "front matter")),
        ("x", {"updated": "2026-01-01T10:00:00+02:00"}, "", Dated(ms(2026, 1, 1, 8), "front matter")),
        ("x", {}, "Session: 2026-04-25 15:44:11 UTC", Dated(ms(2026, 4, 25, 15, 44, 11), "heading")),
        ("0001-01-01", {"date": "2026-02-30"}, "on 2099-01-01", Dated(MODIFIED, "modified")),
        ("12026-04-251", {}, "", Dated(MODIFIED, "modified")),
    ],
)  # fmt: skip
def test_dates(stem: str, front: dict[str, str], heading: str, expected: Dated) -> None:
    """The first source that has a date which can be true counts; a day is its noon, UTC."""
    assert date(stem, front, heading, MODIFIED, NOW) == expected


def test_a_file_from_the_future_is_of_now() -> None:
    """The clock of another machine says nothing."""
    assert date("x", {}, "", NOW + 10**9, NOW) == Dated(NOW, "modified")


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-01-01", ms(2026, 1, 1, 12)),
        ("2026-01-01T00:00:00.250Z", ms(2026, 1, 1) + 250),
        (ms(2026, 1, 1), ms(2026, 1, 1)),
        (ms(2026, 1, 1) // 1000, ms(2026, 1, 1)),
        (True, None), (0, None), (10**30, None), (float("inf"), None), (None, None), ([], None), ("", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)  # fmt: skip
def test_times_of_items(value: object, time: int | None) -> None:
    """Texts, and Unix seconds or milliseconds."""
    assert of_value(value, NOW) == time


def test_the_first_date_that_can_be_true_counts() -> None:
    """Of several in a text."""
    assert in_text("from 2026-99-99 to 2026-03-04", NOW) == ms(2026, 3, 4, 12)
