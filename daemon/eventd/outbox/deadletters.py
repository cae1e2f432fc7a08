"""Rows that can never be published: moved aside, listed, tried again or dropped."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from .checks import NEVER_EXPIRES, row_is_sound, seal
from .model import DeadLetter, Death
from .store import ROW_OVERHEAD, Store, now_ms
from .tail import Again, enter_again, move_id

logger = logging.getLogger(__name__)

STEP_BYTES = 1024 * 1024  # retried in one transaction, and one letter more

DAMAGED = "damaged: the row failed its checksum"
"""Reason of a dead letter whose content is not what was stored: it is counted as lost and never retried."""


class DeadRecord(NamedTuple):
    """A row of the table `dead`, without its seal."""

    number: int
    route: int
    owner: int
    msg_id: bytes
    subject: bytes
    flags: int
    at: int
    reason: bytes
    code: int
    died_at: int
    body: bytes

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return ROW_OVERHEAD + len(self.msg_id) + len(self.subject) + len(self.body)

    @property
    def damaged(self) -> bool:
        """Whether its content is known to be wrong."""
        return self.reason.startswith(DAMAGED.encode())

    @property
    def name(self) -> tuple[str, str]:
        """Agent and id."""
        agent, event_id = self.msg_id[: self.owner], self.msg_id[self.owner + 1 :]
        return agent.decode(errors="replace"), event_id.decode(errors="replace")

    def letter(self, route: str) -> DeadLetter:
        """Return it as others see it; `route` is its route's name."""
        msg_id, subject, reason = (
            text.decode(errors="replace") for text in (self.msg_id, self.subject, self.reason)
        )
        never = bool(self.flags & NEVER_EXPIRES)
        return DeadLetter(
            self.number, route, msg_id, subject, reason, self.code, self.died_at, self.body, never
        )


class Progress(NamedTuple):
    """How far a step over chosen dead letters came.

    Attributes:
        looked: How many of the chosen numbers are done with.
        done: How many of them were there and were acted on.
    """

    looked: int
    done: int


class Listing(NamedTuple):
    """Dead letters.

    Attributes:
        damaged: Numbers of those that fail their checksum and do not say so yet; to be condemned.
    """

    letters: list[DeadLetter]
    damaged: list[int]


def bury(store: Store, route: int, death: Death) -> None:
    """Move a pending row to the dead letters; nothing happens if it is not there."""
    found = store.first("row", (death.seq,))
    if found is None or found[1] != route:
        return
    seq, _, owner, msg_id, subject, flags, at, _, body = found
    reason = death.reason if row_is_sound(found) else DAMAGED
    record = DeadRecord(
        seq, route, owner, msg_id, subject, flags, at, reason.encode(), death.code, now_ms(), body
    )
    _exchange(store, record, record.size)
    if reason is DAMAGED:
        store.add_lost(seq, seq)


def bury_damaged(store: Store, route: int, seqs: Sequence[int]) -> None:
    """Move rows that fail their checksum to the dead letters and count them as lost."""
    for seq in seqs:
        values = {"seq": seq, "route": route, "overhead": ROW_OVERHEAD}
        found = store.first("row_loosely", values)
        if found is None:
            continue
        msg_id, subject, at, body, size = found
        record = DeadRecord(seq, route, 0, msg_id, subject, 0, at, DAMAGED.encode(), 0, now_ms(), body)
        _exchange(store, record, size)
        store.add_lost(seq, seq)
        logger.error(
            "row %d of the outbox is damaged and was not shipped; it is kept as a dead letter",
            seq,
            extra={"action": "row_damaged", "seq": seq, "msg_id": msg_id.decode(errors="replace")},
        )


def _exchange(store: Store, record: DeadRecord, row_size: int) -> None:
    store.keep_last_seq()
    add_record(store, record)
    store.run("delete_row", (record.number,))
    store.count(record.route, pending=(-1, -row_size), dead=(1, record.size))
    store.dead_came(record.number)
    store.look_at_ends(record.route)


def add_record(store: Store, record: DeadRecord) -> None:
    """Write a dead letter."""
    store.run("add_dead", (*record, seal("dead", *record)))


def listing(store: Store, after: int, limit: int) -> Listing:
    """Return dead letters with a number above `after`, oldest first."""
    result = Listing([], [])
    for *columns, crc in store.rows("dead_after", (after, limit)):
        record = DeadRecord(*columns)
        if crc != seal("dead", *record) and not record.damaged:
            result.damaged.append(record.number)
            record = record._replace(reason=DAMAGED.encode())
        result.letters.append(record.letter(store.route(record.route).stats.name))
    return result


def numbers(store: Store, after: int, limit: int) -> list[int]:
    """Return the numbers of dead letters above `after`, oldest first."""
    return [number for (number,) in store.rows("dead_numbers_after", (after, limit))]


def condemn(store: Store, damaged: Sequence[int]) -> None:
    """Mark dead letters that fail their checksum, and count them as lost."""
    for number in damaged:
        record, sound = _get(store, number)
        if record is not None and not sound and not record.damaged:
            marked = record._replace(reason=DAMAGED.encode())
            values = (record.number, marked.reason, seal("dead", *marked))
            store.run("rewrite_dead", values)
            store.add_lost(record.number, record.number)
            logger.error(
                "dead letter %d is damaged",
                record.number,
                extra={"action": "row_damaged", "seq": record.number},
            )


def retry(store: Store, chosen: Sequence[int]) -> Progress:
    """Let dead letters enter the outbox again at its tail, under new numbers.

    Damaged ones stay: there is nothing sound to publish.
    """
    store.mark.sync()
    looked = retried = size = 0
    for number in chosen:
        if size > STEP_BYTES:
            break
        looked += 1
        record, sound = _get(store, number)
        if record is None or not sound or record.damaged:
            continue
        size += record.size
        seq = enter_again(store, Again(*record[:7], record.body))
        store.run("delete_dead", (record.number,))
        store.count(record.route, dead=(-1, -record.size))
        store.dead_went(record.number, seq)
        store.look_at_ends(record.route)
        retried += 1
    return Progress(looked, retried)


def drop(store: Store, chosen: Sequence[int]) -> Progress:
    """Delete dead letters for good. Their ids stay known, as if they had just been accepted."""
    store.mark.sync()
    store.keep_last_seq()
    dropped = 0
    for number in chosen:
        record, _ = _get(store, number)
        if record is None:
            continue
        move_id(store, record.owner, record.msg_id, record.number, store.take_seqs(0))
        store.run("delete_dead", (record.number,))
        store.count(record.route, dead=(-1, -record.size))
        store.dead_went(record.number)
        dropped += 1
    return Progress(len(chosen), dropped)


def _get(store: Store, number: int) -> tuple[DeadRecord | None, bool]:
    """Return a dead letter and whether its seal is right."""
    if (found := store.first("dead_letter", (number,))) is None:
        return None, False
    *columns, crc = found
    record = DeadRecord(*columns)
    return record, crc == seal("dead", *record)
