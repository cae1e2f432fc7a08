"""One client: hello, then its requests, until it goes, breaks the protocol, or the daemon stops.

Two tasks serve it: one reads and admits, one sends replies. No task, future or event is made for an emit:
the outbox reports many of them at once, in their order. Nothing that a client does raises out of here.
"""

import enum
import logging
from contextlib import suppress
from time import perf_counter
from typing import Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from eventd_ipc.codec import NEED_DATA, FrameDecoder, NeedData, decode_request, encode
from eventd_ipc.errors import ProtocolError, RequestInvalid
from eventd_ipc.messages import (
    PROTOCOL,
    Ack,
    Cancel,
    Credit,
    Emit,
    Error,
    Hello,
    Ping,
    Pong,
    Put,
    Request,
    Welcome,
)
from eventd_ipc.strict import agent_fault

from ..access.gate import NotAdmitted
from ..access.identity import Identity
from ..access.tokens import digest_of
from ..ingest.refusal import refusal
from ..outbox.model import Refusal, Submission
from .audit import Audit
from .changes import Changes
from .context import Context
from .outgoing import Outgoing
from .peer import Peer
from .requests import Requests, internal_error
from .stream import PeerStalled, Stream

logger = logging.getLogger(__name__)

RECEIVE = 64 * 1024  # bytes asked from the socket at once; more keeps others waiting and is not faster
MAX_HELLO = 16 * 1024  # bytes of the first frame, from somebody who has not said who they are
MAX_CLIENT = 128  # characters of a client's name for itself that are logged
SLICE = 0.01  # seconds for which one client's frames may keep all others waiting
LARGE = 32 * 1024  # bytes of a frame that may take longer than that, at the worst
PLACE_COST = 128  # bytes that an emit without an ack counts by itself; a refused one also those of its frame
ROW_COST = 400  # bytes that each of its events counts beside the stored JSON: objects on their way to disk
LONGEST_REST = 1.0  # seconds for which one that sends too fast is not read; it was told how long to wait
FAREWELL_TIMEOUT = 1.0  # seconds for a client to read why it is closed


class Phase(enum.Enum):
    """Where a connection is in its life."""

    GREETING = "greeting"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class Connection:
    """One client's connection.

    Args:
        number: Which one it is since the server began.
        peer: Who it is, or None where the kernel does not say.
    """

    _requests: Requests

    def __init__(self, number: int, stream: Stream, peer: Peer | None, context: Context) -> None:
        self._settings = context.settings
        self._stats = context.stats
        self._context = context
        self._stream = stream
        self._peer = peer
        self._agent = ""
        self._token: str | None = None  # SHA-256 of the one in hello
        self._audit = Audit(self._facts)
        self.number = number
        self.phase = Phase.GREETING
        self._decoder = FrameDecoder(MAX_HELLO)
        self._changes = Changes()
        self._outgoing = Outgoing(
            self._settings.max_outgoing, self._settings.stall_timeout, self._changes, self._stats
        )
        self._in_flight = 0  # bytes of emits without an ack
        self._resting_until = 0.0  # perf_counter(); one that sends too fast is not read until then
        self._reading = anyio.CancelScope()
        self._last_word: Error | None = None  # what the client is told when reading was cancelled
        self._drain_timeout = self._settings.drain_timeout

    def __repr__(self) -> str:
        return (
            f"<Connection {self.number} of {self._agent!r}, {self.phase.value}, "
            f"{self._in_flight} bytes in flight, {self._outgoing.size} outgoing>"
        )

    @property
    def outgoing_bytes(self) -> int:
        """Bytes of replies that the client has not taken yet."""
        return self._outgoing.size

    async def serve(self, farewell: Error | None = None) -> None:
        """Serve the client to its end; with a farewell, only tell it that and close."""
        try:
            with self._stream:
                async with anyio.create_task_group() as tasks:
                    self._requests = Requests(
                        self._context, tasks, self._outgoing, self._changes, self._audit
                    )
                    tasks.start_soon(self._send_replies, tasks.cancel_scope, name=f"{self.number} replies")
                    await self._part(farewell or await self._converse())
                    tasks.cancel_scope.cancel()
        finally:
            self.phase = Phase.CLOSED
            self._stats.bytes_out += self._outgoing.sent
            logger.info("client is gone", extra={"action": "connection_closed", **self._facts()})

    def stop(self, drain_timeout: float) -> None:
        """Read nothing more, let what is under way end within `drain_timeout` seconds, and close."""
        self._drain_timeout = drain_timeout
        self._reading.cancel()

    async def recheck(self) -> None:
        """Dismiss the client if it would not be let in any more; else let it do what it may do now."""
        if self.phase is not Phase.OPEN:
            return
        gate, changes = self._context.gate, None
        try:
            while changes != gate.changes:  # once more where rules or tokens have changed meanwhile
                changes = gate.changes
                identity = await self._admit()
            self._requests.change_identity(identity)
        except NotAdmitted as error:
            self._revoke(error)

    def _revoke(self, why: NotAdmitted) -> None:
        if self.phase is Phase.OPEN:  # else it has gone meanwhile, or is told already that the daemon stops
            self._audit.denied("hello", _in_full(why))
            self._last_word = refusal("unauthorised", str(why), hint=why.hint)
            self._reading.cancel()

    # Greeting.

    async def _converse(self) -> Error | None:
        """Read to the end; return what the client must be told at last, None when it has left."""
        with self._reading:
            try:
                await self._greet()
                await self._read()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return None
            except ProtocolError as error:
                return refusal(error.code, str(error))
            except _Dismissed as dismissed:
                return dismissed.farewell
        return self._last_word or refusal("shutting_down", "eventd is stopping")

    async def _greet(self) -> None:
        with anyio.move_on_after(self._settings.hello_timeout):
            while (frame := self._decoder.next_frame()) is NEED_DATA:
                await self._receive()
            hello = _read_hello(frame)
            self._agent = hello.agent
            self._token = digest_of(hello.token) if hello.token else None
            gate, changes = self._context.gate, None
            try:
                while changes != gate.changes:  # once more where a token has changed meanwhile
                    changes = gate.changes
                    self._requests.identity = await self._admit(self._context.hellos)
            except NotAdmitted as error:
                if not error.lacks_token:
                    self._audit.denied("hello", _in_full(error))
                raise _Dismissed("unauthorised", str(error), error.hint) from error
            self._welcome(hello, self._requests.identity)
            return
        raise _Dismissed("hello_timeout", f"no hello within {self._settings.hello_timeout:g} s")

    async def _admit(self, limiter: anyio.CapacityLimiter | None = None) -> Identity:
        admit = self._context.gate.admit
        try:
            return await anyio.to_thread.run_sync(
                admit, self._agent, self._token, self._peer, limiter=limiter
            )
        except NotAdmitted:
            raise
        except Exception as error:
            facts = {"action": "request_failed", "request": "hello", **self._facts()}
            logger.error("a hello failed because of a bug in eventd", exc_info=error, extra=facts)
            raise NotAdmitted("eventd failed to tell who this client is") from error

    def _welcome(self, hello: Hello, identity: Identity) -> None:
        self._decoder.max_frame = self._settings.max_frame
        self.phase = Phase.OPEN
        self._stats.frames += 1
        self._outgoing.put(
            encode(
                Welcome(
                    protocol=PROTOCOL,
                    server=self._context.name,
                    limits=self._settings.limits,
                    agent=hello.agent,
                    can=self._context.operations.names(identity),
                    admin=identity.admin,
                    proof=identity.proof.value,
                )
            )
        )
        facts = {"action": "connection_opened", "client": hello.client[:MAX_CLIENT], **self._facts()}
        logger.info("client has connected", extra=facts)

    # Reading.

    async def _read(self) -> None:
        while True:
            if self._resting_until:
                await anyio.sleep(max(0.0, self._resting_until - perf_counter()))
                self._resting_until = 0.0
            await self._context.in_flight.until_room()
            await self._changes.until(self._may_read)
            rest = self._take_frames()
            if rest is NEED_DATA:
                await self._receive()
            elif rest is None:
                await anyio.lowlevel.checkpoint()
            else:
                await self._take_large(rest)

    async def _receive(self) -> None:
        data = await self._stream.receive(RECEIVE)
        self._stats.bytes_in += len(data)
        self._decoder.feed(data)

    def _may_read(self) -> bool:
        """Whether the next request is taken; while it is not, it waits, and in the end so does the client."""
        return (
            self._in_flight < self._settings.max_in_flight
            and self._outgoing.has_room()
            and self._requests.has_room()
        )

    def _take_frames(self) -> bytes | Literal[NeedData.NEED_DATA] | None:
        """Take the frames that are there, for `SLICE` seconds and up to a limit at the most.

        Returns:
            `NEED_DATA` where there is none left, a large frame that is to be taken next, or else None.
        """
        next_frame = self._decoder.next_frame
        allowed = min(self._settings.max_in_flight - self._in_flight, self._context.in_flight.room)
        batch: list[Submission] = []
        frames = cost = 0
        end = perf_counter() + SLICE
        try:
            while cost < allowed:
                frame = next_frame()
                if frame is NEED_DATA or len(frame) > LARGE:
                    return frame
                frames += 1
                taken = self._take(frame)
                if isinstance(taken, Submission):
                    place: Any = taken.context
                    batch.append(taken)
                    cost += place.size
                    if self._resting_until:
                        break
                else:
                    self._dispatch(taken)
                    if not self._may_read():
                        break
                if perf_counter() > end:
                    break
            return None
        finally:
            self._stats.frames += frames
            if batch:
                self._submit(batch, cost)

    async def _take_large(self, frame: bytes) -> None:
        """Take a frame in a thread: it may need longer than the other clients should wait."""
        self._stats.frames += 1
        taken = await anyio.to_thread.run_sync(self._take, frame, limiter=self._context.one_at_a_time)
        if isinstance(taken, Submission):
            place: Any = taken.context
            self._submit([taken], place.size)
        else:
            self._dispatch(taken)

    def _take(self, frame: bytes) -> Submission | Request:
        """Admit an emit or a put; a refused one has no rows, yet keeps its place among the acks.

        Any other request is returned as it is.
        """
        try:
            request = decode_request(frame)
        except RequestInvalid as error:
            if error.id is None:  # a hello: there is nothing that an answer could name
                raise _Dismissed(error.code, str(error)) from error
            return _refused(refusal(error.code, str(error), request=error.id), frame)
        if (
            type(request) is not Emit and type(request) is not Put
        ):  # `isinstance` takes longer, for each event
            return request
        admission, identity = self._context.admission, self._requests.identity
        try:
            if isinstance(request, Emit):
                verdict = admission.admit(request, identity)
            else:
                verdict = admission.admit_put(request, identity)
        except Exception as error:
            verdict = internal_error(error, request.id, _name_of(request))
        if isinstance(verdict, Error):
            if verdict.code == "forbidden":
                self._audit.denied(_name_of(request), verdict.message)
            elif verdict.retry_after_ms is not None:
                self._resting_until = perf_counter() + min(verdict.retry_after_ms / 1000, LONGEST_REST)
            return _refused(verdict, frame)
        size = PLACE_COST + ROW_COST * len(verdict.rows) + verdict.size
        verdict.context = _Place(request.id, size)
        return verdict

    def _submit(self, batch: list[Submission], cost: int) -> None:
        self._stats.emits += len(batch)
        self._in_flight += cost
        self._context.in_flight.add(cost)
        self._context.outbox.submit(batch, self._committed)

    def _committed(self, submissions: list[Submission]) -> None:
        """Answer emits: what has no refusal by now is on disk."""
        replies: list[bytes] = []
        events = cost = 0
        for submission in submissions:
            place: Any = submission.context  # a _Place; a cast would cost as much as the rest
            cost += place.size
            refused = place.refused
            if submission.refusal is not None:
                refused = _refusal_of(submission.refusal, place.request)
            if refused is None:
                events += len(submission.rows)
                replies.append(encode(Ack(place.request, [row.event_id for row in submission.rows])))
            else:
                self._stats.refuse(refused.code)
                replies.append(encode(refused))
        self._stats.events += events
        self._in_flight -= cost
        self._context.in_flight.remove(cost)
        self._outgoing.put(b"".join(replies))
        self._changes.notify()

    def _dispatch(self, request: Request) -> None:
        match request:
            case Ping():
                self._outgoing.put(encode(Pong(request.id)))
            case Credit():
                self._requests.credit(request)
            case Cancel():
                self._requests.cancel(request)
            case Hello():
                raise _Dismissed("hello_required", "a second hello on the same connection")
            case _:
                self._requests.start(request)

    # Parting.

    async def _part(self, farewell: Error | None) -> None:
        """Let what is under way end, and the client know why it is closed."""
        self.phase = Phase.DRAINING
        self._requests.end_streams(farewell)
        with anyio.move_on_after(self._drain_timeout):
            await self._changes.until(self._is_quiet)
        if farewell is not None:
            self._requests.refuse(farewell)
            facts = {"action": "connection_refused", "code": farewell.code, **self._facts()}
            logger.info("client is dismissed: %s", farewell.message, extra=facts)
        with anyio.move_on_after(FAREWELL_TIMEOUT):
            await self._changes.until(lambda: not self._outgoing.size)
            if farewell is not None:
                await self._linger()

    def _is_quiet(self) -> bool:
        return not self._in_flight and not self._outgoing.size and self._requests.idle

    async def _linger(self) -> None:
        """Read on until the client closes: closing with unread bytes would cut off what it must read."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            self._stream.end()
            while True:
                await self._stream.receive(RECEIVE)

    async def _send_replies(self, connection: anyio.CancelScope) -> None:
        try:
            await self._outgoing.send_to(self._stream)
        except anyio.BrokenResourceError:
            pass  # gone without waiting for its replies; what it emitted is stored all the same
        except PeerStalled:
            self._stats.stalled += 1
            logger.warning(
                "client takes no replies and is closed",
                extra={"action": "connection_stalled", **self._facts()},
            )
        connection.cancel()

    def _facts(self) -> dict[str, object]:
        return {"connection": self.number, "agent": self._agent, "peer": str(self._peer)}


class _Place(msgspec.Struct, gc=False):
    """An emit's place in the order of acks, and what it is answered if it was refused before the outbox.

    Attributes:
        size: What it counts against `max_in_flight`.
    """

    request: int | None
    size: int
    refused: Error | None = None


def _refused(error: Error, frame: bytes) -> Submission:
    return Submission((), _Place(error.id, PLACE_COST + len(frame), error))


class _Dismissed(Exception):
    """The client broke a rule after which nothing more is read from it."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.farewell = refusal(code, message, hint=hint)


def _read_hello(frame: bytes) -> Hello:
    try:
        hello = decode_request(frame)
    except RequestInvalid as error:
        raise _Dismissed(error.code, str(error)) from error
    if not isinstance(hello, Hello):
        raise _Dismissed("hello_required", "the first message is not a hello")
    if hello.protocol != PROTOCOL:
        raise _Dismissed(
            "unsupported_protocol", f"protocol {hello.protocol} is asked for; this eventd speaks {PROTOCOL}"
        )
    if (fault := agent_fault(hello.agent)) is not None:
        raise _Dismissed("unauthorised", f"hello names no agent: {fault}")
    return hello


def _in_full(error: NotAdmitted) -> str:
    """Return why somebody was not let in, for the log."""
    return str(error) if error.__cause__ is None else f"{error}: {error.__cause__}"


def _name_of(request: Emit | Put) -> str:
    return str(request.__struct_config__.tag)


def _refusal_of(verdict: Refusal, request: int) -> Error:
    return refusal(verdict.code, verdict.message, hint=verdict.hint, request=request, index=verdict.index)
