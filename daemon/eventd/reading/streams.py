"""`get` and `tail`: finds the stream that is meant and reads it."""

import json
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from functools import partial
from itertools import takewhile
from typing import Any

import anyio

from ..errors import NatsError
from ..jetstream.reading import IDLE_WAIT, Message, ReaderGone, get_message, open_reader
from ..jetstream.session import ApiError, Session
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..routes import Routes, StreamKey
from ..shipping.fleet import Fleet
from ..shipping.shipper import Shipper
from ..subjects import agent_prefix

CLOCK_SLACK = 600_000  # ms that the server's clock may be behind the one that made an id
OWN_WRITES = 1.0  # seconds that a reader waits for what was accepted before it asked
REOPEN_PAUSE = 0.1  # seconds; should the server take consumers away as fast as they are made
LAST_TIME = 253_402_300_799_999  # Unix ms; the end of the calendar, beyond which nothing is stored
FIRST_LOOK_BACK = 4  # times as many messages as are wanted are looked at first, for the last ones of an agent


class NoSuchStream(NatsError):
    """The stream that was asked for is not one of the configured routes, or does not exist yet."""


class StreamReads:
    """Reads the streams of the configured routes.

    Args:
        fleet: Knows which agent's events are in which stream, and owns the connections: reading shares them
            with shipping.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @property
    def routes(self) -> Routes:
        """The routes of the configuration in force."""
        return self._fleet.routes

    async def by_sequence(
        self, seq: int, stream: str | None, agent: str | None
    ) -> tuple[StreamKey, Message] | None:
        """Return the stream and the message at a sequence, or None where there is none.

        Raises:
            NatsError: The stream cannot be read now.
        """
        session, key = await self._open(stream, agent)
        message = await get_message(session, key.name, seq)
        return (key, message) if message else None

    async def by_id(
        self, event_id: str, stream: str | None, agent: str | None
    ) -> AsyncGenerator[tuple[StreamKey, Message]]:
        """Yield the stream and the messages that have this id, oldest first: several agents may use it.

        A UUIDv7 says when it was made, so only what was stored since then is read; for any other id
        the whole stream is.

        Raises:
            NatsError: The stream cannot be read now.
        """
        session, key = await self._open(stream, agent)
        made = made_at(event_id)
        start = made - CLOCK_SLACK if made is not None else None
        async with open_reader(session, key.name, start_time=start, subjects=self._subjects(agent)) as reader:
            while page := await reader.page():
                for message in page:
                    if _is_event(message, event_id):
                        yield key, message

    async def tail(
        self, *, last: int | None, since: int | None, follow: bool, stream: str | None, agent: str | None
    ) -> AsyncGenerator[tuple[StreamKey, Message]]:
        """Yield stored events in stream order; with `follow`, go on with new ones for ever.

        Args:
            last: Begin so many events before the end.
            since: Begin at this time, Unix ms, where `last` is not given.

        Raises:
            NatsError: The stream cannot be read (any more).
        """
        session, key = await self._open(stream, agent)
        name, subjects = key.name, self._subjects(agent)
        state = await self._state(session, name)
        first, end = int(state["first_seq"]), int(state["last_seq"])
        gaps = end - first + 1 != int(state["messages"])
        start: int | None = None
        if last is not None:
            start = await self._start_of_last(session, name, subjects, last, first, end, gaps=gaps)
        while True:
            try:
                begin = _moment(since) if start is None else None
                async with open_reader(
                    session, name, start_seq=start, start_time=begin, subjects=subjects
                ) as reader:
                    while True:
                        page = await reader.page(wait=IDLE_WAIT if follow and reader.pending == 0 else 0.0)
                        for message in page:
                            yield key, message
                            start = message.seq + 1
                        if not page and not follow:
                            return
            except ReaderGone:  # who reads has paused: go on behind what it has got
                await anyio.sleep(REOPEN_PAUSE)

    def locate(self, stream: str | None, agent: str | None) -> tuple[StreamKey, Session | None]:
        """Return the stream that is meant, and the connection to it while there is one.

        Streams of several accounts may have a name: the agent's own route goes first, then the default one.

        Raises:
            NoSuchStream: No route uses it.
        """
        shipper = self._find(stream, agent)
        key = self._fleet.stream_of(shipper)
        return key._replace(name=stream or key.name), shipper.link.session

    async def stretch(
        self,
        stream: str,
        agent: str | None,
        *,
        first: int | None,
        last: int | None,
        since: int | None,
        until: int | None,
    ) -> AsyncGenerator[list[Message]]:
        """Yield a stretch of a stream in its order, page by page, up to what is its end now.

        Args:
            stream, agent: As for `locate`; what others have in the stream is there too.
            first, last: Sequences.
            since, until: Times of the stream, Unix ms; the later of the two beginnings counts.

        Raises:
            NatsError: The stream cannot be read (any more).
        """
        session, (_, name) = await self._open(stream, agent)
        end = int((await self._state(session, name))["last_seq"])
        end = end if last is None else min(end, last)
        start = first
        while start is None or start <= end:
            begin = _moment(since) if start is None else None
            try:
                async with open_reader(session, name, start_seq=start, start_time=begin) as reader:
                    while page := await reader.page():
                        whole = len(page)
                        if page[-1].seq > end or until is not None:
                            page = list(takewhile(partial(_is_before, end, until), page))
                        yield page if since is None else [m for m in page if m.time >= since]
                        if len(page) < whole:
                            return
                        start = page[-1].seq + 1
                    return
            except ReaderGone:  # who reads has paused: go on behind what it has got
                await anyio.sleep(REOPEN_PAUSE)

    @staticmethod
    async def _state(session: Session, name: str) -> dict[str, Any]:
        try:
            state: dict[str, Any] = (await stream_info(session, name))["state"]
        except ApiError as error:
            if error.err_code != STREAM_NOT_FOUND:
                raise
            raise NoSuchStream(
                f"stream {name} does not exist yet", hint="it is made with its first event"
            ) from error
        return state

    async def _start_of_last(
        self,
        session: Session,
        name: str,
        subjects: list[str],
        last: int,
        first: int,
        end: int,
        *,
        gaps: bool,
    ) -> int:
        """Return the sequence of the `last`-th message from the end."""
        if last == 0 or not (subjects or gaps):
            return max(first, end - last + 1)
        look_back = last * FIRST_LOOK_BACK
        while True:
            start = max(first, end - look_back + 1)
            found: deque[int] = deque(maxlen=last)
            async with open_reader(
                session, name, start_seq=start, subjects=subjects, headers_only=True
            ) as reader:
                while page := await reader.page():
                    found.extend(message.seq for message in page)
            if len(found) == last or start == first:
                return found[0] if found else end + 1
            look_back *= FIRST_LOOK_BACK

    async def _open(self, stream: str | None, agent: str | None) -> tuple[Session, StreamKey]:
        """Return the connection and the stream that is meant; it holds what was acked by now."""
        shipper = self._find(stream, agent)
        session = shipper.link.session
        if session is None:
            raise NatsError(
                f"no connection to NATS for stream {stream or shipper.route.stream}: "
                f"{shipper.link.status.last_error or 'connecting'}",
                hint="see `eventd status`; events are still accepted and are shipped later",
            )
        with anyio.move_on_after(OWN_WRITES):
            await shipper.wait_settled()
        key = self._fleet.stream_of(shipper)
        return session, key._replace(name=stream or key.name)

    def _find(self, stream: str | None, agent: str | None) -> Shipper:
        route = self.routes.of(agent) if agent else self.routes.default
        shippers = sorted(self._fleet.shippers.values(), key=lambda shipper: shipper.route != route)
        for shipper in shippers:
            if stream is None or stream in {key.name for key in self._fleet.streams_of(shipper)}:
                return shipper
        raise NoSuchStream(
            f"no configured route uses the stream {stream}", hint="`eventd status` lists the routes"
        )

    def _subjects(self, agent: str | None) -> list[str]:
        if agent is None:
            return []
        return [f"{agent_prefix(self.routes.of(agent).prefix, agent)}.>"]


def _is_before(end: int, until: int | None, message: Message) -> bool:
    return message.seq <= end and (until is None or message.time < until)


def _moment(time: int | None) -> int | None:
    """Return a time that can be asked for: clients may name any."""
    return None if time is None else min(max(time, 0), LAST_TIME)


def made_at(event_id: str) -> int | None:
    """Return the Unix milliseconds that a UUIDv7 carries; None for any other id."""
    try:
        parsed = uuid.UUID(event_id)
    except ValueError:
        return None
    return parsed.int >> 80 if parsed.version == 7 else None


def _is_event(message: Message, event_id: str) -> bool:
    """Whether a message is the event; other writers' messages carry no id in their headers."""
    if message.msg_id:
        return message.msg_id.partition(":")[2] == event_id or message.msg_id == event_id
    if event_id.encode() not in message.body:
        return False
    try:
        event = json.loads(message.body)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("id") == event_id
