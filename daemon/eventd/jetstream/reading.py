"""Reading a stream: one message by sequence, or page by page through a short-lived pull consumer.

No durable consumer is ever made: hosts would share it. The legacy ordered push consumer is not used either,
since it stays stuck after a broker restart (nats.py issue 510).

In a cluster such a consumer lies on any one of the stream's servers and reads what that one has, which may be
less than what the leader has acknowledged: a follower that has just come back lags. To end there would be to
take an event for lost, so a reader first asks the leader how far it has to come, and waits until it has.
"""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import nats.aio.msg
import nats.errors

from ..errors import LinkLost, NatsError
from .headers import EXPECTED_STREAM, parse_headers
from .session import ApiError, RequestTimeout, Session, take_ready

PAGE = 500  # messages asked for at once
PAGE_BYTES = 4 * 1024 * 1024  # bytes asked for at once; bounds memory here and in the server's queue for us
PAGE_TIMEOUT = 10.0  # seconds for the next message of a page that was asked for
IDLE_WAIT = 5.0  # seconds that an empty pull waits at the server when following
UNHEARD_PULLS = 20  # pulls of a new consumer before it is taken for gone
UNHEARD_PAUSE = 0.1  # seconds between them
CREATES = 3  # tries of making a consumer: it may fall to a server that does not answer, the next to another
CREATE_TIMEOUT = 4.0  # seconds for each
CATCH_UP = 1.0  # seconds that an empty pull waits at a server which lags behind the stream's leader
CATCH_UPS = 10  # of these pulls without a message, before the reading ends with an error
INACTIVE = 60.0  # seconds after which the server removes a consumer that nobody asks
NANOSECONDS = 1_000_000_000

NO_MESSAGE = 10037
SEQUENCE_NOT_FOUND = 10043


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message. `time` is Unix milliseconds; `pending` is how many follow it for this reader."""

    seq: int
    subject: str
    time: int
    headers: Mapping[str, str]
    body: bytes
    pending: int = 0

    @property
    def msg_id(self) -> str:
        """Its `Nats-Msg-Id`, "" without one."""
        return self.headers.get("Nats-Msg-Id", "")

    @property
    def expected_stream(self) -> str:
        """The stream that its publisher named, "" without one; see `headers` for what that proves."""
        return self.headers.get(EXPECTED_STREAM, "")


async def get_message(session: Session, stream: str, seq: int) -> Message | None:
    """Return the message at a sequence, from the stream's leader; None where there is none (any more)."""
    return await _get(session, stream, {"seq": seq})


async def last_message(session: Session, stream: str, subject: str = ">") -> Message | None:
    """Return the newest message whose subject a pattern takes, from the stream's leader; None without one."""
    return await _get(session, stream, {"last_by_subj": subject})


async def _get(session: Session, stream: str, which: Mapping[str, Any]) -> Message | None:
    try:
        answer = await session.ask(f"STREAM.MSG.GET.{stream}", which)
    except ApiError as error:
        if error.err_code in (NO_MESSAGE, SEQUENCE_NOT_FOUND):
            return None
        raise
    message = answer["message"]
    return Message(
        seq=int(message["seq"]),
        subject=str(message["subject"]),
        time=parse_time(message["time"]),
        headers=parse_headers(base64.b64decode(message.get("hdrs", ""))),
        body=base64.b64decode(message.get("data", "")),
    )


class ReaderGone(NatsError):
    """The server has removed the consumer behind a reader, after `INACTIVE` seconds without a pull."""


class Reader:
    """Pages of messages of one stream, oldest first. Made by `open_reader`."""

    def __init__(
        self,
        session: Session,
        stream: str,
        consumer: str,
        pending: int,
        inbox: str,
        inbound: Any,
        *,
        start_seq: int,
        start_time: int,
        ends: Sequence[str],
    ) -> None:
        self._session = session
        self._stream = stream
        self._start_time = start_time  # Unix ms
        self._ends = ends  # patterns whose newest messages have to be read before there is nothing more
        self._goal = None if ends else 0  # sequence of the newest of them, once the leader was asked
        self._seen = start_seq - 1  # everything up to this sequence is read, or not wanted
        self._pull = f"{session.api_prefix}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = inbox
        self._inbound = inbound
        self._pulls = 0
        self._heard = False  # whether the consumer has ever answered
        self.pending = pending
        """Messages not yet delivered, as of the last page."""

    async def page(self, limit: int = PAGE, wait: float = 0.0) -> list[Message]:
        """Return up to `limit` messages; an empty list when there are no more now.

        Args:
            limit: Most messages in the page.
            wait: Seconds to wait for the first message when there is none yet.

        Raises:
            PermissionMissing: The login may not ask for them, or not receive them.
            RequestTimeout: The server announced messages but does not send them.
            ReaderGone: There was no pull for too long; open another reader behind the last message.
            LinkLost: The connection is gone.
        """
        if self.pending == 0 and wait == 0.0:
            return await self._catch_up(limit)
        with self._session.permissions.needed(self._pull):
            page = await self._ask(limit, wait)
        if not page and wait == 0.0:
            return await self._catch_up(limit)
        return page

    async def _catch_up(self, limit: int) -> list[Message]:
        """Return what the server of this reader has only now, of what the leader had; mostly nothing.

        The leader is asked once how far that is: what comes later is for the next reader.
        """
        if self._goal is None:
            self._goal = await self._newest()
        for _ in range(CATCH_UPS):
            if self._seen >= self._goal:
                return []
            with self._session.permissions.needed(self._pull):
                if page := await self._ask(limit, CATCH_UP):
                    return page
            self._goal = min(self._goal, await self._newest())  # it may be deleted by now
        raise RequestTimeout(f"the server that reads stream {self._stream} for us lags behind the leader")

    async def _newest(self) -> int:
        """Return the sequence of the newest message that this reader has to give."""
        newest = [await last_message(self._session, self._stream, pattern) for pattern in self._ends]
        return max((m.seq for m in newest if m is not None and m.time >= self._start_time), default=0)

    async def _ask(self, limit: int, wait: float) -> list[Message]:
        if wait and self.pending == 0:
            limit = 1  # a pull of more would hold the first message back until all have come
        ask: dict[str, Any] = {"batch": limit}
        if limit > 1:
            ask["max_bytes"] = PAGE_BYTES
        if wait:
            ask["expires"] = int(wait * NANOSECONDS)
        else:
            ask["no_wait"] = True
        self._pulls += 1
        inbox = f"{self._inbox}.{self._pulls}"
        await self._session.publish(self._pull, json.dumps(ask).encode(), reply=inbox)
        messages: list[Message] = []
        while len(messages) < limit:
            raw = await self._next(wait + PAGE_TIMEOUT)
            if self._unheard(raw):
                await anyio.sleep(UNHEARD_PAUSE)
                return await self._ask(limit, wait)
            status = (raw.headers or {}).get("Status")
            # What was stored comes on its own subject, and may have any header.
            if status is not None and raw.subject.startswith(f"{self._inbox}."):
                if raw.subject != inbox:  # the late end of an earlier pull
                    continue
                description = (raw.headers or {}).get("Description", status).partition("\n")[0].strip()
                if status == "409" and "MaxBytes" in description:
                    # The page is full; a message larger than a page comes alone.
                    return messages or await self._ask(1, wait)
                if status == "503" or (status == "409" and "Consumer Deleted" in description):
                    raise ReaderGone(f"reading was paused for too long: {description}")
                if status in ("404", "408"):  # nothing (more) there; the wait is over
                    self.pending = 0 if not messages else messages[-1].pending
                    break
                if status == "100":
                    continue
                raise ApiError(0, f"reading stopped: {description}")
            messages.append(_delivered(raw))
            self.pending, self._seen = messages[-1].pending, messages[-1].seq
            if self.pending == 0 and wait == 0.0:
                break
        return messages

    def _unheard(self, raw: nats.aio.msg.Msg) -> bool:
        """Whether a new consumer lies on a server of whose interest ours does not know yet."""
        gone = (raw.headers or {}).get("Status") == "503" and raw.subject.startswith(f"{self._inbox}.")
        self._heard = self._heard or not gone
        return not self._heard and self._pulls < UNHEARD_PULLS

    async def _next(self, timeout: float) -> nats.aio.msg.Msg:
        if (ready := take_ready(self._inbound)) is not None:
            return ready
        try:
            with anyio.fail_after(timeout):
                message: nats.aio.msg.Msg = await self._inbound.next_msg(timeout=timeout + 1)
                return message
        except (TimeoutError, nats.errors.TimeoutError) as error:
            raise RequestTimeout(f"the stream did not send what it announced within {timeout:g} s") from error
        except nats.errors.Error as error:
            raise LinkLost(f"connection to {self._session.url} lost while reading") from error


async def _create(session: Session, stream: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Make a consumer and return its name, and JetStream's description of it."""
    for attempt in range(CREATES):
        name = f"eventd_{secrets.token_hex(8)}"
        request = {"stream_name": stream, "config": {**config, "name": name}}
        try:
            return name, await session.api(f"CONSUMER.CREATE.{stream}.{name}", request, CREATE_TIMEOUT)
        except RequestTimeout:
            if attempt == CREATES - 1:
                raise
    raise AssertionError("unreachable: the last attempt raises")


@asynccontextmanager
async def open_reader(
    session: Session,
    stream: str,
    *,
    start_seq: int | None = None,
    start_time: int | None = None,
    subjects: Sequence[str] = (),
    headers_only: bool = False,
) -> AsyncIterator[Reader]:
    """Read a stream from a sequence or a time (Unix ms), else from its beginning.

    Args:
        session: A live connection.
        stream: Name of the stream.
        start_seq: First sequence wanted.
        start_time: First time wanted, where `start_seq` is not given.
        subjects: Only messages with one of these subjects.
        headers_only: Leave out the bodies.

    Raises:
        ApiError: JetStream refused.
    """
    config: dict[str, Any] = {
        "ack_policy": "none",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": int(INACTIVE * NANOSECONDS),
        "headers_only": headers_only,
    }
    if start_seq is not None:
        config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, start_seq)}
    elif start_time is not None:
        moment = datetime.fromtimestamp(start_time / 1000, UTC).isoformat().replace("+00:00", "Z")
        config |= {"deliver_policy": "by_start_time", "opt_start_time": moment}
    if len(subjects) == 1:
        config["filter_subject"] = subjects[0]
    elif subjects:
        config["filter_subjects"] = list(subjects)
    name, info = await _create(session, stream, config)
    ends = (subjects or (">",)) if (info.get("cluster") or {}).get("name") else ()
    inbox = session.new_inbox()
    inbound = await session.subscribe(f"{inbox}.*", max_messages=4 * PAGE)
    try:
        yield Reader(
            session, stream, name, int(info.get("num_pending", 0)), inbox, inbound,
            start_seq=start_seq or 1, start_time=start_time or 0, ends=ends,
        )  # fmt: skip
    finally:
        with anyio.move_on_after(2.0, shield=True):
            if not session.lost.is_set():
                try:
                    await inbound.unsubscribe()
                    await session.publish(f"{session.api_prefix}.CONSUMER.DELETE.{stream}.{name}", b"")
                except (nats.errors.Error, LinkLost):
                    pass  # the server removes it after INACTIVE


def _delivered(raw: nats.aio.msg.Msg) -> Message:
    """Decode a delivery; its reply subject ends in `.stream seq.consumer seq.time.pending`[`.token`].

    Source: nats-server's `ackReplySubject`: 9 tokens, or 11 and more with domain and account first.
    """
    tokens = raw.reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return Message(
        seq=int(tokens[at]),
        subject=raw.subject,
        time=int(tokens[at + 2]) // 1_000_000,
        headers=raw.headers or {},
        body=raw.data,
        pending=int(tokens[at + 3]),
    )


def parse_time(text: str) -> int:
    """Turn JetStream's RFC 3339 time, which has up to nine decimals, into Unix milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)
