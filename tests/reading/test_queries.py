"""Answers of `query` that are larger than what is read at a time."""

from pathlib import Path
from typing import Any

import pytest

from eventd.index import reads as module
from eventd.index.index import Index
from eventd.reading.queries import Queries
from eventd_ipc.messages import Query, StoredEvent
from index.support import S, own
from support.identities import speaker

pytestmark = pytest.mark.anyio


class Fresh:
    """Takes the place of a `Freshness`; says what it is told to."""

    def __init__(self, *, complete: bool = True) -> None:
        self.complete = complete

    async def wait(self) -> bool:
        return self.complete

    async def wait_for_own(self) -> bool:
        return self.complete


class Answers:
    """Takes the place of a `StreamResponder`."""

    def __init__(self) -> None:
        self.identity = speaker("main")
        self.cursor: str | None = None
        self.incomplete = False
        self.events: list[StoredEvent] = []

    async def send_events(self, events: list[StoredEvent]) -> None:
        self.events += events


async def ask(index: Index, **wanted: Any) -> Answers:
    answers = Answers()
    await Queries(index, Fresh()).query(Query(1, order="oldest", **wanted), answers)  # type: ignore[arg-type]
    return answers


async def test_large_events_come_in_small_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes its time does not hold hundreds of them in memory; limit and cursor count all."""
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    async with Index.open(tmp_path / "index.db") as index:
        stream = (await index.stream(S, "")).number
        sizes = [10, 5000, 10, 10, 3000, 3000, 10, 900, 900, 900]
        events = [own(n, payload={"content": "x" * size}) for n, size in enumerate(sizes, 1)]
        await index.add_accepted([(stream, 1, event) for event in events], len(events))
        bodies = [event.body for event in events]
        for limit in (None, *range(1, 12)):
            answers = await ask(index, limit=limit)
            assert [event.body for event in answers.events] == bodies[:limit]
            assert (answers.cursor is None) == (limit is None or limit >= len(bodies))
            if answers.cursor is not None:
                rest = await ask(index, cursor=answers.cursor)
                assert [event.body for event in rest.events] == bodies[limit:]


async def test_an_answer_that_may_lack_something_says_so(short_tmp: Path) -> None:
    """While the index is being built, that nothing is found does not mean that there is nothing."""
    async with Index.open(short_tmp / "index.db") as index:
        for complete in (True, False):
            answers = Answers()
            fresh = Fresh(complete=complete)
            await Queries(index, fresh).query(Query(1), answers)  # type: ignore[arg-type]
            assert answers.incomplete is not complete
