"""From a filter to SQL: what it means, and that SQLite walks the index that is meant."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.events.types import Kind
from eventd.index.conditions import SHARED, Whose, beginning, bound, parts_of
from eventd.index.model import Filter, Scope
from eventd.index.reads import Reads
from index.support import S, accept, foreign, in_memory, opened, own, read_stream, reading

ME, OTHER = Scope(reader="main"), Scope(author="main")


@pytest.fixture
def reads(tmp_path: Path) -> Iterator[Reads]:
    """A small index that knows all the names that are asked for."""
    path = tmp_path / "index.db"
    with opened(path) as store:
        accept(
            store,
            *(own(n, visibility=v, payload={"runId": "r"}) for n, v in enumerate(["internal", "public"], 1)),
        )
        accept(store, own(3, agent="other", type="memory.fact", visibility="public"))
        read_stream(store, foreign(4))
    with reading(path) as opened_reads:
        yield opened_reads


def plans(reads: Reads, use: Callable[[Reads], Any]) -> list[str]:
    """How SQLite goes through `events` in each statement of a read, as it says itself."""
    statements: list[tuple[str, Any]] = []

    def note(_cursor: object, sql: str, bindings: Any) -> bool:
        statements.append((sql, bindings))
        return True

    reads.db.exec_trace = note
    try:
        use(reads)
    finally:
        reads.db.exec_trace = None
    found = []
    for sql, bindings in statements:
        for *_, step in reads.db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings):
            if " e " in f"{step} " and ("SEARCH e" in step or "SCAN e" in step):
                found.append(step)
    assert found, statements
    return found


def page(**fields: Any) -> Callable[[Reads], Any]:
    return lambda reads: reads.page(Filter(**fields), limit=10, after=(10**15, 5))


AUTHOR = "USING INDEX events_by_agent (agent=?"
SESSION = "USING INDEX events_by_session (session=?"
TYPE = "USING INDEX events_by_type (type=?"
RUN = "USING INDEX events_by_run (run=?"
TIME = "USING INDEX events_by_time"
PUBLIC = "USING INDEX events_public"
NUMBER = "USING INTEGER PRIMARY KEY (rowid"
PLACE = "USING INDEX events_by_place (stream=? AND seq"
STORED = "INDEX events_by_stored (stored"
PUBLIC_MEMORIES = "USING INDEX events_public_memories"
MEMORIES = "USING INDEX events_memories (agent=?"


@pytest.mark.parametrize(
    ("use", "walked"),
    [
        (page(scope=OTHER), [AUTHOR]),
        (page(scope=OTHER, since=1, until=9), [AUTHOR]),
        (page(scope=ME), [AUTHOR, PUBLIC]),
        (page(scope=ME, since=1), [AUTHOR, PUBLIC]),
        (page(scope=Scope(author="other", reader="main")), [AUTHOR]),
        (page(), [TIME]),
        (page(since=5), [TIME]),
        (page(visibility=("public",)), [TIME]),
        (page(stream="S"), [TIME]),
        (page(types=("memory.*",)), [TIME]),
        (page(types=("memory.*",), scope=OTHER), [AUTHOR]),
        (page(types=("memory.fact", "conversation.message.in"), scope=OTHER), [AUTHOR]),
        (page(session="agent:main:s"), [SESSION]),
        (page(session="agent:main:s", scope=OTHER, since=1), [SESSION]),
        (page(session="agent:main:s", scope=ME), [SESSION, SESSION]),
        (page(session="agent:main:s", types=("memory.fact",)), [SESSION]),
        (page(session="agent:*", scope=OTHER), [AUTHOR]),
        (page(types=("memory.fact",)), [TYPE]),
        (page(types=("memory.fact",), scope=OTHER, until=9), [TYPE]),
        (page(types=("memory.fact",), scope=ME), [TYPE, TYPE]),
        (page(run="r"), [RUN]),
        (page(run="r", session="agent:main:s", scope=OTHER, types=("memory.fact",)), [RUN]),
        (page(text="event"), [NUMBER]),
        (page(text="event", scope=OTHER, since=1), [NUMBER]),
        (page(text="event", session="agent:main:s", types=("memory.fact",), scope=OTHER), [NUMBER]),
        (lambda reads: reads.by_id("id-1", Scope()), ["USING INDEX events_by_id (event_id=?"]),
        (lambda reads: reads.by_id("id-1", OTHER), ["USING INDEX events_by_id (event_id=?"]),
        (lambda reads: reads.by_place(S, 4, ME), [PLACE]),
        (lambda reads: reads.in_stream(S, Filter(scope=OTHER), after=0, upto=9, limit=9), [PLACE]),
        (lambda reads: reads.arrived(Filter(scope=OTHER), after=1, upto=9, limit=9), [NUMBER]),
        (lambda reads: reads.arrived(Filter(session="agent:main:s"), after=1, upto=9, limit=9), [NUMBER]),
        (lambda reads: reads.kept(Filter(scope=OTHER), after=(1, 1), upto=9, limit=9), [STORED]),
        (lambda reads: reads.kept(Filter(text="event"), after=(1, 1), upto=9, limit=9), [NUMBER]),
        (lambda reads: reads.kept(Filter(run="r"), after=(1, 1), upto=9, limit=9), [RUN]),
        (lambda reads: reads.kept_before(Filter(), before=(9, 9), upto=9, limit=9), [STORED]),
        (lambda reads: reads.marks("main", since=1, limit=9), [AUTHOR]),
        (lambda reads: reads.marks("main", since=None, limit=9, kinds=[Kind.MESSAGE_IN]), [AUTHOR]),
        (lambda reads: reads.memories("main", limit=9), [MEMORIES]),
        (lambda reads: reads.memories_of_others("main", ["other"], limit=9), [PUBLIC_MEMORIES, MEMORIES]),
        (lambda reads: reads.by_numbers([1, 2]), [NUMBER]),
    ],
)
def test_what_is_walked(reads: Reads, use: Callable[[Reads], Any], walked: list[str]) -> None:
    """Each kind of filter has its index of SQLite, and no read goes through all events to find a few."""
    found = plans(reads, use)
    assert len(found) == len(walked), found
    for step, expected in zip(found, walked, strict=True):
        assert expected in step, found
        assert "AUTOMATIC" not in step


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scope": OTHER},
        {"scope": ME},
        {"session": "agent:main:s"},
        {"types": ("memory.fact",)},
        {"scope": Scope(author="other", reader="main")},
    ],
)
def test_pages_come_without_sorting(reads: Reads, fields: dict[str, Any]) -> None:
    """What is walked is in the order that is asked for, so a page costs what it holds."""
    statements: list[tuple[str, Any]] = []

    def note(_cursor: object, sql: str, bindings: Any) -> bool:
        statements.append((sql, bindings))
        return True

    for newest in (True, False):
        reads.db.exec_trace = note
        reads.page(Filter(**fields), newest=newest, limit=3, after=(5, 5))
        reads.db.exec_trace = None
    for sql, bindings in statements:
        steps = [step for *_, step in reads.db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]
        assert not any("TEMP B-TREE" in step for step in steps), steps


WRITERS = {
    "at_place": "events_by_place",
    "unplaced": "events_by_id",
    "adopt": "events_by_id",
    "place_range": "events_by_outbox",
    "rows_in_range": "events_by_outbox",
    "free_places": "events_by_place",
    "unplace_rows": "events_by_outbox",
    "unplace_beyond": "events_by_place",
    "forget_outbox": "events_by_outbox",
    "next_ages": "PRIMARY KEY",
    "place": "PRIMARY KEY",
    "unplace": "PRIMARY KEY",
    "delete": "PRIMARY KEY",
}


@pytest.mark.parametrize(("name", "walked"), WRITERS.items())
def test_what_the_writer_walks(name: str, walked: str) -> None:
    """No write goes through all events to find a few; a rebuild does each of them for each event."""
    store = in_memory()
    sql = store._queries[name]
    named = apsw.ext.query_info(store.db, sql).bindings_names
    values: Any = dict.fromkeys(filter(None, named), 1) if any(named) else (1,) * len(named)
    if sql.count("?1"):
        values = (1,) * len(named)
    steps = [step for *_, step in store.db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any(walked in step for step in steps), steps
    assert not any("AUTOMATIC" in step for step in steps)


# Parts of a scope


NUMBERS = {"": 1, "main": 2, "other": 3}
PUBLIC_ONLY = ("public",)


@pytest.mark.parametrize(
    ("scope", "parts"),
    [
        (Scope(), [Whose()]),
        (Scope(author="main"), [Whose(agent=2)]),
        (Scope(author="ghost"), [Whose(agent=0)]),
        (Scope(author=""), [Whose(agent=1)]),
        (Scope(reader="main"), [Whose(agent=2), Whose(but=2, visibility=PUBLIC_ONLY)]),
        (Scope(reader="ghost"), [Whose(agent=0), Whose(but=0, visibility=PUBLIC_ONLY)]),
        (Scope(reader=""), [Whose(agent=0), Whose(but=0, visibility=PUBLIC_ONLY)]),
        (Scope(author="main", reader="main"), [Whose(agent=2)]),
        (Scope(author="other", reader="main"), [Whose(agent=3, visibility=PUBLIC_ONLY)]),
        (Scope(author="other", reader="ghost"), [Whose(agent=3, visibility=PUBLIC_ONLY)]),
        (
            Scope(reader="main", granted=frozenset({"other", "main", "ghost"})),
            [Whose(agent=2), Whose(but=2, visibility=PUBLIC_ONLY), Whose(agent=3, visibility=("internal",))],
        ),
        (
            Scope(author="other", reader="main", granted=frozenset({"other"})),
            [Whose(agent=3, visibility=("public", "internal"))],
        ),
        (Scope(author="", reader="main", granted=frozenset({""})), [Whose(agent=0, visibility=SHARED)]),
        (Scope(author="", reader=""), [Whose(agent=0)]),
    ],
)
def test_parts_of_a_scope(scope: Scope, parts: list[Whose]) -> None:
    """An agent has its own events and public ones; nobody's events belong to no reader, nameless ones too."""
    assert parts_of(scope, NUMBERS.get) == parts


# Beginnings and bounds


def held(texts: set[str], begin: str) -> set[str]:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE names (text TEXT NOT NULL UNIQUE) STRICT")
    db.executemany("INSERT INTO names VALUES (?)", [(text,) for text in texts])
    return {
        text
        for (text,) in db.execute("SELECT text FROM names WHERE text >= ? AND text < ?", beginning(begin))
    }


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.text(
    "ab%_\0\ud7ff\ue000\U0010ffff", max_size=5
)


@given(st.sets(TEXTS), TEXTS)
def test_beginnings(texts: set[str], begin: str) -> None:
    """A text begins with another as in Python: nothing in it is a wildcard, no character is the last one."""
    texts |= {begin, begin + "\U0010ffff" * 2, begin + "x"}
    assert held(texts, begin) == {text for text in texts if text.startswith(begin)}


@given(st.integers())
def test_bounds(value: int) -> None:
    """What SQLite takes stays; what is beyond becomes the last that it takes."""
    assert -(2**63) <= bound(value) < 2**63
    assert abs(value) >= 2**63 or bound(value) == value
