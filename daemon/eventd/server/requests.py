"""The requests of one connection that handlers answer: each in a task, counted, cancelled together."""

import logging
from typing import Any

from anyio.abc import TaskGroup

from eventd_ipc.codec import encode
from eventd_ipc.messages import Cancel, Credit, End, Error

from ..access.identity import Identity
from ..access.scopes import Forbidden
from ..errors import IndexUnusable, NatsError
from ..ingest.refusal import refusal
from .audit import Audit
from .changes import Changes
from .context import Context
from .operations import Operation, RequestRefused, Responder, StreamResponder
from .outgoing import Outgoing

logger = logging.getLogger(__name__)

STREAM_RETRY_MS = 1000  # when a client with too many streams may ask again


class Requests:
    """Starts handlers and sees to it that each request gets its last reply, whatever happens to them.

    Args:
        tasks: Where handlers run.
        outgoing: Where replies go.
        changes: Notified when a request has ended.
        audit: Told what was not allowed.

    Attributes:
        identity: Who asks; set once that is known, before the first request.
        running: Handlers under way, streams not counted.
    """

    identity: Identity

    def __init__(
        self, context: Context, tasks: TaskGroup, outgoing: Outgoing, changes: Changes, audit: Audit
    ) -> None:
        self.running = 0
        self._audit = audit
        self._operations = context.operations
        self._settings = context.settings
        self._stats = context.stats
        self._tasks = tasks
        self._outgoing = outgoing
        self._changes = changes
        self._streams: dict[int, StreamResponder] = {}

    def change_identity(self, identity: Identity) -> None:
        """Go on by other rights. Where they are fewer, streams end: what they send was decided by the old."""
        if not identity.covers(self.identity):
            self.end_streams(refusal("unavailable", "what this client may do has changed; ask again"))
        self.identity = identity

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self.running and not self._streams

    def has_room(self) -> bool:
        """Whether another request may be started."""
        return self.running < self._settings.max_requests

    def start(self, request: Any) -> None:
        """Let a handler answer a request; one that cannot be started is refused."""
        operation = self._operations.find(request)
        if operation is None:
            name = request.__struct_config__.tag
            self.refuse(refusal("unknown_op", f"this eventd does not answer {name!r}", request=request.id))
        elif operation.admin and not self.identity.admin:
            self._audit.denied(operation.name, f"{self.identity.agent!r} is no administrator")
            self.refuse(
                refusal(
                    "forbidden",
                    f"{operation.name!r} is for administrators",
                    hint="show the token in dataDir/admin.token, or see `admin.allowUids` in config.yml",
                    request=request.id,
                )
            )
        elif not operation.stream:
            responder = Responder(request.id, self.identity, self._outgoing)
            self.running += 1
            self._tasks.start_soon(self._answer, operation, request, responder, name=operation.name)
        elif request.id in self._streams:
            self.refuse(
                refusal("bad_request", f"the stream {request.id} is open already", request=request.id)
            )
        elif len(self._streams) >= self._settings.max_streams:
            self.refuse(
                refusal(
                    "slow_down",
                    f"{len(self._streams)} streams are open on this connection, as many as are allowed",
                    hint="cancel one of them, or use another connection",
                    request=request.id,
                    retry_after_ms=STREAM_RETRY_MS,
                )
            )
        else:
            stream = StreamResponder(request.id, self.identity, self._outgoing, self._stats, request.credit)
            self._streams[request.id] = stream
            self._stats.streams += 1
            self._tasks.start_soon(self._answer_stream, operation, request, stream, name=operation.name)

    def credit(self, message: Credit) -> None:
        """Give a stream credit; one that has just ended needs none."""
        if (stream := self._streams.get(message.id)) is not None:
            stream.allow(message.n)

    def cancel(self, message: Cancel) -> None:
        """End a stream; one that has just ended has sent its `end`."""
        if (stream := self._streams.get(message.id)) is not None:
            stream.scope.cancel()

    def end_streams(self, farewell: Error | None) -> None:
        """Cancel all streams, which then end with the connection's last word."""
        for stream in self._streams.values():
            if farewell is not None:
                stream.last_word = refusal(farewell.code, farewell.message, request=stream.request)
            stream.scope.cancel()

    def refuse(self, error: Error) -> None:
        """Send a refusal and count it."""
        self._stats.refuse(error.code)
        self._outgoing.put(encode(error))

    async def _answer(self, operation: Operation, request: Any, responder: Responder) -> None:
        try:
            await operation.handler(request, responder)
            if not responder.answered:
                raise AssertionError("the handler returned without a reply")
        except Exception as error:
            self.refuse(self._refusal_for(error, request.id, operation))
        finally:
            self.running -= 1
            self._changes.notify()

    async def _answer_stream(self, operation: Operation, request: Any, stream: StreamResponder) -> None:
        try:
            with stream.scope:
                await operation.handler(request, stream)
            if stream.scope.cancelled_caught:
                self._outgoing.put(encode(stream.last_word))
            else:
                await stream.send(End(request.id, cursor=stream.cursor, incomplete=stream.incomplete))
        except Exception as error:
            self.refuse(self._refusal_for(error, request.id, operation))
        finally:
            del self._streams[request.id]
            self._stats.streams -= 1
            self._changes.notify()

    def _refusal_for(self, error: Exception, request: int, operation: Operation) -> Error:
        """Turn what a handler raised into the reply; what it did not mean to is logged as the bug it is."""
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        match error:
            case RequestRefused():
                after = None if error.retry_after is None else round(error.retry_after * 1000)
                return refusal(error.code, str(error), hint=error.hint, request=request, retry_after_ms=after)
            case Forbidden():
                self._audit.denied(operation.name, str(error))
                return refusal("forbidden", str(error), hint=error.hint, request=request)
            case NatsError() | IndexUnusable():
                return refusal("unavailable", str(error), hint=error.hint, request=request)
            case _:
                return internal_error(error, request, operation.name)


def internal_error(error: Exception, request: int, what: str) -> Error:
    """Log a bug with its traceback, and return what the client is told: nothing of the inside."""
    logger.error(
        "a request failed because of a bug in eventd",
        exc_info=error,
        extra={"action": "request_failed", "request": what},
    )
    return refusal("internal", f"eventd failed to answer the request {what!r}", request=request)
