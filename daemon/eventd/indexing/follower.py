"""From a stream into the index: what other hosts and other tools have written there.

Our own rows are not read back: the outbox knows where they stand. No durable consumer is made, since hosts
would share it; the position is kept in the index.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import anyio

from ..errors import IndexUnusable, NatsError, OutboxError
from ..events.identity import IMPORTED
from ..index.entries import POISON
from ..index.index import BegunAnew, Index
from ..index.model import NewEvent, Placed, Scope
from ..jetstream.reading import Message, Reader, get_message, open_reader
from ..jetstream.replicas import Replicas
from ..jetstream.session import ApiError, Session
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..outbox.feeding import Settled
from ..outbox.model import Run
from ..outbox.outbox import Outbox
from ..routes import StreamKey
from ..shipping.fleet import Fleet
from ..shipping.shipper import Shipper
from .coverage import Coverage
from .owners import Ownership
from .pace import Pace

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks at a stream: within it others' events can be read
BACKLOG = 5000  # rows that wait to be shipped; more than a second's events at an ordinary rate
BUSY_INTERVAL = 5.0  # seconds between two looks then
EACH = 0.02  # seconds between the looks of all followers together, however many routes there are
JUMP = 1000  # covered sequences for which it is worth to leave a reader and to open another one behind them


class Claims:
    """Sees to it that a stream which several routes share is followed once."""

    def __init__(self) -> None:
        self._of: dict[tuple[StreamKey, str], object] = {}

    @property
    def followers(self) -> int:
        """How many streams are followed."""
        return len(self._of)

    def take(self, key: StreamKey, created: str, who: object) -> bool:
        """Return whether `who` is to follow the stream; what it followed before is free for others."""
        claim = (key, created)
        self._of = {of: owner for of, owner in self._of.items() if owner is not who or of == claim}
        return self._of.setdefault(claim, who) is who

    def twin(self, key: StreamKey, created: str) -> StreamKey | None:
        """Return what another account follows and cannot be told from this stream, by all that NATS says."""
        same = (key.name, created)
        return next((of for of, made in self._of if (of.name, made) == same and of != key), None)

    def release(self, who: object) -> None:
        """Let others have what `who` followed."""
        self._of = {key: owner for key, owner in self._of.items() if owner is not who}


class _Stream(NamedTuple):
    """A stream as it was a moment ago."""

    key: StreamKey
    created: str
    first: int
    last: int
    replicas: Replicas

    @property
    def name(self) -> str:
        return self.key.name


class Follower:
    """Follows the stream of one route.

    Attributes:
        name: Of the stream; "" before it was seen.
        position: Everything up to this sequence is in the index.
        last: The stream's last sequence when it was looked at.
        problem: Why it does not go on; "" while it does.
    """

    def __init__(
        self,
        shipper: Shipper,
        fleet: Fleet,
        outbox: Outbox,
        index: Index,
        ownership: Ownership,
        claims: Claims,
        pace: Pace,
    ) -> None:
        self.name = ""
        self.position = 0
        self.last = 0
        self.problem = ""
        self._shipper = shipper
        self._fleet = fleet
        self._outbox = outbox
        self._index = index
        self._ownership = ownership
        self._claims = claims
        self._pace = pace
        self._generation = 0  # of the index that is looked after now
        self._verified: tuple[Session, int] | None = None  # connection and generation of the last check
        self._looked: int | None = None  # generation of the index at the last look at the stream's end
        self._problem_since: float | None = None
        self._twin: StreamKey | None = None  # what was said in the log

    @property
    def route(self) -> str:
        """Name of the route."""
        return self._shipper.link.name

    @property
    def account(self) -> str:
        """What we call the account of the route; it tells streams of one name apart."""
        return self._fleet.stream_of(self._shipper).account

    @property
    def behind(self) -> int:
        """Sequences that were not read yet, as of the last look."""
        return max(0, self.last - self.position)

    @property
    def looked(self) -> bool:
        """Whether the stream's end was seen since the index began."""
        return self._looked == self._index.generation

    @property
    def problem_seconds(self) -> float:
        """For how long it has not gone on, although there is a connection."""
        return 0.0 if self._problem_since is None else time.monotonic() - self._problem_since

    async def run(self) -> None:
        """Follow until cancelled, over any number of connections."""
        try:
            while True:
                if (session := self._shipper.link.session) is None:
                    self._claims.release(self)  # another route may have a connection
                    self._rest()
                else:
                    try:
                        await self._try_to_look(session)
                    except BegunAnew:
                        continue
                await anyio.sleep(self._pause())
        finally:
            self._claims.release(self)

    def _pause(self) -> float:
        """Return the seconds until the next look. While a backlog is shipped, shipping goes first."""
        waiting = self._outbox.stats.routes.get(self._shipper.number)
        if waiting is not None and waiting.pending_rows > BACKLOG and self._shipper.link.session is not None:
            return BUSY_INTERVAL
        return max(INTERVAL, EACH * self._claims.followers)

    async def _try_to_look(self, session: Session) -> None:
        try:
            await self._look(session)
        except (BegunAnew, OutboxError):
            raise
        except (NatsError, IndexUnusable) as error:
            if session.lost.is_set():  # the route tells that, and why
                self._rest()
            else:
                self._note(error, error.hint)
        except Exception as error:  # whatever others have stored there, agents are served all the same
            self._note(error, "this is a bug in eventd", bug=error)
        else:
            self._rest()
            return
        self._claims.release(self)  # another route's user may be allowed to read it

    def _rest(self) -> None:
        """Note that nothing is wrong here."""
        self.problem, self._problem_since = "", None

    def _note(self, error: Exception, hint: str, bug: Exception | None = None) -> None:
        problem = str(error) or type(error).__name__
        if problem != self.problem:
            extra = {"action": "follower_stalled", "route": self.route, "hint": hint}
            logger.warning("stream %s cannot be read now: %s", self.name, problem, extra=extra, exc_info=bug)
        self.problem = problem
        self._problem_since = self._problem_since or time.monotonic()

    async def _look(self, session: Session) -> None:
        """Bring the index to what the stream holds now."""
        self._generation = self._index.generation
        stream = await self._state(session)
        if stream is None or not self._claims.take(stream.key, stream.created, self):
            # There is none before its first event; or another route's follower reads it.
            if stream is None:
                self._claims.release(self)
            self.position = self.last = 0
            self._looked = self._generation
            return
        self._note_twin(stream)
        # What we have accepted and the stream holds already is in the index before the stream is read.
        await self._index.wait_taken(self._outbox.last_seq)
        self._generation = self._index.generation
        number, position = await self._index.stream(stream.key, stream.created, generation=self._generation)
        coverage, position = await self._place(number, stream.created, position)
        if stream.last < position:
            stream.replicas.confirm(stream.name)  # one that lags, or is cut off, is no rollback
            await self._index.unplace_beyond(number, stream.last, generation=self._generation)
            position = stream.last
        elif not await self._is_sound(session, stream, position):
            position = 0
        self.last = stream.last
        await self._read(session, stream, number, max(position, stream.first - 1), coverage)
        self._looked = self._generation

    def _note_twin(self, stream: _Stream) -> None:
        """Say when a route that was taken to have an account of its own seems to have another one's.

        No more than that: the server that says so may be the agent's.
        """
        twin = self._claims.twin(stream.key, stream.created)
        if twin is not None and twin != self._twin:
            logger.warning(
                "stream %s of route %s seems to be that of route %s; if their logins are of one account, set "
                "sharedAccount: true for both, so that the stream is read once",
                stream.name, self.route, twin.account,
                extra={"action": "account_undeclared", "route": self.route},
            )  # fmt: skip
        self._twin = twin

    async def _state(self, session: Session) -> _Stream | None:
        key = self._fleet.stream_of(self._shipper)
        try:
            info = await stream_info(session, key.name)
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None
            raise
        self.name = key.name
        state = info["state"]
        return _Stream(
            key, str(info["created"]), int(state["first_seq"]), int(state["last_seq"]), Replicas.of(info)
        )

    async def _place(self, number: int, created: str, position: int) -> tuple[Coverage, int]:
        """Give our own rows their places; return what they cover, and up to where the stream is known.

        That is `position`, or less when the route was moved back since the last time: the stream had lost
        what was behind, and others' events with it.
        """
        route = self._shipper.number
        known, rewinds = await self._index.settled(route)
        settled = await self._settled(route, known)
        if settled.created != created:
            return Coverage(()), position  # the runs are of the stream that was there before
        if rewinds not in (None, settled.rewinds) or settled.watermark < known:
            # In this order, so that a crash in between leaves nothing behind that nobody would notice.
            settled = await self._settled(route, 0)
            position = min(position, *(run.stream_seq - 1 for run in settled.runs), settled.stream_seq)
            await self._index.set_position(number, position, generation=self._generation)
            # Rows that were sent again may have moved by a little: all leave their old places before.
            known = min([settled.watermark, *(run.first - 1 for run in settled.runs)])
            await self._index.place_runs(
                route, number, (), known, settled.rewinds, generation=self._generation
            )
        await self._index.place_runs(
            route, number, _placed(settled, known), settled.watermark, settled.rewinds,
            generation=self._generation,
        )  # fmt: skip
        return Coverage(settled.runs), position

    async def _settled(self, route: int, after: int) -> Settled:
        """Return where rows of ours are, once the index has them: one that comes later would get no place.

        A run that an outbox in need has dropped meanwhile, maybe before the index took it, is read from the
        stream.
        """
        taken = self._index.taken
        settled = await self._outbox.settled(route, after=after)
        if taken >= settled.watermark:
            return settled
        await self._index.wait_taken(settled.watermark)
        now = {run.first: run for run in (await self._outbox.settled(route, after=after)).runs}
        return replace(settled, runs=[run for run in settled.runs if _holds(now.get(run.first), run)])

    async def _is_sound(self, session: Session, stream: _Stream, position: int) -> bool:
        """Whether the stream still holds at our position what it held; looked at once a connection.

        A server that was set back while nobody looked may have grown beyond it with other events.
        """
        check = (session, self._generation)
        if position == 0 or self._verified == check:
            return True
        message = await get_message(session, stream.name, position)
        entry = await self._index.read(lambda reads: reads.by_place(stream.key, position, Scope()))
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
            # What has come since the look may be ours, and not in the index yet.
            page = [message for message in await reader.page() if message.seq <= stream.last]
            if not page:  # what is left was deleted
                await self._index.set_position(number, stream.last, generation=self._generation)
                return stream.last
            await self._add(number, stream.key, page)
            self.position = position = page[-1].seq
            await anyio.sleep(self._pace.rest(time.monotonic() - began))
        return position

    async def _add(self, number: int, stream: StreamKey, page: Sequence[Message]) -> None:
        """Take in a page; a message that cannot be taken in is left out and does not stop those behind it."""
        try:
            await self._index.add_stored(
                number, self._events(stream, page), page[-1].seq, generation=self._generation
            )
        except POISON as error:
            if len(page) > 1:
                for message in page:
                    await self._add(number, stream, [message])
                return
            logger.error(
                "the message %d of stream %s cannot be taken into the index", page[0].seq, stream.name,
                extra={"action": "message_left_out", "route": self.route}, exc_info=error,
            )  # fmt: skip
            await self._index.set_position(number, page[0].seq, generation=self._generation)

    def _events(self, stream: StreamKey, page: Sequence[Message]) -> list[NewEvent]:
        owners = self._ownership.of(stream)
        events: list[NewEvent] = []
        for message in page:
            agent, by_session = owners.origin(message)
            owner, _, event_id = message.msg_id.partition(":")
            # One that was imported may keep the subject of an older writer, whose agents share a token.
            own = owner == agent or (by_session and event_id.startswith(IMPORTED))
            events.append(
                NewEvent(
                    seq=message.seq,
                    outbox=None,
                    agent=agent,
                    subject=message.subject,
                    stored=message.time,
                    event_id=event_id if own else "",
                    body=message.body,
                    by_session=by_session,
                )
            )
        return events


def _holds(now: Run | None, run: Run) -> bool:
    """Whether a run is still there: as it was, or with more rows behind, but not cut off by a repair."""
    return now is not None and now.stream_seq == run.stream_seq and now.last >= run.last


def _placed(settled: Settled, known: int) -> list[Placed]:
    """Return where rows above `known` are; a run without gaps in the outbox's numbers is cut to them."""
    placed: list[Placed] = []
    for run in settled.runs:
        if run.last <= known:
            continue
        skip = max(0, known + 1 - run.first) if run.last - run.first + 1 == run.count else 0
        placed.append(Placed(run.first + skip, run.last, run.count - skip, run.stream_seq + skip))
    return placed
