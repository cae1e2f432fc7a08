"""What an operator does to streams, by plain nats-py alone: independent of eventd's own code."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import nats.aio.client
import nats.errors
import nats.js
from nats.js.api import AckPolicy, ConsumerConfig

STREAM = "openclaw-events"
PAGE = 500  # messages fetched at once
TIMEOUT = 10.0  # seconds for an answer
GONE = 1.0  # seconds for messages that may have been deleted meanwhile
NANOSECONDS = 1_000_000_000
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream; `time` is when it came there, Unix ms."""

    seq: int
    subject: str
    msg_id: str
    headers: Mapping[str, str]
    body: bytes
    time: int = 0

    @property
    def event(self) -> dict[str, Any]:
        """The stored JSON."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def agent(self) -> str:
        """The event's agent."""
        return str(self.event["agent"])

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.event["id"])


class JetStream:
    """A server's streams. Each call makes a connection of its own and blocks until it is done.

    Args:
        url: Of the server.
        login: Options of `nats.connect`, such as `user` and `password`.
    """

    def __init__(self, url: str, **login: Any) -> None:
        self._url = url
        self._login = login

    def read(self, stream: str = STREAM) -> list[Stored]:
        """Return what a stream holds now, oldest first; messages may come and go meanwhile."""

        async def read(client: nats.aio.client.Client) -> list[Stored]:
            js = client.jetstream(timeout=TIMEOUT)
            config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60, mem_storage=True)
            consumer = await js.pull_subscribe("", stream=stream, config=config)
            found: list[Stored] = []
            end = (await js.stream_info(stream)).state.last_seq
            while left := (await consumer.consumer_info()).num_pending or 0:
                try:
                    page = await consumer.fetch(min(PAGE, left), timeout=GONE)
                except nats.errors.TimeoutError:
                    continue
                for message in page:
                    headers = message.headers or {}
                    sequence = message.metadata.sequence.stream
                    msg_id = headers.get("Nats-Msg-Id", "")
                    time = (message.metadata.timestamp - EPOCH) // timedelta(milliseconds=1)
                    found.append(Stored(sequence, message.subject, msg_id, headers, message.data, time))
                if found[-1].seq >= end:
                    break
            return [message for message in found if message.seq <= end]

        return self._run(read)

    def info(self, stream: str = STREAM) -> dict[str, Any]:
        """Return a stream's description.

        Raises:
            LookupError: There is none of that name.
        """
        return self.api(f"STREAM.INFO.{stream}")

    def last_seq(self, stream: str = STREAM) -> int:
        """Return the sequence of the newest message that the stream ever took."""
        return int(self.info(stream)["state"]["last_seq"])

    def names(self) -> list[str]:
        """Return the names of all streams."""
        return list(self.api("STREAM.NAMES").get("streams") or [])

    def make(self, stream: str = STREAM, *subjects: str, **config: Any) -> None:
        """Make a stream, as the document does: nothing of eventd's own wishes is set."""
        subjects = subjects or ("openclaw.events.>",)
        self.api(f"STREAM.CREATE.{stream}", {"name": stream, "subjects": subjects, **config})

    def edit(self, stream: str = STREAM, **change: Any) -> None:
        """Change settings of a stream."""
        self.api(f"STREAM.UPDATE.{stream}", self.info(stream)["config"] | change)

    def delete(self, stream: str = STREAM) -> None:
        """Delete a stream with everything in it."""
        self.api(f"STREAM.DELETE.{stream}")

    def purge(self, stream: str = STREAM) -> None:
        """Delete all messages of a stream."""
        self.api(f"STREAM.PURGE.{stream}")

    def delete_message(self, seq: int, stream: str = STREAM) -> None:
        """Delete one message."""
        self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq})

    def publish(self, subject: str, count: int = 1, agent: str = "foreign") -> None:
        """Publish events as another writer does, without message ids."""

        async def publish(client: nats.aio.client.Client) -> None:
            for number in range(count):
                body = {"id": f"{agent}-{number}", "agent": agent}
                await client.jetstream(timeout=TIMEOUT).publish(subject, json.dumps(body).encode())

        self._run(publish)

    def api(self, verb: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the JetStream API and return the answer.

        Raises:
            LookupError: JetStream refused.
        """

        async def ask(client: nats.aio.client.Client) -> dict[str, Any]:
            data = json.dumps(body).encode() if body is not None else b""
            answer: dict[str, Any] = json.loads((await client.request(f"$JS.API.{verb}", data, TIMEOUT)).data)
            return answer

        answer = self._run(ask)
        if "error" in answer:
            raise LookupError(f"{verb}: {answer['error']}")
        return answer

    def _run[R](self, work: Callable[[nats.aio.client.Client], Awaitable[R]]) -> R:
        async def run() -> R:
            client = await nats.connect(self._url, allow_reconnect=False, **self._login)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())
