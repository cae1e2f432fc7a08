"""From the outbox into the index: in order, once, whatever happens to either."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from eventd.errors import IndexUnusable
from eventd.index.connection import PAGE_SIZE
from eventd.index.index import Index
from eventd.index.model import Filter
from eventd.indexing import feed as module
from eventd.indexing.feed import Feed
from eventd.indexing.pace import Pace
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import OutboxSettings
from indexing.support import routes_to
from shipping.support import accept, new_row
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@dataclass
class Fed:
    """A feed that runs, from an outbox into an index."""

    outbox: Outbox
    index: Index
    feed: Feed
    route: int

    async def accept(self, first: int, last: int, agent: str = "main") -> None:
        await accept(self.outbox, *(new_row(self.route, n, agent) for n in range(first, last + 1)))

    async def ids(self) -> list[str]:
        """Return ids in the order in which the index took them, once it has all."""
        with anyio.fail_after(20):
            await self.index.wait_taken(self.outbox.last_seq)
        entries = await self.index.read(
            lambda reads: reads.arrived(Filter(), after=0, upto=self.index.newest, limit=10**6)
        )
        return [entry.event_id for entry in entries]


@asynccontextmanager
async def fed_at(folder: Path, *, running: bool = True) -> AsyncIterator[Fed]:
    async with (
        Outbox.open(folder / "outbox.db", OutboxSettings(min_free=0)) as outbox,
        Index.open(folder / "index.db") as index,
        anyio.create_task_group() as tasks,
    ):
        route = await outbox.register_route("*", "openclaw-events", "openclaw.events")
        feed = Feed(outbox, index, routes_to("nats://unused"), Pace())
        if running:
            tasks.start_soon(feed.run)
        yield Fed(outbox, index, feed, route)
        tasks.cancel_scope.cancel()


@pytest.fixture
async def fed(short_tmp: Path) -> AsyncIterator[Fed]:
    async with fed_at(short_tmp) as fed:
        yield fed


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


async def test_what_is_accepted_is_taken_in_its_order(fed: Fed) -> None:
    for first in range(1, 3001, 100):
        await fed.accept(first, first + 99)
    assert await fed.ids() == numbers(1, 3000)
    assert (fed.feed.behind, fed.feed.problem) == (0, "")


async def test_it_goes_on_after_a_restart(short_tmp: Path) -> None:
    async with fed_at(short_tmp) as fed:
        await fed.accept(1, 50)
        await fed.ids()
    async with fed_at(short_tmp, running=False) as fed:
        await fed.accept(51, 60)
    async with fed_at(short_tmp) as fed:
        await fed.accept(61, 70)
        assert await fed.ids() == numbers(1, 70)


async def test_the_index_is_deleted_while_nobody_runs(short_tmp: Path) -> None:
    """All that the outbox still has is there again."""
    async with fed_at(short_tmp) as fed:
        await fed.accept(1, 50)
        await fed.ids()
    (short_tmp / "index.db").unlink()
    async with fed_at(short_tmp) as fed:
        assert await fed.ids() == numbers(1, 50)


async def test_the_outbox_is_deleted_while_nobody_runs(short_tmp: Path) -> None:
    """Its numbers begin anew, and mean other rows: what the index had stays, the new ones come in."""
    async with fed_at(short_tmp) as fed:
        await fed.accept(1, 50)
        await fed.ids()
    for file in short_tmp.glob("outbox*"):
        file.unlink()
    async with fed_at(short_tmp) as fed:
        await fed.accept(101, 110)
        await wait_until_async(lambda: fed.index.taken == fed.outbox.last_seq)
        assert await fed.ids() == [*numbers(1, 50), *numbers(101, 110)]


async def test_it_begins_anew_with_the_index(fed: Fed) -> None:
    """Whoever threw it away, and whatever was on its way into the old one."""
    await fed.accept(1, 500)
    await fed.ids()
    for first in (501, 601, 701):
        await fed.index.rebuild()
        await fed.accept(first, first + 99)
    with anyio.fail_after(20):
        while len(await fed.ids()) < 800:
            await anyio.sleep(0.01)
    assert await fed.ids() == numbers(1, 800)


async def test_a_damaged_index_is_built_anew_by_itself(short_tmp: Path) -> None:
    """Also when it is a reader who finds the damage, and nothing new is accepted."""
    async with fed_at(short_tmp) as fed:
        for first in range(1, 3001, 500):
            await fed.accept(first, first + 499)
        await fed.ids()
    with fed.index.path.open("r+b") as file:  # a page of events
        file.seek(file.read().index(b'{"id":"1500"') // PAGE_SIZE * PAGE_SIZE)
        file.write(os.urandom(PAGE_SIZE))
    async with fed_at(short_tmp) as fed:
        generation = fed.index.generation
        with pytest.raises(IndexUnusable):
            await fed.ids()
        await wait_until_async(lambda: fed.index.generation > generation)
        await wait_until_async(lambda: fed.index.taken == 3000)
        assert await fed.ids() == numbers(1, 3000)


async def test_trouble_shows_and_is_over_by_itself(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted meanwhile is kept for it."""
    monkeypatch.setattr(module, "RETRY_LONGEST", 0.2)
    add = fed.index.add_accepted

    async def fail(*_: object, **__: object) -> None:
        raise IndexUnusable("the disk is full", hint="free some space")

    monkeypatch.setattr(fed.index, "add_accepted", fail)
    await fed.accept(1, 50)
    await wait_until_async(lambda: fed.feed.problem == "the disk is full")
    assert fed.feed.behind == 50
    monkeypatch.setattr(fed.index, "add_accepted", add)
    assert await fed.ids() == numbers(1, 50)
    await wait_until_async(lambda: not fed.feed.problem)


async def test_a_fault_of_ours_ends_nothing(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    add = fed.index.add_accepted

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(fed.index, "add_accepted", fail)
    await fed.accept(1, 50)
    await wait_until_async(lambda: fed.feed.problem == "boom")
    monkeypatch.setattr(fed.index, "add_accepted", add)
    assert await fed.ids() == numbers(1, 50)


async def test_a_row_that_cannot_be_taken_stops_nothing(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out; those around it are there once, in their order."""
    add = fed.index.add_accepted

    async def take(events: Any, taken: int, *, generation: int) -> None:
        if any(event.event_id in ("13", "50") for _, _, event in events):
            raise RecursionError("too deep")
        await add(events, taken, generation=generation)

    monkeypatch.setattr(fed.index, "add_accepted", take)
    await fed.accept(1, 50)
    await fed.accept(51, 60)
    assert await fed.ids() == [n for n in numbers(1, 60) if n not in ("13", "50")]
    assert not fed.feed.problem


async def test_who_waits_does_not_wait_for_others_to_gather(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few rows are gathered for one transaction only while nobody wants them."""
    monkeypatch.setattr(module, "GATHER", 1000.0)
    for n in range(1, 6):
        await fed.accept(n, n)
        assert await fed.ids() == numbers(1, n)


async def test_the_outbox_knows_what_was_taken(fed: Fed) -> None:
    await fed.accept(1, 10)
    await fed.ids()
    await wait_until_async(lambda: fed.outbox._opened.taken == 10)


async def test_nasty_bodies_are_taken(fed: Fed) -> None:
    """As they are: agents may put anything into a payload that JSON holds."""
    texts = ["\x00", "\U0010ffff", "\u202e", "x" * 300_000, "'; DROP TABLE events; --", '"', "NEAR(", "*"]
    rows = [
        replace(
            new_row(fed.route, n),
            body=json.dumps({"type": "msg.out", "payload": {"content": text, text[:9]: text}}).encode(),
        )
        for n, text in enumerate(texts)
    ]
    await accept(fed.outbox, *rows)
    assert await fed.ids() == numbers(0, len(texts) - 1)
