"""Items on one line each: something of ours, then stored text in quotation marks."""

from collections.abc import Sequence
from dataclasses import dataclass

from .block import Item
from .cutting import cut, excerpt, shares
from .safe import CLOSING_QUOTE, OPENING_QUOTE, defuse, one_line

ENOUGH = 320  # characters of a text that are asked for; more is shown where nobody else wants the room
LEAST = 80  # characters of a text; with less room, fewer items are shown
MOST = 1600  # characters of a text that are looked at, at both of its ends


@dataclass(slots=True)
class Row:
    """A line before it is known how much room it gets.

    Attributes:
        item: Everything but its lines.
        head: Our part of the line, with what leads over to the text.
        text: The stored text, on one line and defused; "" where there is none.
        words: Lower-case words around which the text is cut; its ends are kept when empty.
    """

    item: Item
    head: str
    text: str
    words: frozenset[str] = frozenset()

    @property
    def need(self) -> int:
        """How many characters of text it wants."""
        return min(len(self.text), ENOUGH)

    @property
    def rest(self) -> int:
        """How many characters the line takes beside the text."""
        return len(self.head) + (3 if self.text else 1)

    def shown(self, size: int) -> Item:
        """Return the item with at most `size` characters of the text."""
        text = excerpt(self.text, size, self.words) if self.words else cut(self.text, size)
        self.item.lines = (
            f"{self.head}{OPENING_QUOTE}{text}{CLOSING_QUOTE}\n" if self.text else f"{self.head}\n"
        )
        self.item.cut = self.item.cut or text != self.text
        self.item.shown = text
        return self.item


def row(item: Item, head: str, text: str, words: frozenset[str] = frozenset()) -> Row:
    """Return a row for a stored text.

    Args:
        head: Our part of the line; `: ` is added where a text follows.
    """
    if len(text) > 3 * MOST:
        # What a query is about may be in the middle.
        text = excerpt(text, 2 * MOST, words) if words else f"{text[:MOST]} […] {text[-MOST:]}"
        item.cut = True
    line = one_line(defuse(text))
    return Row(item, f"{head}: " if line else head, line, words)


def wanted(rows: Sequence[Row]) -> int:
    """Return how many characters rows want together."""
    return sum(row.rest + row.need for row in rows)


def fill(rows: Sequence[Row], room: int, worth: int = LEAST) -> tuple[list[Item], int]:
    """Show as many of the first rows as have room, each with a fair share of it.

    Args:
        worth: Characters of a text that are worth a row; with less room, fewer rows are shown.

    Returns:
        The items, and how many rows had no room.
    """
    fitting: list[Row] = []
    least = 0
    for candidate in rows:
        least += candidate.rest + min(len(candidate.text), worth)
        if least > room:
            break
        fitting.append(candidate)
    left = room - sum(candidate.rest for candidate in fitting)
    given = shares([candidate.need for candidate in fitting], left)
    # What nobody asked for goes to those whose text is longer than what they asked for.
    more = shares([len(c.text) - g for c, g in zip(fitting, given, strict=True)], left - sum(given))
    items = [c.shown(g + m) for c, g, m in zip(fitting, given, more, strict=True)]
    return items, len(rows) - len(fitting)
