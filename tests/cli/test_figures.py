"""Figures as people read them."""

import pytest

from eventd.cli.figures import count, size, span


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (100 * 2**20, "100 MiB"),
        (2**30, "1.0 GiB"),
        (5000 * 2**40, "5000 TiB"),
    ],
)
def test_sizes_have_about_three_digits(number: int, text: str) -> None:
    """In the unit that leaves them short."""
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0s"),
        (59.9, "59s"),
        (61, "1m1s"),
        (3600, "1h0m"),
        (3 * 3600 + 12 * 60 + 5, "3h12m"),
        (90 * 86400, "90d0h"),
    ],
)
def test_spans_have_two_units(seconds: float | None, text: str) -> None:
    """The largest ones."""
    assert span(seconds) == text


def test_one_is_not_many() -> None:
    """And many have their commas."""
    assert [count(number, "event") for number in (0, 1, 12034)] == ["0 events", "1 event", "12,034 events"]
