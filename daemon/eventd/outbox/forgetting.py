"""Events that are forgotten: their rows lose their content, their ids are refused from now on.

A row that is forgotten keeps its number, its route and its id, so that shipping, settling and repair go on as
if nothing had happened: what is published in its place is a stub, and the tombstone behind it erases that.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import OutboxError
from ..events.tombstones import stub
from .checks import FORGOTTEN, FORGOTTEN_DIGEST, NEVER_EXPIRES, TOMBSTONE, XXH3, ledger_key, row_crc
from .deadletters import DeadRecord
from .model import NewRow
from .settling import RunRecord, put_run, range_totals
from .shares import Shares
from .store import ROW_OVERHEAD, Store, now_ms
from .tail import Again, enter_again, move_id


class OutboxFull(OutboxError):
    """There is no room for a tombstone now."""


class Place(NamedTuple):
    """Where a settled row came to stand.

    Attributes:
        stream: Name and server of the stream, as `Stream.place` has them.
    """

    event_id: str
    stream: str
    seq: int


class Progress(NamedTuple):
    """What has become of tombstones, by their ids.

    Attributes:
        dead: Ids with their numbers and why they died.
        scrubbed: Whether nothing is left of what is forgotten in free pages and in the log.
    """

    waiting: list[str]
    done: list[str]
    dead: list[tuple[str, int, str]]
    scrubbed: bool


def forget(store: Store, tombstone: NewRow, ids: Sequence[str]) -> int:
    """Make events of an agent forgotten, and store the tombstone that names them; return its number.

    Raises:
        OutboxFull: There is no room for the tombstone; nothing is changed.
    """
    msg_id = f"{tombstone.agent}:{tombstone.event_id}".encode()
    subject, body = tombstone.subject.encode(), tombstone.body
    size = ROW_OVERHEAD + len(msg_id) + len(subject) + len(body)
    if Shares(store).lacking({tombstone.route: size}) is not None:
        raise OutboxFull("too much is waiting to be shipped", hint="try again when NATS takes events again")
    mark(store, tombstone.agent, ids)
    seq = store.take_seqs(1) + 1
    flags = XXH3 | NEVER_EXPIRES | TOMBSTONE
    columns = (seq, tombstone.route, len(tombstone.agent.encode()), msg_id, subject, flags, now_ms())
    store.run("append_rows", (*columns, row_crc(*columns, body), body))
    _add_id(store, tombstone.agent, tombstone.event_id, tombstone.digest, seq)
    store.count(tombstone.route, pending=(1, size))
    store.look_at_ends(tombstone.route)
    return seq


def postpone(store: Store, route: int, seq: int) -> bool:
    """Let the tombstone that is next of a route enter again at the tail, if anything else waits behind it.

    Returns:
        Whether it did.
    """
    found = store.first("row", (seq,))
    if found is None or found[1] != route or not store.value("others_after", (route, seq)):
        return False
    number, _, owner, msg_id, subject, flags, at, _, body = found
    store.mark.sync()
    store.keep_last_seq()
    row = Again(number, route, owner, msg_id, subject, flags, at, body)
    enter_again(store, row)
    store.run("delete_row", (number,))
    store.count(route, pending=(-1, -row.size))
    store.move(replace(store.route(route), settled=number))
    store.look_at_ends(route)
    return True


def mark(store: Store, agent: str, ids: Sequence[str]) -> None:
    """Make events of an agent forgotten: nothing is left of them here, and their ids are refused."""
    store.mark.sync()  # as for dead letters that are dropped
    store.keep_last_seq()
    with _overwriting(store):
        for event_id in ids:
            known = _known(store, agent, event_id)
            if known is None:
                _add_id(store, agent, event_id, FORGOTTEN_DIGEST, max(1, store.take_seqs(0)))
            elif not _is_tombstone(store, agent, event_id, known[1]):
                store.run("forget_digest", (store.agents[agent], ledger_key(event_id)))
                _scrub_row(store, agent, event_id, known[1])
                _drop_dead(store, agent, event_id, known[1])
    store.scrub(True)

    def effect() -> None:
        store.forgets += 1

    store.then(effect)


def unmarked(store: Store, agent: str, ids: Sequence[str]) -> list[str]:
    """Return those ids that `mark` would do something about."""
    return [event_id for event_id in ids if _has_content(store, agent, event_id)]


def forgotten(store: Store, agent: str, ids: Sequence[str]) -> set[str]:
    """Return those of some ids of an agent that are refused, since their events are forgotten."""
    found = ((event_id, _known(store, agent, event_id)) for event_id in ids)
    return {event_id for event_id, known in found if known is not None and known[0] == FORGOTTEN_DIGEST}


def places(store: Store, agent: str, ids: Sequence[str]) -> list[Place]:
    """Return where those events came to stand whose rows are retained."""
    found: list[Place] = []
    for event_id in ids:
        known = _known(store, agent, event_id)
        row = None if known is None else _row(store, agent, event_id, known[1])
        if row is None:
            continue
        seq, route = row[:2]
        if (run := _run_of(store, route, seq)) is None:
            continue
        before, _ = range_totals(store, route, run.first, seq - 1)
        state = store.route(route)
        found.append(Place(event_id, state.stream_created.partition(" ")[0], run.stream_seq + before))
    return found


def progress(store: Store, agent: str, tombstones: Sequence[str]) -> Progress:
    """Return what has become of tombstones of an agent, by their ids."""
    found = Progress([], [], [], not store.scrubbing)
    for event_id in tombstones:
        known = _known(store, agent, event_id)
        seq = 0 if known is None else known[1]
        row = _row(store, agent, event_id, seq)
        if (dead := _dead(store, agent, event_id, seq)) is not None:
            found.dead.append((event_id, seq, dead.reason.decode(errors="replace")))
        elif row is not None and seq > store.route(row[1]).settled:
            found.waiting.append(event_id)
        else:
            found.done.append(event_id)
    return found


@contextmanager
def _overwriting(store: Store) -> Iterator[None]:
    """Let SQLite overwrite all that it frees."""
    store.db.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        store.db.execute("PRAGMA secure_delete = FAST").fetchall()


def _msg_id(agent: str, event_id: str) -> bytes:
    return f"{agent}:{event_id}".encode()


def _known(store: Store, agent: str, event_id: str) -> tuple[int | None, int] | None:
    """Return digest and outbox number that the ledger has for an id."""
    return store.first("known_digest", (store.agents.get(agent, 0), ledger_key(event_id)))


def _add_id(store: Store, agent: str, event_id: str, digest: int, seq: int) -> None:
    store.run("put_ledger", (store.intern(agent), ledger_key(event_id), digest, seq))

    def effect() -> None:
        store.totals.ledger_ids += 1

    store.then(effect)


def _row(store: Store, agent: str, event_id: str, seq: int) -> tuple[Any, ...] | None:
    """Return the row of an event. The ledger's number can be that of another one, where this one has gone."""
    found = store.first("row", (seq,))
    return found if found is not None and found[3] == _msg_id(agent, event_id) else None


def _dead(store: Store, agent: str, event_id: str, seq: int) -> DeadRecord | None:
    """Return the dead letter of an event."""
    found = store.first("dead_letter", (seq,))
    return DeadRecord(*found[:-1]) if found is not None and found[3] == _msg_id(agent, event_id) else None


def _run_of(store: Store, route: int, seq: int) -> RunRecord | None:
    """Return the run that a row is in; None for one that waits."""
    held = store.first("run_before", (route, seq))
    run = RunRecord(*held[:-1]) if held is not None else None
    return run if run is not None and seq <= run.last else None


def _is_tombstone(store: Store, agent: str, event_id: str, seq: int) -> bool:
    row, dead = _row(store, agent, event_id, seq), _dead(store, agent, event_id, seq)
    flags = row[5] if row is not None else dead.flags if dead is not None else 0
    return bool(flags & TOMBSTONE)


def _has_content(store: Store, agent: str, event_id: str) -> bool:
    known = _known(store, agent, event_id)
    if known is None:
        return True
    digest, seq = known
    if _is_tombstone(store, agent, event_id, seq):
        return False
    row, dead = _row(store, agent, event_id, seq), _dead(store, agent, event_id, seq)
    return digest != FORGOTTEN_DIGEST or dead is not None or (row is not None and not row[5] & FORGOTTEN)


def _scrub_row(store: Store, agent: str, event_id: str, seq: int) -> None:
    """Replace the body of a row, pending or retained."""
    found = _row(store, agent, event_id, seq)
    if found is None or found[5] & FORGOTTEN:
        return
    _, route, owner, msg_id, subject, flags, at, _, old = found
    body, flags = stub(agent, event_id), flags | FORGOTTEN | XXH3
    crc = row_crc(seq, route, owner, msg_id, subject, flags, at, body)
    store.run("rewrite_row", (seq, flags, crc, body))
    more = len(body) - len(old)
    if seq > store.route(route).settled:
        store.count(route, pending=(0, more))
        return
    store.count(route, retained=(0, more))
    if (run := _run_of(store, route, seq)) is not None:
        put_run(store, run._replace(bytes=run.bytes + more))


def _drop_dead(store: Store, agent: str, event_id: str, number: int) -> None:
    """Delete the dead letter of an event."""
    if (record := _dead(store, agent, event_id, number)) is None:
        return
    move_id(store, len(agent.encode()), record.msg_id, number, store.take_seqs(0))
    store.run("delete_dead", (number,))
    store.count(record.route, dead=(-1, -record.size))
    store.dead_went(number)
