"""The index's writing side: events in, their places, events out, and what an error leaves behind."""

import json
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.events.normal import Normal
from eventd.events.types import Kind
from eventd.index import entries
from eventd.index import store as store_module
from eventd.index.model import Filter, NewEvent, Placed, Scope
from eventd.index.store import REST, Store
from eventd.index.words import Indexed, indexed
from index.support import (
    START,
    S,
    T,
    accept,
    body_of,
    everything,
    foreign,
    ids,
    in_memory,
    opened,
    own,
    places,
    read_stream,
    reading,
    rows,
    tables,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with opened(path) as opened_store:
        yield opened_store


# Events in


def test_accepted_events_are_there_with_their_number(store: Store, path: Path) -> None:
    """What was accepted can be read at once, without a sequence, and `taken` says how far that goes."""
    accept(store, own(1), own(2))
    assert (store.taken, store.newest, store.count) == (2, 2, 2)
    with reading(path) as reads:
        first, second = reads.page(Filter(), newest=False, limit=10)
    assert (first.event_id, first.seq, first.stream, first.subject) == ("id-1", 0, "S", "p.main.t")
    assert (second.agent, second.session, second.time) == ("main", "agent:main:s", START + 2)
    assert second.body == own(2).body


def test_taken_moves_over_rows_that_are_gone(store: Store) -> None:
    """Rows that the outbox gave up leave gaps in its numbers; `taken` goes beyond them."""
    number = store.stream(S, "").number
    store.add_accepted([], 7)
    store.add_accepted([(number, 1, own(9))], 12)
    assert (store.taken, store.count) == (12, 1)


def test_what_is_there_is_there_after_opening_again(path: Path) -> None:
    """Facts come from the file, so a restart goes on where it was."""
    with opened(path) as store:
        accept(store, own(1), own(2), own(3))
        read_stream(store, foreign(10))
    with opened(path) as store:
        assert (store.taken, store.newest, store.count) == (3, 4, 4)
        assert store.stream(S, "c1").position == 10


def test_an_accepted_event_belongs_to_who_was_authorised(store: Store, path: Path) -> None:
    """Admission has decided whose an accepted event is; the body is not asked again."""
    number = store.stream(S, "").number
    store.add_accepted([(number, 1, own(1)._replace(agent="helper"))], 1)
    with reading(path) as reads:
        assert [entry.agent for entry in reads.page(Filter(), limit=9)] == ["helper"]


def test_a_body_that_claims_another_agent_is_raw(store: Store, path: Path) -> None:
    """The subject decides; what contradicts it is kept for the operator, and not understood."""
    read_stream(store, foreign(1, agent="alice", owner="mallory", visibility="public"))
    with reading(path) as reads:
        (entry,) = reads.page(Filter(), limit=9)
        assert (entry.agent, entry.type, entry.visibility, entry.words) == ("mallory", "", "internal", 0)
        assert reads.page(Filter(scope=Scope(author="alice")), limit=9) == []
        assert reads.page(Filter(scope=Scope(reader="alice")), limit=9) == []


def test_events_of_nobody_are_the_operators(store: Store, path: Path) -> None:
    """A subject that no agent has makes an event that only the operator reads, whatever it says."""
    read_stream(store, foreign(1, owner="", agent="alice", visibility="public"))
    with reading(path) as reads:
        assert everything(reads) == ["id-1"]
        for reader in ("alice", "main", ""):
            assert everything(reads, Scope(reader=reader)) == []


def test_the_place_of_a_known_event_is_not_taken_twice(store: Store) -> None:
    """A page that is read again adds nothing."""
    page = [foreign(1), foreign(2)]
    assert read_stream(store, *page) == 2
    assert read_stream(store, *page) == 0
    assert store.count == 2


def test_an_own_event_that_the_stream_shows_gets_its_place(store: Store) -> None:
    """Known by id and body: the row that was accepted here is placed, not doubled."""
    accept(store, own(1), own(2))
    assert read_stream(store, foreign(1, seq=41), foreign(2, seq=42)) == 0
    assert places(store) == {"id-1": 41, "id-2": 42}


def test_the_same_id_with_another_body_is_another_event(store: Store) -> None:
    """Older writers give many events the same id; none of them replaces another."""
    accept(store, own(1))
    assert read_stream(store, foreign(1, seq=5, payload={"data": {"text": "else"}})) == 1
    assert read_stream(store, foreign(1, seq=6, payload={"data": {"text": "more"}})) == 1
    assert sorted(seq for _, _, seq, _ in rows(store)) == [0, 5, 6]


def test_the_same_id_and_body_at_two_sequences_are_two_events(store: Store) -> None:
    """The stream holds both, so a reader of its order sees both."""
    assert read_stream(store, foreign(1, seq=5), foreign(1, seq=6)) == 2
    assert [seq for _, _, seq, _ in rows(store)] == [5, 6]


def test_the_same_id_of_another_agent_is_another_event(store: Store) -> None:
    """Ids are unique within an agent only."""
    accept(store, own(1))
    body = own(1).body
    assert read_stream(store, NewEvent(4, None, "other", "p.other.t", START, "id-1", body)) == 1
    assert [seq for _, _, seq, _ in rows(store)] == [0, 4]


def test_an_id_of_any_length_finds_its_event(store: Store) -> None:
    """Long ids are cut, and cut alike on both sides of a comparison."""
    long = "x" * 10_000
    accept(store, own(1)._replace(event_id=long))
    assert read_stream(store, foreign(1, seq=3)._replace(event_id=long)) == 0
    assert [seq for _, _, seq, _ in rows(store)] == [3]


def test_a_stream_that_replaced_one_of_its_name(store: Store) -> None:
    """What is sent again into a new stream of the same name moves there; what is not stays where it was."""
    read_stream(store, foreign(1), foreign(2), created="c1")
    assert read_stream(store, foreign(2, seq=1), foreign(3, seq=2), created="c2") == 1
    assert places(store) == {"id-1": 1, "id-2": 1, "id-3": 2}
    assert store.stream(S, "c2").position == 2
    assert store.stream(S, "c1").position == 2


def test_streams_of_one_name_in_two_accounts(store: Store) -> None:
    """Each has its own positions, and takes nothing from the other: neither what it holds nor what waits."""
    accept(store, own(9))
    other = S._replace(account="alice")
    assert read_stream(store, foreign(1), foreign(2)) == 2
    assert read_stream(store, foreign(1), foreign(2), foreign(9), stream=other, created="c2") == 3
    assert store.count == 6
    assert (store.stream(S, "c1").position, store.stream(other, "c2").position) == (2, 9)
    store.place_runs(1, store.stream(S, "c1").number, [Placed(9, 9, 1, 3)], 9, 0)
    assert sorted(rows(store)) == [
        ("id-1", "S", 1, None), ("id-1", "S", 1, None), ("id-2", "S", 2, None), ("id-2", "S", 2, None),
        ("id-9", "S", 3, 9), ("id-9", "S", 9, None),
    ]  # fmt: skip


def test_the_same_stream_under_another_account(store: Store) -> None:
    """As after a change of the configuration that tells logins apart otherwise: nothing is there twice."""
    read_stream(store, foreign(1), foreign(2))
    assert read_stream(store, foreign(1), foreign(2), foreign(3), stream=S._replace(account="alice")) == 1
    assert places(store) == {"id-1": 1, "id-2": 2, "id-3": 3}


def test_a_stream_of_another_name_has_its_own_copies(store: Store) -> None:
    """An event that stands in two streams is in the index twice, once in each."""
    read_stream(store, foreign(1), stream=S)
    assert read_stream(store, foreign(1), stream=T) == 1
    assert [(name, seq) for _, name, seq, _ in rows(store)] == [("S", 1), ("T", 1)]


def test_something_else_at_a_place(store: Store) -> None:
    """A stream that went back holds another event where one was; that one loses its place only."""
    read_stream(store, foreign(1), foreign(2))
    assert read_stream(store, foreign(1), foreign(7, seq=2)) == 1
    assert places(store) == {"id-1": 1, "id-2": 0, "id-7": 2}
    assert read_stream(store, foreign(2, seq=3)) == 0
    assert places(store) == {"id-1": 1, "id-2": 3, "id-7": 2}


# Places


def test_a_run_without_gaps(store: Store) -> None:
    """Rows that are without a gap in the outbox stand without one in the stream."""
    accept(store, *map(own, range(1, 6)))
    assert not store.place_runs(1, store.stream(S, "c1").number, [Placed(2, 4, 3, 100)], 4, 0)
    assert places(store) == {"id-1": 0, "id-2": 100, "id-3": 101, "id-4": 102, "id-5": 0}
    assert store.settled(1) == 4
    assert store.settled(2) == 0


def test_a_run_between_rows_of_another_route(store: Store) -> None:
    """Numbers of two routes mix in the outbox; each run counts its own rows."""
    number = store.stream(S, "").number
    store.add_accepted([(number, 1 + (n % 2), own(n)) for n in range(1, 7)], 6)
    store.place_runs(2, store.stream(S, "c1").number, [Placed(1, 5, 3, 10)], 5, 0)
    store.place_runs(1, store.stream(T, "c1").number, [Placed(2, 6, 3, 20)], 6, 0)
    assert places(store) == {"id-1": 10, "id-3": 11, "id-5": 12, "id-2": 20, "id-4": 21, "id-6": 22}
    assert [name for _, name, _, _ in rows(store)] == ["S", "T"] * 3


def test_a_run_of_which_rows_are_missing_is_left_to_the_stream(store: Store) -> None:
    """With a gap in its numbers and fewer rows than it has, nobody knows which one is where."""
    number = store.stream(S, "").number
    store.add_accepted([(number, 1, own(1)), (number, 1, own(4))], 4)
    store.place_runs(1, number, [Placed(1, 4, 3, 10)], 4, 0)
    assert set(places(store).values()) == {0}


def test_a_growing_run(store: Store) -> None:
    """A run that has grown is placed as a whole again; what stood in it stays."""
    accept(store, *map(own, range(1, 7)))
    number = store.stream(S, "c1").number
    store.place_runs(1, number, [Placed(1, 3, 3, 10)], 3, 0)
    store.place_runs(1, number, [Placed(1, 6, 6, 10)], 6, 0)
    assert places(store) == {f"id-{n}": 9 + n for n in range(1, 7)}


def test_rows_move_within_the_places_of_their_own_run(store: Store) -> None:
    """After a repair the same rows stand one further, each where its neighbour stood."""
    accept(store, *map(own, range(1, 4)))
    number = store.stream(S, "c1").number
    store.place_runs(1, number, [Placed(1, 3, 3, 10)], 3, 0)
    assert store.place_runs(1, number, [Placed(1, 3, 3, 11)], 3, 1)
    assert places(store) == {"id-1": 11, "id-2": 12, "id-3": 13}
    assert store.place_runs(1, number, [Placed(1, 3, 3, 10)], 3, 2)
    assert places(store) == {"id-1": 10, "id-2": 11, "id-3": 12}


def test_rows_with_gaps_move_within_the_places_of_their_own_run(store: Store) -> None:
    """The same where another route's rows stand between."""
    number = store.stream(S, "c1").number
    store.add_accepted([(number, 1, own(n)) for n in (1, 3, 5)], 5)
    store.place_runs(1, number, [Placed(1, 5, 3, 10)], 5, 0)
    store.place_runs(1, number, [Placed(1, 5, 3, 11)], 5, 1)
    assert places(store) == {"id-1": 11, "id-3": 12, "id-5": 13}


def test_a_run_drives_away_what_was_taken_to_stand_there(store: Store) -> None:
    """Events of other writers, and of other routes, too: two cannot stand at one place."""
    read_stream(store, foreign(50, seq=10), foreign(51, seq=11), foreign(52, seq=12))
    accept(store, own(1), own(2))
    store.place_runs(1, store.stream(S, "c1").number, [Placed(1, 2, 2, 11)], 2, 0)
    assert places(store) == {"id-50": 10, "id-51": 0, "id-52": 0, "id-1": 11, "id-2": 12}


def test_a_route_that_was_moved_back(store: Store) -> None:
    """Rows above the watermark are sent again, so they stand nowhere until then."""
    accept(store, *map(own, range(1, 5)))
    number = store.stream(S, "c1").number
    store.place_runs(1, number, [Placed(1, 4, 4, 10)], 4, 0)
    assert store.place_runs(1, number, [], 2, 1)
    assert places(store) == {"id-1": 10, "id-2": 11, "id-3": 0, "id-4": 0}
    assert not store.place_runs(1, number, [Placed(3, 4, 2, 15)], 4, 1)
    assert places(store) == {"id-1": 10, "id-2": 11, "id-3": 15, "id-4": 16}


def test_moving_back_concerns_one_route(store: Store) -> None:
    """Other routes' rows stand where they stood."""
    number = store.stream(S, "c1").number
    store.add_accepted([(number, 1, own(1)), (number, 2, own(2))], 2)
    store.place_runs(1, number, [Placed(1, 1, 1, 10)], 1, 0)
    store.place_runs(2, number, [Placed(2, 2, 1, 11)], 2, 0)
    store.place_runs(1, number, [], 0, 1)
    assert places(store) == {"id-1": 0, "id-2": 11}


@given(data=st.data())
@settings(max_examples=200)
def test_places_follow_the_stream_through_anything(data: st.DataObject) -> None:
    """Placing, replacing, rewinding and reading in any order: no error, nothing lost, no place held twice."""
    store = in_memory()
    number = store.stream(S, "").number
    routes = data.draw(st.lists(st.integers(1, 2), min_size=12, max_size=12))
    store.add_accepted([(number, routes[n - 1], own(n)) for n in range(1, 13)], 12)
    created = store.stream(S, "c").number
    rewinds = 0
    for _ in range(data.draw(st.integers(1, 6))):
        match data.draw(st.sampled_from(["place", "rewind", "read", "cut"])):
            case "place":
                route = data.draw(st.integers(1, 2))
                first = data.draw(st.integers(1, 12))
                last = data.draw(st.integers(first, 12))
                count = routes[first - 1 : last].count(route)
                if count:
                    run = Placed(first, last, count, data.draw(st.integers(1, 20)))
                    store.place_runs(route, created, [run], last, rewinds)
            case "rewind":
                rewinds += 1
                store.place_runs(
                    data.draw(st.integers(1, 2)), created, [], data.draw(st.integers(0, 12)), rewinds
                )
            case "read":
                seqs = sorted(data.draw(st.sets(st.integers(1, 20), min_size=1, max_size=5)))
                numbers = data.draw(st.permutations(range(1, 13)))
                store.add_stored(
                    created,
                    [foreign(n, seq=seq) for n, seq in zip(numbers, seqs, strict=False)],
                    seqs[-1],
                )
            case "cut":
                store.unplace_beyond(created, data.draw(st.integers(0, 20)))
    here = [event_id for event_id, *_ in rows(store)]
    assert {f"id-{n}" for n in range(1, 13)} <= set(here)
    assert store.count == len(here)


@pytest.mark.parametrize("owner", ["main", "agent"])
def test_events_without_a_message_id_are_known_again(store: Store, owner: str) -> None:
    """By their own id and their bytes, when a stream of that name was made anew and filled again."""
    upstream = owner == "agent"
    events = [
        foreign(n, owner=owner, session="agent:main:s")._replace(event_id="", by_session=upstream)
        for n in (1, 2)
    ]
    assert read_stream(store, *events) == 2
    assert read_stream(store, *events, created="c2") == 0
    assert places(store) == {"id-1": 1, "id-2": 2}
    assert read_stream(store, events[0]._replace(seq=3), created="c2") == 1  # stored twice is two events


def test_a_stream_that_ends_earlier_than_before(store: Store) -> None:
    """What was behind its end has no place there, and is read again when the stream grows."""
    read_stream(store, *map(foreign, range(1, 5)))
    number = store.stream(S, "c1").number
    store.unplace_beyond(number, 2)
    assert places(store) == {"id-1": 1, "id-2": 2, "id-3": 0, "id-4": 0}
    assert store.stream(S, "c1").position == 2
    assert read_stream(store, foreign(4, seq=3)) == 0
    assert places(store) == {"id-1": 1, "id-2": 2, "id-3": 0, "id-4": 3}


def test_the_outbox_begins_anew(store: Store) -> None:
    """Its numbers mean other rows then; the events that were there stay."""
    accept(store, own(1), own(2))
    store.place_runs(1, store.stream(S, "c1").number, [Placed(1, 2, 2, 10)], 2, 3)
    store.begin_anew()
    assert (store.taken, store.settled(1), store.count) == (0, 0, 2)
    accept(store, own(7, outbox=1))
    store.place_runs(1, store.stream(S, "c1").number, [Placed(1, 1, 1, 12)], 1, 0)
    assert places(store) == {"id-1": 10, "id-2": 11, "id-7": 12}


def test_what_a_salvaged_outbox_has_again_is_not_doubled(path: Path) -> None:
    """Rows that were saved from a damaged outbox come under new numbers; they are the same events."""
    with opened(path) as store:
        accept(store, own(1), own(2), own(3))
        store.place_runs(1, store.stream(S, "c1").number, [Placed(1, 1, 1, 10)], 1, 0)
        store.begin_anew()
    with opened(path) as store:
        accept(store, own(1, outbox=1), own(3, outbox=2), own(4, outbox=3))
        store.place_runs(1, store.stream(S, "c1").number, [Placed(2, 3, 2, 11)], 3, 0)
        assert places(store) == {"id-1": 10, "id-2": 0, "id-3": 11, "id-4": 12}


# Names and full-text tables


def test_agents_beyond_the_bound_share_a_table(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of tables is bounded; who shares one still finds only what they may read."""
    monkeypatch.setattr(store_module, "MAX_LEXICONS", 3)
    agents = [f"agent-{n}" for n in range(6)]
    accept(store, *(own(n, agent=agent) for n, agent in enumerate(agents, 1)))
    assert sorted(tables(store)) == [f"fts_{n}" for n in sorted(store._names[a] for a in agents[:3])] + [REST]
    with reading(path) as reads:
        for n, agent in enumerate(agents, 1):
            for scope in (Scope(reader=agent), Scope(author=agent), Scope(author=agent, reader=agent)):
                assert ids(reads.page(Filter(scope=scope, text="event"), limit=9)) == [f"id-{n}"]
                assert [
                    hit.entry.event_id for hit in reads.recall("event", Filter(scope=scope), limit=9)
                ] == [f"id-{n}"]
        assert len(reads.page(Filter(text="event"), limit=9)) == 6


def test_words_of_very_many_agents_are_found_together(store: Store, path: Path) -> None:
    """The operator's search looks into more tables than SQLite joins in one statement."""
    accept(store, *(own(n, agent=f"agent-{n}") for n in range(1, 1100)))
    assert len(tables(store)) == store_module.MAX_LEXICONS + 1
    with reading(path) as reads:
        assert len(reads.page(Filter(text="event"), limit=2000)) == 1099
        assert ids(reads.page(Filter(text="number1050"), limit=2000)) == ["id-1050"]
        assert ids(reads.page(Filter(text="number7 event"), limit=2000)) == ["id-7"]


def test_public_events_are_in_the_table_of_all_as_well(store: Store) -> None:
    """And secret ones in none."""
    accept(
        store,
        own(1, visibility="public"),
        own(2, visibility="internal"),
        own(3, visibility="confidential"),
        own(4, visibility="secret"),
        own(5, agent="other", visibility="public"),
    )
    assert sorted(tables(store).values()) == [[1, 2, 3], [1, 5], [5]]


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), KeyError("x"), UnicodeEncodeError("u", "", 0, 1, "")]
)
def test_an_event_that_breaks_the_code_is_kept_raw(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Nothing is dropped for a bug of ours, and what comes with it is taken as always."""

    def breaks(event: Normal, time_ms: int) -> Indexed:
        if "number2" in event.text:
            raise error
        return indexed(event, time_ms)

    monkeypatch.setattr(entries, "indexed", breaks)
    accept(store, own(1), own(2), own(3))
    assert [kind for kind, in store.db.execute("SELECT kind FROM events ORDER BY n")] == [
        Kind.MESSAGE_IN, Kind.RAW, Kind.MESSAGE_IN,
    ]  # fmt: skip
    assert sorted(places(store)) == ["id-1", "id-2", "id-3"]


# Events out


def test_what_was_stored_long_ago_goes(store: Store) -> None:
    """Whatever its own time is: what is imported from years ago stays as long as anything else."""
    accept(store, own(30, timestamp=1), own(10), own(20))
    assert store.prune_old(START + 20, 10) == 1
    assert sorted(places(store)) == ["id-20", "id-30"]
    assert store.prune_old(START + 20, 10) == 0
    assert store.count == 2


def test_ages_are_looked_at_round_and_round(store: Store) -> None:
    """A call looks at some events only; none is forgotten, in whatever order they came."""
    accept(store, *(own(number) for number in (90, 80, 1, 70, 2, 60, 3)))
    gone = [store.prune_old(START + 50, 2) for _ in range(4)]
    assert gone == [0, 1, 1, 1]
    assert sorted(places(store)) == ["id-60", "id-70", "id-80", "id-90"]
    accept(store, own(4))
    assert sum(store.prune_old(START + 50, 2) for _ in range(3)) == 1


def test_what_came_first_goes_for_want_of_room(store: Store) -> None:
    accept(store, own(3), own(1), own(2))
    assert store.prune_oldest(2) == 2
    assert sorted(places(store)) == ["id-2"]


def test_memories_stay(store: Store) -> None:
    """Memory does not expire by itself, nor does what a migration brought, however little room there is."""
    accept(store, own(1, type="memory.fact"), own(2, type="migration.file"), own(3))
    assert store.prune_old(START + 1000, 10) == 1
    assert store.prune_oldest(10) == 0
    assert sorted(places(store)) == ["id-1", "id-2"]


def test_pruned_words_are_gone_from_every_table(store: Store, path: Path) -> None:
    """No search finds what is not there, in the public table either."""
    accept(store, own(1, visibility="public"), own(2, agent="other", visibility="public"), own(3))
    assert store.prune_old(START + 2, 10) == 1
    assert sorted(tables(store).values()) == [[2], [2], [3]]
    with reading(path) as reads:
        assert ids(reads.page(Filter(scope=Scope(reader="main"), text="event"), limit=9)) == ["id-3", "id-2"]
        assert ids(reads.page(Filter(text="number1"), limit=9)) == []


def test_room_is_given_back(store: Store, path: Path) -> None:
    """What was pruned takes no room after the trim."""
    accept(store, *(own(n, payload={"data": {"text": "x" * 5000}}) for n in range(1, 400)))
    full = store.used_bytes()
    store.prune_oldest(400)
    store.trim(10_000)
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert store.used_bytes() < full / 4
    assert path.stat().st_size < full / 4


def test_a_number_is_given_once(store: Store) -> None:
    """Who has read up to a number misses nothing, though the newest was pruned and a write failed."""
    accept(store, own(1), own(2)._replace(stored=1))
    assert store.prune_old(START, 10) == 1
    with pytest.raises(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    accept(store, own(3))
    assert store.newest == 3


# Errors


def fail_at(store: Store, table: str) -> None:
    store.db.execute(f"CREATE TRIGGER t BEFORE INSERT ON {table} BEGIN SELECT raise(ABORT, 'no'); END")


@pytest.mark.parametrize("table", ["events", "names", "lexicons"])
def test_nothing_is_left_of_a_write_that_failed(store: Store, path: Path, table: str) -> None:
    """Neither in the file nor in what is remembered of it, so the next write finds all names and tables."""
    accept(store, own(1))
    fail_at(store, table)
    with pytest.raises(apsw.ConstraintError):
        accept(store, own(2, agent="other", session="new", visibility="public"), stream=S)
    with pytest.raises(apsw.ConstraintError):
        read_stream(store, foreign(3, agent="third", visibility="public"))
    assert (store.taken, store.count, store.db.get_autocommit()) == (1, 1, True)
    store.db.execute("DROP TRIGGER t")
    accept(store, own(2, agent="other", session="new", visibility="public"))
    read_stream(store, foreign(3, agent="third", visibility="public"))
    with reading(path) as reads:
        assert everything(reads) == ["id-1", "id-2", "id-3"]
        assert ids(reads.page(Filter(scope=Scope(reader="main"), text="event"), limit=9)) == [
            "id-3",
            "id-2",
            "id-1",
        ]


def test_a_full_file_takes_nothing_and_then_goes_on(store: Store) -> None:
    """Without room a write fails as a whole; with room again the same write succeeds."""
    accept(store, own(1))
    big = [own(n, agent=f"a{n}", payload={"data": {"text": "word " * 3000}}) for n in range(2, 40)]
    pages = store.db.execute("PRAGMA page_count").get
    store.db.execute(f"PRAGMA max_page_count = {pages + 20}").fetchall()
    with pytest.raises(apsw.FullError):
        accept(store, *big)
    assert (store.taken, store.count) == (1, 1)
    store.db.execute("PRAGMA max_page_count = 1000000").fetchall()
    accept(store, *big)
    assert (store.taken, store.count) == (39, 39)
    assert len(tables(store)) == 39


def test_a_position_moves_only_with_its_events(store: Store) -> None:
    """A page that failed is read again, for the position has not moved either."""
    number = store.stream(S, "c1").number
    fail_at(store, "events")
    with pytest.raises(apsw.ConstraintError):
        store.add_stored(number, [foreign(1)], 1)
    assert store.stream(S, "c1").position == 0


# What others write

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        *("id", "timestamp", "ts", "agent", "session", "sessionKey", "type", "canonicalType", "visibility"),
        *(
            "payload",
            "meta",
            "data",
            "text",
            "content",
            "name",
            "toolName",
            "result",
            "args",
            "error",
            "runId",
        ),
        *("callId", "factId", "text_preview", "role", "stream", "senderName", "from"),
    ]
)
LOOSE = st.recursive(
    JSON
    | st.sampled_from(["agent", "main", "agent:bob:x", "msg.in", "memory.fact", "public", "\0", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=8),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(KEYS, LOOSE, max_size=12).map(lambda event: json.dumps(event).encode()),
    st.dictionaries(KEYS, LOOSE, max_size=12).map(
        lambda event: json.dumps({"type": "conversation.tool_result"} | event, ensure_ascii=False).encode(
            errors="surrogatepass"
        )
    ),
)
AGENTS = st.text(max_size=12) | st.sampled_from(["agent", "main", "", "\0"])
IDS = st.text(st.characters(), max_size=12) | st.sampled_from(["", "\0", "x" * 10_000])
TIMES = st.integers(-(2**63), 2**63 - 1)


@given(events=st.lists(st.tuples(AGENTS, IDS, TIMES, BODIES), min_size=1, max_size=6))
@settings(max_examples=100)
def test_no_event_of_others_stops_the_index(events: list[tuple[str, str, int, bytes]]) -> None:
    """Whatever a stream or the outbox holds is taken in: one that fails would fail for ever."""
    store = in_memory()
    new = [
        NewEvent(n, None, agent, f"p.{n}", stored, event_id, body)
        for n, (agent, event_id, stored, body) in enumerate(events, 1)
    ]
    assert read_stream(store, *new) == len(new)
    assert read_stream(store, *new) == 0
    accept(store, *(event._replace(seq=None, outbox=event.seq) for event in new), stream=T)
    assert store.count == 2 * len(new)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"msg.in","payload":{"content":' + b"[" * 990 + b"]" * 990 + b"}}",
        b'{"type":"msg.in","payload":{"content":' + b'{"text":' * 5000 + b"1" + b"}" * 5001 + b"}",
        b'{"type":"tool.result","payload":{"result":' + b"[" * 7000 + b"]" * 7000 + b"}}",
        b"[" * 1_000_000,
        b'{"type":"x","payload":{"n":1' + b"0" * 5000 + b"}}",
        b'{"type":"' + b"t" * 2**20 + b'","session":"' + b"s" * 2**20 + b'"}',
        body_of(1, payload={"content": "word " * (8 * 2**20 // 5)}),
        body_of(1, payload={"content": "\0" * 1000}),
        body_of(1, payload={"name": "\ud800", "content": "é"}),
        body_of(1, agent=None, session="agent:\ud800:x"),
        body_of(1, id="\ud800" * 5000),
    ],
    ids=lambda body: f"{body[:40]!r}, {len(body)} bytes",
)
def test_a_monster_is_taken_in(store: Store, path: Path, body: bytes) -> None:
    """Deep, huge or half a character: it is there, byte for byte."""
    event = NewEvent(1, None, "agent", "p.agent.t", START, "\udcff" * 10_000, body)
    assert read_stream(store, event) == 1
    assert read_stream(store, event) == 0
    with reading(path) as reads:
        assert [entry.body for entry in reads.page(Filter(), limit=9)] == [body]
