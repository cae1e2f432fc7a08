"""The answers to `deadletter`, from a real outbox."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventd.deadletters import MAX_LISTED_BYTES, dead_letters_handler
from eventd.outbox.model import Death, NewRow, Settlement, Submission
from eventd.outbox.outbox import Outbox
from eventd.server.operations import RequestRefused
from eventd_ipc.messages import DeadLetters, Result

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


async def bury(outbox: Outbox, count: int, size: int) -> None:
    """Make rows and let all of them die."""
    route = await outbox.register_route("*", "events", "ev")
    rows = [NewRow(route, "main", str(n), "ev.main.x", False, n, b"x" * size) for n in range(count)]
    stored = anyio.Event()
    outbox.submit([Submission(rows)], lambda _: stored.set())
    await stored.wait()
    await outbox.settle(Settlement(route, count, (), tuple(Death(n, "no", 1) for n in range(1, count + 1))))


async def ask(outbox: Outbox, **request: Any) -> Any:
    answers = Answers()
    await dead_letters_handler(outbox)(DeadLetters(1, **request), answers)  # type: ignore[arg-type] # quacks
    return answers.data


async def test_a_page_of_large_letters_stays_small_and_the_next_one_goes_on(outbox: Outbox) -> None:
    """Many large dead letters are just when somebody lists them."""
    await bury(outbox, 12, 1024 * 1024)
    seen: list[int] = []
    while letters := (await ask(outbox, limit=1000, after=seen[-1] if seen else 0))["letters"]:
        assert sum(letter["bytes"] for letter in letters) <= MAX_LISTED_BYTES
        seen += [letter["number"] for letter in letters]
    assert seen == list(range(1, 13))


async def test_a_letter_larger_than_a_page_is_listed_alone(outbox: Outbox) -> None:
    await bury(outbox, 2, MAX_LISTED_BYTES + 1)
    assert [letter["number"] for letter in (await ask(outbox))["letters"]] == [1]


async def test_the_limit_is_kept(outbox: Outbox) -> None:
    await bury(outbox, 50, 10)
    assert len((await ask(outbox, limit=40))["letters"]) == 40


@pytest.mark.parametrize(
    "request_",
    [{"limit": 0}, {"limit": -1}, {"action": "retry"}, {"action": "drop", "numbers": [1], "all": True}],
)
async def test_a_request_that_means_nothing_is_refused(outbox: Outbox, request_: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused) as caught:
        await ask(outbox, **request_)
    assert caught.value.code == "bad_request"


async def test_letters_are_dropped_and_retried(outbox: Outbox) -> None:
    await bury(outbox, 3, 10)
    assert await ask(outbox, action="drop", numbers=[1]) == {"count": 1}
    assert await ask(outbox, action="retry", all=True) == {"count": 2}
    assert (await ask(outbox))["letters"] == []
