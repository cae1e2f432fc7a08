"""Memories that a later one replaces are not recalled; `query` shows them all the same."""

from pathlib import Path
from typing import Any

import pytest

from eventd.index.model import Filter, Scope
from eventd.index.reads import MAX_NOTE
from index.support import accept, everything, foreign, ids, opened, own, read_stream, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def note(text: str, *supersedes: str) -> dict[str, Any]:
    """The fields of a section of a note."""
    data = {"text": text} | ({"supersedes": list(supersedes)} if supersedes else {})
    return {"type": "migration.section", "session": "", "payload": {"data": data}}


def recalled(path: Path, text: str, agent: str = "main") -> list[str]:
    with reading(path) as reads:
        return ids([hit.entry for hit in reads.recall(text, Filter(scope=Scope(author=agent)), limit=10)])


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_newest_version_is_recalled(path: Path, order: tuple[int, ...]) -> None:
    """In whatever order they come in, from the outbox or from a stream."""
    texts = {1: note("zebra one"), 2: note("zebra two", "id-1"), 3: note("zebra three", "id-2")}
    with opened(path) as store:
        accept(store, *(own(n, outbox=at, **texts[n]) for at, n in enumerate(order[:2], 1)))
        read_stream(store, foreign(order[2], **texts[order[2]]))
    assert recalled(path, "zebra") == ["id-3"]
    with reading(path) as reads:
        assert sorted(everything(reads)) == ["id-1", "id-2", "id-3"]


def test_nobody_replaces_what_another_keeps(path: Path) -> None:
    """Ids are an agent's own."""
    with opened(path) as store:
        accept(store, own(1, **note("zebra")), own(2, agent="other", **note("lion", "id-1")))
    assert recalled(path, "zebra") == ["id-1"]


@pytest.mark.parametrize(
    "value", [None, 7, "", [None, 7, {"id": "id-1"}], {"id": "id-1"}, "id-1\0", ["x" * 1000]]
)
def test_what_is_no_id_replaces_nothing(path: Path, value: object) -> None:
    """Other writers store what they like."""
    fields = note("lion") | {"payload": {"data": {"text": "lion", "supersedes": value}}}
    with opened(path) as store:
        accept(store, own(1, **note("zebra")), own(2, **fields))
    assert recalled(path, "zebra") == ["id-1"]


def test_only_memories_replace_and_are_replaced(path: Path) -> None:
    """A message with such a key is a message."""
    said: dict[str, Any] = {"payload": {"data": {"text": "lion", "supersedes": ["id-1"]}}}
    with opened(path) as store:
        accept(store, own(1, **note("zebra")), own(2, **said), own(3), own(4, **note("bear", "id-3")))
    assert recalled(path, "zebra") == ["id-1"]
    assert recalled(path, "number3")[0] == "id-3"


def test_replaced_facts_are_no_memories_of_the_context(path: Path) -> None:
    """Notes are none either: they would leave facts no room."""
    with opened(path) as store:
        accept(
            store,
            own(1, type="memory.fact", payload={"data": {"text": "a"}}),
            own(2, type="memory.fact", payload={"data": {"text": "b", "supersedes": "id-1"}}),
            own(3, **note("zebra")),
        )
    with reading(path) as reads:
        assert ids(reads.memories("main", limit=10)) == ["id-2"]


def test_notes_outlive_every_limit(path: Path) -> None:
    """As all memories do."""
    with opened(path) as store:
        accept(store, own(1, **note("zebra")), own(2))
        assert store.prune_old(2**60, 100) + store.prune_oldest(100) == 1
    assert recalled(path, "zebra") == ["id-1"]


def test_events_of_no_session_have_nothing_to_do_with_each_other(path: Path) -> None:
    """What matches nothing is not recalled for standing beside what does."""
    with opened(path) as store:
        accept(store, *(own(n, **note(t)) for n, t in ((1, "bear"), (2, "zebra"), (3, "ant"))))
    assert recalled(path, "zebra") == ["id-2"]


def test_notes_are_those_that_hold_the_long_term_memory_first(path: Path) -> None:
    """All pieces of its file, however old; of the others the newest; nobody else's, and none that is huge."""

    def piece(kind: str, file: str, text: str, **data: Any) -> dict[str, Any]:
        payload = {"runId": f"run-{file}", "data": {"path": file, "text": text, **data}}
        return {"type": f"migration.{kind}", "session": "", "payload": payload}

    with opened(path) as store:
        accept(
            store,
            own(1, **piece("section", "MEMORY.md", "old")),
            own(2, **piece("section", "MEMORY.md", "new", supersedes=["id-1"])),
            own(3, **piece("long_term_memory", "MEMORY.md", "top")),
            own(4, agent="other", **piece("long_term_memory", "MEMORY.md", "theirs")),
            own(5, **piece("daily_note", "memory/a.md", "huge" * MAX_NOTE)),
            *(own(n, **piece("daily_note", f"memory/{n}.md", f"day {n}")) for n in range(6, 12)),
        )
    with reading(path) as reads:
        assert ids(reads.notes("main", limit=3)) == ["id-3", "id-2", "id-11", "id-10", "id-9"]
        assert ids(reads.notes("nobody", limit=3)) == []
