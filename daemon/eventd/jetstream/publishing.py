"""Three ways to publish rows, all in order, all ending in the same account of what happened.

`atomic`: one batch (ADR-50), all or nothing; the normal way. `pipeline`: for streams without batches; each
publish names the message before it (`Nats-Expected-Last-Msg-Id`), so a failure stops everything behind it.
`single`: one in flight; names the bad row when a batch was refused, and lets the server drop what it has.

Each takes `after`, the last sequence that the stream is known to have. The server then refuses the rows
(`Verdict.MOVED`) when it is another, and a stream that went back gets nothing before it is repaired. None
stores them in any case.
"""

import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import nats.aio.msg
import nats.errors

from ..errors import LinkLost, NatsError
from ..outbox.model import Row
from .headers import EXPECTED_STREAM
from .leader import LeaderChanged, request_of_leader
from .refusals import Verdict, verdict
from .replicas import NoQuorum
from .session import ApiError, NoResponders, RequestTimeout, Session, decode_answer
from .stream import Stream

logger = logging.getLogger(__name__)

BATCH_ROWS = 1000  # messages; nats-server's own limit for an atomic batch (ADR-50)
BATCH_BYTES = 4 * 1024 * 1024  # bytes of bodies in one batch; bounds memory on both sides
PIPELINE_ROWS = 256  # publishes in flight when batches are not possible
ACK_TIMEOUT = 10.0  # seconds for the ack of a batch or a publish
SEND_TIMEOUT = 20.0  # seconds for handing a whole batch to the socket
LARGEST_SEQUENCE = 2**64 - 1
HEADER_BYTES = 208  # bytes that our own headers take at the most, beside message id and stream name
MAX_SUBJECT = 2048  # characters; with a reply subject well within the server's control line of 4096 bytes
RETRIES = 3  # tries of one row that meets a passing refusal, before the route is told to wait
RETRY_PAUSE = 0.2  # seconds
WRONG_LAST_MSG_ID = 10070

_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")  # literal tokens, none of them empty


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows `[first, first + count)` of the input are in the stream from `stream_seq` on.

    Attributes:
        repeated: The stream had it before; nothing new was stored.
    """

    first: int
    count: int
    stream_seq: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """Row `index` of the input can never be stored."""

    index: int
    reason: str
    code: int


@dataclass(slots=True)
class Published:
    """What became of the first `done` rows of the input; the rest was not stored, or nobody knows.

    Attributes:
        elsewhere: The rows went to another stream than the route's; its sequences say nothing about ours.
        verdict: Why it stopped before the end; None when everything is done.
        reason: The same for a person.
    """

    done: int = 0
    stored: list[Stored] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    elsewhere: bool = False
    verdict: Verdict | None = None
    reason: str = ""

    def store(self, stream_seq: int, *, repeated: bool = False) -> None:
        """Account for the next row as stored; contiguous ones become one entry."""
        last = self.stored[-1] if self.stored else None
        if (
            last
            and not repeated
            and not last.repeated
            and last.first + last.count == self.done
            and last.stream_seq + last.count == stream_seq
        ):
            self.stored[-1] = Stored(last.first, last.count + 1, last.stream_seq)
        else:
            self.stored.append(Stored(self.done, 1, stream_seq, repeated))
        self.done += 1

    def bury(self, reason: str, code: int) -> None:
        """Account for the next row as dead."""
        self.dead.append(Dead(self.done, reason, code))
        self.done += 1

    def stop(self, why: Verdict, reason: str) -> "Published":
        """Say why the rest was left."""
        self.verdict = why
        self.reason = reason
        return self


def unpublishable(row: Row, session: Session, stream: Stream) -> str:
    """Return why this row can never be published here, or "".

    Sending it all the same would end the connection, and so hold up every row behind it for ever.
    """
    if len(row.subject) > MAX_SUBJECT or not _SUBJECT.fullmatch(row.subject):
        return f"bad subject {row.subject[:80]!r}"
    headers = _headers(row, stream) | _expected(LARGEST_SEQUENCE)
    if len(row.body) + _header_bytes(headers) > session.max_payload:
        return f"{len(row.body)} bytes, and the server takes messages up to {session.max_payload}"
    return ""


def fits_batch(row: Row, session: Session, stream: Stream) -> bool:
    """Whether a row can go in a batch, whose headers are larger; the server says no to the whole of it."""
    size = len(row.body) + len(row.msg_id.encode()) + len(stream.name.encode()) + HEADER_BYTES
    largest = session.max_payload if stream.max_message < 0 else min(session.max_payload, stream.max_message)
    return size <= largest and not unpublishable(row, session, stream)


async def publish_atomic(
    session: Session, stream: Stream, rows: Sequence[Row], after: int | None = None
) -> Published:
    """Publish up to `BATCH_ROWS` rows as one batch, all or nothing.

    Raises:
        PermissionMissing: A row's subject is not ours to publish to; nothing is stored.
        RequestTimeout, LeaderChanged, NoQuorum: No ack; the batch is in the stream or it is not.
        LinkLost: The same, and the connection is gone.
    """
    with session.permissions.needed(*{row.subject for row in rows}):
        return await _publish_atomic(session, stream, rows, after)


async def _publish_atomic(
    session: Session, stream: Stream, rows: Sequence[Row], after: int | None
) -> Published:
    result = Published()
    batch = secrets.token_hex(8)
    last = len(rows) - 1
    try:
        with anyio.fail_after(SEND_TIMEOUT):
            for i, row in enumerate(rows):
                headers = _headers(row, stream)
                headers["Nats-Batch-Id"] = batch
                headers["Nats-Batch-Sequence"] = str(i + 1)
                if i == 0:
                    headers |= _expected(after)
                if i < last:
                    await session.publish(row.subject, row.body, headers)
    except TimeoutError as error:
        session.mark_lost(f"a batch could not be sent within {SEND_TIMEOUT:g} s")
        raise LinkLost(f"connection to {session.url} lost: {session.reason}") from error
    headers["Nats-Batch-Commit"] = "1"
    try:
        ack = await _ack(session, stream, row, headers)
    except ApiError as error:
        return result.stop(verdict(error.err_code), str(error))
    except NoResponders as error:
        return result.stop(Verdict.RECONCILE, str(error))
    if ack.get("count") != len(rows):
        # A server that does not know batches would store each message by itself and say nothing of a count.
        raise NatsError(f"stream {stream.name} acknowledged {ack.get('count')} of {len(rows)} batched rows")
    result.stored.append(Stored(0, len(rows), int(ack["seq"]) - len(rows) + 1))
    result.done = len(rows)
    return result


async def publish_single(
    session: Session, stream: Stream, rows: Sequence[Row], after: int | None = None
) -> Published:
    """Publish rows one by one, each after the ack of the one before.

    Raises:
        PermissionMissing, RequestTimeout, LeaderChanged, NoQuorum, LinkLost: As for `publish_atomic`, for the
            row behind those already done; these are lost to the account, and are found again as repeated.
    """
    result = Published()
    for row in rows:
        refusal = await _publish_one(session, stream, row, after, result)
        if refusal is not None:
            return refusal
        newest = result.stored[-1] if result.stored else None
        if after is not None and newest is not None and not newest.repeated:
            after = newest.stream_seq + newest.count - 1
    return result


async def _publish_one(
    session: Session, stream: Stream, row: Row, after: int | None, result: Published
) -> Published | None:
    reason = unpublishable(row, session, stream)
    if reason:
        result.bury(reason, 0)
        return None
    for attempt in range(RETRIES):
        try:
            ack = await _ack(session, stream, row, _headers(row, stream) | _expected(after))
        except ApiError as error:
            decision = verdict(error.err_code)
            if decision is Verdict.DEAD:
                result.bury(str(error), error.err_code)
                return None
            if decision is not Verdict.RETRY or attempt == RETRIES - 1:
                return result.stop(decision, str(error))
            await anyio.sleep(RETRY_PAUSE)
        except NoResponders as error:
            return result.stop(Verdict.RECONCILE, str(error))
        except (RequestTimeout, LeaderChanged, NoQuorum) as error:
            if not result.done:
                raise
            return result.stop(Verdict.RECONCILE, str(error))  # keep what is certain
        else:
            result.store(int(ack["seq"]), repeated=bool(ack.get("duplicate")))
            return None
    raise AssertionError("unreachable: the last attempt returns")


async def publish_pipelined(
    session: Session, stream: Stream, rows: Sequence[Row], after: int | None = None
) -> Published:
    """Publish rows without waiting between them; a failure stops all that come after it.

    Every row but the first is stored only if the stream's last message is the row before it, so nothing
    can overtake a row that failed, and somebody else's message in between merely ends this round.

    Raises:
        PermissionMissing: A row's subject is not ours to publish to; rows before it may be stored.
        RequestTimeout, LinkLost: As for `publish_atomic`.
    """
    result = Published()
    sendable = list(_publishable(rows, session, stream))
    if not sendable:
        result.bury(unpublishable(rows[0], session, stream), 0)
        return result
    with session.permissions.needed(*{row.subject for row in sendable}):
        answers = await _send_pipelined(session, stream, sendable, after)
    return _account(result, stream, answers, len(sendable))


async def _send_pipelined(
    session: Session, stream: Stream, sendable: Sequence[Row], after: int | None
) -> dict[int, nats.aio.msg.Msg]:
    inbox = session.new_inbox()
    inbound = await session.subscribe(f"{inbox}.*", max_messages=2 * len(sendable))
    try:
        with anyio.fail_after(SEND_TIMEOUT):
            previous = ""
            for i, row in enumerate(sendable):
                headers = _headers(row, stream) | _expected(None if i else after)
                if previous:
                    headers["Nats-Expected-Last-Msg-Id"] = previous
                await session.publish(row.subject, row.body, headers, reply=f"{inbox}.{i}")
                previous = row.msg_id
        return await _collect(inbound, len(sendable))
    except TimeoutError as error:
        session.mark_lost(f"rows could not be sent within {SEND_TIMEOUT:g} s")
        raise LinkLost(f"connection to {session.url} lost: {session.reason}") from error
    finally:
        with anyio.move_on_after(1.0, shield=True):
            if not session.lost.is_set():
                try:
                    await inbound.unsubscribe()
                except nats.errors.Error as error:
                    logger.debug("unsubscribing: %s", error, extra={"action": "nats_unsubscribe_failed"})


def _account(result: Published, stream: Stream, answers: dict[int, nats.aio.msg.Msg], sent: int) -> Published:
    """Go through the answers in row order, up to the first that is missing or a refusal."""
    for i in range(sent):
        answer = answers.get(i)
        if answer is None:
            if result.done:
                return result.stop(Verdict.RECONCILE, "an ack is missing")
            raise RequestTimeout(f"no ack within {ACK_TIMEOUT:g} s")
        if (answer.headers or {}).get("Status") == "503":
            return result.stop(Verdict.RECONCILE, "no stream takes the subject")
        try:
            ack = decode_ack(answer.data, stream)
        except ApiError as error:
            decision = verdict(error.err_code)
            if decision is Verdict.DEAD:
                result.bury(str(error), error.err_code)
                return result.stop(Verdict.RETRY, "the rows behind a dead letter are sent again")
            if error.err_code == WRONG_LAST_MSG_ID and i:
                return result.stop(Verdict.RETRY, "another writer's message came in between")
            return result.stop(decision, str(error))
        result.store(int(ack["seq"]), repeated=bool(ack.get("duplicate")))
    return result


async def _collect(inbound: Any, count: int) -> dict[int, nats.aio.msg.Msg]:
    """Return the answers that came within `ACK_TIMEOUT` of each other, by row."""
    answers: dict[int, nats.aio.msg.Msg] = {}
    while len(answers) < count:
        try:
            with anyio.fail_after(ACK_TIMEOUT):
                answer = await inbound.next_msg(timeout=ACK_TIMEOUT + 1)
        except (TimeoutError, nats.errors.Error):
            break
        answers[int(answer.subject.rpartition(".")[2])] = answer
    return answers


def _publishable(rows: Sequence[Row], session: Session, stream: Stream) -> Iterator[Row]:
    for row in rows[:PIPELINE_ROWS]:
        if unpublishable(row, session, stream):
            return
        yield row


def _header_bytes(headers: dict[str, str]) -> int:
    """Return the size of a header block: `NATS/1.0`, a line for each header, an empty line."""
    return 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())


def _headers(row: Row, stream: Stream) -> dict[str, str]:
    headers = {"Nats-Msg-Id": row.msg_id, EXPECTED_STREAM: stream.name}  # on each row: see `headers`
    if row.never_expires and stream.ttl:
        headers["Nats-TTL"] = "never"
    return headers


def _expected(after: int | None) -> dict[str, str]:
    return {} if after is None else {"Nats-Expected-Last-Sequence": str(after)}


async def _ack(session: Session, stream: Stream, row: Row, headers: dict[str, str]) -> dict[str, Any]:
    answer = await request_of_leader(session, stream, row.subject, row.body, headers, ACK_TIMEOUT)
    return decode_ack(answer.data, stream)


def decode_ack(data: bytes, stream: Stream) -> dict[str, Any]:
    """Decode a publish ack of a stream. Whoever listens on the subject can answer, not only JetStream.

    Raises:
        ApiError: It is a refusal, or no ack of this stream.
    """
    ack = decode_answer(data)
    if ack.get("stream") != stream.name or type(ack.get("seq")) is not int:
        raise ApiError(0, f"an answer that is no publish ack of stream {stream.name}: {data[:80]!r}")
    return ack
