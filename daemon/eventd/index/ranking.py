"""Ranking: which events answer a query, best first.

What stands beside a good hit in the same session is about the same thing. So hits *lend*: each gives part
of its score to its neighbours, the less the longer these are, and something of a session's best hits goes
to all of them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from typing import NamedTuple

import apsw
import msgspec

from .candidates import Candidate, Scope, candidates
from .words import Query, all_words

CANDIDATES = 100  # events that are scored, and that lend; 200 bring 0.1 points of recall@10, 60 cost 0.2
PREVIOUS = (0.45, 0.2)  # shares of its score that a hit lends to the one before, and to that before it
NEXT = (0.4, 0.2)
DAMPING = 60  # words: a longer event gets less, since it is about more; 40 and 80 are worse on one set each
REACH = 16  # events of a session that are looked at for those two neighbours that are visible
SESSION = 0.2  # of the best score goes to the best session's events, and less to others
SESSION_HITS = 3  # whose sum tells how good a session is


_decode = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Ranked(NamedTuple):
    """An event and how well it answers.

    Attributes:
        n: Its number in the index.
        score: The greater the better; comparable within one answer.
    """

    n: int
    score: float


class _Receiver(NamedTuple):
    """What may get something: an event, its session and its number of words."""

    session: int
    words: int


def rank(
    db: apsw.Connection,
    tables: Sequence[str],
    query: Query,
    *,
    limit: int,
    condition: str = "",
    values: "Sequence[apsw.SQLiteValue]" = (),
    apart: int = 0,
) -> list[Ranked]:
    """Return the events that answer a query best, best first; ties in the order of arrival.

    Args:
        tables: Names of the full-text tables that are searched.
        condition: SQL about `e`, a row of `events`, that a visible event meets; "" for all. What does not
            meet it neither lends nor gets anything.
        values: Bindings of the condition.
        apart: Leave out what stands at most so far from a better one in its session (up to 2): for answers
            that show neighbours anyway.
    """
    if not query or limit <= 0:
        return []
    scope = Scope(condition, values)
    found: dict[int, Candidate] = {}
    for table in tables:
        for hit in candidates(db, table, query, scope, max(CANDIDATES, limit)):
            if hit.n not in found or found[hit.n].score < hit.score:
                found[hit.n] = hit
    lenders = sorted(found.values(), key=lambda hit: (-hit.score, hit.n))[: max(CANDIDATES, limit)]
    lenders = _of_sessions(db, lenders)
    neighbours = _neighbours(db, lenders, scope)
    scores = _lend(found, lenders, neighbours)
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    if apart:
        best = _spread(best, neighbours, apart)
    return [Ranked(n, score) for n, score in best[:limit]]


def matching(
    tables: Sequence[str], text: str, among: tuple[int, int] | None = None
) -> tuple[str, tuple[str | int, ...]]:
    """Return SQL, and its bindings, that selects the numbers of the events that hold all words of a text.

    Made for `e.n IN (…)`. A text without words is held by none.

    Args:
        among: First and last number of the events that are looked at; all when absent.
    """
    match = all_words(text)
    if not match or not tables:
        return "SELECT 0 WHERE 0", ()
    here = "" if among is None else " AND rowid BETWEEN ? AND ?"
    sql = " UNION ALL ".join(f"SELECT rowid FROM {table} WHERE {table} MATCH ?{here}" for table in tables)
    return sql, (match, *(among or ())) * len(tables)


type _Neighbours = Mapping[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]]
"""For an event those before it and those after it, nearest first: number and words of each."""


def _of_sessions(db: apsw.Connection, hits: Sequence[Candidate]) -> list[Candidate]:
    """Return those that belong to a session; all others have nothing to do with each other."""
    none = db.execute("SELECT number FROM names WHERE text = ''").get
    return [hit for hit in hits if hit.session != none]


def _lend(
    found: Mapping[int, Candidate], lenders: Sequence[Candidate], neighbours: _Neighbours
) -> dict[int, float]:
    scores = {n: hit.score for n, hit in found.items()}
    receivers = {n: _Receiver(hit.session, hit.words) for n, hit in found.items()}
    by_session: defaultdict[int, list[float]] = defaultdict(list)
    for hit in lenders:
        by_session[hit.session].append(hit.score)
        for shares, beside in zip((PREVIOUS, NEXT), neighbours[hit.n], strict=True):
            for share, (n, words) in zip(shares, beside, strict=False):
                receivers.setdefault(n, _Receiver(hit.session, words))
                scores[n] = scores.get(n, 0.0) + share * hit.score * _damping(words)
    if lenders:
        sums = {session: sum(nlargest(SESSION_HITS, held)) for session, held in by_session.items()}
        share = SESSION * lenders[0].score / (max(sums.values()) or 1.0)
        for n, (session, words) in receivers.items():
            scores[n] += share * sums.get(session, 0.0) * _damping(words)
    return scores


def _damping(words: int) -> float:
    return DAMPING / words if words > DAMPING else 1.0


def _spread(
    best: Iterable[tuple[int, float]], neighbours: _Neighbours, apart: int
) -> list[tuple[int, float]]:
    taken: set[int] = set()
    beside: defaultdict[int, set[int]] = defaultdict(set)
    for n, sides in neighbours.items():
        for side in sides:
            for other, _ in side[:apart]:
                beside[n].add(other)
                beside[other].add(n)
    kept = []
    for n, score in best:
        if not beside[n] & taken:
            taken.add(n)
            kept.append((n, score))
    return kept


# The neighbours on one side: first those of the same millisecond, by number, then those of other times. Two
# parts, because only so both are read off the index (session, time), however many share a time.
_SIDE = """
    SELECT json_group_array(json_array(m, w)) FROM (
        SELECT e.n AS m, e.words AS w FROM (
            SELECT * FROM (SELECT b.n AS r FROM events AS b
                WHERE b.session = a.session AND b.time = a.time AND b.n {sign} a.n
                ORDER BY b.n {order} LIMIT {reach})
            UNION ALL
            SELECT * FROM (SELECT b.n AS r FROM events AS b
                WHERE b.session = a.session AND b.time {sign} a.time
                ORDER BY b.time {order}, b.n {order} LIMIT {reach})
            LIMIT {reach}
        ) CROSS JOIN events AS e ON e.n = r WHERE e.words > 0 AND {visible} LIMIT 2
    )
"""


def _neighbours(db: apsw.Connection, hits: Sequence[Candidate], scope: Scope) -> _Neighbours:
    """Return the two nearest visible events on each side, in the same session."""
    before = _SIDE.format(sign="<", order="DESC", reach=REACH, visible=scope.sql)
    after = _SIDE.format(sign=">", order="ASC", reach=REACH, visible=scope.sql)
    rows = db.execute(
        f"SELECT a.n, ({before}), ({after}) FROM json_each(?) AS j CROSS JOIN events AS a ON a.n = j.value",
        (*scope.values, *scope.values, json.dumps([hit.n for hit in hits])),
    )
    return {n: (_decode(previous), _decode(following)) for n, previous, following in rows}
