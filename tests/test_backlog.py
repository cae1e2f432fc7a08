"""The answers to `backlog`, from a real outbox."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventd.backlog import MAX_BYTES, backlog_handler
from eventd.backup.backlog import BacklogReader, from_outbox
from eventd.outbox.model import Death, NewRow, Run, Settlement, Submission
from eventd.outbox.outbox import Outbox
from eventd.server.operations import RequestRefused
from eventd_ipc.messages import Backlog, Result

pytestmark = pytest.mark.anyio


class Answers:
    """Takes the replies of a handler."""

    def __init__(self) -> None:
        self.data: Any = None

    async def send(self, reply: Result) -> None:
        self.data = reply.data


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with Outbox.open(tmp_path / "data" / "outbox.db") as outbox:
        yield outbox


async def store(outbox: Outbox, route: int, first: int, last: int, size: int = 10) -> None:
    rows = [
        NewRow(route, "main", f"e{n}", "ev.main.x", n % 2 == 0, n, b"\xff" * size)
        for n in range(first, last + 1)
    ]
    stored = anyio.Event()
    outbox.submit([Submission(rows)], lambda _: stored.set())
    await stored.wait()


async def ask(outbox: Outbox, **request: Any) -> Any:
    answers = Answers()
    await backlog_handler(outbox)(Backlog(1, **request), answers)  # type: ignore[arg-type] # quacks
    return answers.data


async def test_rows_of_all_routes_page_by_page(outbox: Outbox) -> None:
    """As bytes, with what is needed to store them again; what is settled is not among them."""
    one = await outbox.register_route("*", "events", "ev")
    two = await outbox.register_route("tim", "events-tim", "tims")
    await store(outbox, one, 1, 4)
    await store(outbox, two, 5, 6)
    await outbox.settle(Settlement(one, 2, (Run(1, 2, 2, 71),)))
    seen: list[tuple[int, str, bool, bytes]] = []
    begin: dict[str, int] | None = {}
    while begin is not None:
        page = await ask(outbox, limit=1, **begin)
        seen += [(r["number"], r["stream"], r["neverExpires"], r["body"]) for r in page["rows"]]
        begin = page.get("next")
    body = b"\xff" * 10
    assert seen == [
        (3, "events", False, body),
        (4, "events", True, body),
        (5, "events-tim", False, body),
        (6, "events-tim", True, body),
    ]
    assert [(r["name"], r["settled"], r["streamSeq"], r["pending"]) for r in page["routes"]] == [
        ("*", 2, 72, 2),
        ("tim", 0, 0, 2),
    ]


@pytest.mark.parametrize("dead", [False, True])
async def test_a_page_of_large_rows_stays_small(outbox: Outbox, dead: bool) -> None:
    route = await outbox.register_route("*", "events", "ev")
    await store(outbox, route, 1, 8, size=MAX_BYTES // 3)
    if dead:
        await outbox.settle(Settlement(route, 8, (), tuple(Death(n, "no", 1) for n in range(1, 9))))
    page = await ask(outbox, dead=dead)
    assert 0 < len(page["rows"]) <= 3
    seen = [row["number"] async for row in BacklogReader(from_outbox(outbox)).rows()]
    assert seen == list(range(1, 9))


async def test_a_row_that_dies_while_it_is_read_is_met_once(outbox: Outbox) -> None:
    """Behind the row that was just read, or before it: nothing is in neither of the two."""
    route = await outbox.register_route("*", "events", "ev")
    await store(outbox, route, 1, 4)
    read = from_outbox(outbox)
    asked = 0

    async def dying(**which: Any) -> Any:
        nonlocal asked
        asked += 1
        page = await read(**which)
        if asked == 1:  # the dead letters were read, the rows were not
            await outbox.settle(Settlement(route, 2, (), (Death(1, "no", 1), Death(2, "no", 1))))
        return page

    rows = [row async for row in BacklogReader(dying).rows()]
    assert sorted((row["number"], "reason" in row) for row in rows) == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
    ]


@pytest.mark.parametrize("bad", [{"limit": 0}, {"after": -1}, {"route": -1}])
async def test_what_cannot_be_meant_is_refused(outbox: Outbox, bad: dict[str, int]) -> None:
    with pytest.raises(RequestRefused):
        await ask(outbox, **bad)
