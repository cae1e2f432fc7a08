"""Requests other than emit: the table of who answers them, and what the answers are written with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from eventd_ipc.codec import encode
from eventd_ipc.messages import End, Reply, Request, StoredEvent

from ..access.identity import Identity
from ..errors import EventdError
from .changes import Changes
from .outgoing import Outgoing
from .stats import ServerStats

TOGETHER = 256 * 1024  # bytes of events that are handed over at once
PAUSED = 5.0  # seconds after which a stream that waits for credit is counted as paused


class RequestRefused(EventdError):
    """Raised by a handler to answer its request with a typed error.

    Attributes:
        code: One of `eventd_ipc.errors.CODES`.
        retry_after: Seconds that the client should wait.
    """

    def __init__(self, code: str, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retry_after = retry_after


class Responder:
    """Writes the answer to one request.

    Attributes:
        request: Its id, which every reply carries.
        identity: Who asks, and what that lets them do.
        answered: Whether a reply was given.
    """

    def __init__(self, request: int, identity: Identity, outgoing: Outgoing) -> None:
        self.request = request
        self.identity = identity
        self.answered = False
        self._outgoing = outgoing

    async def send(self, reply: Reply) -> None:
        """Send a reply; waits while the client does not take what it has been sent."""
        await self._outgoing.put_patiently(encode(reply))
        self.answered = True


class StreamResponder(Responder):
    """Writes a stream of `event` messages, no more of them than the client has given credit for.

    `end` is sent when the handler returns, or is cancelled.

    Attributes:
        scope: Holds the handler; cancelled when the client or the server ends the stream.
        last_word: What the client is told when the stream was cancelled.
        cursor: Where the same request goes on, for `end`.
        incomplete: Whether something may be missing, for `end`.
    """

    def __init__(
        self, request: int, identity: Identity, outgoing: Outgoing, stats: ServerStats, credit: int
    ) -> None:
        super().__init__(request, identity, outgoing)
        self._stats = stats
        self.scope = anyio.CancelScope()
        self.last_word: Reply = End(request, cancelled=True)
        self.cursor: str | None = None
        self.incomplete = False
        self._credit = credit
        self._credited = Changes()

    def allow(self, events: int) -> None:
        """Add credit."""
        self._credit += max(0, events)
        self._credited.notify()

    async def send(self, reply: Reply) -> None:
        """Send a reply; an event waits for credit."""
        if isinstance(reply, StoredEvent):
            await self._wait_for_credit()
            self._credit -= 1
        await super().send(reply)

    async def send_events(self, events: Sequence[StoredEvent]) -> None:
        """Send events, as many together as there is credit for and a frame or two of room."""
        start = 0
        while start < len(events):
            await self._wait_for_credit()
            frames: list[bytes] = []
            size = 0
            for event in events[start : start + self._credit]:
                frames.append(encode(event))
                size += len(frames[-1])
                if size > TOGETHER:
                    break
            start += len(frames)
            self._credit -= len(frames)
            await self._outgoing.put_patiently(b"".join(frames))
        self.answered = True

    async def _wait_for_credit(self) -> None:
        if self._credit > 0:
            return
        with anyio.move_on_after(PAUSED):
            await self._credited.until(self._has_credit)
            return
        self._stats.paused += 1
        try:
            await self._credited.until(self._has_credit)
        finally:
            self._stats.paused -= 1

    def _has_credit(self) -> bool:
        return self._credit > 0


Handler = Callable[[Any, Any], Awaitable[None]]
"""`async (request, responder)`: sends the replies; raises `RequestRefused` to refuse."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A request that is answered by a handler.

    Attributes:
        stream: Whether the answer is a stream; its request has a `credit`.
        admin: Whether only administrators may ask.
    """

    name: str
    handler: Handler
    stream: bool
    admin: bool


class Operations:
    """The handlers, by the request that they answer."""

    def __init__(self) -> None:
        self._by_type: dict[type[Request], Operation] = {}

    def add(
        self, request: type[Request], handler: Handler, *, stream: bool = False, admin: bool = False
    ) -> None:
        """Let a handler answer a kind of request.

        Args:
            stream: The handler gets a `StreamResponder` rather than a `Responder`.
            admin: Nobody else than administrators may ask.

        Raises:
            ValueError: Another one does already.
        """
        name = str(request.__struct_config__.tag)
        if request in self._by_type:
            raise ValueError(f"the request {name!r} has a handler already")
        self._by_type[request] = Operation(name, handler, stream, admin)

    def find(self, request: Request) -> Operation | None:
        """Return who answers a request."""
        return self._by_type.get(type(request))

    def names(self, identity: Identity) -> list[str]:
        """Return the requests that are answered to somebody, for `can` in welcome."""
        open_to = [found for found in self._by_type.values() if identity.admin or not found.admin]
        names = {operation.name for operation in open_to} | {"emit", "ping"}
        if identity.admin:
            names.add("put")
        if any(operation.stream for operation in open_to):
            names |= {"credit", "cancel"}
        return sorted(names)
