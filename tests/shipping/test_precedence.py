"""Who ships first into a stream that several routes share, and who gives up waiting."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventd.jetstream.endpoint import fixed
from eventd.outbox.outbox import Outbox
from eventd.routes import Route, Server
from eventd.shipping import precedence as module
from eventd.shipping.precedence import Ahead, Precedence, Progress
from eventd.shipping.shipper import Shipper

from .support import accept, new_row, pending, settle

pytestmark = pytest.mark.anyio

SERVER = Server(("nats://unused",))
PATIENCE = 20.0  # seconds; a bound against hanging


class Place:
    """An old and a new route; nobody ships."""

    def __init__(self, outbox: Outbox, old: int, new: int) -> None:
        self.outbox = outbox
        self.progress = Progress()
        self.precedence = Precedence(self.progress)
        self.new = new
        self.old = Shipper(Route("old", SERVER, "S", "p"), old, outbox, fixed(SERVER))

    async def may_go(self) -> list[int]:
        rows = await pending(self.outbox, self.new)
        return [row.seq for row in await self.precedence.may_go(rows, self.outbox)]

    async def settle_old(self, count: int) -> None:
        """Let the old route ship its next rows."""
        rows = (await pending(self.outbox, self.old.number))[:count]
        await settle(self.outbox, self.old.number, rows, 1)
        self.old._settled = rows[-1].seq
        self.progress.notify()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with Outbox.open(tmp_path / "outbox.db") as outbox:
        old = await outbox.register_route("old", "S", "p")
        new = await outbox.register_route("new", "S", "p")
        yield Place(outbox, old, new)


async def test_nothing_waits_where_nothing_was_said(place: Place) -> None:
    await accept(place.outbox, new_row(place.old.number, 1), new_row(place.new, 2))
    assert await place.may_go() == [2]


async def test_older_rows_go_first_row_by_row(place: Place) -> None:
    """Of two backlogs that alternate each waits for the other, never both at a time."""
    old, new = place.old.number, place.new
    await accept(place.outbox, *(new_row(new if n % 2 else old, n) for n in range(1, 7)))
    place.precedence.let_first(Ahead(place.old, upto=6))
    assert await place.may_go() == [1]
    await settle(place.outbox, new, (await pending(place.outbox, new))[:1], 1)
    assert await place.may_go() == []
    await place.settle_old(1)
    assert await place.may_go() == [3]
    await place.settle_old(2)
    assert await place.may_go() == [3, 5]
    assert place.precedence.routes == ""


async def test_rows_from_after_the_change_do_not_count(place: Place) -> None:
    """The old route may go on for other agents."""
    await accept(place.outbox, new_row(place.old.number, 1))
    place.precedence.let_first(Ahead(place.old, upto=1))
    await accept(place.outbox, new_row(place.old.number, 2), new_row(place.new, 3))
    assert await place.may_go() == []
    await place.settle_old(1)
    assert await place.may_go() == [3]


async def test_while_rows_are_under_way_all_older_ones_count(place: Place) -> None:
    """Nobody knows yet which numbers what was admitted before the change will get."""
    place.precedence.let_first(ahead := Ahead(place.old))
    await accept(place.outbox, new_row(place.old.number, 1), new_row(place.new, 2))
    assert await place.may_go() == []
    await place.settle_old(1)
    assert await place.may_go() == [2]
    assert place.precedence.ahead == [ahead]
    ahead.upto = 1
    assert await place.may_go() == [2]
    assert place.precedence.ahead == []


async def test_only_the_agents_own_rows_wait_and_are_waited_for(place: Place) -> None:
    """What other agents have in either route is not held up."""
    old, new = place.old.number, place.new
    await accept(place.outbox, new_row(old, 1, "ann"), new_row(old, 2, "bob"), new_row(old, 3, "ann"))
    await accept(place.outbox, new_row(new, 4, "ann"), new_row(new, 5, "bob"), new_row(new, 6, "ann"))
    place.precedence.let_first(Ahead(place.old, "bob", upto=3))
    assert await place.may_go() == [4]
    await place.settle_old(1)
    assert await place.may_go() == [4]
    await place.settle_old(1)
    assert await place.may_go() == [4, 5, 6]
    assert place.precedence.ahead == []


async def test_rows_that_a_repair_brings_back_count_again(place: Place) -> None:
    """The stream has lost what the old route had shipped."""
    old, new = place.old.number, place.new
    await accept(place.outbox, *(new_row(old, n) for n in (1, 2)), new_row(new, 3))
    place.precedence.let_first(Ahead(place.old, upto=2))
    await place.settle_old(1)
    assert await place.may_go() == []
    await place.outbox.rewind(old, to=0, stream_seq=0)
    place.old.status.repairs += 1
    await place.settle_old(1)
    assert await place.may_go() == []
    await place.settle_old(1)
    assert await place.may_go() == [3]


async def test_the_last_word_about_a_route_counts(place: Place) -> None:
    place.precedence.let_first(Ahead(place.old, upto=1))
    place.precedence.let_first(Ahead(place.old, upto=5))
    assert [ahead.upto for ahead in place.precedence.ahead] == [5]


async def test_another_word_comes_while_the_outbox_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the configuration changes twice in a row."""
    await accept(place.outbox, new_row(place.new, 1))
    place.precedence.let_first(Ahead(place.old, upto=1))
    read = place.outbox.first_pending

    async def pending_and_more(*args: Any, **options: Any) -> int | None:
        found = await read(*args, **options)
        place.precedence.let_first(Ahead(place.old, upto=9))
        return found

    rows = await pending(place.outbox, place.new)
    monkeypatch.setattr(place.outbox, "first_pending", pending_and_more)
    assert [row.seq for row in await place.precedence.may_go(rows, place.outbox)] == [1]
    assert [ahead.upto for ahead in place.precedence.ahead] == [9]


async def test_who_waits_goes_on_as_soon_as_it_may(place: Place) -> None:
    await accept(place.outbox, new_row(place.old.number, 1), new_row(place.new, 2))
    place.precedence.let_first(Ahead(place.old, upto=1))
    rows = await pending(place.outbox, place.new)
    ended = anyio.Event()

    async def wait() -> None:
        await place.precedence.wait(rows, place.outbox)
        ended.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not ended.is_set()
            await place.settle_old(1)
            await ended.wait()


async def test_a_route_that_does_not_get_on_is_not_waited_for_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The order is given up, and that is told; one that gets on, however slowly, is waited for."""
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    monkeypatch.setattr(module, "LOOK_INTERVAL", 0.01)
    await accept(place.outbox, *(new_row(place.old.number, n) for n in (1, 2, 3)), new_row(place.new, 4))
    place.precedence.let_first(Ahead(place.old, upto=3))
    rows = await pending(place.outbox, place.new)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place.precedence.wait, rows, place.outbox)
            await place.settle_old(1)
    assert await place.may_go() == [4]
    assert [record.action for record in caplog.records] == ["order_given_up"]  # type: ignore[attr-defined]
