"""How long recall takes where much is stored: synthetic text, words as frequent as in real ones (Zipf)."""

# ruff: noqa: S608 - names of tables come from the code; what comes from outside is bound

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw

from eventd.events.normal import Normal
from eventd.events.types import Kind
from eventd.index.ranking import rank
from eventd.index.words import indexed, insert_sql, lexicon_sql, parse_query

from ..report import Sheet
from .drivers import Direct

BIG, SMALL = 1_000_000, 10_000  # events of the one agent that has nearly all, and of the other one
SESSION = 10_000  # events of one session
VOCABULARY = 60_000  # words; about what a million chat turns hold
LENGTHS = (4, 60)  # words of an event
QUERIES = 60
START = 1_700_000_000_000  # Unix ms
STEP = 20_000  # ms between two events
CHUNK = 20_000  # events a transaction
MS = 1000.0

NOTE = (
    "synthetic; words of a query drawn as they are from text, from the frequent ones, or from the rare ones"
)


class Vocabulary:
    """Words whose frequency falls with their rank, and texts and queries made of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        syllables = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
        words = {
            "".join(self._random.choices(syllables, k=self._random.randint(2, 4))): None
            for _ in range(200_000)
        }
        self._words = list(words)[:VOCABULARY]
        self._weights = list(itertools.accumulate(1 / (place + 3) for place in range(len(self._words))))

    def text(self) -> str:
        """Return the text of an event."""
        return " ".join(self._drawn(self._random.randint(*LENGTHS)))

    def as_drawn(self) -> str:
        """Return six words as they come."""
        return " ".join(self._drawn(6))

    def frequent(self) -> str:
        """Return five of the most frequent words."""
        return " ".join(self._random.sample(self._words[:60], 5))

    def rare(self) -> str:
        """Return three words from the far end, and two frequent ones."""
        return " ".join(self._random.sample(self._words[2000:], 3) + self._random.sample(self._words[:60], 2))

    def _drawn(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)


def measure(sheet: Sheet, big: int = BIG, folder: Path | None = None) -> None:
    """Fill an index and ask."""
    sheet.note = NOTE
    with tempfile.TemporaryDirectory(prefix="recall-", dir=folder) as made:
        driver = Direct(str(Path(made) / "index.db"))
        vocabulary = Vocabulary(1)
        started = time.perf_counter()
        fill(driver.db, 1, big, vocabulary)
        sheet.add(f"filling, {big:,} events", (time.perf_counter() - started) * 1e6 / big, "µs an event")
        fill(driver.db, 2, SMALL, vocabulary)
        ask(sheet, driver.db, vocabulary, big)


def ask(sheet: Sheet, db: apsw.Connection, vocabulary: Vocabulary, big: int) -> None:
    """Ask queries of each kind in each scope."""
    kinds: dict[str, Callable[[], str]] = {
        "as drawn": vocabulary.as_drawn, "frequent words": vocabulary.frequent, "rare words": vocabulary.rare
    }  # fmt: skip
    middle = START + big // 2 * STEP
    scopes: dict[str, tuple[int, str, tuple[int, ...]]] = {
        f"{SMALL:,} of {big:,}": (2, "e.agent = ?", (2,)),
        f"all {big:,} of one agent": (1, "e.agent = ?", (1,)),
        f"a session of {SESSION:,} of {big:,}": (
            1, "e.agent = ? AND e.session = ?", (1, big // SESSION // 2),
        ),
        f"{SESSION:,} by time of {big:,}": (
            1, "e.agent = ? AND e.time >= ? AND e.time < ?", (1, middle, middle + SESSION * STEP),
        ),
    }  # fmt: skip
    for scope, (agent, condition, values) in scopes.items():
        for kind, query in kinds.items():
            times = sorted(_times(db, f"fts_{agent}", [query() for _ in range(QUERIES)], condition, values))
            sheet.add(f"{scope}, {kind}, p50", statistics.median(times) * MS, "ms")
            sheet.add(f"{scope}, {kind}, p95", times[int(len(times) * 0.95)] * MS, "ms")


def _times(
    db: apsw.Connection, table: str, queries: Sequence[str], condition: str, values: Sequence[int]
) -> Iterator[float]:
    for text in queries:
        start = time.perf_counter()
        rank(db, [table], parse_query(text), limit=10, condition=condition, values=values)
        yield time.perf_counter() - start


def fill(db: apsw.Connection, agent: int, count: int, vocabulary: Vocabulary) -> None:
    """Store events of an agent."""
    table = f"fts_{agent}"
    db.execute(lexicon_sql(table))
    first = db.execute("SELECT coalesce(max(n), 0) + 1 FROM events").get
    for start in range(0, count, CHUNK):
        rows, texts = [], []
        for i in range(start, min(start + CHUNK, count)):
            text, when, n = vocabulary.text(), START + i * STEP, first + i
            body = (
                b'{"id":"0198c6c0-0000-7000-8000-000000000000","payload":{"data":{"text":"%b"}}}'
                % text.encode()
            )
            words = indexed(_normal(text, when), when)
            rows.append(
                (
                    n,
                    1,
                    n,
                    None,
                    None,
                    agent,
                    i // SESSION,
                    1,
                    1,
                    1,
                    0,
                    when,
                    when,
                    words.words,
                    "",
                    "",
                    "",
                    body,
                )
            )
            texts.append((n, *words.columns))
        with db:
            db.executemany(f"INSERT INTO events VALUES ({','.join('?' * 18)})", rows)
            db.executemany(insert_sql(table), texts)


def _normal(text: str, when: int) -> Normal:
    return Normal(
        "",
        when,
        "",
        "",
        "conversation.message.in",
        Kind.MESSAGE_IN,
        "internal",
        "",
        text,
        "",
        "",
        False,
        {},
        {},
    )
