"""Moves the backlog of a route to others: for rows that cannot go where they were accepted for."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from .settling import checked_row
from .store import Store
from .tail import Again, enter_again

STEP_ROWS = 500  # rows moved in one transaction
STEP_BYTES = 1024 * 1024  # bytes of them, and one row more


class Target(NamedTuple):
    """Where a row is to go.

    Attributes:
        route: Number of the route.
        subject: The row's subject there.
    """

    route: int
    subject: str


Choose = Callable[[str, str], Target]
"""Tells, of the agent and the subject of a row, where it is to go now."""


class Step(NamedTuple):
    """What was done in a transaction.

    Attributes:
        moved: How many rows were.
        damaged: Number of the row that fails its checksum and is next; it has to be buried.
    """

    moved: int
    damaged: int | None = None


def reroute(store: Store, route: int, choose: Choose) -> Step:
    """Let the first pending rows of a route enter again at the tail, under new numbers, for other routes."""
    store.mark.sync()
    store.keep_last_seq()
    state = store.route(route)
    moved = size = 0
    damaged: int | None = None
    for record in list(store.rows("rows_after", (route, state.settled, STEP_ROWS))):
        if size > STEP_BYTES:
            break
        if checked_row(record) is None:
            damaged = record[0]
            break
        number, _, owner, msg_id, subject, flags, at, _, body = record
        old = Again(number, route, owner, msg_id, subject, flags, at, body)
        target = choose(msg_id[:owner].decode(), subject.decode())
        enter_again(store, old._replace(route=target.route, subject=target.subject.encode()))
        store.run("delete_row", (number,))
        store.count(route, pending=(-1, -old.size))
        state = replace(state, settled=number)
        moved, size = moved + 1, size + old.size
    if moved:
        store.move(state)
        store.look_at_ends(route)
    return Step(moved, damaged)
