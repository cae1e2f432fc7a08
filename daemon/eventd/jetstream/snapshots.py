"""JetStream's own snapshots of a stream: taken as bytes that a nats-server reads, and restored from them.

The server sends a snapshot in chunks to a subject of ours and waits for an answer to each, so that no more of
it is under way than a window. Restoring goes the other way round: each chunk is a request.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import nats.aio.msg
import nats.aio.subscription
import nats.errors

from ..errors import LinkLost, NatsError
from .permissions import PermissionMissing
from .session import ApiError, RequestTimeout, Session, decode_answer

CHUNK = 128 * 1024  # bytes; the server's own choice
# Bytes of a chunk on its way back. The server gives up when it works on one for 5 s; where it syncs always,
# each message is one sync, and a hundred times as many bytes may be packed into a chunk.
RESTORE_CHUNK = 8 * 1024
WINDOW = 4 * 1024 * 1024  # bytes that the server sends ahead
BEGIN_TIMEOUT = 60.0  # seconds until a snapshot begins: the server looks through its files first
CHUNK_TIMEOUT = 30.0  # seconds for the next chunk, or until one is taken
END_TIMEOUT = 600.0  # seconds for the last answer of a restore: the server reads all of it once more

COMPLETE = "204"
NAME_EXISTS = (10058, 10130)  # the stream is there (already, or again)


class SnapshotFailed(NatsError):
    """A snapshot was begun and not finished, or the server does not take it."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream held at a moment. `bytes` is what they take in the stream."""

    messages: int
    bytes: int
    first_seq: int
    last_seq: int

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "StreamState":
        """Read it as JetStream tells it."""
        return cls(
            int(state["messages"]), int(state["bytes"]), int(state["first_seq"]), int(state["last_seq"])
        )


class Snapshot:
    """A snapshot under way; `chunks` has to be read at once, as the server waits for nobody.

    Attributes:
        config: The stream's configuration.
        state: What it held when the snapshot began. What came since may be in the snapshot, too.
    """

    def __init__(
        self, session: Session, inbound: nats.aio.subscription.Subscription, answer: Mapping[str, Any]
    ) -> None:
        self.config: dict[str, Any] = answer["config"]
        self.state = StreamState.of(answer["state"])
        self._session = session
        self._inbound = inbound

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes.

        Raises:
            SnapshotFailed: The server gave up.
            PermissionMissing: The login may not answer the chunks.
            RequestTimeout, LinkLost: No more came.
        """
        answer = ""  # subject of the first one; whether we may publish there is true of all
        while True:
            if answer.lower() in self._session.permissions.denied:
                raise PermissionMissing("publish", answer)
            with self._session.permissions.needed(*filter(None, [answer])):
                message = await self._next()
            if not message.data:
                _check_end(message)
                return
            yield message.data
            if message.reply:
                answer = answer or message.reply
                await self._session.publish(message.reply, b"")

    async def _next(self) -> nats.aio.msg.Msg:
        try:
            with anyio.fail_after(CHUNK_TIMEOUT):
                message: nats.aio.msg.Msg = await self._inbound.next_msg(timeout=CHUNK_TIMEOUT + 1)
                return message
        except (TimeoutError, nats.errors.TimeoutError) as error:
            raise RequestTimeout(f"the snapshot did not go on within {CHUNK_TIMEOUT:g} s") from error
        except nats.errors.Error as error:
            raise LinkLost("the connection was lost during a snapshot") from error


def _check_end(message: nats.aio.msg.Msg) -> None:
    """Look at the empty chunk that ends a snapshot; a short one ends without a status."""
    status = (message.headers or {}).get("Status", COMPLETE)
    if status != COMPLETE:
        reason = (message.headers or {}).get("Description", "")
        raise SnapshotFailed(f"the server gave up the snapshot: {status} {reason}".rstrip())


@asynccontextmanager
async def open_snapshot(session: Session, stream: str) -> AsyncIterator[Snapshot]:
    """Begin a snapshot of a stream, without its consumers.

    Raises:
        PermissionMissing: The login may not ask for one.
        ApiError: JetStream refused.
        RequestTimeout, LinkLost: It did not answer.
    """
    inbox = session.new_inbox()
    inbound = await session.subscribe(inbox, max_messages=4 * WINDOW // CHUNK)
    try:
        asked = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK, "window_size": WINDOW}
        answer = await session.api(f"STREAM.SNAPSHOT.{stream}", asked, BEGIN_TIMEOUT)
        yield Snapshot(session, inbound, answer)
    finally:
        if not session.lost.is_set():
            with anyio.move_on_after(2.0, shield=True), suppress(nats.errors.Error):
                await inbound.unsubscribe()


async def restore_stream(
    session: Session, config: Mapping[str, Any], state: StreamState, chunks: Iterable[bytes]
) -> dict[str, Any]:
    """Make a stream from a snapshot, with its sequences and times; return JetStream's description of it.

    Args:
        config: The configuration that it gets; its name has to be that of the snapshot's stream.
        state: What the snapshot holds.
        chunks: The snapshot, in pieces of any size; read in a worker thread.

    Raises:
        ApiError: JetStream refused; `NAME_EXISTS` where there is a stream of that name.
        PermissionMissing: The login may not restore.
        SnapshotFailed: The server does not take this snapshot.
    """
    name = config["name"]
    told = {"messages": state.messages, "bytes": state.bytes}
    told |= {"first_seq": state.first_seq, "last_seq": state.last_seq}
    answer = await session.api(f"STREAM.RESTORE.{name}", {"config": config, "state": told}, BEGIN_TIMEOUT)
    subject = str(answer["deliver_subject"])
    most = min(RESTORE_CHUNK, session.max_payload)
    pieces = iter(chunks)
    while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
        for start in range(0, len(piece), most):
            reply = await session.request(subject, piece[start : start + most], timeout=CHUNK_TIMEOUT)
            if reply.data:
                _check_taken(reply.data, name)
    reply = await session.request(subject, b"", timeout=END_TIMEOUT)
    return _check_taken(reply.data, name)


def _check_taken(data: bytes, name: str) -> dict[str, Any]:
    try:
        return decode_answer(data)
    except ApiError as error:
        if error.err_code in NAME_EXISTS:
            raise
        raise SnapshotFailed(f"the server does not take the snapshot of stream {name}: {error}") from error
