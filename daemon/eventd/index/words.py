"""From text to words: what the full-text tables hold, and what a query asks of them.

FTS5 splits what it is given at everything that is no letter, mark or digit, and stems English. That misses
words inside identifiers and in scripts that put no spaces between words. Both are written out here, before
FTS5 sees the text: `getUserName` also stands there as `get user name`, 東京都 as its pairs 東京
京都 都. The same is done to queries, so a query is found where it is part of what was said.

Query strings are data. Nothing in them is FTS syntax: a query is taken apart into words, and each word is
handed on in quotes.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from time import gmtime
from typing import NamedTuple

from ..events.normal import MAX_TEXT, Normal, searchable
from .vocabulary import GERMAN, GERMAN_FOR_SURE, STOP, forms

PUBLIC = "fts_public"
"""Full-text table of the public events of all agents."""

COLUMNS = ("body", "head")
"""What was said; who said it and when."""

FTS = """
CREATE VIRTUAL TABLE {name} USING fts5(
    body, head, content='', contentless_delete=1,
    tokenize="porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
)
"""
"""Marks belong to words: without them Thai and Hindi words fall into single letters."""

MAX_QUERY = 4096  # characters of a query that are looked at
MAX_TERMS = 32  # words of a query that are searched for; each costs a walk through what holds it
MAX_WORD = 64  # characters of a word: what is longer is no word (base64, a hash of hashes)
MAX_PARTS = 8  # parts of one written word that are searched as a phrase
MAX_NAME = 64  # characters of a speaker's name
CHUNK = 256  # characters that are normalised at once: many marks on one letter cost their square
DAY = 86_400_000  # ms

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_NAMES = ("senderName", "from", "sender", "speaker", "author", "name")

# Scripts that put no spaces between words, and Hangul, which glues particles to them. No punctuation.
_DENSE = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59"  # Thai
    "\u0e81-\u0ed9\u0edc-\u0edf"  # Lao
    "\u1000-\u1049\u1050-\u109f\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17d3\u17e0-\u17e9"  # Khmer
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"  # Hangul
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"  # Kana
    "\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Bopomofo, Han
    "\U00020000-\U0003134f"
)
# Marks are no letters to Python, but without them words of many scripts fall apart.
_MARKS = "".join(
    re.escape(chr(code)) for code in range(0x300, 0x11000) if unicodedata.category(chr(code))[0] == "M"
)
_dense = re.compile(f"[{_DENSE}]+")
_spaced = re.compile(rf"[^\W_{_DENSE}](?:[^\W_{_DENSE}]|[{_MARKS}])*")
_surrogates = re.compile("[\ud800-\udfff\0]")
_written = re.compile(r"\S+")
_camel = re.compile(
    rf"(?<![A-Za-z0-9])(?=[A-Za-z0-9]{{0,{MAX_WORD}}}(?:[a-z][A-Z]|[A-Z][A-Z][a-z][a-z]))"
    rf"[A-Za-z0-9]{{3,{MAX_WORD}}}+(?![A-Za-z0-9])"
)
_humps = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_joined = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]++(?:[_-][A-Za-z0-9]++)++")
_hex = re.compile(r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,39}")
_possessive = re.compile("['’]s$")

# Each byte's class. Counting these finds words, and capitals that do not begin one, in a quarter of the time
# that a regular expression takes (2.4 µs for 300 characters, all of `indexed`). Bytes of other scripts count
# as letters.
_CLASSES = bytes(
    65 if 65 <= byte <= 90 else 97 if 97 <= byte <= 122 or 48 <= byte <= 57 or byte >= 128 else 32
    for byte in range(256)
)


class Indexed(NamedTuple):
    """What is stored of an event for searching.

    Attributes:
        columns: The texts of `COLUMNS`.
        words: Number of words of the first.
    """

    columns: tuple[str, str]
    words: int


class Query(NamedTuple):
    """What a query asks for.

    Attributes:
        terms: Its words in their order, each once, without those that say nothing. A term is all the ways in
            which it may be written; any of them will do. Each way is words parted by spaces, to be found in a
            row; one that ends in `*` stands for whatever begins so.
    """

    terms: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.terms)


def lexicon_sql(name: str) -> str:
    """Return the statement that makes the full-text table `name`."""
    return FTS.format(name=name)


def insert_sql(name: str) -> str:
    """Return the statement that takes an event in; its bindings: rowid and `Indexed.columns`."""
    return f"INSERT INTO {name} (rowid, body, head) VALUES (?, ?, ?)"


def delete_sql(name: str) -> str:
    """Return the statement that takes an event out; its binding: rowid."""
    return f"DELETE FROM {name} WHERE rowid = ?"


def indexed(event: Normal, time_ms: int) -> Indexed:
    """Return what is stored of an event for searching.

    Args:
        time_ms: When it happened.
    """
    text = searchable(event)
    if not text:
        return Indexed(("", ""), 0)
    dense = 0
    if not text.isascii():
        text, dense = _spread(_clean(text))
    classes = text.encode().translate(_CLASSES)
    capitals = classes.count(b" A") + (classes[0] == 65)
    words = classes.count(b" a") + (classes[0] == 97) + capitals + dense
    if capitals != classes.count(b"A") or "_" in text or "-" in text:
        parts = " ".join(_parts(text))
        if parts:
            text = f"{text}\n{parts}"
    name = _speaker(event)
    day = date_words(time_ms // DAY)
    return Indexed((text, f"{name} {day}" if name else day), words)


@lru_cache(1024)
def date_words(day: int) -> str:
    """Return a day (since 1970, UTC) in words that people use for it."""
    try:
        then = gmtime(day * (DAY // 1000))
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{_DAYS[then.tm_wday]} {then.tm_mday} {_MONTHS[then.tm_mon - 1]} {then.tm_year}"


def parse_query(text: str) -> Query:
    """Return what a query asks for. Any text is a query; one without words asks for nothing."""
    words = [word for written in _written.findall(_prepared(text)) for word in _asked(written)]
    seen = {way for word in words for way in word}
    stop = STOP | GERMAN if seen & GERMAN_FOR_SURE else STOP
    telling = [word for word in words if word[0] not in stop and (len(word[0]) > 1 or not word[0].isascii())]
    return Query(tuple(dict.fromkeys(telling or words))[:MAX_TERMS])


def all_words(text: str) -> str:
    """Return the MATCH expression of what holds all words of a text, or "" where it has none.

    Words of dense scripts are looked for as they stand, not as their pairs in any order.
    """
    runs = [run for written in _written.findall(_prepared(text)) for run in _runs(written)]
    found = dict.fromkeys(
        quoted(f"{run}*" if len(run) == 1 and _dense.fullmatch(run) else run) for run in runs
    )
    return f"{{body}} : ({' AND '.join(list(found)[:MAX_TERMS])})" if found else ""


def quoted(way: str) -> str:
    """Return one way of writing a term as FTS5 takes it; there are no quotes in it."""
    return f'"{way[:-1]}" *' if way.endswith("*") else f'"{way}"'


def _clean(text: str) -> str:
    """Return a text in the one spelling of its characters (NFKC) without what no database takes."""
    text = _surrogates.sub(" ", text[:MAX_TEXT]).replace("ß", "ss")
    if unicodedata.is_normalized("NFKC", text):
        return text
    parts: list[str] = []
    left = MAX_TEXT
    for start in range(0, len(text), CHUNK):
        parts.append(unicodedata.normalize("NFKC", text[start : start + CHUNK])[:left])
        left -= len(parts[-1])  # some characters become eighteen
        if left <= 0:
            break
    return "".join(parts)


def _spread(text: str) -> tuple[str, int]:
    """Return a text with pairs in place of the words of dense scripts, and what that adds to its words."""
    extra = 0

    def pairs(match: re.Match[str]) -> str:
        nonlocal extra
        run = match[0]
        extra -= len(run) - (len(run) + 1) // 2  # words of two letters, about
        return f" {_pairs(run)} {run[-1]} "

    return _dense.sub(pairs, text), extra


def _pairs(run: str) -> str:
    return " ".join(map("".join, itertools.pairwise(run)))


def _parts(text: str) -> Iterator[str]:
    """Return the words of the identifiers of a text, and each two of them as one."""
    for match in _camel.finditer(text):
        words = _humps.findall(match[0])
        yield from words
        if len(words) > 2:
            yield from map("".join, itertools.pairwise(words))
    for match in _joined.finditer(text):
        yield from map("".join, itertools.pairwise(re.split("[_-]", match[0])))


def _prepared(text: str) -> str:
    text = text[:MAX_QUERY]
    return text.replace("\0", " ") if text.isascii() else _clean(text)[:MAX_QUERY]


def _asked(written: str) -> Iterator[tuple[str, ...]]:
    """Return the terms of what stands between two spaces of a query."""
    runs = list(_runs(_possessive.sub("", written)))[:MAX_TERMS]
    if 1 < len(runs) <= MAX_PARTS and all(run.isascii() for run in runs):
        whole = " ".join(runs).lower()
        if len(runs) == 2 and _joined.fullmatch(written):
            yield "".join(runs).lower(), whole  # e-mail, user_name
        elif min(map(len, runs)) == 1:
            yield (whole,)  # 2.12.1, c++: what its parts do not say
    for run in runs:
        if not run.isascii():
            yield from _asked_dense(run)
        elif _camel.fullmatch(run):
            words = [word.lower() for word in _humps.findall(run)]
            yield run[:MAX_WORD].lower(), " ".join(words[:MAX_PARTS])
            yield from ((word[:MAX_WORD],) for word in words if len(word) > 1)
        elif _hex.fullmatch(run):
            yield (f"{run}*",)  # hashes are quoted by their beginning
        else:
            yield forms(run[:MAX_WORD].lower())


def _asked_dense(run: str) -> Iterator[tuple[str, ...]]:
    if len(run) == 1 and _dense.fullmatch(run):
        yield (f"{run}*",)  # a single letter: all pairs that begin with it
    elif " " in run:
        yield from ((pair,) for pair in run.split(" "))
    else:
        yield (run[:MAX_WORD].lower(),)


def _runs(written: str) -> Iterator[str]:
    """Return the words of a text; those of dense scripts as their pairs."""
    position = 0
    for match in _dense.finditer(written):
        yield from _spaced.findall(written[position : match.start()])
        run = match[0]
        yield run if len(run) == 1 else _pairs(run)
        position = match.end()
    yield from _spaced.findall(written[position:])


def _speaker(event: Normal) -> str:
    data = event.data
    for key in _NAMES:
        name = data.get(key)
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME and not event.tool:
            return name
    return ""
