"""Wait for a condition instead of sleeping for a guessed time."""

import time
from collections.abc import Callable
from typing import Any

import anyio

INTERVAL = 0.01  # seconds between two looks


def wait_until(
    condition: Callable[[], object],
    timeout: float = 10.0,
    *,
    what: str | Callable[[], object] = "",
    interval: float = INTERVAL,
) -> Any:
    """Poll until `condition()` is true and return what it returned.

    Args:
        condition: Looked at every `interval` seconds, and once more when the time is up.
        timeout: Seconds; a bound against hanging, not a promise of speed, so be generous.
        what: What is waited for, for the failure; a callable is asked when it failed.

    Raises:
        AssertionError: The time is up; names `what` and the last value.
    """
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline
        value = condition()
        if value:
            return value
        if late:
            raise AssertionError(_complaint(condition, timeout, what, value))
        time.sleep(interval)


async def wait_until_async(
    condition: Callable[[], Any], timeout: float = 10.0, *, what: str | Callable[[], object] = ""
) -> Any:
    """Like `wait_until`, while the event loop goes on. `condition` may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline
        value = condition()
        if hasattr(value, "__await__"):
            value = await value
        if value:
            return value
        if late:
            raise AssertionError(_complaint(condition, timeout, what, value))
        await anyio.sleep(INTERVAL)


def _complaint(condition: object, timeout: float, what: str | Callable[[], object], value: object) -> str:
    subject = (what() if callable(what) else what) or getattr(condition, "__qualname__", repr(condition))
    return f"not within {timeout:g} s: {subject} (last value: {value!r})"
