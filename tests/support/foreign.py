"""Another writer of the same streams, by plain nats-py: it knows nothing of eventd."""

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

import nats
import nats.errors

from eventd.subjects import encode_token

from .waiting import wait_until

ACK_TIMEOUT = 1.0  # seconds
AWAY = 0.05  # seconds until it tries again to connect
PAUSE = 0.002  # seconds between events

Foreign = tuple[str, bytes, Mapping[str, str] | None]
"""Subject, body, headers."""


def write(url: str, *messages: Foreign, **login: Any) -> list[int]:
    """Store messages and return their sequences.

    Args:
        login: Options of `nats.connect`, such as `user` and `password`.
    """

    async def run() -> list[int]:
        client = await nats.connect(url, allow_reconnect=False, **login)
        try:
            js = client.jetstream(timeout=10.0)
            return [
                (await js.publish(subject, body, headers=dict(headers) if headers else None)).seq
                for subject, body, headers in messages
            ]
        finally:
            await client.close()

    return asyncio.run(run())


class ForeignWriter:
    """Writes one event after the other from a thread of its own; a context manager, at whose end it stops.

    An event whose ack is lost is written again, so the stream may hold it twice.

    Attributes:
        bodies: Of the events that were acked.
    """

    def __init__(self, url: str, agents: Sequence[str] = ("foreign",)) -> None:
        self.bodies: list[bytes] = []
        self._url = url
        self._agents = itertools.cycle(agents)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="foreign", daemon=True)

    def wait_written(self, more: int, timeout: float = 60.0) -> None:
        """Wait until so many more events are stored."""
        goal = len(self.bodies) + more
        wait_until(lambda: len(self.bodies) >= goal, timeout, what=f"{goal} foreign events")

    async def _run(self) -> None:
        waiting: Foreign | None = None
        numbers = itertools.count()
        while not self._stopping.is_set():
            with contextlib.suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                client = await nats.connect(
                    self._url, allow_reconnect=False, connect_timeout=1, error_cb=_be_silent
                )
                try:
                    js = client.jetstream(timeout=ACK_TIMEOUT)
                    while not self._stopping.is_set():
                        waiting = waiting or self._make(next(numbers))
                        await js.publish(waiting[0], waiting[1])
                        self.bodies.append(waiting[1])
                        waiting = None
                        await asyncio.sleep(PAUSE)
                finally:
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(client.close(), 1)
            await asyncio.sleep(AWAY)

    def _make(self, number: int) -> Foreign:
        agent = next(self._agents)
        event = {
            "id": f"foreign-{number}",
            "ts": 1_700_000_000_000 + number,
            "agent": agent,
            "type": "msg.out",
            "payload": {"content": f"number {number}"},
        }
        return f"openclaw.events.{encode_token(agent)}.msg_out", json.dumps(event).encode(), None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)


async def _be_silent(_error: Exception) -> None:
    """What goes wrong with the connection is part of the tests."""
