"""Rows that enter the outbox once more, behind all that waits: retried dead letters, moved backlogs."""

from typing import NamedTuple

from .checks import AGAIN, ledger_key, row_crc
from .store import ROW_OVERHEAD, Store


class Again(NamedTuple):
    """A row that was here before.

    Attributes:
        number: The outbox number that it had.
        owner: Bytes of the agent's name, with which `msg_id` begins.
    """

    number: int
    route: int
    owner: int
    msg_id: bytes
    subject: bytes
    flags: int
    at: int
    body: bytes

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return ROW_OVERHEAD + len(self.msg_id) + len(self.subject) + len(self.body)


def enter_again(store: Store, row: Again) -> int:
    """Store a row at the tail, under a new number, which is returned; its id belongs to that one now.

    The caller deletes what stood under the old number, in the same transaction.
    """
    seq = store.take_seqs(1) + 1
    columns = (seq, row.route, row.owner, row.msg_id, row.subject, row.flags | AGAIN, row.at)
    store.run("append_rows", (*columns, row_crc(*columns, row.body), row.body))
    if not move_id(store, row.owner, row.msg_id, row.number, seq):
        agent, key = _name(row.owner, row.msg_id)
        store.run("put_ledger", (store.intern(agent), key, None, seq))
    store.count(row.route, pending=(1, row.size))
    return seq


def move_id(store: Store, owner: int, msg_id: bytes, number: int, seq: int) -> bool:
    """Let the ledger's entry of an id point elsewhere: so salvage knows that the old one is no more."""
    agent, key = _name(owner, msg_id)
    store.run("move_ledger", (store.agents.get(agent, 0), key, number, seq))
    return store.db.changes() > 0


def _name(owner: int, msg_id: bytes) -> tuple[str, bytes]:
    agent, event_id = msg_id[:owner], msg_id[owner + 1 :]
    return agent.decode(errors="replace"), ledger_key(event_id.decode(errors="replace"))
