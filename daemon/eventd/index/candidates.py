"""Candidates: the events of one full-text table that answer a query, scored word by word.

The score is bm25 over body and head, more for events that hold much of the query, hold words of it side by
side, or whose head (who spoke, when) is asked for. FTS5 finds and pre-sorts in C; what is left is scored
here.

In a big table a frequent word stands in hundreds of thousands of rows. Only so many rows are looked at
(`BUDGET`): those of the rare words of the query. Frequent words then only count for rows that a rare one
found. Where all words are frequent, the newest rows are looked at.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import apsw

from .words import Query, quoted

if TYPE_CHECKING:
    from apsw import FTS5ExtensionApi

BUDGET = 2000  # rows that the words of a query may find together; 0.9 µs each
COMMON = 0.3  # part of all rows: a word in more of them says nothing in a big table
FREQUENT = 3  # frequent words that count beside rare ones; each costs up to 4 ms among 1 M rows
SCOPE = 12_000  # events of a scope that are looked at to learn where in the table it lies
SMALL = 20_000  # rows: in a smaller table that is learnt only where fewer than `FEW` were found without
FEW = 20  # candidates
STEPS = 400_000  # of SQLite's machine that this may take: about 5 ms

K1, B = 1.2, 0.75  # bm25: how soon repeating a word stops to count, and how much long texts lose
HEAD = 0.3  # of a mention in the body
COVERAGE = 0.5  # more, at most, for what holds all of the query
PAIR = 0.5  # of the rarer word's weight, for two words of the query side by side
NEAR = 4  # words: side by side
ASKED = 0.3  # more for what the asked-for person said, or was said on the asked-for day
LONG = 2000  # words: in longer texts words are not counted; one with 131 072 times the word would take ms
POSITIONS = 50  # places of a word that are compared with those of the next one


class Candidate(NamedTuple):
    """An event that holds words of the query.

    Attributes:
        score: The greater the better.
        words: Number of words that are searched.
    """

    n: int
    score: float
    session: int
    time: int
    words: int


@dataclass(slots=True)
class Scope:
    """Which events may be seen.

    Attributes:
        condition: SQL about `e`, a row of `events`; "" for all.
        values: Its bindings.
    """

    condition: str = ""
    values: "Sequence[apsw.SQLiteValue]" = ()

    @property
    def sql(self) -> str:
        """The condition, ready for an AND."""
        return f"({self.condition})" if self.condition else "1"

    def span(self, db: apsw.Connection) -> tuple[int, int, bool] | None:
        """Return the numbers between which the newest events of the scope lie, and whether these are all.

        None where finding out takes too long.
        """

        def stop() -> bool:
            return True

        db.set_progress_handler(stop, STEPS, id=self)
        try:
            ((count, first, last),) = db.execute(
                "SELECT count(*), min(n), max(n) FROM"
                f" (SELECT e.n FROM events AS e WHERE {self.sql} ORDER BY e.time DESC LIMIT ?)",
                (*self.values, SCOPE),
            )
        except apsw.InterruptError:
            return None
        finally:
            db.set_progress_handler(None, id=self)
        return (first or 0, last or 0, count < SCOPE)


@dataclass(slots=True)
class _Term:
    """A word of the query in one table.

    Attributes:
        place: Its place in the query.
        rows: In how many rows it is.
        oldest: The row from which on there are `BUDGET`; 0 where there are not so many.
        weight: Its inverse document frequency.
    """

    place: int
    ways: tuple[str, ...]
    rows: int
    oldest: int
    weight: float

    @property
    def match(self) -> str:
        return " OR ".join(map(quoted, self.ways))


@dataclass(slots=True)
class _Plan:
    """What is searched, and how a row is scored.

    Attributes:
        rare: Words whose rows are looked at.
        frequent: Words that count where a rare one is.
        first, last: Rows between which is searched.
        cut: Whether there are rows with words of the query that are not looked at.
        windowed: Whether the one rare word is a frequent one, looked for among its newest rows only.
        spanned: Whether the rows are those among which the scope lies.
    """

    rare: list[_Term]
    frequent: list[_Term]
    first: int
    last: int
    cut: bool = False
    windowed: bool = False
    spanned: bool = False
    _numbered: list[tuple[_Term, range]] = field(default_factory=list)
    _total: float = 0.0
    _average: float = 0.0

    def __post_init__(self) -> None:
        # `full` names the rare words twice where there are frequent ones; the second time counts.
        phrase = sum(len(term.ways) for term in self.rare) if self.frequent else 0
        for term in (*self.rare, *self.frequent):
            self._numbered.append((term, range(phrase, phrase + len(term.ways))))
            phrase += len(term.ways)
        self._numbered.sort(key=lambda numbered: numbered[0].place)
        self._total = sum(term.weight for term, _ in self._numbered)

    @property
    def base(self) -> str:
        """The MATCH expression of the rows that are looked at."""
        return " OR ".join(term.match for term in self.rare)

    @property
    def full(self) -> str:
        """The same with all words in it."""
        if not self.frequent:
            return self.base
        return f"({self.base}) AND ({self.base} OR {' OR '.join(term.match for term in self.frequent)})"

    def score(self, api: "FTS5ExtensionApi") -> float:
        """Score the row that FTS5 is at."""
        length = api.column_size(0)
        if not self._average:
            self._average = max(1.0, api.column_total_size(0) / max(1, api.row_count))
        norm = K1 * (1 - B + B * length / self._average)
        score = covered = 0.0
        asked = False
        before: list[int] = []
        before_weight = 0.0
        for term, phrases in self._numbered:
            body, heads = _places(api, phrases, length > LONG)
            count = len(body) + HEAD * heads
            if count:
                score += term.weight * count * (K1 + 1) / (count + norm)
            if heads:
                asked = True
            if body:
                covered += term.weight
                if before and _near(before, body):
                    score += PAIR * min(before_weight, term.weight)
            before, before_weight = body, term.weight
        if self._total:
            score *= 1 + COVERAGE * covered / self._total
        return score * (1 + ASKED) if asked else score


def candidates(db: apsw.Connection, table: str, query: Query, scope: Scope, most: int) -> list[Candidate]:
    """Return the best events of a table that are in scope, at most `most` of them, in no order."""
    plan = _plan(db, table, query, scope)
    if plan is None:
        return []
    seen = _in_scope(db, _presorted(db, table, plan), scope, most)
    if len(seen) < FEW and plan.cut and not plan.spanned and scope.condition:
        plan = _plan(db, table, query, scope, look=True)
        if plan is None:
            return []
        seen = _in_scope(db, _presorted(db, table, plan), scope, most)
    scores = _scored(db, table, plan, sorted(seen))
    return [Candidate(n, scores.get(n, 0.0), *known) for n, known in seen.items()]


def _plan(db: apsw.Connection, table: str, query: Query, scope: Scope, *, look: bool = False) -> _Plan | None:
    """Decide which rows are looked at; None where there are none.

    Args:
        look: Find out where in the table the scope lies, also in a small one.
    """
    ((total, first, last),) = db.execute(
        f"SELECT (SELECT count(*) FROM {table}_docsize), (SELECT min(id) FROM {table}_docsize),"
        f" (SELECT max(id) FROM {table}_docsize)"
    )
    if not total:
        return None
    terms = []
    for place, ways in enumerate(query.terms):
        rows, oldest = _count(db, table, ways, first, last)
        if oldest:  # as many more as the rest of the table is longer
            rows = min(total, round(rows * (last - first + 1) / (last - oldest + 1)))
        weight = max(1e-6, math.log((total - rows + 0.5) / (rows + 0.5)))
        if rows:
            terms.append(_Term(place, ways, rows, oldest, weight))
    if not terms:
        return None
    if sum(term.rows for term in terms) <= BUDGET:
        return _Plan(terms, [], first, last)
    common = COMMON * total
    span = scope.span(db) if scope.condition and (look or total > SMALL) else None
    rare = _affordable(terms)
    if span is not None and (span[2] or not rare):
        first, last = max(first, span[0]), min(last, span[1])
        for term in terms:
            term.rows, term.oldest = _count(db, table, term.ways, first, last)
        terms = [term for term in terms if term.rows]
        common = COMMON * (last - first + 1)
        rare = _affordable(terms)
    if not terms:
        return None
    windowed = not rare
    if windowed:
        rare = [min(terms, key=lambda term: (term.rows, -term.weight))]
        first = max(first, rare[0].oldest)
    others = sorted((term for term in terms if term not in rare), key=lambda term: -term.weight)
    frequent = [term for term in others if windowed or term.rows <= common][:FREQUENT]
    return _Plan(rare, frequent, first, last, cut=True, windowed=windowed, spanned=span is not None)


def _count(db: apsw.Connection, table: str, ways: Sequence[str], first: int, last: int) -> tuple[int, int]:
    """Return in how many rows a word is, and the oldest that was counted where there are `BUDGET` or more."""
    ((rows, oldest),) = db.execute(
        f"SELECT count(*), min(rowid) FROM (SELECT rowid FROM {table} WHERE {table} MATCH ?"
        f" AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT {BUDGET})",
        (" OR ".join(map(quoted, ways)), first, last),
    )
    return rows, oldest if rows == BUDGET else 0


def _affordable(terms: Sequence[_Term]) -> list[_Term]:
    """Return the rarest words that find no more than `BUDGET` rows together."""
    chosen, rows = [], 0
    for term in sorted(terms, key=lambda term: term.rows):
        rows += term.rows
        if term.oldest or rows > BUDGET:
            break
        chosen.append(term)
    return chosen


def _presorted(db: apsw.Connection, table: str, plan: _Plan) -> list[int]:
    """Return the rows that are looked at, the most promising first."""
    # The built-in bm25 walks through all rows of a word to count them: not for a frequent one.
    value = "0.0" if plan.windowed else f"-bm25({table}, 1.0, {HEAD})"
    found: dict[int, float] = dict(
        db.execute(
            f"SELECT rowid, {value} FROM {table} WHERE {table} MATCH ? AND rowid BETWEEN ? AND ?",
            (plan.base, plan.first, plan.last),
        )
    )
    for term in plan.frequent:
        rows = db.execute(
            f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid BETWEEN ? AND ?",
            (f"({term.match}) AND ({plan.base})", plan.first, plan.last),
        )
        for (n,) in rows:
            found[n] += term.weight
    newest_first = list(reversed(found))
    return sorted(newest_first, key=found.__getitem__, reverse=True)  # keeps the newer of equals before


def _in_scope(
    db: apsw.Connection, rows: Sequence[int], scope: Scope, most: int
) -> dict[int, tuple[int, int, int]]:
    """Return the first `most` rows that are in scope, with session, time and number of words."""
    seen: dict[int, tuple[int, int, int]] = {}
    start, size = 0, most
    while start < len(rows) and len(seen) < most:
        part = rows[start : start + size]
        known = {
            n: (session, time, words)
            for n, session, time, words in db.execute(
                "SELECT e.n, e.session, e.time, e.words FROM json_each(?) AS j"
                f" CROSS JOIN events AS e ON e.n = j.value WHERE {scope.sql}",
                (json.dumps(part), *scope.values),
            )
        }
        for n in part:
            if n in known and len(seen) < most:
                seen[n] = known[n]
        start += size
        size *= 4
    return seen


def _scored(db: apsw.Connection, table: str, plan: _Plan, rows: Sequence[int]) -> dict[int, float]:
    if not rows:
        return {}
    _scorer(db).plan = plan
    return dict(
        db.execute(
            f"SELECT rowid, {SCORER}({table}) FROM {table} WHERE {table} MATCH ?"
            " AND rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))",
            (plan.full, rows[0], rows[-1], json.dumps(rows)),
        )
    )


SCORER = "eventd_score"
"""Name of the function by which FTS5 lets us look at a row."""


class _Scorer:
    """The function, which is registered once for a connection."""

    plan: _Plan | None = None

    def __call__(self, api: "FTS5ExtensionApi", /, *_: "apsw.SQLiteValue") -> float:
        return self.plan.score(api) if self.plan is not None else 0.0


_scorers: "WeakKeyDictionary[apsw.Connection, _Scorer]" = WeakKeyDictionary()


def _scorer(db: apsw.Connection) -> _Scorer:
    scorer = _scorers.get(db)
    if scorer is None:
        scorer = _scorers[db] = _Scorer()
        db.register_fts5_function(SCORER, scorer)
    return scorer


def _places(api: "FTS5ExtensionApi", phrases: range, long: bool) -> tuple[list[int], int]:
    """Return where in the body any of some phrases stands, and how often in the head."""
    body: list[int] = []
    heads = 0
    for phrase in phrases:
        if long:
            columns = api.phrase_columns(phrase)
            body += [-1] if 0 in columns else []
            heads += 1 in columns
        else:
            in_body, in_head = api.phrase_locations(phrase)
            body += in_body
            heads += len(in_head)
    if len(phrases) > 1:
        body.sort()
    return body, heads


def _near(first: list[int], second: list[int]) -> bool:
    """Whether two words stand side by side anywhere; both lists are in order."""
    i = j = 0
    first, second = first[:POSITIONS], second[:POSITIONS]
    while i < len(first) and j < len(second):
        distance = second[j] - first[i]
        if -NEAR <= distance <= NEAR:
            return first[i] >= 0
        if distance > 0:
            i += 1
        else:
            j += 1
    return False
