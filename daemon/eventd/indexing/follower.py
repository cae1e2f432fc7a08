"""From a stream into the index: what other hosts and other tools have written there.

Our own rows are not read back: the outbox knows where they stand. No durable consumer is made, since hosts
would share it; the position is kept in the index.
"""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import anyio

from ..errors import IndexUnusable, NatsError
from ..index.index import BegunAnew, Index
from ..index.model import NewEvent, Placed, Scope
from ..jetstream.reading import Message, Reader, get_message, open_reader
from ..jetstream.session import ApiError, Session
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..outbox.feeding import Settled
from ..outbox.outbox import Outbox
from ..shipping.shipper import Shipper
from .coverage import Coverage
from .owners import Owners
from .pace import Pace

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks at a stream: within it others' events can be read
JUMP = 1000  # covered sequences for which it is worth to leave a reader and to open another one behind them


class Claims:
    """Sees to it that a stream which several routes share is followed once."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], object] = {}

    def take(self, name: str, created: str, who: object) -> bool:
        """Return whether `who` is to follow the stream."""
        return self._of.setdefault((name, created), who) is who

    def release(self, who: object) -> None:
        """Let others have what `who` followed."""
        self._of = {key: owner for key, owner in self._of.items() if owner is not who}


class _Stream(NamedTuple):
    """A stream as it was a moment ago."""

    name: str
    created: str
    first: int
    last: int


class Follower:
    """Follows the stream of one route.

    Attributes:
        name: Of the stream; "" before it was seen.
        position: Everything up to this sequence is in the index.
        last: The stream's last sequence when it was looked at.
        problem: Why it does not go on; "" while it does.
        looked: Whether it has seen the stream's end since the index began.
    """

    def __init__(
        self, shipper: Shipper, outbox: Outbox, index: Index, owners: Owners, claims: Claims, pace: Pace
    ) -> None:
        self.name = ""
        self.position = 0
        self.last = 0
        self.problem = ""
        self.looked = False
        self._shipper = shipper
        self._outbox = outbox
        self._index = index
        self._owners = owners
        self._claims = claims
        self._pace = pace
        self._generation = 0  # of the index that is looked after now
        self._verified: tuple[Session, int] | None = None  # connection and generation of the last check

    @property
    def route(self) -> str:
        """Name of the route."""
        return self._shipper.link.name

    @property
    def behind(self) -> int:
        """Sequences that were not read yet, as of the last look."""
        return max(0, self.last - self.position)

    async def run(self) -> None:
        """Follow until cancelled, over any number of connections."""
        try:
            while True:
                session = self._shipper.link.session
                if session is not None:
                    try:
                        await self._look(session)
                        self.problem = ""
                    except BegunAnew:
                        continue
                    except (NatsError, IndexUnusable) as error:
                        self._note(error)
                await anyio.sleep(INTERVAL)
        finally:
            self._claims.release(self)

    def _note(self, error: NatsError | IndexUnusable) -> None:
        if str(error) != self.problem:
            extra = {"action": "follower_stalled", "route": self.route, "hint": error.hint}
            logger.warning("stream %s cannot be read now: %s", self.name, error, extra=extra)
        self.problem = str(error)

    async def _look(self, session: Session) -> None:
        """Bring the index to what the stream holds now."""
        stream = await self._state(session)
        if stream is None or not self._claims.take(stream.name, stream.created, self):
            return
        # What we have accepted and the stream holds already is in the index before the stream is read.
        await self._index.wait_taken(self._outbox.last_seq)
        self._generation = self._index.generation
        number, position = await self._index.stream(stream.name, stream.created, generation=self._generation)
        coverage, moved_back = await self._place(number, stream.created)
        if moved_back is not None:
            position = min(position, moved_back)
        if stream.last < position:
            await self._index.unplace_beyond(number, stream.last, generation=self._generation)
            position = stream.last
        elif not await self._is_sound(session, stream, position):
            position = 0
        self.last = stream.last
        await self._read(session, stream, number, max(position, stream.first - 1), coverage)
        self.looked = True

    async def _state(self, session: Session) -> _Stream | None:
        name = self._shipper.status.stream or self._shipper.route.stream
        try:
            info = await stream_info(session, name)
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:  # it is made with its first event
                self.looked = True
                return None
            raise
        self.name = name
        state = info["state"]
        return _Stream(name, str(info["created"]), int(state["first_seq"]), int(state["last_seq"]))

    async def _place(self, number: int, created: str) -> tuple[Coverage, int | None]:
        """Give our own rows their places; return what they cover.

        And, when the route was moved back since the last time, up to where the stream is as it was.
        """
        route = self._shipper.number
        known = await self._index.settled(route)
        settled = await self._outbox.settled(route, after=known)
        if settled.created != created:
            return Coverage(()), None  # the runs are of the stream that was there before
        moved_back = await self._index.place_runs(
            route, number, _placed(settled, known), settled.watermark, settled.rewinds,
            generation=self._generation,
        )  # fmt: skip
        if not moved_back:
            return Coverage(settled.runs), None
        settled = await self._outbox.settled(route, after=0)
        await self._index.place_runs(
            route, number, _placed(settled, 0), settled.watermark, settled.rewinds,
            generation=self._generation,
        )  # fmt: skip
        first = min((run.stream_seq for run in settled.runs), default=1)
        return Coverage(settled.runs), first - 1

    async def _is_sound(self, session: Session, stream: _Stream, position: int) -> bool:
        """Whether the stream still holds at our position what it held; looked at once a connection.

        A server that was set back while nobody looked may have grown beyond it with other events.
        """
        check = (session, self._generation)
        if position == 0 or self._verified == check:
            return True
        message = await get_message(session, stream.name, position)
        entry = await self._index.read(lambda reads: reads.by_place(stream.name, position, Scope()))
        self._verified = check
        if message is None or entry is None or message.body == entry.body:
            return True
        logger.warning(
            "stream %s holds another event at %d than before, and is read anew", stream.name, position,
            extra={"action": "stream_reread", "route": self.route},
        )  # fmt: skip
        return False

    async def _read(
        self, session: Session, stream: _Stream, number: int, position: int, coverage: Coverage
    ) -> None:
        self.position = position
        while position < stream.last:
            if (reach := coverage.reach(position)) > position:
                position = reach
                await self._index.set_position(number, position, generation=self._generation)
            else:
                async with open_reader(session, stream.name, start_seq=position + 1) as reader:
                    position = await self._read_pages(reader, stream, number, position, coverage)
            self.position = position

    async def _read_pages(
        self, reader: Reader, stream: _Stream, number: int, position: int, coverage: Coverage
    ) -> int:
        """Read until the end, or to where our own rows cover what follows; return how far that is."""
        while position < stream.last and coverage.reach(position) - position < JUMP:
            began = time.monotonic()
            page = await reader.page()
            if not page:  # what is left was deleted
                await self._index.set_position(number, stream.last, generation=self._generation)
                return stream.last
            position = page[-1].seq
            await self._index.add_stored(
                number, stream.name, self._events(page), position, generation=self._generation
            )
            self.position = position
            await anyio.sleep(self._pace.rest(time.monotonic() - began, self._index.cpu_seconds))
        return position

    def _events(self, page: Sequence[Message]) -> list[NewEvent]:
        events: list[NewEvent] = []
        for message in page:
            agent = self._owners.of(message.subject) or ""
            named, _, event_id = message.msg_id.partition(":")
            events.append(
                NewEvent(
                    seq=message.seq,
                    outbox=None,
                    agent=agent,
                    subject=message.subject,
                    stored=message.time,
                    event_id=event_id if named == agent else "",
                    body=message.body,
                )
            )
        return events


def _placed(settled: Settled, known: int) -> list[Placed]:
    """Return where rows above `known` are; a run without gaps in the outbox's numbers is cut to them."""
    placed: list[Placed] = []
    for run in settled.runs:
        if run.last <= known:
            continue
        skip = max(0, known + 1 - run.first) if run.last - run.first + 1 == run.count else 0
        placed.append(Placed(run.first + skip, run.last, run.count - skip, run.stream_seq + skip))
    return placed
