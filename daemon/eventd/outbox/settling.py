"""What the shipper asks for: pending rows, and what has become of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import OutboxError
from .checks import NEVER_EXPIRES, TOMBSTONE, ledger_key, row_is_sound, seal
from .connection import DamagedOutbox
from .deadletters import bury
from .model import Position, Row, Run, RunGone, Settlement
from .store import ROW_OVERHEAD, Store, now_ms

RUN_ROWS = 1000  # rows; runs are merged up to this, because they are pruned as a whole


class RunRecord(NamedTuple):
    """A row of the table `runs`, without its seal."""

    route: int
    first: int
    last: int
    rows: int
    stream_seq: int
    settled_at: int
    bytes: int


class Reading(NamedTuple):
    """Pending rows.

    Attributes:
        damaged: Numbers of rows among them that fail their checksum; to be buried.
    """

    rows: list[Row]
    damaged: list[int]


def position(store: Store, route: int) -> Position:
    """Return how far a route has come."""
    state = store.route(route)
    return Position(state.settled, state.stream_seq, state.stream_created)


def pending(store: Store, route: int, after: int, limit: int, max_bytes: int) -> Reading:
    """Read pending rows above `after`, in accept order: at least one if there is a sound one."""
    after = max(after, store.route(route).settled)
    reading = Reading([], [])
    room = max_bytes
    for record in store.rows("rows_after", (route, after, limit)):
        row = checked_row(record)
        if row is None:
            reading.damaged.append(record[0])
            continue
        room -= len(row.body)
        if room < 0 and reading.rows:
            break
        reading.rows.append(row)
    return reading


def first_pending(store: Store, route: int, agent: str | None, after: int) -> int | None:
    """Return the oldest pending row above `after`; of an agent, or of all for None."""
    after = max(after, store.route(route).settled)
    prefix = b"" if agent is None else f"{agent}:".encode()
    found = store.first("first_row_of", {"route": route, "after": after, "prefix": prefix})
    return None if found is None else int(found[0])


def pending_agents(store: Store, route: int) -> dict[str, int]:
    """Return the agents that have pending rows, with the newest of each."""
    found = store.rows("newest_by_agent", (route, store.route(route).settled))
    return {agent.decode(errors="replace"): newest for agent, newest in found}


def checked_row(record: tuple[Any, ...]) -> Row | None:
    """Make a record of the table `rows` a row; None if it fails its checksum."""
    seq, _, _, msg_id, subject, flags, at, _, body = record
    try:
        if not row_is_sound(record):
            return None
    except TypeError as error:  # a damaged record can hold other types than were stored
        raise DamagedOutbox(f"row {seq} is not a row any more") from error
    never_expires, tombstone = bool(flags & NEVER_EXPIRES), bool(flags & TOMBSTONE)
    return Row(seq, msg_id.decode(), subject.decode(), never_expires, at, body, tombstone)


def settle(store: Store, settlement: Settlement) -> None:
    """Move the watermark; keep the stored rows as runs and move the dead ones away.

    Rows that are neither in a run nor dead are stored at an unknown place: they cannot serve a repair and go.

    Raises:
        OutboxError: It does not fit the rows that are there; nothing is changed.
    """
    route, upto = settlement.route, settlement.upto
    state = store.route(route)
    if not state.settled <= upto <= store.take_seqs(0):
        raise OutboxError(f"route {route} cannot be settled up to {upto}: it is at {state.settled}")
    for death in settlement.deaths:
        if not state.settled < death.seq <= upto:
            raise OutboxError(f"dead row {death.seq} is outside of what is settled")
        bury(store, route, death)
    rows, size = range_totals(store, route, state.settled + 1, upto)
    done, stream_seq = state.settled, state.stream_seq
    kept = kept_bytes = 0
    for run in settlement.runs:
        count, run_bytes = range_totals(store, route, run.first, run.last)
        if not done < run.first <= run.last <= upto or count != run.count or not count:
            raise OutboxError(f"{run} does not fit: {count} rows of route {route} are there")
        store.run("delete_range", (route, done + 1, run.first - 1))
        _add_run(store, route, run, run_bytes)
        # A row that was found in the stream can stand before others that were settled earlier.
        done, stream_seq = run.last, max(stream_seq, run.stream_seq + run.count - 1)
        kept, kept_bytes = kept + count, kept_bytes + run_bytes
    store.run("delete_range", (route, done + 1, upto))
    if kept < rows:
        store.keep_last_seq()
    store.count(route, pending=(-rows, -size), retained=(kept, kept_bytes))
    store.move(replace(state, settled=upto, stream_seq=stream_seq))
    store.look_at_ends(route)


def _add_run(store: Store, route: int, run: Run, size: int) -> None:
    """Keep a run, as part of the one before it where the stream goes on without a gap."""
    record = RunRecord(route, run.first, run.last, run.count, run.stream_seq, now_ms(), size)
    newest = store.first("newest_run", (route,))
    if newest is not None:
        before = RunRecord(*newest[:-1])
        together = before.rows + run.count
        goes_on = before.settled_at and before.stream_seq + before.rows == run.stream_seq
        if goes_on and together <= RUN_ROWS:
            record = record._replace(
                first=before.first, rows=together, stream_seq=before.stream_seq, bytes=before.bytes + size
            )
    put_run(store, record)


def put_run(store: Store, record: RunRecord) -> None:
    """Write a run; it replaces the one with the same first row."""
    store.run("put_run", (*record, seal("runs", *record)))


def rewind(store: Store, route: int, to: int, stream_seq: int) -> int:
    """Move the watermark back: what is above it is pending again. Return how many rows that are.

    Args:
        stream_seq: Where the newest row that stays settled is in the stream.

    Raises:
        OutboxError: `to` is not below the watermark.
    """
    state = store.route(route)
    if to > state.settled:
        raise OutboxError(f"route {route} cannot be rewound to {to}: it is at {state.settled}")
    for *values, _ in store.rows("runs_reaching", (route, to)):
        run = RunRecord(*values)
        count, size = range_totals(store, route, run.first, to)
        if count:
            put_run(store, run._replace(last=to, rows=count, bytes=size))
        else:
            store.run("delete_run", (route, run.first))
    rows, size = range_totals(store, route, to + 1, state.settled)
    store.count(route, pending=(rows, size), retained=(-rows, -size))
    store.move(replace(state, settled=to, stream_seq=stream_seq, rewinds=state.rewinds + 1))
    store.look_at_ends(route)
    return rows


def range_totals(store: Store, route: int, first: int, last: int) -> tuple[int, int]:
    """Return number and bytes of a route's rows from `first` to `last`."""
    values = {"route": route, "first": first, "last": last, "overhead": ROW_OVERHEAD}
    rows, size = store.rows("range_totals", values)[0]
    return rows, size


def runs(store: Store, route: int) -> list[Run]:
    """Return the retained runs of a route that can be repaired, oldest first."""
    records = (RunRecord(*values) for *values, _ in store.rows("runs_of", (route,)))
    return [Run(run.first, run.last, run.rows, run.stream_seq) for run in records if run.settled_at]


def leave_stream(store: Store, route: int) -> None:
    """Let go of what is settled: the route goes to another stream, where these rows are not repaired.

    They are pruned next, being as old as can be.
    """
    for *values, _ in store.rows("runs_of", (route,)):
        put_run(store, RunRecord(*values)._replace(settled_at=0))
    store.move(replace(store.route(route), stream_seq=0, stream_created=""))


def row_in_run(store: Store, route: int, run: Run, offset: int) -> tuple[int, str]:
    """Return outbox number and `Nats-Msg-Id` of the offset-th row of a run, from 0.

    Raises:
        RunGone: The run is not there any more.
    """
    values = (route, run.first, run.last, offset)
    found = store.first("row_in_range", values)
    if found is None:
        raise RunGone(f"{run} of route {route} has no row {offset}")
    return found[0], found[1].decode(errors="replace")


def find(store: Store, route: int, msg_ids: Sequence[str]) -> dict[str, int]:
    """Return the outbox number of each `Nats-Msg-Id` that is a row of the route, pending or retained."""
    found = {}
    for msg_id in msg_ids:
        for agent, event_id in _readings(msg_id):
            if (number := store.agents.get(agent)) is None:
                continue
            known = store.first("known_digest", (number, ledger_key(event_id)))
            if known and store.first("row_called", (known[1], route, msg_id.encode())):
                found[msg_id] = known[1]
    return found


def _readings(msg_id: str) -> list[tuple[str, str]]:
    """Return every way to read `agent:id`: both may contain colons themselves."""
    return [(msg_id[:at], msg_id[at + 1 :]) for at, char in enumerate(msg_id) if char == ":"]
