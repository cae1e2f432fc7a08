"""What JetStream itself says about a stream, and the older way to fill one."""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats
import uvloop
from nats.aio.client import Client

from .load import BODY

STREAM = "openclaw-events"  # the default of eventd's configuration
POLL = 0.05  # seconds
STALL = 60.0  # seconds without a new message, after which something is broken
API_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Span:
    """When the stream took its first and its last message: Unix times by the server's clock."""

    first: float
    last: float


def wait_stored(url: str, messages: int) -> Span:
    """Return when the stream holds that many messages.

    Raises:
        TimeoutError: It has stopped growing before.
    """
    return uvloop.run(_wait_stored(url, messages))


def await_each(url: str, messages: int) -> float:
    """Return how many messages a second are stored by awaiting each publish of nats-py."""
    return uvloop.run(_await_each(url, messages))


async def _wait_stored(url: str, messages: int) -> Span:
    client = await nats.connect(url)
    try:
        seen, since = 0, time.monotonic()
        while True:
            state = await _state(client)
            if state["messages"] != seen:
                seen, since = state["messages"], time.monotonic()
            if seen >= messages:
                return Span(_unix(state["first_ts"]), _unix(state["last_ts"]))
            if time.monotonic() - since > STALL:
                raise TimeoutError(f"the stream stands at {seen} of {messages} messages")
            await asyncio.sleep(POLL)
    finally:
        await client.close()


async def _await_each(url: str, messages: int) -> float:
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        await jetstream.add_stream(name="awaited", subjects=["awaited.>"])
        body = b"x" * BODY
        start = time.perf_counter()
        for _ in range(messages):
            await jetstream.publish("awaited.message", body)
        return messages / (time.perf_counter() - start)
    finally:
        await client.close()


async def _state(client: Client) -> dict[str, Any]:
    """Return the state as the API gives it (nats-py leaves the times out); empty while there is no stream."""
    answer = await client.request(f"$JS.API.STREAM.INFO.{STREAM}", timeout=API_TIMEOUT)
    return dict(json.loads(answer.data).get("state", {"messages": 0}))


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
