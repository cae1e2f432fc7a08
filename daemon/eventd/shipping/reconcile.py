"""What to believe after a (re)connect: does the stream still hold what we settled, and what more?

**Rollback.** A publish ack is no proof of disk: a broker may come back without its last acknowledged writes
(Jepsen, NATS 2.12.1; fsync every 2 minutes by default). The stream shows it: its last sequence is below ours,
another message stands at our sequence, or the stream was created anew. Then the newest retained row that
the stream still holds becomes the watermark, and the normal shipper goes on from there. A message that is
missing while the stream went on beyond it was deleted (age, purge, forget) and is never brought back.
Nor is a leader believed that was cut off from the other replicas: what it lacks, the new leader has.

**Maybe sent.** Rows whose publish was not answered, rows from before a restart, and rows that a repair opened
again may be in the stream without our knowing. They are looked up before anything is sent: the duplicate
window of the server is too short to lean on, and our clock may have been set meanwhile.
"""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..jetstream.publishing import BATCH_BYTES, BATCH_ROWS
from ..jetstream.reading import Message, get_message, open_reader
from ..jetstream.session import Session
from ..jetstream.stream import Stream
from ..outbox.model import Position, Row, Run, RunGone
from ..outbox.outbox import Outbox

logger = logging.getLogger(__name__)

CLOCK_SLACK = 600_000  # ms that the server's clock may be behind ours when we look by time
MAX_FILTERS = 32  # subjects in one consumer filter; more are filtered here
FILTERS_SINCE = (2, 10, 0)  # nats-server that takes several filter subjects


def now_ms() -> int:
    """Return the time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Repair:
    """A rollback that was found and is being repaired.

    Attributes:
        reason: What gave it away.
        reopened: Rows that are shipped again.
        upto: The watermark before.
        lost_before: Messages that may be missing from before the oldest retained row, beyond repair.
    """

    reason: str
    reopened: int
    upto: int
    lost_before: int


@dataclass(slots=True)
class Reconciled:
    """The starting point for shipping.

    Attributes:
        position: Watermark and last sequence.
        present: Pending rows that the stream holds already: outbox number to stream sequence.
        repair: Set when a rollback was found.
    """

    position: Position
    present: dict[int, int]
    repair: Repair | None = None


async def reconcile(
    session: Session,
    stream: Stream,
    outbox: Outbox,
    route: int,
    doubt: int,
    on_repair: Callable[[Repair], None] = lambda _repair: None,
) -> Reconciled:
    """Compare a stream with what the outbox knows of it; set the watermark back where that is needed.

    Args:
        session: A live connection.
        stream: The stream as it is now.
        outbox: Holds the route's position and rows.
        route: Number of the route.
        doubt: Pending rows up to this outbox number may have been sent.
        on_repair: Told of a repair once the watermark is set back: it will not be found again, whatever
            becomes of the rest.

    Raises:
        NoQuorum: The stream seems to have gone back, but may only be an old copy.
    """
    position = await outbox.position(route)
    known = position.stream_created
    if known and known.partition(" ")[0] != stream.place:
        # The route goes to another stream now. What was settled stays where it is.
        await outbox.leave_stream(route)
        known = ""
    recreated = bool(known) and known != stream.identity
    repair = None
    if known:
        repair = await _repair(session, stream, outbox, route, position)
        if repair is not None:
            doubt = max(doubt, repair.upto)
            on_repair(repair)
    if known != stream.identity:
        await outbox.note_stream(route, stream.identity)
    position = await outbox.position(route)
    present: dict[int, int] = {}
    if doubt > position.settled:
        present = await _present(session, stream, outbox, route, position, doubt, whole=recreated)
    return Reconciled(position, present, repair)


async def reopen(outbox: Outbox, route: int, on_repair: Callable[[Repair], None]) -> bool:
    """Open again all that is retained, when the stream is gone; return whether there was anything."""
    runs = await outbox.runs(route)
    if not runs:
        return False
    position = await outbox.position(route)
    reopened = await outbox.rewind(route, to=runs[0].first - 1, stream_seq=0)
    await outbox.note_stream(route, "")  # the next one is new, and known to be
    lost = min(run.stream_seq for run in runs) - 1
    on_repair(Repair("the stream is gone", reopened, position.settled, lost))
    logger.warning(
        "the stream of a route is gone: shipping %d again", reopened,
        extra={"action": "rollback_repaired", "reason": "gone", "reopened": reopened, "lost_before": lost},
    )  # fmt: skip
    return True


async def find_in(session: Session, stream: Stream, rows: Sequence[Row]) -> set[str]:
    """Return the ids of those rows that another stream than the route's own holds."""
    accepted = min(row.accepted_at for row in rows)
    start = accepted - CLOCK_SLACK if accepted < now_ms() else None
    missing = {row.msg_id for row in rows}
    subjects = {row.subject for row in rows}
    few = len(subjects) <= (MAX_FILTERS if session.server_version >= FILTERS_SINCE else 1)
    found: set[str] = set()
    async with open_reader(
        session,
        stream.name,
        start_time=start,
        subjects=sorted(subjects) if few else (),
        headers_only=True,
    ) as reader:
        while missing and (page := await reader.page()):
            here = missing & {message.msg_id for message in page}
            found |= here
            missing -= here
    return found


async def _repair(
    session: Session, stream: Stream, outbox: Outbox, route: int, position: Position
) -> Repair | None:
    while True:
        try:
            return await _repair_by(session, stream, outbox, route, position, await outbox.runs(route))
        except RunGone:
            continue  # it was let go of while we looked at the stream; what is left tells as well


async def _repair_by(
    session: Session, stream: Stream, outbox: Outbox, route: int, position: Position, runs: Sequence[Run]
) -> Repair | None:
    recreated = position.stream_created != stream.identity
    reason = await _rollback(session, stream, outbox, route, position, runs)
    if not reason:
        return None
    stream.replicas.confirm(stream.name)
    to, stream_seq, lost = await _newest_held(session, stream, outbox, route, runs, position, recreated)
    reopened = await outbox.rewind(route, to=to, stream_seq=stream_seq)
    logger.warning(
        "stream %s lost acknowledged events (%s): shipping %d again", stream.name, reason, reopened,
        extra={
            "action": "rollback_repaired", "stream": stream.name, "reason": reason,
            "reopened": reopened, "lost_before": lost,
        },
    )  # fmt: skip
    return Repair(reason, reopened, position.settled, lost)


async def _rollback(
    session: Session, stream: Stream, outbox: Outbox, route: int, position: Position, runs: Sequence[Run]
) -> str:
    """Return how the stream shows that it went back, or ""."""
    if position.stream_created != stream.identity:
        return "the stream was created anew"
    if stream.last_seq < position.stream_seq:
        return f"its last sequence is {stream.last_seq}, {position.stream_seq} was acknowledged"
    if runs:
        newest = max(runs, key=lambda run: run.stream_seq)
        _, msg_id = await outbox.row_in_run(route, newest, newest.count - 1)
        sequence = newest.stream_seq + newest.count - 1
        message = await get_message(session, stream.name, sequence)
        if message is not None and message.msg_id != msg_id:
            return f"another message stands at sequence {sequence}"
    return ""


async def _newest_held(
    session: Session,
    stream: Stream,
    outbox: Outbox,
    route: int,
    runs: Sequence[Run],
    position: Position,
    recreated: bool,
) -> tuple[int, int, int]:
    """Return the newest retained row that the stream holds, its sequence, and how many were lost before.

    A restored stream is an older copy of itself, so what it holds is a prefix: a binary search finds its
    end with one look per step. Runs that were found in the stream, rather than sent in order, can stand
    anywhere in it; with such ones about every run is looked at.
    """

    async def held(run: Run, offset: int) -> bool:
        sequence = run.stream_seq + offset
        if sequence > stream.last_seq:
            return False
        message = await get_message(session, stream.name, sequence)
        if message is None:  # deleted after it was stored; in a stream made anew nothing of ours ever was
            return not recreated
        _, msg_id = await outbox.row_in_run(route, run, offset)
        return message.msg_id == msg_id

    low, high = 0, len(runs)  # runs before `low` are held whole, runs from `high` on are not
    in_order = all(one.stream_seq < next_.stream_seq for one, next_ in itertools.pairwise(runs))
    while not in_order and low < high and await held(runs[low], runs[low].count - 1):
        low += 1
    while in_order and low < high:
        middle = (low + high) // 2
        if await held(runs[middle], runs[middle].count - 1):
            low = middle + 1
        else:
            high = middle
    if low < len(runs):
        run = runs[low]
        first, last = 0, run.count - 1  # the same within the run that is held in part; its last row is not
        while first < last:
            middle = (first + last) // 2
            if await held(run, middle):
                first = middle + 1
            else:
                last = middle
        if first:
            seq, _ = await outbox.row_in_run(route, run, first - 1)
            return seq, _before(runs[low + 1 :], run.stream_seq + first - 1), 0
    if low:
        run = runs[low - 1]
        return run.last, _before(runs[low:], run.stream_seq + run.count - 1), 0
    if not runs:
        lost = position.stream_seq - stream.last_seq if not recreated else position.stream_seq
        return position.settled, 0 if recreated else stream.last_seq, max(0, lost)
    begin = min(run.stream_seq for run in runs) - 1
    if recreated:
        return runs[0].first - 1, 0, begin
    return runs[0].first - 1, min(begin, stream.last_seq), max(0, begin - stream.last_seq)


def _before(reopened: Sequence[Run], sequence: int) -> int:
    """Return the sequence behind which all reopened rows were: that of the newest held row, or less."""
    return min([sequence, *(run.stream_seq - 1 for run in reopened)])


async def _present(
    session: Session,
    stream: Stream,
    outbox: Outbox,
    route: int,
    position: Position,
    doubt: int,
    *,
    whole: bool,
) -> dict[int, int]:
    """Return which pending rows up to `doubt` the stream already holds, by reading headers only.

    Args:
        whole: Read the stream from its beginning: it is a new one, our sequences mean nothing in it.
    """
    rows = await outbox.pending(route, after=position.settled, limit=BATCH_ROWS + 1, max_bytes=BATCH_BYTES)
    doubtful = [row for row in rows if row.seq <= doubt]
    if not doubtful:
        return {}
    start_seq, start_time = position.stream_seq + 1, None
    if not position.stream_seq and not whole and doubtful[0].accepted_at < now_ms():
        start_time = doubtful[0].accepted_at - CLOCK_SLACK  # nothing is stored before it was accepted
    if start_seq > stream.last_seq:
        return {}
    # With all doubtful rows at hand the server can filter, and we can stop at the last one found.
    complete = len(doubtful) < len(rows) or len(await _after(outbox, route, rows[-1])) == 0
    missing = {row.msg_id for row in doubtful} if complete else None
    subjects = {row.subject for row in doubtful} if complete else set()
    few = len(subjects) <= (MAX_FILTERS if session.server_version >= FILTERS_SINCE else 1)
    present: dict[int, int] = {}
    async with open_reader(
        session,
        stream.name,
        start_seq=None if start_time else start_seq,
        start_time=start_time,
        subjects=sorted(subjects) if few else (),
        headers_only=True,
    ) as reader:
        while page := await reader.page():
            present |= await _ours(outbox, route, position, page)
            if missing is not None:
                missing -= {message.msg_id for message in page}
                if not missing:
                    break
    if present:
        logger.info(
            "%d rows were in stream %s already", len(present), stream.name,
            extra={"action": "rows_found_in_stream", "stream": stream.name, "rows": len(present)},
        )  # fmt: skip
    return present


async def _after(outbox: Outbox, route: int, row: Row) -> Sequence[Row]:
    return await outbox.pending(route, after=row.seq, limit=1, max_bytes=1)


async def _ours(outbox: Outbox, route: int, position: Position, page: Sequence[Message]) -> dict[int, int]:
    by_id = {message.msg_id: message.seq for message in page if message.msg_id}
    rows = await outbox.find(route, list(by_id))
    return {seq: by_id[msg_id] for msg_id, seq in rows.items() if seq > position.settled}
