"""From text to words: what the full-text tables hold, and what a query asks of them.

FTS5 splits what it is given at everything that is no letter, mark or digit, and stems English. That misses words
inside identifiers and in scripts that put no spaces between words. Both are written out here, before FTS5
sees the text: `getUserName` also stands there as `get user name`, 東京都 as its overlapping pairs 東京 京都 都.
The same is done to queries, so a query is found where it is part of what was said.

Query strings are data. Nothing in them is FTS syntax: a query is taken apart into words, and each word is handed on
in quotes.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from time import gmtime
from typing import NamedTuple

from ..events.normal import MAX_TEXT, Normal, searchable

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
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
)  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

_NAMES = ("senderName", "from", "sender", "speaker", "author", "name")

# Scripts that put no spaces between words, and Hangul, which glues particles to them. Punctuation is left out.
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
_dense = re.compile(f"[{_DENSE}]+")
_spaced = re.compile(rf"[^\W_{_DENSE}](?:[^\W_{_DENSE}]|[\u0300-\u036f])*")
_surrogates = re.compile("[\ud800-\udfff\0]")
_written = re.compile(r"\S+")
_camel = re.compile(r"[A-Za-z0-9]*[a-z][A-Z][A-Za-z0-9]*")
_humps = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
_joined = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)+")
_hex = re.compile(r"(?=.*[0-9])[0-9a-f]{7,39}")

# Each byte's class: one look at a text says whether there is anything in it to write out, and counts its words.
_CLASSES = bytes(
    97 if 97 <= byte <= 122 or 48 <= byte <= 57 or byte >= 128
    else 65 if 65 <= byte <= 90
    else byte if byte in b"_-"
    else 32
    for byte in range(256)
)  # fmt: skip
_WORDS = bytes(97 if byte in b"aA" else 32 for byte in range(256))


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
        terms: Its words, folded, each once, without those that say nothing; the most that are looked for is
            `MAX_TERMS`. A term may be several words that are one written word, parted by spaces: a phrase.
        phrases: Words that were written as one (`foo.py`) or in a row, as phrases: a bonus, not asked for.
    """

    terms: tuple[str, ...]
    phrases: tuple[str, ...] = ()

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
    if not text.isascii():
        text = _clean(text)
        text, dense = _spread(text)
    else:
        dense = 0
    classes = text.encode().translate(_CLASSES)
    words = classes.translate(_WORDS).count(b" a") + (classes[:1] not in b" ") + dense
    if b"aA" in classes or b"a_" in classes or b"a-" in classes or b"A_" in classes or b"A-" in classes:
        text = f"{text}\n{' '.join(_parts(text))}"
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
    terms: dict[str, None] = {}
    spare: dict[str, None] = {}
    phrases: dict[str, None] = {}
    for written in _written.findall(_prepared(text)):
        parts = _query_words(written)
        for part in parts:
            if part in STOP or (len(part) == 1 and part.isascii()):
                spare[part] = None
            else:
                terms[part] = None
        if 1 < len(parts) <= MAX_PARTS:
            phrases[" ".join(parts)] = None
    chosen = list(terms or spare)[:MAX_TERMS]
    return Query(tuple(chosen), tuple(phrases)[:MAX_TERMS])


def all_words(text: str) -> str:
    """Return the MATCH expression of what holds all words of a text, or "" where it has none."""
    found: dict[str, None] = {}
    for written in _written.findall(_prepared(text)):
        parts = list(_runs(written))
        for part in parts:
            found[quoted(part) + (" *" if len(part) == 1 and _dense.fullmatch(part) else "")] = None
    return f"{{body}} : ({' AND '.join(list(found)[:MAX_TERMS])})" if found else ""


def quoted(term: str) -> str:
    """Return a term as FTS5 takes it; terms hold no quotes."""
    return f'"{term}"'


def _clean(text: str) -> str:
    """Return a text in the one spelling of its characters (NFKC) without what no database takes."""
    text = _surrogates.sub(" ", text[:MAX_TEXT])
    if unicodedata.is_normalized("NFKC", text):
        return text
    chunks = range(0, len(text), CHUNK)
    return "".join(unicodedata.normalize("NFKC", text[i : i + CHUNK]) for i in chunks)[:MAX_TEXT]


def _spread(text: str) -> tuple[str, int]:
    """Return a text with pairs in place of the words of dense scripts, and about how many words those are."""
    extra = 0

    def pairs(match: re.Match[str]) -> str:
        nonlocal extra
        run = match[0]
        extra += len(run) // 2
        return f" {_pairs(run)} {run[-1]} "

    return _dense.sub(pairs, text), extra


def _pairs(run: str) -> str:
    return " ".join(map("".join, zip(run, run[1:], strict=False)))


def _parts(text: str) -> Iterator[str]:
    """Return the words of the identifiers of a text, and each two of them as one."""
    for match in _camel.finditer(text):
        yield from _written_out(_humps.findall(match[0]))
    for match in _joined.finditer(text):
        words = re.split("[_-]", match[0])
        yield from map("".join, zip(words, words[1:], strict=False))


def _written_out(words: list[str]) -> Iterator[str]:
    yield from words
    if len(words) > 2:
        yield from map("".join, zip(words, words[1:], strict=False))


def _prepared(text: str) -> str:
    text = text[:MAX_QUERY]
    return text.replace("\0", " ") if text.isascii() else _clean(text)


def _query_words(written: str) -> list[str]:
    """Return the words of what stands between two spaces."""
    written = written.removesuffix("'s").removesuffix("’s")
    words = []
    for run in _runs(written):
        if " " in run or len(run) > MAX_WORD:
            words.extend(run.split(" ")[:MAX_TERMS] if " " in run else [run[:MAX_WORD]])
        else:
            words.append(run.lower())
            if _camel.fullmatch(run):
                words.extend(word.lower() for word in _humps.findall(run))
    return words


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


STOP = frozenset(
    [
        "a",
        "about",
        "above",
        "after",
        "again",
        "against",
        "all",
        "am",
        "an",
        "and",
        "any",
        "are",
        "aren",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "below",
        "between",
        "both",
        "but",
        "by",
        "can",
        "cannot",
        "could",
        "couldn",
        "did",
        "didn",
        "do",
        "does",
        "doesn",
        "doing",
        "don",
        "down",
        "during",
        "each",
        "few",
        "for",
        "from",
        "further",
        "had",
        "hadn",
        "has",
        "hasn",
        "have",
        "haven",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "herself",
        "him",
        "himself",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "isn",
        "it",
        "its",
        "itself",
        "just",
        "ll",
        "me",
        "might",
        "more",
        "most",
        "my",
        "myself",
        "no",
        "nor",
        "not",
        "now",
        "of",
        "off",
        "on",
        "once",
        "only",
        "or",
        "other",
        "our",
        "ours",
        "ourselves",
        "out",
        "over",
        "own",
        "re",
        "same",
        "shan",
        "she",
        "should",
        "shouldn",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "themselves",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "until",
        "up",
        "ve",
        "very",
        "was",
        "wasn",
        "we",
        "were",
        "weren",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "won",
        "would",
        "wouldn",
        "you",
        "your",
        "yours",
        "yourself",
        "yourselves",
        "aber",
        "als",
        "am",
        "auch",
        "auf",
        "aus",
        "bei",
        "bin",
        "bis",
        "bist",
        "da",
        "damit",
        "dann",
        "das",
        "dass",
        "dein",
        "dem",
        "den",
        "der",
        "des",
        "dich",
        "dir",
        "doch",
        "du",
        "ein",
        "eine",
        "einem",
        "einen",
        "einer",
        "eines",
        "er",
        "es",
        "euch",
        "für",
        "hab",
        "habe",
        "haben",
        "hatte",
        "ich",
        "ihm",
        "ihn",
        "ihr",
        "im",
        "ist",
        "ja",
        "jede",
        "kann",
        "kein",
        "keine",
        "mein",
        "mich",
        "mir",
        "mit",
        "nach",
        "nicht",
        "noch",
        "nur",
        "oder",
        "ob",
        "schon",
        "sein",
        "seine",
        "sich",
        "sie",
        "sind",
        "so",
        "über",
        "um",
        "und",
        "uns",
        "vom",
        "von",
        "vor",
        "wann",
        "warum",
        "was",
        "weil",
        "welche",
        "wenn",
        "wer",
        "wie",
        "wir",
        "wird",
        "wo",
        "zu",
        "zum",
        "zur",
    ]
)
"""Words that a query does not ask for, English and German."""
