"""Tombstones in the index: what they name goes, stays out, and is overwritten; nothing else is touched."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd.events.tombstones import STUB, TOMBSTONE, Forgotten, payload
from eventd.events.types import Kind
from eventd.index import forgetting
from eventd.index.connection import log_size_of, open_reader, open_writer
from eventd.index.forgetting import Mark, Returned
from eventd.index.model import Filter, NewEvent, Scope
from eventd.index.reads import Reads
from eventd.index.store import Store

from .support import ALL, START, S, T, accept, body_of, everything, foreign, own, read_stream, tables

MARKER = "xyzzyQUUXforgotten"
FOLDED = "quuxforgotten"  # what FTS5 writes of it behind "xyzzy", which it has by itself, too


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    db, _ = open_writer(path)
    yield Store(db)
    db.close()


@pytest.fixture
def reads(store: Store, path: Path) -> Iterator[Reads]:
    reads = Reads(open_reader(path))
    yield reads
    reads.db.close()


def tombstone(number: int, *named: Forgotten, agent: str = "main", seq: int | None = None) -> NewEvent:
    """A tombstone as it comes from the outbox; with a sequence, as a stream has it."""
    fields: dict[str, Any] = {"type": TOMBSTONE, "agent": agent, "payload": payload(named), "session": ""}
    event = own(number, **fields) if seq is None else foreign(number, seq=seq, **fields)
    return event._replace(event_id=f"tomb-{number}", body=event.body.replace(b"id-", b"tomb-", 1))


def named(*numbers: int) -> list[Forgotten]:
    return [Forgotten(f"id-{number}") for number in numbers]


def others(reads: Reads) -> list[str]:
    """The ids that the index shows, without tombstones."""
    return [name for name in everything(reads) if not name.startswith("tomb")]


def wipe(store: Store) -> None:
    while forgetting.wipe(store):
        pass
    store.cut_log()
    forgetting.end_wiping(store)


@pytest.mark.parametrize("first", ["tombstone", "events"])
@pytest.mark.parametrize("way", ["outbox", "stream", "one page"])
def test_what_is_named_goes_whichever_comes_first(store: Store, reads: Reads, first: str, way: str) -> None:
    """From the outbox, or from a stream; in one page, too, where either order is possible."""
    if way == "outbox":
        steps = [[own(number) for number in (1, 2, 3)], [tombstone(9, *named(2))]]
        for events in steps if first == "events" else reversed(steps):
            accept(store, *events)
    else:
        at = 9 if first == "events" else 0
        page = [
            *(foreign(number, seq=number + 1) for number in (1, 2, 3)),
            tombstone(9, *named(2), seq=at + 1),
        ]
        page.sort(key=lambda event: event.seq or 0)
        for events in [page] if way == "one page" else [[event] for event in page]:
            read_stream(store, *events)
    assert others(reads) == ["id-1", "id-3"]
    assert store.count == 3
    assert all(2 not in rows for rows in tables(store).values()) or first == "tombstone"


def test_events_of_others_are_left_alone(store: Store, reads: Reads) -> None:
    """A tombstone is about its own agent: no id and no place of somebody else is its business."""
    read_stream(store, foreign(1), foreign(2, agent="bob"), foreign(3, agent="bob", visibility="public"))
    read_stream(store, foreign(4, seq=4, agent="bob", id=None))
    wanted = [
        *named(2, 3),
        Forgotten("id-2", "S", 2), Forgotten("", "S", 2, START + 2), Forgotten("", "S", 4, START + 4),
    ]  # fmt: skip
    read_stream(store, tombstone(9, *wanted, seq=9))
    assert len(others(reads)) == 4
    read_stream(store, foreign(5, seq=10, agent="bob"))
    assert len(others(reads)) == 5
    assert not store.returned


def test_what_claims_to_be_anothers_tombstone_is_none(store: Store, reads: Reads) -> None:
    """The subject says whose it is: bob's stream cannot take from main."""
    read_stream(store, foreign(1))
    forged = tombstone(9, *named(1), seq=9)._replace(agent="bob")
    read_stream(store, forged)
    assert "id-1" in everything(reads)
    assert store.forgets == 0


def test_an_event_without_an_id_goes_by_its_place_and_time(store: Store, reads: Reads) -> None:
    """Another one that stands there is another one."""
    plain = [foreign(number, id=None)._replace(event_id="") for number in (1, 2, 3)]
    read_stream(store, *plain)
    read_stream(store, tombstone(9, Forgotten("", "S", 2, START + 2), Forgotten("", "S", 3, 5), seq=9))
    assert store.count == 3
    assert reads.by_place(S, 2, Scope()) is None
    assert reads.by_place(S, 3, Scope()) is not None
    store.unplace_beyond(store.stream(S, "c1").number, 0)
    read_stream(store, plain[1]._replace(seq=2))
    assert reads.by_place(S, 2, Scope()) is None


def test_a_forgotten_event_that_stands_in_a_stream_is_noted(store: Store, reads: Reads) -> None:
    """With its place, so that it is erased there. A stub is none: it says nothing."""
    accept(store, tombstone(1, *named(5, 6)))
    read_stream(store, foreign(5, seq=7), foreign(6, seq=8, type=STUB), foreign(4, seq=9))
    found = forgetting.returned(reads, ALL)
    number = store.stream(S, "c1").number
    assert found == [Returned(number, S.account, "S", 7, "main", "id-5", START + 5)]
    assert others(reads) == ["id-4"]
    forgetting.settle_returned(store, found)
    assert not store.returned


def test_a_place_that_the_tombstone_does_not_name_is_noted(store: Store, reads: Reads) -> None:
    """Another host's tombstone may know less than we do."""
    read_stream(store, foreign(1), foreign(2))
    read_stream(store, tombstone(9, Forgotten("id-1", "S", 1), *named(2), seq=9))
    assert [(one.seq, one.event_id) for one in forgetting.returned(reads, ALL)] == [(2, "id-2")]


def test_where_a_stream_went_back_all_may_be_there_again(store: Store, reads: Reads) -> None:
    read_stream(store, foreign(1), foreign(2), foreign(3))
    read_stream(store, foreign(4, seq=1), stream=T)
    wanted = [Forgotten("id-1", "S", 1), Forgotten("id-2", "S", 2), Forgotten("id-4", "T", 1), *named(8)]
    read_stream(store, tombstone(9, *wanted, seq=9))
    assert not store.returned
    store.unplace_beyond(store.stream(S, "c1").number, 2)
    assert [(one.stream, one.seq) for one in forgetting.returned(reads, ALL)] == [("S", 1), ("S", 2)]


def test_marks_come_in_their_order(store: Store, reads: Reads) -> None:
    accept(store, tombstone(1, *named(1, 2)), tombstone(2, *named(2), agent="bob"))
    marks = forgetting.marks_after(reads, 0, ALL)
    assert [(mark.agent, mark.event_id) for mark in marks] == [
        ("main", "id-1"), ("main", "id-2"), ("bob", "id-2"),
    ]  # fmt: skip
    assert forgetting.marks_after(reads, marks[0].n, 1) == [Mark(marks[1].n, "main", "id-2")]
    assert store.forgets == marks[-1].n
    assert forgetting.forgotten(reads, "main", ["id-1", "id-2", "id-3"]) == {"id-1", "id-2"}
    assert forgetting.forgotten(reads, "bob", ["id-1", "id-2"]) == {"id-2"}
    assert forgetting.forgotten(reads, "nobody", ["id-1"]) == set()


def test_a_tombstone_is_shown_but_neither_forgotten_nor_remembered(store: Store, reads: Reads) -> None:
    """It is an event like others for `query`; recall has nothing of it; it outlives every limit."""
    accept(store, own(1), tombstone(2, *named(1)), tombstone(3, Forgotten("tomb-2")))
    entries = reads.page(Filter(), limit=ALL)
    assert [(entry.event_id, entry.kind) for entry in entries] == [
        ("tomb-3", Kind.TOMBSTONE), ("tomb-2", Kind.TOMBSTONE),
    ]  # fmt: skip
    assert reads.recall("id tomb forgotten", Filter(), limit=9) == []
    assert reads.memories("main", limit=9) == []
    assert store.prune_old(START + ALL, ALL) == 0
    assert store.prune_oldest(ALL) == 0


def test_nothing_is_left_in_the_files(store: Store, path: Path) -> None:
    """Not in rows, not in full-text tables, not in free pages, not in the log; what others said is found."""
    for number in range(1, 301):
        text = f"{MARKER}{number} {MARKER * (number % 7)}" if number % 3 == 0 else f"plain number{number}"
        visibility = "public" if number % 2 else "internal"
        accept(store, own(number, payload={"data": {"text": text}}, visibility=visibility))
    store.prune_oldest(30)
    assert holding(path)
    accept(store, tombstone(400, *named(*range(3, 301, 3))))
    assert store.wiping
    wipe(store)
    assert holding(path) == []
    reads = Reads(open_reader(path))
    try:
        assert len(reads.recall("plain number200", Filter(), limit=9)) > 0
        assert store.count == 300 - 30 - (100 - 10) + 1
    finally:
        reads.db.close()


def holding(path: Path) -> list[str]:
    """The files in which any word of a forgotten event is left, as FTS5 folds it, too."""
    files = [file for file in path.parent.glob("index.db*") if log_size_of(path) or file.suffix != "-wal"]
    words = (MARKER.encode(), FOLDED.encode())
    return [file.name for file in files if any(word in file.read_bytes() for word in words)]


def test_wiping_goes_on_after_a_restart(store: Store, path: Path) -> None:
    accept(store, own(1, payload={"data": {"text": MARKER}}))
    accept(store, tombstone(2, *named(1)))
    store.db.close()
    db, new = open_writer(path)
    again = Store(db)
    assert not new
    assert again.wiping
    wipe(again)
    assert holding(path) == []
    db.close()


def test_a_body_that_is_no_tombstone_does_nothing(store: Store, reads: Reads) -> None:
    """Whoever writes into the stream may write what they like."""
    accept(store, own(1))
    huge = {"forgotten": [{"id": "id-1", "stream": "s", "seq": 2**63}]}
    for at, held in enumerate(({}, {"forgotten": "id-1"}, {"forgotten": [7]}, {"forgotten": [{}]}, huge), 5):
        odd = foreign(at, type=TOMBSTONE, payload=held)
        read_stream(store, odd._replace(body=body_of(at, type=TOMBSTONE, payload=held)))
    assert "id-1" in everything(reads)
    assert store.forgets == 0


def secrets(store: Store, count: int) -> None:
    """Take in events at once, each with a word of its own: FTS5 has no reason to merge anything by itself."""
    texts = {number: f"the word {word_of(number)}" for number in range(1, count + 1)}
    accept(store, *(own(number, payload={"data": {"text": text}}) for number, text in texts.items()))


def test_words_of_a_single_event_are_overwritten(store: Store, path: Path) -> None:
    """One of many, for which FTS5 would leave them where they are for long."""
    secrets(store, 400)
    accept(store, tombstone(1000, *named(200)))
    store.cut_log()
    assert has_word(path, 200)
    wipe(store)
    assert not has_word(path, 200)
    assert has_word(path, 201)


def test_what_is_forgotten_while_words_are_merged_is_overwritten_too(store: Store, path: Path) -> None:
    """Each step of the merging may be the one after which more is forgotten."""
    secrets(store, 3000)
    for number in range(100, 1100, 100):
        accept(store, tombstone(4000 + number, *named(number)))
        forgetting.wipe(store)
    wipe(store)
    assert [number for number in range(100, 1100, 100) if has_word(path, number)] == []
    assert has_word(path, 101)


def word_of(number: int) -> str:
    """The word that only one event has, of letters; no other one begins like it for more than a few."""
    digits = hashlib.sha256(str(number).encode()).hexdigest()[:20]
    return digits.translate(str.maketrans("0123456789", "ghijklmnop"))


def has_word(path: Path, number: int) -> bool:
    """Whether the word of an event is in the files; words share beginnings, and stemming cuts ends."""
    return word_of(number)[5:15].encode() in content(path)


def content(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob("index.db*"))


def test_what_was_too_old_before_is_overwritten(store: Store, path: Path) -> None:
    """Its row is gone by then, its words are not."""
    for number in range(1, 101):
        accept(store, own(number, payload={"data": {"text": f"{MARKER} number{number}"}}))
    assert store.prune_oldest(ALL) == 100
    assert holding(path)
    accept(store, tombstone(1000, *named(*range(1, 101))))
    wipe(store)
    assert holding(path) == []
