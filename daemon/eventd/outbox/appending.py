"""Storing new events: the hot path, and the careful one for events that were seen before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched, chain
from typing import Any, NamedTuple

import apsw

from .checks import NEVER_EXPIRES, XXH3, ledger_key, ledger_keys, row_crc_part, row_crc_with
from .model import NEARLY_FULL, NewRow, Refusal, Submission
from .shares import Shares, share_of
from .store import MARK_EVERY, ROW_OVERHEAD, Store

ASKED_AT_ONCE = 500  # ids that one statement asks for


@dataclass(slots=True)
class _Batch:
    """Rows made ready for SQLite: flat lists of values, because they are bound to multi-row statements."""

    ledger: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    count: int = 0
    by_route: dict[int, list[int]] = field(default_factory=dict)  # route -> [rows, bytes]

    @property
    def sizes(self) -> dict[int, int]:
        """Bytes by route."""
        return {route: size for route, (_, size) in self.by_route.items()}


class _Kind(NamedTuple):
    """What the rows of one agent and route have in common.

    Attributes:
        number: The agent's, in the ledger.
        owner: What the message ids begin with, the colon included.
        crc_part: See `row_crc_part`.
        total: The route's [rows, bytes] in the batch.
    """

    number: int
    owner: bytes
    flags: int
    crc_part: bytes
    total: list[int]


def append(store: Store, submissions: Sequence[Submission], at: int) -> None:
    """Store submissions, each all or none; must come first in its transaction.

    A refused submission has its `refusal` set. For a row whose id is known with the same content
    nothing is done: it is stored already.

    Args:
        at: Accept time, Unix ms.
    """
    for submission in submissions:
        if submission.rows:
            submission.refusal = None
    before = store.take_seqs(0)
    batch = _encode(store, list(chain.from_iterable([s.rows for s in submissions])), at)
    if Shares(store).lacking(batch.sizes) is None:
        try:
            _insert(store, batch, at)
        except apsw.ConstraintError:  # some id is known
            store.rollback()
            store.begin()
        else:
            return
    store.give_back_seqs(before)
    _append_one_by_one(store, submissions, at)


def refuse(store: Store, submissions: Iterable[Submission], refusal: Refusal) -> None:
    """Refuse every submission that has rows."""
    with store.lock:
        for submission in submissions:
            if submission.rows:
                submission.refusal = refusal
                _count_refusal(store, refusal)


def known(store: Store, agent: str, event_ids: Sequence[str]) -> set[str]:
    """Return those of some ids of an agent that the ledger has: what has one of them is not stored again."""
    if (number := store.agents.get(agent)) is None:
        return set()
    by_key = dict(zip(ledger_keys(event_ids), event_ids, strict=True))
    found: set[str] = set()
    for keys in batched(by_key, ASKED_AT_ONCE):
        sql = f"SELECT key FROM ledger WHERE agent = ? AND key IN ({', '.join('?' * len(keys))})"  # noqa: S608
        found.update(by_key[key] for (key,) in store.db.execute(sql, (number, *keys)))
    return found


def _append_one_by_one(store: Store, submissions: Sequence[Submission], at: int) -> None:
    """Decide about each submission by itself; then store what is left in one go.

    So a route that is refused over and over costs the others in the group a look-up for each row, no more.
    """
    shares = Shares(store)
    accepted: list[NewRow] = []
    digests: dict[tuple[str, str], int] = {}  # of what was accepted
    for submission in submissions:
        if not submission.rows:
            continue
        fresh, refusal = _sort_out(store, submission.rows, digests)
        if refusal is None:
            sizes = _sizes(fresh)
            if (route := shares.lacking(sizes)) is not None:
                refusal = _no_room(store, route)
            else:
                shares.add(sizes)
                accepted += fresh
                digests.update(((row.agent, row.event_id), row.digest) for row in fresh)
                _then_count_repeats(store, len(submission.rows) - len(fresh))
        if refusal is not None:
            submission.refusal = refusal
            _then_count_refusal(store, refusal)
    _insert(store, _encode(store, accepted, at), at)


def _no_room(store: Store, route: int) -> Refusal:
    stats, share = store.route(route).stats, share_of(store, route)
    if share == store.settings.max_bytes:
        return Refusal("outbox_full", "too much is waiting to be shipped", route=route)
    return Refusal(
        "outbox_full",
        f"too much is waiting to be shipped to stream {stats.stream}: {stats.held_bytes} bytes, "
        f"of the {share} that the other routes leave to it",
        hint="let this route's server take events again, or raise `outbox.maxBytes`; see `eventd status`",
        route=route,
    )


def _sizes(rows: Iterable[NewRow]) -> dict[int, int]:
    """Return what rows will count for, in bytes by route."""
    sizes: dict[int, int] = {}
    for row in rows:
        texts = len(row.agent.encode()) + len(":") + len(row.event_id.encode()) + len(row.subject.encode())
        sizes[row.route] = sizes.get(row.route, 0) + ROW_OVERHEAD + texts + len(row.body)
    return sizes


def _sort_out(
    store: Store, rows: Iterable[NewRow], digests: Mapping[tuple[str, str], int]
) -> tuple[list[NewRow], Refusal | None]:
    """Return the rows that are new, and why the submission is refused if it must be.

    Args:
        digests: Those of rows that are about to be stored, by agent and id.
    """
    fresh: list[NewRow] = []
    here: dict[tuple[str, str], int | None] = {}  # ids of this very submission
    for index, row in enumerate(rows):
        digest = row.digest
        name = (row.agent, row.event_id)
        if name not in here:
            known = (digests[name],) if name in digests else _known(store, row)
            if known is None:
                fresh.append(row)
            here[name] = digest if known is None else known[0]
        if here[name] is not None and here[name] != digest:
            message = f"agent {row.agent!r} has used the id {row.event_id!r} for another event"
            return [], Refusal("id_conflict", message, index)
    return fresh, None


def _known(store: Store, row: NewRow) -> tuple[int | None] | None:
    """Return (digest,) of an id that the ledger knows; the digest is None where it was lost to damage."""
    if (agent := store.agents.get(row.agent)) is None:
        return None
    found = store.first("known_digest", (agent, ledger_key(row.event_id)))
    return None if found is None else (found[0],)


def _encode(store: Store, rows: Sequence[NewRow], at: int) -> _Batch:
    """Make rows ready to insert and give out their numbers. Every microsecond here is one per event."""
    batch = _Batch()
    add_ledger, add_row = batch.ledger.extend, batch.rows.extend
    kinds: dict[tuple[int, str, bool], _Kind] = {}
    route, agent, never_expires = -1, "", False  # of the row before: most often the same
    first = seq = store.take_seqs(0)
    for row, key in zip(rows, ledger_keys([row.event_id for row in rows]), strict=True):
        seq += 1
        if row.agent != agent or row.route != route or row.never_expires is not never_expires:
            route, agent, never_expires = name = (row.route, row.agent, row.never_expires)
            if (kind := kinds.get(name)) is None:
                kind = kinds[name] = _kind(store, batch, *name, at)
            number, owner, flags, crc_part, total = kind
            owner_size = len(owner) - 1
        msg_id = owner + row.event_id.encode()
        subject = row.subject.encode()
        body = row.body
        crc = row_crc_with(crc_part, seq, msg_id, subject, body)
        add_ledger((number, key, row.digest, seq))
        add_row((seq, route, owner_size, msg_id, subject, flags, at, crc, body))
        total[0] += 1
        total[1] += ROW_OVERHEAD + len(msg_id) + len(subject) + len(body)
    batch.count = seq - first
    store.take_seqs(batch.count)
    return batch


def _kind(store: Store, batch: _Batch, route: int, agent: str, never_expires: bool, at: int) -> _Kind:
    number = store.agents.get(agent) or store.intern(agent)
    owner = agent.encode()
    flags = XXH3 | NEVER_EXPIRES if never_expires else XXH3
    crc_part = row_crc_part(route, len(owner), flags, at)
    total = batch.by_route.setdefault(route, [0, 0])
    return _Kind(number, owner + b":", flags, crc_part, total)


def _insert(store: Store, batch: _Batch, at: int) -> None:
    if not batch.count:
        return
    store.insert_many("append_ledger", 4, batch.ledger)
    store.insert_many("append_rows", 9, batch.rows)
    if due := store.mark_is_due(at):
        store.run("add_mark", (at, store.last_seq))
    for route, (rows, size) in batch.by_route.items():
        store.count(route, pending=(rows, size))

    def effect() -> None:
        store.totals.accepted += batch.count
        store.accepting.count(batch.count)
        store.totals.ledger_ids += batch.count
        if due:
            store.next_mark = at + MARK_EVERY
        for route in batch.by_route:
            stats = store.route(route).stats
            if stats.oldest_pending_at is None:
                stats.oldest_pending_at = at
            if stats.held_bytes < share_of(store, route) * NEARLY_FULL:
                stats.refused = False

    store.then(effect)


def _then_count_repeats(store: Store, repeats: int) -> None:
    def effect() -> None:
        store.totals.repeated += repeats

    if repeats:
        store.then(effect)


def _then_count_refusal(store: Store, refusal: Refusal) -> None:
    store.then(lambda: _count_refusal(store, refusal))


def _count_refusal(store: Store, refusal: Refusal) -> None:
    refused = store.totals.refused
    refused[refusal.code] = refused.get(refusal.code, 0) + 1
    if refusal.route is not None:
        store.route(refusal.route).stats.refused = True
