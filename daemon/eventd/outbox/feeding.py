"""What the index asks for: accepted rows in their order, and where they came to stand in the stream."""

from dataclasses import dataclass
from typing import NamedTuple

from .checks import AGAIN, FORGOTTEN
from .model import Run
from .settling import RunRecord, checked_row
from .store import Store


class Accepted(NamedTuple):
    """A row as the index takes it.

    Attributes:
        seq: Outbox number.
        route: Number of its route.
        accepted_at: Unix milliseconds.
        again: Whether it was here before under another number: a retried dead letter, a moved row.
    """

    seq: int
    route: int
    agent: str
    event_id: str
    subject: str
    accepted_at: int
    body: bytes
    again: bool = False


class Feed(NamedTuple):
    """A piece of what was accepted.

    Attributes:
        rows: In accept order. Rows that fail their checksum are left out: shipping buries them. So are rows
            that are forgotten.
        upto: Every row up to this outbox number is in here, or in an earlier piece, or gone.
        last: The newest outbox number there is.
    """

    rows: list[Accepted]
    upto: int
    last: int


@dataclass(frozen=True, slots=True)
class Settled:
    """How far a route has come, and where its rows are.

    Attributes:
        watermark: Outbox number up to which rows are settled.
        stream_seq: Greatest stream sequence among them.
        created: Creation time of the stream, as JetStream tells it; "" when it was never seen.
        rewinds: How often the watermark was moved back.
        runs: Those that reach above what was asked for, oldest first.
        partial: Of these the ones with rows that are forgotten, which `accepted` does not tell of. Where the
            others stand cannot be counted out then.
    """

    watermark: int
    stream_seq: int
    created: str
    rewinds: int
    runs: list[Run]
    partial: frozenset[Run] = frozenset()


def accepted(store: Store, after: int, limit: int, max_bytes: int) -> Feed:
    """Read rows above `after`, of all routes: at least one if there is a sound one."""
    rows: list[Accepted] = []
    upto, room = after, max_bytes
    records = store.rows("accepted_after", (after, limit))
    for record in records:
        row = checked_row(record)
        if row is None or record[5] & FORGOTTEN:
            upto = record[0]
            continue
        room -= len(row.body)
        if room < 0 and rows:
            return Feed(rows, upto, store.last_seq)
        upto = row.seq
        name = record[3]
        agent, event_id = name[: record[2]].decode(), name[record[2] + 1 :].decode()
        again = bool(record[5] & AGAIN)
        rows.append(
            Accepted(row.seq, record[1], agent, event_id, row.subject, row.accepted_at, row.body, again)
        )
    if len(records) < limit:
        upto = store.last_seq  # there is nothing in between, and nothing behind
    return Feed(rows, upto, store.last_seq)


def settled(store: Store, route: int, after: int) -> Settled:
    """Return how far a route has come, and its retained runs with rows above `after`."""
    state = store.route(route)
    records = [RunRecord(*values) for *values, _ in store.rows("runs_reaching", (route, after))]
    runs = [Run(run.first, run.last, run.rows, run.stream_seq) for run in records if run.settled_at]
    return Settled(
        watermark=state.settled,
        stream_seq=state.stream_seq,
        created=state.stream_created.rpartition(" ")[2],
        rewinds=state.rewinds,
        runs=runs,
        partial=frozenset(run for run in runs if store.value("forgotten_in", (route, run.first, run.last))),
    )
