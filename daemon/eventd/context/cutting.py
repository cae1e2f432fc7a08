"""Fair shares of a budget, and texts cut to their share."""

import re
import unicodedata
from collections.abc import Sequence

GAP = " […] "  # stands for what was left out of the middle
END = " […]"  # and of the end
WHOLE = 90  # characters; with less room only the beginning of a text is kept
TAIL = 1 / 3  # part of the room that goes to the end of a text
SENTENCE_LOSS = 0.35  # most of a part that may be given up to end it with a sentence
TAIL_LOSS = 0.6  # and to begin the end of a text with a sentence
WORD_LOSS = 0.5  # and to end it with a word

_SENTENCE_END = re.compile(r"(?<=[.!?…:;])\s|(?<=[。！？])|\n")


def shares(needs: Sequence[int], total: int, weights: Sequence[float] | None = None) -> list[int]:
    """Divide a total like water: nobody gets more than it needs, and the rest is shared by weight.

    Args:
        needs: What each could use.
        weights: How much of the level each gets; equal when absent. All above 0.
    """
    weights = weights or [1.0] * len(needs)
    left, open_weight = max(0, total), sum(weights)
    given = [0] * len(needs)
    for place in sorted(range(len(needs)), key=lambda i: (needs[i] / weights[i], i)):
        share = min(needs[place], int(left * weights[place] / open_weight)) if open_weight > 0 else 0
        given[place] = share
        left -= share
        open_weight -= weights[place]
    return given


def cut(text: str, size: int) -> str:
    """Return a text in at most `size` characters: its beginning and, where there is room, its end.

    It is cut between sentences, else between words, else (long words, scripts without spaces) between
    characters as people see them.
    """
    if len(text) <= size:
        return text
    if size < WHOLE:
        head = _beginning(text, size - len(END))
        return (head + END)[: max(0, size)]
    room = size - len(GAP)
    tail = _ending(text, int(room * TAIL))
    return _beginning(text, room - len(tail)) + GAP + tail


def excerpt(text: str, size: int, words: frozenset[str]) -> str:
    """Return the part of a text in which most of some words are, in at most `size` characters.

    Args:
        words: Lower-case words that are looked for.
    """
    if len(text) <= size:
        return text
    if size < WHOLE:
        return cut(text, size)
    places = [found.start() for found in re.finditer(r"\w+", text) if found.group().lower() in words]
    room = max(1, size - len(GAP) - len(END))
    if not places or places[-1] < room:
        return cut(text, size)
    best, most, first = 0, 0, 0
    for last, place in enumerate(places):  # the window of `room` characters with the most of them
        while place - places[first] > room * 2 // 3:
            first += 1
        if last - first + 1 > most:
            best, most = places[first], last - first + 1
    if best < room // 4:
        return cut(text, size)
    start = max(0, best - room // 4)
    part = text[start : start + room + room // 3]
    begun = _SENTENCE_END.search(part, 0, best - start)
    part = part[begun.end() :] if begun else part[part.find(" ", 0, best - start) + 1 :]
    lead = GAP.lstrip()
    if len(part) <= size - len(lead):
        return lead + part
    return lead + _beginning(part, size - len(lead) - len(END)) + END


def _beginning(text: str, size: int) -> str:
    if size <= 0:
        return ""
    if len(text) <= size:
        return text
    part = text[: size + 1]
    ends = [found.start() for found in _SENTENCE_END.finditer(part, int(size * (1 - SENTENCE_LOSS)))]
    end = ends[-1] if ends else part.rfind(" ", int(size * (1 - WORD_LOSS)))
    if end <= 0:
        end = size
        while end > 1 and _clings(text[end]):
            end -= 1
    return text[:end].rstrip()


def _ending(text: str, size: int) -> str:
    if size <= 0:
        return ""
    part = text[-size:]
    found = _SENTENCE_END.search(part, 0, max(1, int(size * TAIL_LOSS)))
    if found:
        return part[found.end() :].lstrip()
    space = part.find(" ", 0, int(size * WORD_LOSS))
    if space >= 0:
        return part[space + 1 :].lstrip()
    start = 0
    while start < len(part) - 1 and _clings(part[start]):
        start += 1
    return part[start:].lstrip()


def _clings(char: str) -> bool:
    """Whether a character belongs to the one before it."""
    return char in "\u200d\ufe0f" or unicodedata.combining(char) > 0 or 0x1F3FB <= ord(char) <= 0x1F3FF
