"""Tables of plain text."""

from collections.abc import Sequence

NOTHING = "-"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line the columns up; the last one is as wide as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell or NOTHING:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
