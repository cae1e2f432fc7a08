"""Agents as NATS sees them, by plain nats-py: who they are, and a connection that hears what is denied."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nats.aio.client
import nats.errors
from nats.aio.msg import Msg

TIMEOUT = 5.0  # seconds for an answer; a denial comes with it or before

Json = dict[str, Any]


class Denied(Exception):
    """The server did not let it happen."""


@dataclass(frozen=True, slots=True)
class Party:
    """One agent as NATS sees it.

    Attributes:
        stream: Its stream.
        subject: What its events' subjects begin with.
        inbox: What its reply subjects begin with.
        login: Options of `nats.connect`.
    """

    stream: str
    subject: str
    inbox: str
    login: Mapping[str, Any]

    @property
    def event(self) -> str:
        """The subject of one of its events."""
        return f"{self.subject}.note"

    def owns(self, subject: str) -> bool:
        """Whether this is a subject of its events, its answers, or its acks."""
        begins = (f"{self.subject}.", f"{self.inbox}.", f"$JS.ACK.{self.stream}.", f"$JS.FC.{self.stream}.")
        return subject.startswith(begins)


@dataclass(slots=True)
class Connection:
    """A party's own connection, by plain nats-py."""

    party: Party
    client: nats.aio.client.Client
    errors: list[str] = field(default_factory=list)

    async def ask(self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Msg:
        """Return the answer to a request.

        Raises:
            Denied: The server says that this is not permitted, or that there is nobody to ask.
        """
        before = len(self.errors)
        request = asyncio.ensure_future(
            self.client.request(subject, body, TIMEOUT, headers=dict(headers) if headers else None)
        )
        try:
            while not request.done():
                await asyncio.wait([request], timeout=0.02)
                self._check(before)
            return await request
        except nats.errors.NoRespondersError as error:
            raise Denied(f"nobody answers on {subject}") from error
        finally:
            request.cancel()

    async def api(self, verb: str, body: Json | None = None) -> Json:
        """Return JetStream's answer.

        Raises:
            Denied: As for `ask`, or JetStream refuses.
        """
        data = json.dumps(body).encode() if body is not None else b""
        answer: Json = json.loads((await self.ask(f"$JS.API.{verb}", data)).data)
        if "error" in answer:
            raise Denied(f"{verb}: {answer['error']}")
        return answer

    async def publish(self, subject: str, body: bytes = b"", reply: str = "", **headers: str) -> None:
        """Publish, and return when the server has it.

        Raises:
            Denied: It says that this is not permitted.
        """
        before = len(self.errors)
        await self.client.publish(subject, body, reply, headers=headers or None)
        await self.client.flush()
        self._check(before)

    async def listen(self, subject: str) -> "asyncio.Queue[Msg]":
        """Subscribe, and return what will come.

        Raises:
            Denied: The server says that this is not permitted.
        """
        before, came = len(self.errors), asyncio.Queue[Msg]()
        await self.client.subscribe(subject, cb=came.put)
        await self.client.flush()
        self._check(before)
        return came

    async def pull(self, stream: str, consumer: str) -> Msg:
        """Return a message from a pull consumer: it comes on the subject that it was stored with.

        Raises:
            Denied: The server says that this is not permitted.
        """
        inbox = self.new_inbox()
        came = await self.listen(inbox)
        await self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", b'{"batch": 1}', inbox)
        return await asyncio.wait_for(came.get(), TIMEOUT)

    def new_inbox(self) -> str:
        """Return a subject that it may listen on."""
        return f"{self.party.inbox}.{secrets.token_hex(8)}"

    def _check(self, before: int) -> None:
        if len(self.errors) > before:
            raise Denied(self.errors[-1])


async def connect(url: str, party: Party) -> Connection:
    """Return a connection of a party; the test closes its client."""
    connection = Connection(party, nats.aio.client.Client())

    async def note(error: Exception) -> None:
        connection.errors.append(str(error))

    await connection.client.connect(
        url, allow_reconnect=False, inbox_prefix=party.inbox, error_cb=note, **party.login
    )
    return connection
