"""Answers `replay`: a stretch of a stream in its order, as fast as possible or at the speed of back then."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

import anyio

from eventd_ipc.messages import Replay, StoredEvent

from ..access.scopes import Forbidden, scope_of
from ..errors import NatsError
from ..index.index import Index
from ..index.model import Filter
from ..index.reads import is_cut
from ..indexing.owners import Ownership
from ..jetstream.session import Session
from ..routes import StreamKey
from ..server.operations import StreamResponder
from .filters import bad, check_agent, filter_of, short
from .matching import matches
from .streams import StreamReads

PAGE = 200  # events read from the index at a time
LAST = 2**62  # beyond any sequence
ORIGIN = "Eventd-Replay"
"""Header of what is published again: the stream and the sequence that it comes from."""

_SUBJECT = re.compile(r"[^\s.*>$\x00-\x1f\x7f][^\s.*>\x00-\x1f\x7f]*(\.[^\s.*>\x00-\x1f\x7f]+)*")
MAX_SUBJECT = 256  # characters


class _Replayed(NamedTuple):
    """An event of the stretch; `time` is the stream's, Unix ms."""

    stream: str
    seq: int
    subject: str
    time: int
    body: bytes
    headers: Mapping[str, str] | None = None


class Replays:
    """Replays streams: from JetStream, and from the index while NATS is away."""

    def __init__(self, reads: StreamReads, index: Index, ownership: Ownership) -> None:
        self._reads = reads
        self._index = index
        self._ownership = ownership

    async def replay(self, request: Replay, responder: StreamResponder) -> None:
        """Send the stretch that is wanted."""
        check_agent(request.agent)
        self._check(request)
        if request.to is not None and not responder.identity.admin:
            raise Forbidden("only administrators may publish what is replayed", hint="leave `to` out")
        wanted = filter_of(request, scope_of(responder.identity, request.agent, request.visibility))
        agent = short("route", request.route) or wanted.scope.author
        stream, session = self._reads.locate(request.stream, agent)
        if request.to is not None and session is None:
            raise NatsError(
                "nothing can be published: there is no connection to NATS", hint="see `eventd status`"
            )
        if request.headers and session is None:
            raise NatsError(
                "headers are in NATS alone, and there is no connection", hint="see `eventd status`"
            )
        source = (
            self._from_index(request, stream, wanted)
            if session is None
            else self._from_stream(request, stream, agent, wanted)
        )
        pace = _Pace(request.speed)
        async with aclosing(source) as events:
            async for event in events:
                await pace.wait(event.time)
                if session is not None and request.to is not None:
                    await _publish(session, request.to, event)
                await responder.send(
                    StoredEvent(
                        request.id,
                        event.stream,
                        event.seq,
                        event.subject,
                        event.time,
                        event.body,
                        dict(event.headers or {}) if request.headers else None,
                    )
                )

    def _check(self, request: Replay) -> None:
        if request.speed is not None and not 0.001 <= request.speed <= 1e6:
            raise bad("speed is how many times faster than it was, from 0.001 to 1000000")
        for key in ("first", "last", "since", "until"):
            value = getattr(request, key)
            if value is not None and not 0 <= value < 2**53:
                raise bad(f"{key} is out of range")
        to = request.to
        if to is None:
            return
        if len(to) > MAX_SUBJECT or not _SUBJECT.fullmatch(to) or to.startswith("_"):
            raise bad("to is no subject that can be published to")
        for route in self._reads.routes.all():
            if f"{to}.".startswith(f"{route.prefix}."):
                raise bad(
                    f"to lies below {route.prefix}, where eventd's own events are; they would be stored again"
                )

    async def _from_stream(
        self, request: Replay, stream: StreamKey, agent: str | None, wanted: Filter
    ) -> AsyncGenerator[_Replayed]:
        owners = self._ownership.of(stream)
        async with aclosing(
            self._reads.stretch(
                stream.name,
                agent,
                first=request.first,
                last=request.last,
                since=request.since,
                until=request.until,
            )
        ) as messages:
            async for message in messages:
                if matches(wanted, owners.origin(message), message.body, message.time):
                    yield _Replayed(
                        stream.name, message.seq, message.subject, message.time, message.body, message.headers
                    )

    async def _from_index(
        self, request: Replay, stream: StreamKey, wanted: Filter
    ) -> AsyncGenerator[_Replayed]:
        after = (request.first or 1) - 1
        upto = LAST if request.last is None else request.last
        while True:
            page = await self._index.read(
                lambda reads, after=after: reads.in_stream(  # type: ignore[misc]
                    stream, wanted, after=after, upto=upto, limit=PAGE
                )
            )
            for entry in page:
                if request.until is not None and entry.stored >= request.until:
                    return
                if request.since is None or entry.stored >= request.since:
                    yield _Replayed(stream.name, entry.seq, entry.subject, entry.stored, entry.body)
            if len(page) < PAGE and not is_cut(page):
                return
            after = page[-1].seq


class _Pace:
    """Waits between events as long as it took back then, divided by the speed."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._began: tuple[float, int] | None = None  # of the first event: our clock, and its time

    async def wait(self, time: int) -> None:
        if self._speed is None:
            return
        now = anyio.current_time()
        if self._began is None:
            self._began = now, time
        began, first = self._began
        await anyio.sleep(max(0.0, began + (time - first) / 1000 / self._speed - now))


async def _publish(session: Session, subject: str, event: _Replayed) -> None:
    await session.publish(subject, event.body, {ORIGIN: f"{event.stream} {event.seq}"})
