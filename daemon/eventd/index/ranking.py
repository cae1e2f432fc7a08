"""Ranking: which events answer a query, best first.

bm25 by FTS5, then *lending*: what stands beside a good hit in the same session is about the same thing, so a hit
gives part of its score to its neighbours, the less the longer they are.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apsw

from .words import Query, all_words, quoted

CANDIDATES = 200  # hits that lend
NEXT, PREVIOUS, FARTHER = 0.4, 0.45, 0.2
"""Shares of its score that a hit lends; chosen on LoCoMo and LongMemEval (see reference figures in the bench)."""
DAMPING = 60  # words: a longer neighbour gets less, since it is about more
REACH = 16  # events of the session that are looked at on each side for two that are visible


class Ranked(NamedTuple):
    """An event and how well it answers.

    Attributes:
        n: Its number in the index.
        score: The greater the better; comparable within one answer.
    """

    n: int
    score: float


def rank(
    db: apsw.Connection,
    tables: Sequence[str],
    query: Query,
    *,
    limit: int,
    condition: str = "",
    values: "Sequence[apsw.SQLiteValue]" = (),
) -> list[Ranked]:
    """Return the events that answer a query best, best first; ties in the order of arrival.

    Args:
        tables: Names of the full-text tables that are searched.
        condition: SQL about `e`, a row of `events`, that a visible event meets; "" for all.
        values: Bindings of the condition.
    """
    if not query or limit <= 0:
        return []
    visible = f"({condition})" if condition else "1"
    match = " OR ".join(map(quoted, (*query.terms, *query.phrases)))
    found: dict[int, tuple[float, int]] = {}
    for table in tables:
        rows = db.execute(
            f"SELECT e.n, e.words, -bm25({table}, 1.0, 0.3) FROM {table} JOIN events AS e ON e.n = {table}.rowid"
            f" WHERE {table} MATCH ? AND {visible} ORDER BY rank LIMIT {CANDIDATES}",
            (match, *values),
        )
        for n, words, score in rows:
            if n not in found or found[n][0] < score:
                found[n] = (score, words)
    scores = {n: score for n, (score, _) in found.items()}
    for n, (score, _) in found.items():
        for neighbour, words, share in _neighbours(db, n, visible, values):
            lent = share * score * min(1.0, DAMPING / max(words, 1))
            scores[neighbour] = scores.get(neighbour, 0.0) + lent
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [Ranked(n, score) for n, score in best]


def matching(tables: Sequence[str], text: str) -> tuple[str, tuple[str, ...]]:
    """Return SQL, and its bindings, that selects the numbers of the events that hold all words of a text.

    Made for `e.n IN (…)`. A text without words is held by none.
    """
    match = all_words(text)
    if not match or not tables:
        return "SELECT 0 WHERE 0", ()
    sql = " UNION ALL ".join(f"SELECT rowid FROM {table} WHERE {table} MATCH ?" for table in tables)
    return sql, (match,) * len(tables)


def _neighbours(
    db: apsw.Connection, n: int, visible: str, values: "Sequence[apsw.SQLiteValue]"
) -> Iterator[tuple[int, int, float]]:
    for sign, order, shares in ((">", "ASC", (NEXT, FARTHER)), ("<", "DESC", (PREVIOUS, FARTHER))):
        rows = db.execute(
            f"SELECT e.n, e.words FROM (SELECT b.n AS m FROM events AS a JOIN events AS b ON b.session = a.session"
            f" AND (b.time, b.n) {sign} (a.time, a.n) WHERE a.n = ? ORDER BY b.time {order}, b.n {order}"
            f" LIMIT {REACH}) JOIN events AS e ON e.n = m WHERE e.words > 0 AND {visible} LIMIT 2",
            (n, *values),
        )
        for (neighbour, words), share in zip(rows, shares, strict=False):
            yield neighbour, words, share
