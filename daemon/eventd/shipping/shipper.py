"""Ships one route: owns its connection and sends its rows, in accept order, one batch in flight."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel

from eventd_ipc.backoff import Backoff

from ..errors import LinkLost, NatsError
from ..jetstream.endpoint import Resolve
from ..jetstream.leader import LeaderChanged
from ..jetstream.link import Link
from ..jetstream.permissions import PermissionMissing
from ..jetstream.publishing import BATCH_BYTES, BATCH_ROWS, Published
from ..jetstream.refusals import Verdict, verdict
from ..jetstream.replicas import NoLeader, NoQuorum
from ..jetstream.session import ApiError, NoResponders, RequestTimeout, Session
from ..jetstream.stream import Stream
from ..jetstream.streams import StreamUnfit, Subjects, ensure_stream, is_older
from ..outbox.model import Death, Row, Run, Settlement
from ..outbox.outbox import Outbox
from ..routes import DEFAULT_ROUTE, Route
from ..subjects import agent_prefix
from .erasing import Target, erase
from .precedence import Precedence, Progress
from .reconcile import Repair, now_ms, reconcile, reopen
from .sending import Sender
from .state import ShipperStatus, State

logger = logging.getLogger(__name__)

SHARED_FOR = 60.0  # seconds; while others write to the stream, its end says nothing about a rollback
READ_ROWS = 4 * BATCH_ROWS  # a read waits for the commit under way, so one serves several batches
LOOK_INTERVAL = 30.0  # seconds between two looks at the stream of an idle route: it may lose what it has
REPLICAS_INTERVAL = 10.0  # the same where it has replicas, idle or not: enough of them have to be there
LOCK_PATIENCE = 2.0  # seconds
ERASE_PAUSE = 1.0  # seconds after a slice of erasing in which other events go first
STALL_PAUSE_FIRST = 0.25  # seconds before a stalled route is tried again
STALLS_BEFORE_NEXT = 5  # before another server is asked, where there are several
PASSING_PAUSE_MAX = 1.0  # seconds; elections of a cluster take 4 to 9, and then nobody should be waiting
STALL_PAUSE_MAX = 5.0  # seconds; a route goes on within this time once the cause is gone


class Shipper:
    """The only writer of a route's watermark.

    Args:
        route: Where to.
        number: The route's number in the outbox.
        outbox: Where from.
        resolve: Which server to connect to now.
        narrow: Whether the stream has to list its agents (see `jetstream.streams`).
        configured: Whether the configuration still has the route.
        progress: Notified when rows are settled.
        lock_of: Gives the lock of who may change the streams of a server.
        on_limit: Told the largest body in bytes that the server takes, at each connect.
    """

    def __init__(
        self,
        route: Route,
        number: int,
        outbox: Outbox,
        resolve: Resolve,
        *,
        narrow: bool = False,
        configured: bool = True,
        progress: Progress | None = None,
        lock_of: Callable[[Route], anyio.Lock] = lambda _route: anyio.Lock(),
        on_limit: Callable[[int, int], None] = lambda _number, _bytes: None,
    ) -> None:
        self.route = route
        self.number = number
        self.configured = configured
        self.status = ShipperStatus()
        self.link = Link(route.name, resolve)
        self._progress = progress or Progress()
        self.precedence = Precedence(self._progress)
        self._outbox = outbox
        self.narrow = narrow
        self._lock_of = lock_of
        self._on_limit = on_limit
        self._stalls = 0  # in a row
        self._problem = ""  # what went wrong last, for as long as nothing has gone right since
        self._wide = f"{_base(route)}.>"
        self._settled = 0
        self._stream_seq = 0
        self._end = 0  # last sequence of the stream, as far as we know
        self._shared_until = 0.0  # until then nobody expects the stream to end where we saw it
        self._erased: dict[str, set[Target]] = {}  # by tombstones that wait for their next slice
        self._erased_at = -ERASE_PAUSE  # when the last slice of erasing ended that was not enough
        self._looked_at = 0.0  # when the stream was looked at last
        self._sender = Sender(self.link.name, doubt=outbox.stats.last_seq)
        self._settlement = anyio.Event()  # set at the next one
        self._stall = Backoff(STALL_PAUSE_FIRST, STALL_PAUSE_MAX)
        self._life = anyio.CancelScope()  # of what is done by one configuration
        self._is_publishing = False
        self._taken_up = anyio.Event()  # what `change` said last
        self._passing = Backoff(STALL_PAUSE_FIRST, PASSING_PAUSE_MAX)

    async def run(self) -> None:
        """Ship for ever; only a bug or a broken outbox ends it, with an exception."""
        while True:
            self._taken_up.set()
            with anyio.CancelScope() as self._life:
                await self.link.run(self._serve)

    def change(self, route: Route, resolve: Resolve, *, narrow: bool, configured: bool) -> None:
        """Go on by another configuration: connect anew, once what is under way is answered and settled.

        Args:
            route: With the same name, stream and prefix.
        """
        self.route = route
        self.configured = configured
        self.narrow = narrow
        self.link.go_to(resolve)
        self._stall.reset()
        self._stalls = 0
        self._taken_up = anyio.Event()
        if not self._is_publishing:
            self._life.cancel()

    @property
    def settled(self) -> int:
        """The watermark, as far as it is known here; 0 before it was read."""
        return self._settled

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let a change of the configuration wait: rows whose answer nobody awaits may be stored twice."""
        self._is_publishing = True
        try:
            yield
        finally:
            self._is_publishing = False
            if not self._taken_up.is_set():
                self._life.cancel()

    def rest(self) -> None:
        """Show that there is nothing to do, and that nothing needs to be ready for it."""
        self._taken_up.set()
        self.link.status.last_error = ""
        self._enter(State.IDLE)

    async def wait_taken_up(self) -> None:
        """Return when nothing is under way any more by a configuration before the last `change`."""
        await self._taken_up.wait()

    async def wait_settled(self) -> None:
        """Return once every row of the route that was accepted before this call is settled."""
        upto = self._outbox.stats.last_seq
        while (
            (stats := self._outbox.stats.routes.get(self.number))
            and stats.pending_rows
            and self._settled < upto
        ):
            await self._settlement.wait()

    async def _serve(self, session: Session) -> None:
        self._on_limit(self.number, session.max_payload)
        try:
            while True:
                self._enter(State.PREPARING)
                try:
                    await self._prepare_and_ship(session)
                except NoLeader as error:
                    await self._wait_passing(session, str(error))
                except NoQuorum as error:  # perhaps only the server that we are at is cut off
                    await self._wait_stalled(session, _told(error), error.hint, tries=1)
                except ApiError as error:
                    if verdict(error.err_code) is Verdict.RETRY:
                        await self._wait_passing(session, str(error))
                    else:
                        await self._wait_stalled(session, str(error), error.hint)
                except (StreamUnfit, NoResponders) as error:
                    await self._wait_stalled(session, _told(error), error.hint)
                except PermissionMissing as error:
                    await self._wait_stalled(session, str(error), error.hint)
                    if error.answers:
                        self._problem = str(error)
                        raise
                except LeaderChanged as error:
                    self._problem = str(error)  # prepare again: the new one knows what it has
                except RequestTimeout as error:
                    self._problem = str(error)
                    # Stored or not, nobody knows: a new connection and a look at the stream will tell.
                    session.mark_lost(str(error))
                    raise LinkLost(f"connection to {session.url} lost: {error}") from error
        finally:
            self._enter(State.CONNECTING)

    async def _prepare_and_ship(self, session: Session) -> None:
        self._erased.clear()  # the stream may hold again what was erased
        stream = await self._prepare(session)
        while stream is None:  # a narrow stream is made with its first event
            await self._rows_to_come(session, None)
            stream = await self._prepare(session)
        await self._ship(session, stream)

    async def _prepare(self, session: Session) -> Stream | None:
        """Look at the stream, make or adapt it, and find out where to go on."""
        self._enter(State.PREPARING, self._problem or f"waits for an answer about stream {self.route.stream}")
        position = await self._outbox.position(self.number)
        rows = await self._read(position.settled)
        if rows and not (rows := await self.precedence.may_go(rows, self._outbox)):
            return None  # as long as another route ships what is older, its stream keeps its subjects
        async with _patiently(self._lock_of(self.route)):
            stream = await ensure_stream(session, self.route, self._subjects(rows))
        if stream is None:
            if not await reopen(self._outbox, self.number, self._note_repair):
                return None
            return await self._prepare(session)  # the rows that come back tell which subjects to list
        stream.replicas.check(stream.name)
        self._enter(State.PREPARING, self._problem or f"looks up in stream {stream.name} what it holds")
        found = await reconcile(
            session, stream, self._outbox, self.number, self._sender.doubt, self._note_repair
        )
        self._settled, self._stream_seq = found.position.settled, found.position.stream_seq
        self._sender.present = found.present
        self._end = stream.last_seq
        status = self.status
        status.stream = stream.name
        status.mode = "atomic batches" if stream.atomic else "pipeline"
        self._note_look(stream)
        return stream

    def _subjects(self, rows: Sequence[Row]) -> Subjects:
        """Return what the stream has to take for rows whose turn it is."""
        needed = tuple(sorted({_agent_pattern(row.subject) for row in rows}))
        known = frozenset(known.stream for known in self._outbox.stats.routes.values())
        return Subjects(self._wide, needed, self.narrow, known)

    def _note_look(self, stream: Stream) -> None:
        self._looked_at = anyio.current_time()
        self.status.notes = (*stream.notes, *stream.replicas.notes(stream.name))

    def _note_repair(self, repair: Repair) -> None:
        self._shared_until = 0.0  # it was not somebody else who moved the end
        self._sender.doubt = max(self._sender.doubt, repair.upto)
        self._settled = 0  # until the watermark is read again, nobody may think that all is shipped
        status = self.status
        status.repairs += 1
        status.last_repair = repair
        status.lost_by_server += repair.lost_before

    async def _ship(self, session: Session, stream: Stream) -> None:
        """Send rows as long as the stream is what it was; return when it has to be looked at again."""
        covered: set[str] = set()
        ahead: Sequence[Row] = ()  # rows that were read and not sent yet
        forgets = self._outbox.forgets
        while True:
            if forgets != self._outbox.forgets:
                ahead, forgets = (), self._outbox.forgets  # what was read before may be forgotten by now
            ahead = ahead or await self._rows_to_come(session, stream)
            if not ahead or not await self._is_still(session, stream):
                return  # the stream is not what it was
            rows = self._sender.batch(ahead, stream)
            if self.status.state is State.IDLE:
                self._enter(State.SHIPPING)
            new = {row.subject for row in rows} - covered
            if not all(stream.covers(it) or stream.owner(it) or stream.refusal(it) for it in new):
                return  # a new agent of a narrow stream: prepare again, with its subjects
            covered |= new
            await anyio.lowlevel.checkpoint_if_cancelled()  # a change a moment ago; later ones wait
            if rows[0].tombstone and not await self._erase(session, stream, rows[0]):
                ahead = ()
                continue
            with self._undisturbed():
                after = self._end if anyio.current_time() > self._shared_until else None
                result = await self._sender.send(session, stream, rows, after)
                if self._went_back(result):
                    self._sender.doubt = max(self._sender.doubt, rows[-1].seq)
                    return
                await self._settle(rows, result)
            if stream.refusal(rows[0].subject):
                return  # the next look may find that somebody has let the stream take them
            ahead = ahead[result.done :]
            match result.verdict:
                case None:
                    self._stall.reset()
                    self._passing.reset()
                    self._stalls = 0
                    self._enter(State.SHIPPING)
                case Verdict.RETRY if result.done:
                    pass
                case Verdict.MOVED:
                    self._shared_until = anyio.current_time() + SHARED_FOR
                    return
                case Verdict.RETRY | Verdict.RECONCILE:
                    # Looked at again each time: while we wait, rows outgrow the duplicate window.
                    self._problem = result.reason
                    self._count_stall(session, result.reason, STALLS_BEFORE_NEXT)
                    await anyio.sleep((self._passing if stream.replicated else self._stall).pause())
                    return
                case _:
                    await self._wait_stalled(session, result.reason, "")
                    return

    async def _erase(self, session: Session, stream: Stream, tombstone: Row) -> bool:
        """Erase what a tombstone names; return whether it is to be published now.

        One that takes long goes behind what waits, so that nobody else has to wait for more than a moment.
        """
        rested = anyio.current_time() > self._erased_at + ERASE_PAUSE
        if rested or not await self._postpone(tombstone):
            done = self._erased.setdefault(tombstone.msg_id, set())
            found = await erase(session, stream, self._outbox, tombstone, done)
            if found.done or found.denied:
                del self._erased[tombstone.msg_id]
            if found.denied:
                await self._settle([tombstone], _dead(found.denied))
            elif found.done:
                return True
            else:
                self._erased_at = anyio.current_time()
                await self._postpone(tombstone)
        return False

    async def _postpone(self, tombstone: Row) -> bool:
        postponed = await self._outbox.postpone(self.number, tombstone.seq)
        if postponed:
            self._settled = tombstone.seq
        return postponed

    async def _rows_to_come(self, session: Session, stream: Stream | None) -> Sequence[Row]:
        """Return the next rows; wait for them where there are none.

        While nothing comes, look at the stream now and then: what it loses in the meantime can be
        repaired only as long as the rows are retained. Returns nothing when it is not what it was.
        """
        replicated = stream is not None and stream.replicated
        while True:
            added = self._outbox.watch(self.number)
            rows = await self._read(self._settled)
            if rows:
                return await self._in_order(rows)
            self._enter(State.IDLE)
            with anyio.move_on_after(REPLICAS_INTERVAL if replicated else LOOK_INTERVAL):
                await added.wait()
                continue
            if stream is not None and not await self._look(session, stream):
                return ()

    async def _in_order(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the first rows that may go now; none where older ones of other routes went meanwhile."""
        if free := await self.precedence.may_go(rows, self._outbox):
            return free
        self._enter(State.PREPARING, f"older events go first, by route {self.precedence.routes}")
        await self.precedence.wait(rows, self._outbox)
        return ()  # the stream may not have our subjects any more: the other route's took them over

    async def _is_still(self, session: Session, stream: Stream) -> bool:
        """Look at a stream with replicas when it is time to; return whether it is what it was."""
        if not stream.replicated or anyio.current_time() < self._looked_at + REPLICAS_INTERVAL:
            return True
        return await self._look(session, stream)

    async def _look(self, session: Session, stream: Stream) -> bool:
        """Look at a stream; return whether it is what it was, and lies where it is wanted."""
        older = await is_older(session, stream, self._stream_seq)
        self._note_look(stream)
        return not older and not stream.unplaced

    async def _read(self, after: int) -> Sequence[Row]:
        return await self._outbox.pending(self.number, after=after, limit=READ_ROWS, max_bytes=BATCH_BYTES)

    def _went_back(self, result: Published) -> bool:
        """Whether the stream gave out sequences that it had given out before."""
        fresh = [stored for stored in result.stored if not stored.repeated]
        if not result.elsewhere and fresh and fresh[0].stream_seq <= self._stream_seq:
            logger.warning(
                "stream %s gave out sequence %d after %d", self.status.stream, fresh[0].stream_seq,
                self._stream_seq, extra={"action": "sequence_went_back", "route": self.link.name},
            )  # fmt: skip
            return True
        return False

    async def _settle(self, rows: Sequence[Row], result: Published) -> None:
        if not result.done:
            return
        deaths = tuple(Death(rows[dead.index].seq, dead.reason, dead.code) for dead in result.dead)
        runs = tuple(
            Run(rows[s.first].seq, rows[s.first + s.count - 1].seq, s.count, s.stream_seq)
            for s in result.stored
            if not result.elsewhere
        )
        upto = rows[result.done - 1].seq
        await self._outbox.settle(Settlement(self.number, upto, runs, deaths))
        self._settled = upto
        self._settlement.set()
        self._settlement = anyio.Event()
        self._progress.notify()
        fresh = [stored for stored in result.stored if not stored.repeated]
        if fresh and not result.elsewhere:
            self._stream_seq = self._end = fresh[-1].stream_seq + fresh[-1].count - 1
        status = self.status
        shipped = sum(stored.count for stored in fresh)
        status.shipped += shipped
        status.shipping.count(shipped)
        status.settled += result.done
        status.settling.count(result.done)
        status.repeated += sum(stored.count for stored in result.stored if stored.repeated)
        status.dead += len(deaths)
        status.dying.count(len(deaths))
        status.batches += 1
        status.last_ack_at = now_ms()
        for death in deaths:
            logger.error(
                "an event can never be published: %s", death.reason,
                extra={
                    "action": "dead_letter", "route": self.link.name,
                    "number": death.seq, "code": death.code,
                },
            )  # fmt: skip

    async def _wait_passing(self, session: Session, reason: str) -> None:
        """Wait for what passes by itself, as an election does; if it does not, it shows in status."""
        self._problem = reason
        self._count_stall(session, reason, STALLS_BEFORE_NEXT)
        await anyio.sleep(self._passing.pause())

    async def _wait_stalled(
        self, session: Session, reason: str, hint: str, tries: int = STALLS_BEFORE_NEXT
    ) -> None:
        if reason != self._problem and (self.status.state, self.status.reason) != (State.STALLED, reason):
            logger.warning(
                "route %s cannot ship: %s", self.link.name, reason,
                extra={"action": "route_stalled", "route": self.link.name, "hint": hint},
            )  # fmt: skip
        self._enter(State.STALLED, reason)
        self._count_stall(session, reason, tries)
        await anyio.sleep(self._stall.pause())

    def _count_stall(self, session: Session, reason: str, tries: int) -> None:
        """Leave a server that cannot serve us after some tries, where there are several."""
        self._stalls += 1
        if self._stalls >= tries and self.link.servers > 1:
            self._stalls = 0
            session.mark_lost(f"it cannot serve us: {reason}")  # the next one of the cluster may

    def _enter(self, state: State, reason: str = "") -> None:
        """Change the state that status shows."""
        status = self.status
        if state is State.PREPARING and status.state is State.STALLED:
            return  # a stalled route stays so in status until something is shipped
        if state in (State.IDLE, State.SHIPPING):
            self._problem = ""
            status.unready_since = None
        elif status.unready_since is None:
            status.unready_since = now_ms()
        reason = reason or self._problem
        if (status.state, status.reason) != (state, reason):
            status.state, status.reason, status.since = state, reason, now_ms()


@asynccontextmanager
async def _patiently(lock: anyio.Lock) -> AsyncIterator[None]:
    """Hold a lock, if it can be had soon: who holds it may wait for a server that does not answer."""
    with anyio.move_on_after(LOCK_PATIENCE):
        await lock.acquire()
    has_it = lock.statistics().owner == anyio.get_current_task()
    try:
        yield
    finally:
        if has_it:
            lock.release()


def _dead(reason: str) -> Published:
    """Return that a row can never be published as things are."""
    result = Published()
    result.bury(reason, 0)
    return result


def _told(error: NatsError) -> str:
    """Return what is wrong, and what to do about it where only a person can."""
    return (
        f"{error}; {error.hint}" if isinstance(error, NoQuorum | StreamUnfit) and error.hint else str(error)
    )


def _agent_pattern(subject: str) -> str:
    return subject.rpartition(".")[0] + ".>"


def _base(route: Route) -> str:
    """Return what all subjects of the route begin with."""
    return route.prefix if route.name == DEFAULT_ROUTE else agent_prefix(route.prefix, route.name)
