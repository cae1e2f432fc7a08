"""The feed while the index is thrown away under it, by anybody and at any time."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from eventd.errors import IndexUnusable
from eventd.index.index import Index
from eventd.indexing import feed as feed_module
from eventd.indexing.feed import Feed
from eventd.indexing.pace import Pace
from eventd.outbox.outbox import Outbox
from index.support import everything
from indexing.support import routes_to
from outbox.support import event_id, outbox_at, rows, submit
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def fed(folder: Path) -> AsyncIterator[tuple[Outbox, Index]]:
    """An outbox and the index that it feeds."""
    async with outbox_at(folder / "data" / "outbox.db") as outbox:
        await outbox.register_route("*", "S", "p")
        async with Index.open(folder / "index.db") as index, anyio.create_task_group() as tasks:
            tasks.start_soon(Feed(outbox, index, routes_to("nats://unused"), Pace()).run)
            yield outbox, index
            tasks.cancel_scope.cancel()


def ids(first: int, last: int) -> list[str]:
    return [event_id(number) for number in range(first, last + 1)]


async def all_of(index: Index) -> list[str]:
    return sorted(await index.read(everything))


async def test_what_is_accepted_can_be_read(short_tmp: Path) -> None:
    """As soon as `wait_taken` says so, and each once."""
    async with fed(short_tmp) as (outbox, index):
        for first in range(1, 400, 20):
            await submit(outbox, rows(first, first + 19))
            with anyio.fail_after(10):
                await index.wait_taken(outbox.last_seq)
            assert len(await all_of(index)) == index.count == first + 19
        assert await all_of(index) == sorted(ids(1, 400))


async def test_nothing_is_missing_after_the_index_began_anew(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it is thrown away, also between the reading of rows and their taking in."""
    monkeypatch.setattr(feed_module, "BATCH_ROWS", 7)
    monkeypatch.setattr(feed_module, "GATHER", 0.0)
    chance = random.Random(1)
    async with fed(short_tmp) as (outbox, index):
        for first in range(1, 600, 20):
            await submit(outbox, rows(first, first + 19))
            for _ in range(chance.randrange(12)):
                await anyio.lowlevel.checkpoint()
            await index.rebuild()
        for _ in range(150):
            for _ in range(chance.randrange(40)):
                await anyio.lowlevel.checkpoint()
            await index.rebuild()
            await index.wait_taken(20)
        with anyio.fail_after(30):
            await index.wait_taken(outbox.last_seq)
        assert await all_of(index) == sorted(ids(1, 600))
        assert index.count == 600


async def test_a_file_that_is_removed_under_it(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index heals while nothing comes in, and has everything again."""
    monkeypatch.setattr(feed_module, "TICK", 0.02)
    async with fed(short_tmp) as (outbox, index):
        await submit(outbox, rows(1, 50))
        await wait_until_async(lambda: index.taken == outbox.last_seq)
        for suffix in ("", "-wal", "-shm"):
            (short_tmp / f"index.db{suffix}").unlink()

        async def has_all() -> bool:
            try:
                return await all_of(index) == sorted(ids(1, 50))
            except IndexUnusable:
                return False

        await wait_until_async(has_all)
        assert index.generation == 2
