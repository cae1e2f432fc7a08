"""Answers `replay`: a stretch of a stream in its order, as fast as possible or at the speed of back then."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

import anyio

from eventd_ipc.messages import Replay, StoredEvent

from ..access.scopes import Forbidden, scope_of
from ..errors import NatsError
from ..events.attribution import Origin, attribute
from ..events.normal import normalise
from ..index.index import Index
from ..index.model import Filter
from ..index.reads import is_cut
from ..indexing.owners import Ownership
from ..jetstream.reading import Message
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
    """An event of the stretch, with what a `StoredEvent` has."""

    stream: str
    seq: int
    subject: str
    time: int
    body: bytes
    headers: dict[str, str] | None = None
    agent: str | None = None

    def reply(self, request: Replay) -> StoredEvent:
        return StoredEvent(request.id, *self)


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
                "messages with their headers are in NATS alone, and there is no connection to it",
                hint="see `eventd status`",
            )
        source = (
            self._from_index(request, stream, wanted)
            if session is None
            else self._from_stream(request, stream, agent, wanted)
        )
        pace = _Pace(request.speed)
        async with aclosing(source) as pages:
            async for page in pages:
                events = [event.reply(request) for event in page]
                if request.speed is None and request.to is None:
                    await responder.send_events(events)
                    continue
                for event in events:
                    await pace.wait(event.time)
                    if session is not None and request.to is not None:
                        await _publish(session, request.to, event)
                    await responder.send(event)

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
    ) -> AsyncGenerator[list[_Replayed]]:
        owners = self._ownership.of(stream)
        everything = wanted == Filter()
        async with aclosing(
            self._reads.stretch(
                stream.name,
                agent,
                first=request.first,
                last=request.last,
                since=request.since,
                until=request.until,
            )
        ) as pages:
            async for page in pages:
                found = [m for m in page if everything or matches(wanted, owners.origin(m), m.body, m.time)]
                if request.headers:
                    yield [_with_headers(stream.name, m, owners.origin(m)) for m in found]
                else:
                    yield [_Replayed(stream.name, m.seq, m.subject, m.time, m.body) for m in found]

    async def _from_index(
        self, request: Replay, stream: StreamKey, wanted: Filter
    ) -> AsyncGenerator[list[_Replayed]]:
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
                    yield [_Replayed(stream.name, entry.seq, entry.subject, entry.stored, entry.body)]
            if len(page) < PAGE and not is_cut(page):
                return
            after = page[-1].seq


def _with_headers(stream: str, message: Message, origin: Origin) -> _Replayed:
    agent = origin.agent
    if not agent or not message.msg_id.startswith(f"{agent}:"):  # else it is our own
        agent, _ = attribute(origin, message.body, normalise(message.body))
    return _Replayed(
        stream, message.seq, message.subject, message.time, message.body, dict(message.headers), agent
    )


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


async def _publish(session: Session, subject: str, event: StoredEvent) -> None:
    await session.publish(subject, event.body, {ORIGIN: f"{event.stream} {event.seq}"})
