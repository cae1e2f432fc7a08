"""Waiting for a condition over plain attributes."""

import anyio
import pytest

from eventd.server.changes import Changes

pytestmark = pytest.mark.anyio


async def test_a_condition_that_holds_is_not_waited_for() -> None:
    """Nobody has to notify."""
    with anyio.fail_after(1):
        await Changes().until(lambda: True)


async def test_all_who_wait_look_again_and_only_those_go_on_whose_condition_holds() -> None:
    """A change may be meant for one of many."""
    changes = Changes()
    values = [0]
    passed: list[int] = []

    async def wait(for_value: int) -> None:
        await changes.until(lambda: values[0] >= for_value)
        passed.append(for_value)

    async with anyio.create_task_group() as tasks:
        for number in (1, 2, 2, 3):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        for values[0], expected in ((1, [1]), (2, [1, 2, 2]), (3, [1, 2, 2, 3])):
            changes.notify()
            await anyio.wait_all_tasks_blocked()
            assert passed == expected
