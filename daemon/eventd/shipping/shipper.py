"""Ships one route: owns its connection and sends its rows, in accept order, one batch in flight."""

import enum
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from eventd_ipc.backoff import Backoff

from ..errors import LinkLost
from ..jetstream.endpoint import Resolve
from ..jetstream.link import Link
from ..jetstream.publishing import (
    BATCH_BYTES,
    BATCH_ROWS,
    PIPELINE_ROWS,
    Published,
    publish_atomic,
    publish_pipelined,
    publish_single,
    unpublishable,
)
from ..jetstream.refusals import Verdict
from ..jetstream.session import ApiError, NoResponders, RequestTimeout, Session
from ..jetstream.streams import Stream, StreamUnfit, Subjects, ensure_stream
from ..outbox.model import Death, Row, Run, Settlement
from ..outbox.outbox import Outbox
from ..routes import DEFAULT_ROUTE, Route
from ..subjects import agent_prefix
from .reconcile import Repair, reconcile

logger = logging.getLogger(__name__)

SHARED_FOR = 60.0  # seconds; while others write to the stream, its end says nothing about a rollback
STALL_PAUSE_FIRST = 0.25  # seconds before a stalled route is tried again
STALL_PAUSE_MAX = 5.0  # seconds; a route goes on within this time once the cause is gone


def _now() -> int:
    return time.time_ns() // 1_000_000


class State(enum.StrEnum):
    """What a shipper is doing."""

    CONNECTING = "connecting"
    PREPARING = "preparing"
    IDLE = "idle"
    SHIPPING = "shipping"
    STALLED = "stalled"


@dataclass(slots=True)
class ShipperStatus:
    """What a person wants to know about a route's shipping."""

    state: State = State.CONNECTING
    reason: str = ""
    since: int = field(default_factory=_now)
    """When `state` began, Unix milliseconds."""
    unready_since: int | None = field(default_factory=_now)
    """Since when it cannot ship, Unix milliseconds; None while it can. Attempts in between do not count."""
    stream: str = ""
    mode: str = ""
    notes: tuple[str, ...] = ()
    shipped: int = 0
    batches: int = 0
    repeated: int = 0
    dead: int = 0
    repairs: int = 0
    last_repair: Repair | None = None
    lost_by_server: int = 0
    """Acknowledged messages that the server lost and that were no longer retained here."""
    last_ack_at: int | None = None


class Shipper:
    """The only writer of a route's watermark.

    Args:
        route: Where to.
        number: The route's number in the outbox.
        outbox: Where from.
        resolve: Which server to connect to now.
        narrow: Whether the stream has to list its agents (see `jetstream.streams`).
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
        on_limit: Callable[[int, int], None] = lambda _number, _bytes: None,
    ) -> None:
        self.route = route
        self.number = number
        self.status = ShipperStatus()
        self.link = Link("default" if route.name == DEFAULT_ROUTE else route.name, resolve)
        self._outbox = outbox
        self._narrow = narrow
        self._on_limit = on_limit
        self._wide = f"{_base(route)}.>"
        self._settled = 0
        self._stream_seq = 0
        self._end = 0  # last sequence of the stream, as far as we know
        self._shared_until = 0.0  # until then nobody expects the stream to end where we saw it
        self._present: dict[int, int] = {}
        self._progress = anyio.Event()
        self._window = PIPELINE_ROWS
        self._stall = Backoff(STALL_PAUSE_FIRST, STALL_PAUSE_MAX)

    async def run(self) -> None:
        """Ship for ever; only a bug or a broken outbox ends it, with an exception."""
        await self.link.run(self._serve)

    async def wait_settled(self) -> None:
        """Return once every row of the route that was accepted before this call is settled."""
        upto = self._outbox.stats.last_seq
        while (
            (stats := self._outbox.stats.routes.get(self.number))
            and stats.pending_rows
            and self._settled < upto
        ):
            await self._progress.wait()

    async def _serve(self, session: Session) -> None:
        self._on_limit(self.number, session.max_payload)
        try:
            while True:
                self._enter(State.PREPARING)
                try:
                    await self._prepare_and_ship(session)
                except (ApiError, StreamUnfit, NoResponders) as error:
                    await self._wait_stalled(str(error), error.hint)
                except RequestTimeout as error:
                    denied = "; ".join(session.denied.values())
                    if not denied:
                        # Stored or not, nobody knows: a new connection and a look at the stream will tell.
                        session.mark_lost(str(error))
                        raise LinkLost(f"connection to {session.url} lost: {error}") from error
                    await self._wait_stalled(denied, "grant the user this permission")
                    session.denied.clear()
        finally:
            self._enter(State.CONNECTING)

    async def _prepare_and_ship(self, session: Session) -> None:
        stream = await self._prepare(session)
        while stream is None:  # a narrow stream is made with its first event
            self._enter(State.IDLE)
            await self._rows_to_come()
            stream = await self._prepare(session)
        await self._ship(session, stream)

    async def _prepare(self, session: Session) -> Stream | None:
        """Look at the stream, make or adapt it, and find out where to go on."""
        position = await self._outbox.position(self.number)
        rows = await self._read(position.settled)
        needed = tuple(sorted({_agent_pattern(row.subject) for row in rows}))
        stream = await ensure_stream(session, self.route, Subjects(self._wide, needed, self._narrow))
        if stream is None:
            return None
        found = await reconcile(session, stream, self._outbox, self.number, _now())
        self._settled, self._stream_seq = found.position.settled, found.position.stream_seq
        self._present = found.present
        self._end = stream.last_seq
        status = self.status
        if found.repair is not None:
            self._shared_until = 0.0  # it was not somebody else who moved the end
            status.repairs += 1
            status.last_repair = found.repair
            status.lost_by_server += found.repair.lost_before
        status.stream = stream.name
        status.mode = "atomic batches" if stream.atomic else "pipeline"
        status.notes = tuple(stream.notes)
        return stream

    async def _ship(self, session: Session, stream: Stream) -> None:
        """Send rows as long as the stream is what it was; return when it has to be looked at again."""
        covered: set[str] = set()
        while True:
            rows = self._uniform(await self._rows_to_come())
            if self.status.state is State.IDLE:
                self._enter(State.SHIPPING)
            new = {row.subject for row in rows} - covered
            if not all(stream.covers(subject) for subject in new):
                return  # a new agent of a narrow stream: prepare again, with its subjects
            covered |= new
            result = await self._publish(session, stream, rows)
            if self._went_back(result):
                return
            await self._settle(rows, result)
            match result.verdict:
                case None:
                    self._stall.reset()
                    self._enter(State.SHIPPING)
                case Verdict.RETRY if result.done:
                    pass
                case Verdict.MOVED:
                    self._shared_until = anyio.current_time() + SHARED_FOR
                    return
                case Verdict.RETRY | Verdict.RECONCILE:
                    # Looked at again each time: while we wait, rows outgrow the duplicate window.
                    await anyio.sleep(self._stall.pause())
                    return
                case _:
                    await self._wait_stalled(result.reason, "")
                    return

    async def _rows_to_come(self) -> Sequence[Row]:
        """Return the next rows; wait for them where there are none."""
        while True:
            added = self._outbox.watch(self.number)
            rows = await self._read(self._settled)
            if rows:
                return rows
            self._enter(State.IDLE)
            await added.wait()

    async def _read(self, after: int) -> Sequence[Row]:
        return await self._outbox.pending(self.number, after=after, limit=BATCH_ROWS, max_bytes=BATCH_BYTES)

    def _uniform(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the longest beginning of rows that are all known to be in the stream, or all not."""
        if not self._present:
            return rows
        there = rows[0].seq in self._present
        for i, row in enumerate(rows):
            if (row.seq in self._present) != there:
                return rows[:i]
        return rows

    async def _publish(self, session: Session, stream: Stream, rows: Sequence[Row]) -> Published:
        if rows[0].seq in self._present:
            result = Published()
            for row in rows:
                result.store(self._present.pop(row.seq), repeated=True)
            return result
        after = self._end if anyio.current_time() > self._shared_until else None
        if not stream.atomic:
            return await self._pipeline(session, stream, rows, after)
        sendable = 0
        for row in rows:
            if unpublishable(row, session, stream):
                break
            sendable += 1
        if sendable < 2:
            return await publish_single(session, stream, rows[:1], after)
        result = await publish_atomic(session, stream, rows[:sendable], after)
        if result.verdict is Verdict.SPLIT:
            logger.info(
                "a batch was refused (%s): its rows go one by one", result.reason,
                extra={"action": "batch_split", "route": self.link.name, "rows": sendable},
            )  # fmt: skip
            result = await publish_single(session, stream, rows[:sendable], after)
        return result

    async def _pipeline(
        self, session: Session, stream: Stream, rows: Sequence[Row], after: int | None
    ) -> Published:
        """Send a window of rows; a round that ends early makes the next one start small."""
        result = await publish_pipelined(session, stream, rows[: self._window], after)
        self._window = 1 if result.verdict else min(self._window * 2, PIPELINE_ROWS)
        return result

    def _went_back(self, result: Published) -> bool:
        """Whether the stream gave out sequences that it had given out before."""
        fresh = [stored for stored in result.stored if not stored.repeated]
        if fresh and fresh[0].stream_seq <= self._stream_seq:
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
        )
        upto = rows[result.done - 1].seq
        await self._outbox.settle(Settlement(self.number, upto, runs, deaths))
        self._settled = upto
        self._progress.set()
        self._progress = anyio.Event()
        fresh = [stored for stored in result.stored if not stored.repeated]
        if fresh:
            self._stream_seq = self._end = fresh[-1].stream_seq + fresh[-1].count - 1
        status = self.status
        status.shipped += sum(stored.count for stored in fresh)
        status.repeated += sum(stored.count for stored in result.stored if stored.repeated)
        status.dead += len(deaths)
        status.batches += 1
        status.last_ack_at = _now()
        for death in deaths:
            logger.error(
                "an event can never be published: %s", death.reason,
                extra={
                    "action": "dead_letter", "route": self.link.name,
                    "number": death.seq, "code": death.code,
                },
            )  # fmt: skip

    async def _wait_stalled(self, reason: str, hint: str) -> None:
        if (self.status.state, self.status.reason) != (State.STALLED, reason):
            logger.warning(
                "route %s cannot ship: %s", self.link.name, reason,
                extra={"action": "route_stalled", "route": self.link.name, "hint": hint},
            )  # fmt: skip
        self._enter(State.STALLED, reason)
        await anyio.sleep(self._stall.pause())

    def _enter(self, state: State, reason: str = "") -> None:
        """Change the state that status shows."""
        status = self.status
        if state is State.PREPARING and status.state is State.STALLED:
            return  # a stalled route stays so in status until something is shipped
        if (status.state, status.reason) != (state, reason):
            status.state, status.reason, status.since = state, reason, _now()
        if state in (State.IDLE, State.SHIPPING):
            status.unready_since = None
        elif status.unready_since is None:
            status.unready_since = _now()


def _agent_pattern(subject: str) -> str:
    return subject.rpartition(".")[0] + ".>"


def _base(route: Route) -> str:
    """Return what all subjects of the route begin with."""
    return route.prefix if route.name == DEFAULT_ROUTE else agent_prefix(route.prefix, route.name)
