"""From a filter to SQL about `e`, a row of `events`.

SQLite has no statistics of the file, so which of its indexes is walked is said here: every column but those
of that index stands behind a `+`, with which SQLite walks none for it.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..events.normal import VISIBILITIES
from .entries import id_of
from .model import Filter, Scope
from .ranking import matching

Number = Callable[[str], int | None]
"""Number of a name, None where the index has never seen it."""

ANY = "*"
BELOW = ".*"
NEVER = "0"
PUBLIC, INTERNAL = "public", "internal"
SHARED = (PUBLIC, INTERNAL)
"""What an agent reads of those that `canRead` names."""
BEGINS = "SELECT number FROM names WHERE text >= ? AND text < ?"
"""Numbers of the names that begin with a text; its bindings are from `beginning`."""
MAX_TABLES = 250  # full-text tables that one SELECT looks into; SQLite joins up to 500
LAST_INTEGER = 2**63 - 1  # of SQLite
MAX_CHARACTER, FIRST_SURROGATE, AFTER_SURROGATES = 0x10FFFF, 0xD800, 0xE000


class Walk(enum.Enum):
    """What is walked; the value says which columns SQLite may use an index for."""

    AUTHOR = frozenset({"agent", "visibility", "time"})
    SESSION = frozenset({"session", "time"})
    TYPE = frozenset({"type", "time"})
    RUN = frozenset({"run"})
    NUMBER = frozenset[str]()
    """Numbers of events, from the full-text table or from the caller."""

    def column(self, name: str) -> str:
        """Return a column as it stands in a condition."""
        return f"e.{name}" if name in self.value else f"+e.{name}"


@dataclass(frozen=True, slots=True)
class Whose:
    """Part of a scope that one index holds: events of one agent, the public ones of others, or all.

    Attributes:
        agent: Number of the author; None for any.
        but: Number of an agent whose events are in another part.
        visibility: Only these; all when empty.
    """

    agent: int | None = None
    but: int | None = None
    visibility: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL about `e`, and its bindings."""

    sql: str
    values: tuple[Any, ...] = ()


UNKNOWN = 0
"""Number of an agent that the index has never seen; names are counted from 1."""


def parts_of(scope: Scope, number: Number) -> list[Whose]:
    """Return what a scope holds, in parts that do not overlap.

    This is where SQL says who may read what; the rule in words is `access.scopes.readable`.
    """

    def known(name: str) -> int:
        return (number(name) if name else None) or UNKNOWN  # nobody's events are not those of nobody

    if scope.reader is None:
        return [Whose(agent=None if scope.author is None else number(scope.author) or UNKNOWN)]
    reader = known(scope.reader)
    if scope.author is None:
        granted = sorted({known(name) for name in scope.granted} - {reader, UNKNOWN})
        return [
            Whose(agent=reader),
            Whose(but=reader, visibility=(PUBLIC,)),
            *(Whose(agent=agent, visibility=(INTERNAL,)) for agent in granted),
        ]
    author = known(scope.author)
    if author == reader:
        return [Whose(agent=author)]
    return [Whose(agent=author, visibility=SHARED if scope.author in scope.granted else (PUBLIC,))]


def walk_of(wanted: Filter) -> Walk:
    """Return what is best walked for a filter: what leaves the fewest events."""
    if wanted.run is not None:
        return Walk.RUN
    if wanted.text is not None:
        return Walk.NUMBER
    if wanted.session is not None and not wanted.session.endswith(ANY):
        return Walk.SESSION
    if len(wanted.types) == 1 and not wanted.types[0].endswith(BELOW):
        return Walk.TYPE
    return Walk.AUTHOR


def of_authors(parts: Sequence[Whose], walk: Walk) -> Condition:
    """Return the condition that an event belongs to one of the parts."""
    choices: list[str] = []
    values: list[Any] = []
    for part in parts:
        here: list[str] = []
        if part.agent is not None:
            here.append(f"{walk.column('agent')} = ?")
            values.append(part.agent)
        if part.visibility:
            # The index on public events is only for those of anybody.
            column = walk.column("visibility") if part.agent is None else "+e.visibility"
            here.append(_is_one_of(column, part.visibility))
        if part.but is not None:
            here.append("+e.agent <> ?")
            values.append(part.but)
        choices.append(" AND ".join(here) or "1")
    return Condition(choices[0] if len(choices) == 1 else f"({' OR '.join(choices)})", tuple(values))


def condition(
    wanted: Filter,
    parts: Sequence[Whose],
    walk: Walk,
    tables: list[str],
    number: Number,
    among: tuple[int, int] | None = None,
) -> Condition:
    """Return what an event must meet.

    Args:
        parts: From `parts_of`: the event belongs to one of them.
        tables: Full-text tables that hold their events; for `wanted.text`.
        among: First and last number of the events among which its words are looked for; the caller sees to
            it that no other is found.
    """
    first = of_authors(parts, walk)
    sql, values = [first.sql], list(first.values)

    def add(text: str, *bindings: Any) -> None:
        sql.append(text)
        values.extend(bindings)

    if wanted.text is not None:
        groups = [tables[i : i + MAX_TABLES] for i in range(0, len(tables), MAX_TABLES)] or [[]]
        selects = [matching(group, wanted.text, among) for group in groups]
        choices = " OR ".join(f"e.n IN ({numbers})" for numbers, _ in selects)
        add(f"({choices})", *(value for _, bindings in selects for value in bindings))
    if wanted.run is not None:
        add(f"{walk.column('run')} = ? AND {walk.column('run')} <> ''", id_of(wanted.run))
    if wanted.session is not None:
        if wanted.session.endswith(ANY):
            add(f"+e.session IN ({BEGINS})", *beginning(wanted.session.removesuffix(ANY)))
        else:
            add(f"{walk.column('session')} = ?", number(wanted.session))
    if wanted.types:
        add(*_types(wanted.types, walk, number))
    if wanted.visibility:
        add(_is_one_of("+e.visibility", wanted.visibility))
    if wanted.since is not None:
        add(f"{walk.column('time')} >= ?", bound(wanted.since))
    if wanted.until is not None:
        add(f"{walk.column('time')} < ?", bound(wanted.until))
    if wanted.stream is not None:
        add("+e.stream IN (SELECT number FROM streams WHERE name = ?)", wanted.stream)
    if wanted.account is not None:
        add("+e.stream IN (SELECT number FROM streams WHERE account = ?)", wanted.account)
    return Condition(" AND ".join(sql), tuple(values))


def bound(value: int) -> int:
    """Return a number that somebody asks for as SQLite takes it; no event has one beyond."""
    return max(-LAST_INTEGER, min(value, LAST_INTEGER))


def beginning(text: str) -> tuple[str, str | bytes]:
    """Return the bounds of the texts that begin with a text, the second of them excluded.

    SQLite compares texts byte by byte, and takes any text to be less than any bytes.
    """
    for i in range(len(text) - 1, -1, -1):
        following = ord(text[i]) + 1
        if following <= MAX_CHARACTER:
            return text, text[:i] + chr(AFTER_SURROGATES if following == FIRST_SURROGATE else following)
    return text, b""


def _is_one_of(column: str, visibility: Sequence[str]) -> str:
    numbers = [str(VISIBILITIES.index(name)) for name in visibility]
    return f"{column} = {numbers[0]}" if len(numbers) == 1 else f"{column} IN ({', '.join(numbers)})"


def _types(types: tuple[str, ...], walk: Walk, number: Number) -> tuple[Any, ...]:
    column = walk.column("type")
    exact = [found for name in types if not name.endswith(BELOW) and (found := number(name)) is not None]
    below = [name.removesuffix(ANY) for name in types if name.endswith(BELOW)]
    choices: list[str] = []
    if exact:
        choices.append(f"{column} = ?" if len(exact) == 1 else f"{column} IN ({', '.join('?' * len(exact))})")
    choices.extend([f"{column} IN ({BEGINS})"] * len(below))
    values = [*exact, *(begin for name in below for begin in beginning(name))]
    return f"({' OR '.join(choices)})" if choices else NEVER, *values
