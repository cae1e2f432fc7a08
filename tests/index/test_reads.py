"""The index's reading side: pages, order, cursors, scopes and filters."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.events.types import Kind
from eventd.index import reads as module
from eventd.index.model import Entry, Filter, Placed, Scope, Seen
from eventd.index.reads import Key, Reads, place
from eventd.index.store import Store
from index.support import ALL, START, S, T, accept, foreign, ids, in_memory, opened, own, read_stream, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with opened(path) as opened_store:
        yield opened_store


@pytest.fixture
def reads(path: Path, store: Store) -> Iterator[Reads]:
    """A reader that sees each write; it is used on its own connection."""
    with reading(path) as opened_reads:
        opened_reads.end()
        yield opened_reads
        opened_reads.begin()


def found(reads: Reads, *, newest: bool = False, limit: int = ALL, **fields: Any) -> list[str]:
    return ids(reads.page(Filter(**fields), newest=newest, limit=limit))


# Filters


def test_filters(store: Store, reads: Reads) -> None:
    """Each restricts by its own field, and all of them together."""
    accept(
        store,
        own(1, session="agent:main:a", type="lifecycle.start", payload={"runId": "r1"}),
        own(2, session="agent:main:b", type="lifecycle.end", payload={"runId": "r1"}, visibility="public"),
        own(3, agent="other", session="agent:other:a", type="lifecycle.start", visibility="confidential"),
        own(4, agent="other", session="", type="conversation.message.in", visibility="public"),
        own(5, type="my.type", visibility="secret"),
    )
    read_stream(store, foreign(6, type="lifecycle.start", session="agent:main:a"), stream=T)
    assert found(reads) == [f"id-{n}" for n in range(1, 7)]
    assert found(reads, session="agent:main:a") == ["id-1", "id-6"]
    assert found(reads, session="agent:main:*") == ["id-1", "id-2", "id-5", "id-6"]
    assert found(reads, session="agent:other:") == []
    assert found(reads, session="") == ["id-4"]
    assert found(reads, session="*") == [f"id-{n}" for n in range(1, 7)]
    assert found(reads, types=("lifecycle.start",)) == ["id-1", "id-3", "id-6"]
    assert found(reads, types=("lifecycle.*",)) == ["id-1", "id-2", "id-3", "id-6"]
    assert found(reads, types=("lifecycle.*", "my.type")) == ["id-1", "id-2", "id-3", "id-5", "id-6"]
    assert found(reads, types=("lifecycle.start", "my.type", "no.such")) == ["id-1", "id-3", "id-5", "id-6"]
    assert found(reads, types=("life*", "lifecycle", "no.such.*")) == []
    assert found(reads, visibility=("public",)) == ["id-2", "id-4"]
    assert found(reads, visibility=("secret", "confidential")) == ["id-3", "id-5"]
    assert found(reads, run="r1") == ["id-1", "id-2"]
    assert found(reads, run="r") == []
    assert found(reads, run="") == []
    assert found(reads, stream="T") == ["id-6"]
    assert found(reads, stream="T", account=T.account) == ["id-6"]
    assert found(reads, stream="T", account="other") == []
    assert found(reads, stream="U") == []
    assert found(reads, since=START + 3) == ["id-3", "id-4", "id-5", "id-6"]
    assert found(reads, until=START + 3) == ["id-1", "id-2"]
    assert found(reads, since=START + 2, until=START + 3) == ["id-2"]
    assert found(reads, since=START + 3, until=START + 2) == []
    assert found(
        reads, session="agent:main:*", types=("lifecycle.*",), since=START + 2, stream="S", run="r1"
    ) == ["id-2"]


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70)])
def test_numbers_beyond_those_of_sqlite(store: Store, reads: Reads, number: int) -> None:
    """Are no error: a request can hold them."""
    accept(store, own(1))
    assert found(reads, since=number) == ([] if number > 0 else ["id-1"])
    assert found(reads, until=number) == (["id-1"] if number > 0 else [])
    assert reads.by_place(S, number, Scope()) is None
    assert ids(reads.in_stream(S, Filter(), after=number, upto=number, limit=9)) == []
    assert ids(reads.kept(Filter(), after=(number, number), upto=9, limit=9)) == (
        [] if number > 0 else ["id-1"]
    )


SESSIONS = ["agent:main:a", "agent:main:_", "agent:mainx", "agent_main:a", "agent:main:%", "agent:main:é"]


def test_only_the_last_star_stands_for_anything(store: Store, reads: Reads) -> None:
    """`_`, `%`, `?` and stars elsewhere mean themselves, and upper case is not lower case."""
    sessions = [*SESSIONS, "agent:main:*:x", "Agent:main:a", "agent:main:\U0010ffff", "agent:main:\0x"]
    accept(store, *(own(n, session=session) for n, session in enumerate(sessions, 1)))
    for pattern in (
        "agent:main:*",
        "agent_main:*",
        "agent:%*",
        "*",
        "agent:main:é*",
        "agent:main:\U0010ffff*",
    ):
        expected = [n for n, session in enumerate(sessions, 1) if session.startswith(pattern[:-1])]
        assert found(reads, session=pattern) == [f"id-{n}" for n in expected]
    assert found(reads, session="agent:*:a") == []
    assert found(reads, session="agent:main:*:x") == ["id-7"]
    assert found(reads, session="agent:main:\0x") == ["id-10"]


def test_long_names_are_found(store: Store, reads: Reads) -> None:
    """Long ids of runs and events of other writers are cut in the index, and when they are asked for."""
    run, event_id = "r" * 400, "i" * 10_000
    read_stream(store, foreign(1, payload={"runId": run})._replace(event_id=event_id))
    read_stream(store, foreign(2, session="s" * 100_000))
    assert len(reads.page(Filter(run=run), limit=9)) == 1
    assert reads.by_id(event_id, Scope()) is not None
    assert found(reads, session="s" * 500 + "*") == ["id-2"]


HOSTILE = [
    '"', '""', "'", "a\" OR \"b", "NEAR(a b)", "body:event", "{body}:event", "event*", "^event", "event AND",
    "NOT event", "(", ")", "event) OR (event", "-event", "+event", ":", "*", "\0", "event\0",
    "; DROP TABLE events", "%", "_",
    "\ud7ff", "\U0010ffff", "é" * 300, "a " * 5000, "\u0301", "東京都", "a\nb", "NULL", "1e999",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_texts(store: Store, reads: Reads, text: str) -> None:
    """Nothing in a text that is looked for is syntax."""
    accept(store, own(1), own(2, agent="other", visibility="public"))
    for scope in (Scope(), Scope(reader="main"), Scope(author="main")):
        page = found(reads, text=text, scope=scope)
        assert set(page) <= {"id-1", "id-2"}
        reads.recall(text, Filter(scope=scope), limit=5, around=1)
    assert len(found(reads)) == 2


@given(st.text(max_size=30))
@settings(max_examples=100)
def test_any_text(text: str) -> None:
    """A text finds the event that says it, if it has words at all, and never fails."""
    store = in_memory()
    accept(store, own(1, payload={"data": {"text": text}}), own(2))
    reads = Reads(store.db)
    assert set(found(reads, text=text)) <= {"id-1", "id-2"}
    reads.recall(text, Filter(), limit=5)


def test_text_is_all_words_in_any_order(store: Store, reads: Reads) -> None:
    """Unlike recall, which takes what answers best."""
    accept(
        store,
        own(1, payload={"data": {"text": "the deploy of the parser failed"}}),
        own(2, payload={"data": {"text": "parser deployed"}}),
        own(3, payload={"data": {"text": "parser"}}, visibility="public", agent="other"),
        own(4, payload={"data": {"text": "parser deploy"}}, visibility="secret"),
    )
    assert found(reads, text="parser deploy") == ["id-1", "id-2"]
    assert found(reads, text="PARSER") == ["id-1", "id-2", "id-3"]
    assert found(reads, text="parser failed", scope=Scope(reader="main")) == ["id-1"]
    assert found(reads, text="parser", scope=Scope(reader="main")) == ["id-1", "id-2", "id-3"]
    assert found(reads, text="parser", scope=Scope(author="other", reader="main")) == ["id-3"]
    assert found(reads, text="...") == []
    assert found(reads, text="") == []


# Scopes


def test_scopes(store: Store, reads: Reads) -> None:
    """Own events whatever their visibility, public ones of others, in one order."""
    accept(
        store,
        own(1, agent="alice", visibility="secret"),
        own(2, agent="bob", visibility="public"),
        own(3, agent="bob", visibility="internal"),
        own(4, agent="alice", visibility="public"),
        own(5, agent="bob", visibility="confidential"),
        own(6, agent="carol", visibility="public"),
    )
    read_stream(store, foreign(7, owner="", agent="alice", visibility="public"))
    assert found(reads, scope=Scope(reader="alice")) == ["id-1", "id-2", "id-4", "id-6"]
    assert found(reads, scope=Scope(reader="alice"), newest=True, limit=3) == ["id-6", "id-4", "id-2"]
    assert found(reads, scope=Scope(reader="bob")) == ["id-2", "id-3", "id-4", "id-5", "id-6"]
    assert found(reads, scope=Scope(reader="ghost")) == ["id-2", "id-4", "id-6"]
    assert found(reads, scope=Scope(reader="")) == ["id-2", "id-4", "id-6"]
    assert found(reads, scope=Scope(author="bob")) == ["id-2", "id-3", "id-5"]
    assert found(reads, scope=Scope(author="bob", reader="alice")) == ["id-2"]
    assert found(reads, scope=Scope(author="bob", reader="bob")) == ["id-2", "id-3", "id-5"]
    assert found(reads, scope=Scope(author="")) == ["id-7"]
    assert found(reads, scope=Scope(author="", reader="alice")) == []
    assert found(reads, scope=Scope(author="ghost")) == []


def test_every_read_keeps_to_the_scope(store: Store, reads: Reads) -> None:
    """Also by id, by place, in the order of arrival and of a stream, in recall and in what stands around."""
    read_stream(
        store,
        *(
            foreign(
                n, agent=agent, session="shared", visibility=visibility, payload={"content": "same words"}
            )
            for n, (agent, visibility) in enumerate(
                [("alice", "internal"), ("bob", "internal"), ("bob", "public"), ("bob", "secret")], 1
            )
        ),
    )
    mine = Scope(reader="alice")
    wanted = Filter(scope=mine)
    assert ids(reads.arrived(wanted, after=0, upto=99, limit=9)) == ["id-1", "id-3"]
    assert ids(reads.kept(wanted, after=(0, 0), upto=99, limit=9)) == ["id-1", "id-3"]
    assert reads.kept_before(wanted, before=(2 * START, 0), upto=99, limit=1) == [(START + 3, 3)]
    assert ids(reads.in_stream(S, wanted, after=0, upto=99, limit=9)) == ["id-1", "id-3"]
    assert [reads.by_id(f"id-{n}", mine) is not None for n in range(1, 5)] == [True, False, True, False]
    assert [reads.by_place(S, n, mine) is not None for n in range(1, 5)] == [True, False, True, False]
    for around in (0, 5):
        hits = reads.recall("same words", wanted, limit=9, around=around)
        shown = {entry.event_id for hit in hits for entry in (hit.entry, *hit.around)}
        assert shown == {"id-1", "id-3"}
    assert [event.n for event in reads.shown(wanted, limit=9)] == [3, 1]
    assert ids(reads.memories_of_others("alice", (), limit=9)) == []
    assert [row[0] for row in reads.marks("alice", since=None, limit=9)] == [1]


# Order and cursors


def test_the_order_is_that_of_time_then_arrival(store: Store, reads: Reads) -> None:
    """Also where own and public events of one moment are merged."""
    accept(
        store,
        own(1, timestamp=START + 5),
        own(2, agent="other", visibility="public", timestamp=START + 5),
        own(3, timestamp=START + 5),
        own(4, timestamp=START + 1),
        own(5, agent="other", visibility="public", timestamp=START + 9),
        own(6, timestamp=None),
    )
    order = ["id-4", "id-1", "id-2", "id-3", "id-6", "id-5"]
    for scope in (Scope(), Scope(reader="main")):
        assert found(reads, scope=scope) == order
        assert found(reads, scope=scope, newest=True) == order[::-1]


EVENTS = st.lists(
    st.tuples(st.sampled_from(["main", "other"]), st.sampled_from(["internal", "public"]), st.integers(0, 6)),
    min_size=1,
    max_size=12,
)


def all_pages(
    store: Store, wanted: Filter, *, newest: bool, limit: int, between: list[list[Any]]
) -> list[Entry]:
    """Read page by page; before each further page some events come in."""
    reads = Reads(store.db)
    after: Key | None = None
    pages: list[Entry] = []
    while page := reads.page(wanted, newest=newest, limit=limit, after=after):
        pages.extend(page)
        after = place(page[-1])
        if between:
            add(store, between.pop(0))
    return pages


def add(store: Store, events: list[Any]) -> None:
    first = store.newest + 1
    accept(
        store,
        *(
            own(n, agent=agent, visibility=visibility, timestamp=START + time)
            for n, (agent, visibility, time) in enumerate(events, first)
        ),
    )


@given(
    EVENTS, st.lists(EVENTS, max_size=4), st.booleans(), st.integers(1, 5),
    st.sampled_from([Scope(), Scope(reader="main"), Scope(author="other", reader="main")]),
)  # fmt: skip
@settings(max_examples=150)
def test_pages_together_are_the_whole(
    events: list[Any], between: list[list[Any]], newest: bool, limit: int, scope: Scope
) -> None:
    """What was there at the first page comes once, in order, whatever comes in between the pages."""
    store = in_memory()
    add(store, events)
    wanted = Filter(scope=scope)
    whole = [entry.n for entry in Reads(store.db).page(wanted, newest=newest, limit=ALL)]
    pages = all_pages(store, wanted, newest=newest, limit=limit, between=between)
    numbers = [entry.n for entry in pages]
    assert len(set(numbers)) == len(numbers)
    assert [n for n in numbers if n in whole] == whole
    assert [place(entry) for entry in pages] == sorted(map(place, pages), reverse=newest)


def test_arrival(store: Store, reads: Reads) -> None:
    """In the order in which the index took them, whatever their time."""
    accept(store, own(1, timestamp=START + 9), own(2, timestamp=START), own(3, timestamp=START + 5), own(4))
    assert ids(reads.arrived(Filter(), after=0, upto=9, limit=9)) == ["id-1", "id-2", "id-3", "id-4"]
    assert ids(reads.arrived(Filter(), after=1, upto=3, limit=9)) == ["id-2", "id-3"]


def test_the_order_of_storing(store: Store, reads: Reads) -> None:
    """An index that was built anew took the outbox's rows before the older ones of the stream."""
    accept(store, own(7), own(8))
    read_stream(store, foreign(1), foreign(2), foreign(8, seq=3))
    assert ids(reads.kept(Filter(), after=(0, 0), upto=9, limit=9)) == ["id-1", "id-2", "id-7", "id-8"]
    assert ids(reads.kept(Filter(), after=(START + 1, 3), upto=9, limit=2)) == ["id-2", "id-7"]
    assert ids(reads.kept(Filter(), after=(0, 0), upto=3, limit=9)) == ["id-1", "id-7", "id-8"]
    assert reads.kept_before(Filter(), before=(2 * START, 0), upto=9, limit=3) == [
        (START + 8, 2), (START + 7, 1), (START + 2, 4)
    ]  # fmt: skip


def test_what_was_seen_of_the_index_that_was_here_before(store: Store, reads: Reads) -> None:
    """Own rows by their outbox number, those of others by the time at which they were stored."""
    accept(store, own(7), own(8))
    read_stream(store, foreign(1), foreign(2), foreign(9))
    seen = Seen(outbox=7, stored=START + 9)
    assert ids(reads.arrived(Filter(), after=0, upto=9, limit=9, seen=seen)) == ["id-8", "id-9"]


def test_words_among_the_newest_events(store: Store, reads: Reads) -> None:
    """As who follows the index asks for them."""
    accept(store, *(own(n, payload={"content": "same words" if n % 2 else "others"}) for n in range(1, 9)))
    assert ids(reads.arrived(Filter(text="same"), after=3, upto=7, limit=9)) == ["id-5", "id-7"]


def test_the_order_of_a_stream(store: Store, reads: Reads) -> None:
    """By sequence, with own rows once they have their place, of the newest stream of the name."""
    read_stream(store, foreign(11, seq=1), created="c1")
    accept(store, own(1), own(2), own(3))
    read_stream(store, foreign(12, seq=1), foreign(13, seq=3), created="c2")
    number = store.stream(S, "c2").number
    store.place_runs(1, number, [Placed(1, 1, 1, 4), Placed(2, 2, 1, 2)], 2, 0)
    assert ids(reads.in_stream(S, Filter(), after=0, upto=9, limit=9)) == ["id-12", "id-2", "id-13", "id-1"]
    assert ids(reads.in_stream(S, Filter(), after=1, upto=3, limit=9)) == ["id-2", "id-13"]
    assert ids(reads.in_stream(S, Filter(), after=1, upto=9, limit=1)) == ["id-2"]
    assert reads.in_stream(S._replace(name="U"), Filter(), after=0, upto=9, limit=9) == []
    first = reads.by_place(S, 1, Scope())
    assert first is not None
    assert first.event_id == "id-12"


def test_a_stream_is_found_behind_rows_that_wait_for_it(store: Store, reads: Reads) -> None:
    """An index that was built anew may have read the stream before the first row was accepted."""
    read_stream(store, foreign(1), foreign(2))
    accept(store, own(3))
    assert ids(reads.in_stream(S, Filter(), after=0, upto=9, limit=9)) == ["id-1", "id-2"]


def test_a_page_of_large_events_ends_sooner(
    store: Store, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on behind it gets all of them, also where two parts of a scope are put together."""
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    for n in range(1, 41):
        size = n * 37 % 700
        accept(
            store,
            own(n, agent="other" if n % 3 else "main", visibility="public", payload={"content": "x" * size}),
        )
    whole = [f"id-{n}" for n in range(1, 41)]
    mine = Filter(scope=Scope(reader="main"))

    def pages(read: Callable[[Any], list[Any]], key: Callable[[Any], Any]) -> Iterator[int]:
        after = None
        while page := read(after):
            assert len(page) < 3 or sum(len(event.body) for event in page[:-1]) <= 1000
            yield from (event.n for event in page)
            after = key(page[-1])

    shown = pages(lambda after: reads.shown(mine, newest=False, limit=10, after=after), place)
    assert list(shown) == list(range(1, 41))
    back = pages(lambda after: reads.shown(mine, limit=10, after=after), place)
    assert list(back) == list(range(40, 0, -1))
    arrived = pages(lambda n: reads.arrived(mine, after=n or 0, upto=99, limit=10), lambda entry: entry.n)
    assert list(arrived) == list(range(1, 41))
    kept = pages(
        lambda key: reads.kept(mine, after=key or (0, 0), upto=99, limit=10),
        lambda entry: (entry.stored, entry.n),
    )
    assert list(kept) == list(range(1, 41))
    assert ids(reads.page(mine, newest=False, limit=99)) == whole


# Single events


def test_the_newest_event_of_an_id(store: Store, reads: Reads) -> None:
    """Where writers gave several the same one; an empty id is none."""
    read_stream(store, foreign(1), foreign(2, id="id-1")._replace(event_id="id-1"))
    read_stream(store, foreign(3, id=None)._replace(event_id=""))
    newest = reads.by_id("id-1", Scope())
    assert newest is not None
    assert newest.seq == 2
    assert reads.by_id("", Scope()) is None
    assert reads.by_id("id", Scope()) is None


def test_of_one_id_a_reader_gets_its_own_event(store: Store, reads: Reads) -> None:
    """Ids are an agent's own: who shares an event under the id of another's takes nothing away."""
    accept(
        store,
        own(1, agent="alice", id="same")._replace(event_id="same"),
        own(2, agent="bob", id="same", visibility="public")._replace(event_id="same"),
    )
    authors = {}
    for reader in ("alice", "bob", "carol"):
        found = reads.by_id("same", Scope(reader=reader))
        authors[reader] = found.agent if found else ""
    assert authors == {"alice": "alice", "bob": "bob", "carol": "bob"}


def test_a_place_is_in_one_account(store: Store, reads: Reads) -> None:
    """Streams of one name in two accounts have sequences of their own."""
    other = S._replace(account="alice")
    read_stream(store, foreign(1, seq=1), foreign(2, seq=2))
    read_stream(store, foreign(3, seq=1), foreign(4, seq=5), stream=other)
    for stream, places in ((S, {1: "id-1", 2: "id-2"}), (other, {1: "id-3", 5: "id-4"})):
        found = {seq: reads.by_place(stream, seq, Scope()) for seq in range(9)}
        assert {seq: entry.event_id for seq, entry in found.items() if entry} == places
        assert ids(reads.in_stream(stream, Filter(), after=0, upto=9, limit=9)) == list(places.values())


def test_by_numbers(store: Store, reads: Reads) -> None:
    """Those that are there; their bodies too, any number of them."""
    accept(store, *map(own, range(1, 4)))
    assert set(reads.by_numbers([1, 3, 99])) == {1, 3}
    assert reads.by_numbers([]) == {}
    assert set(reads.bodies(range(1, 25_000))) == {1, 2, 3}
    assert reads.bodies([2])[2] == own(2).body


# For the context block


def test_marks(store: Store, reads: Reads) -> None:
    """Own events only, newest first, of some kinds, from a time on."""
    accept(
        store,
        own(1, type="conversation.tool_call", payload={"data": {"toolCallId": "c"}, "runId": "r"}),
        own(2),
        own(3, agent="other", visibility="public"),
        own(4, type="memory.fact", payload={"data": {"factId": "f", "fact": "x"}}),
    )
    marks = reads.marks("main", since=None, limit=9)
    assert [mark[0] for mark in marks] == [4, 2, 1]
    assert marks[2] == (
        1, "agent:main:s", "conversation.tool_call", Kind.TOOL_CALL, START + 1, START + 1, "r", "c", "id-1",
        len(own(1, type="conversation.tool_call", payload={"data": {"toolCallId": "c"}, "runId": "r"}).body),
    )  # fmt: skip
    assert marks[0][7] == "f"
    assert [mark[0] for mark in reads.marks("main", since=START + 2, limit=1)] == [4]
    assert [mark[0] for mark in reads.marks("main", since=None, limit=9, kinds=[Kind.MESSAGE_IN])] == [2]
    assert reads.marks("ghost", since=None, limit=9) == []


def test_memories(store: Store, reads: Reads) -> None:
    """An agent's own of any visibility; of all others the public ones."""
    accept(
        store,
        own(1, type="memory.fact", visibility="secret"),
        own(2, type="memory.fact", agent="other", visibility="public"),
        own(3, type="migration.file", agent="third", visibility="public"),
        own(4, type="memory.fact", agent="other"),
        own(5),
        own(6, type="memory.fact", visibility="public"),
    )
    assert ids(reads.memories("main", limit=9)) == ["id-6", "id-1"]
    assert ids(reads.memories_of_others("main", (), limit=9)) == ["id-3", "id-2"]
    assert ids(reads.memories_of_others("ghost", (), limit=2)) == ["id-6", "id-3"]
    assert ids(reads.memories("ghost", limit=2)) == []


def test_memories_of_others_hold_internal_ones_of_those_who_granted_it(store: Store, reads: Reads) -> None:
    """Never their confidential and secret ones, and none of anybody else."""
    accept(
        store,
        own(1, type="memory.fact", agent="other"),
        own(2, type="memory.fact", agent="other", visibility="public"),
        own(3, type="memory.fact", agent="other", visibility="confidential"),
        own(4, type="memory.fact", agent="other", visibility="secret"),
        own(5, type="memory.fact", agent="third"),
        own(6, type="memory.fact"),
    )
    assert ids(reads.memories_of_others("main", {"other", "main"}, limit=9)) == ["id-2", "id-1"]


def test_new_names_are_seen(store: Store, reads: Reads) -> None:
    """A reader that has looked for a name in vain finds it when it is there."""
    assert found(reads, session="agent:main:late") == []
    accept(store, own(1, session="agent:main:late", agent="late"))
    assert found(reads, session="agent:main:late") == ["id-1"]
    assert found(reads, scope=Scope(reader="late")) == ["id-1"]


def test_ids_of_an_agent_are_known(store: Store, reads: Reads) -> None:
    """Its own, from wherever they came; those that another one has used are free for it."""
    accept(store, own(1), own(2, agent="other"))
    read_stream(store, foreign(3))
    asked = ["id-1", "id-2", "id-3", "id-4", ""]
    assert reads.known("main", asked) == {"id-1", "id-3"}
    assert reads.known("other", asked) == {"id-2"}
    assert reads.known("nobody", asked) == set()
    assert reads.known("main", []) == set()
