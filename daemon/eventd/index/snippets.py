"""The passage of a text that shows best why it answers a query."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from .words import Query

LOOKED_AT = 64 * 1024  # characters of a text; what is behind is not shown
CACHED_QUERIES = 64  # queries whose words need not be made a pattern again for each of their hits
MAX_WAYS = 4  # times as many places are collected before those that overlap are left out
HITS = 500  # words of the query in a text that are weighed
STEM = 4  # letters that a word keeps when its ending is cut off
ENDING = 3  # letters of an ending: stemming makes `painting` and `painted` one, so here both are shown
BEFORE = 0.3  # of the spare width stands before the first word
CLUSTER = 32  # characters that a cut is moved at most so that no letter loses its marks
MORE = "…"
_JOINERS = "\u200d\ufe0e\ufe0f"


def snippet(text: str, query: Query, width: int) -> str:
    """Return the best passage of a text: most words of the query, closest together.

    One line of plain text, at most `width` characters with the dots that stand for what is left out. A text
    without any of the words begins at its beginning.
    """
    text, left_out = text[:LOOKED_AT], len(text) > LOOKED_AT
    if width <= 2 * len(MORE):
        return ""
    if not left_out and len(text) <= width:
        return " ".join(text.split())
    first, last = _passage(_hits(text, query), width)
    start, end = _bounds(text, first, last, width - 2 * len(MORE))
    shown = " ".join(text[start:end].split())
    before = MORE if text[:start].strip() else ""
    after = MORE if left_out or text[end:].strip() else ""
    return f"{before}{shown}{after}"


def _hits(text: str, query: Query) -> list[tuple[int, int, int]]:
    """Return where the words of a query stand, from left to right: begin, end, place in the query."""
    folded = text.translate(_FOLDED)
    found: list[tuple[int, int, int]] = []
    for begin, pattern, place in _finders(query):
        at = folded.find(begin)
        while at >= 0 and len(found) < HITS * MAX_WAYS:
            match = pattern.match(folded, at)
            if match is not None:
                found.append((at, match.end(), place))
            at = folded.find(begin, at + 1 if match is None else match.end())
    found.sort()
    apart: list[tuple[int, int, int]] = []
    for hit in found:
        if not apart or hit[0] >= apart[-1][1]:
            apart.append(hit)
    return apart[:HITS]


@lru_cache(CACHED_QUERIES)
def _finders(query: Query) -> list[tuple[str, re.Pattern[str], int]]:
    """Return what finds the words of a query: how each begins, all of it, and its place in the query.

    One search for each beginning, in C, takes a tenth of the time of one pattern of all words.
    """
    ways = {way: place for place, term in enumerate(query.terms) for way in term}
    return [(*_pattern(way), place) for way, place in ways.items()]


def _pattern(way: str) -> tuple[str, re.Pattern[str]]:
    words = way.removesuffix("*").translate(_FOLDED).split()
    if not words[0].isascii() and len(words[0]) <= 2:
        return words[0], re.compile(re.escape(words[0]))  # a pair inside a word
    last = words[-1]
    words[-1] = last[: max(STEM, len(last) - ENDING)] if last.isalpha() else last
    tail = "" if len(words[-1]) < STEM and not way.endswith("*") else r"\w{0,64}"
    return words[0], re.compile(rf"\b{r'[\W_]{0,3}'.join(map(re.escape, words))}{tail}")


def _passage(hits: list[tuple[int, int, int]], width: int) -> tuple[int, int]:
    """Return begin and end of the hits that stand together within the width and are worth most."""
    best, span = (0, 0), (0, 0)
    inside: Counter[int] = Counter()
    begin = 0
    for start, end, place in hits:
        inside[place] += 1
        while end - hits[begin][0] > width and hits[begin][0] < start:
            gone = hits[begin][2]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            begin += 1
        worth = (len(inside), inside.total())
        if worth > best:
            best, span = worth, (hits[begin][0], min(end, hits[begin][0] + width))
    return span


def _bounds(text: str, first: int, last: int, width: int) -> tuple[int, int]:
    """Return where to cut so that a passage is within, at spaces where there are any."""
    spare = max(0, width - (last - first))
    start = max(0, first - int(spare * BEFORE))
    end = min(len(text), start + width)
    start = max(0, min(start, end - width))
    if 0 < start < first:
        gap = re.search(r"\s", text[start:first])
        start = start + gap.end() if gap else _whole(text, start, 1)
    if last < end < len(text) and not text[end].isspace():
        space = max(text.rfind(blank, last, end) for blank in " \n\t")
        end = space if space > last else _whole(text, end, -1)
    return start, max(start, end)


def _whole(text: str, cut: int, step: int) -> int:
    """Move a cut so that it does not part a letter from its marks, or an emoji from what it joins."""
    for place in range(cut, cut + step * CLUSTER, step):
        if not 0 < place < len(text):
            return place
        here, before = text[place], text[place - 1]
        joined = here in _JOINERS or before == "\u200d" or "\U0001f3fb" <= here <= "\U0001f3ff"
        flags = "\U0001f1e6" <= here <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff"
        if not joined and not flags and not unicodedata.category(here).startswith("M"):
            return place
    return cut


class _Folded(dict[int, str]):
    """Latin letters without marks and capitals, each still one character; all others as they are."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if code < 0x250 or 0x1E00 <= code < 0x1F00 or 0xFF01 <= code <= 0xFF5E:
            base = unicodedata.normalize("NFKD", char)[0].lower()
            char = base if len(base) == 1 else char
        elif len(char.lower()) == 1:
            char = char.lower()
        self[code] = char
        return char


_FOLDED = _Folded()
