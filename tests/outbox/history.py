"""A little history of an outbox, to be damaged: everything that can be in the file is in it."""

from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path

from eventd.outbox import deadletters
from eventd.outbox.files import Files
from eventd.outbox.model import Death, Run, Settlement
from eventd.outbox.salvage import open_or_salvage
from eventd.outbox.settings import MIB, OutboxSettings, Tuning
from eventd.outbox.settling import settle
from eventd.outbox.store import Store
from eventd.outbox.upkeep import Prune
from outbox.support import SETTINGS, number_of, pending, register, row, store_rows

TUNING = Tuning(wal_max=4 * MIB)
BATCH = 50
LARGE = 9000  # bytes; a body that needs overflow pages


@dataclass
class Truth:
    """What the outbox acknowledged and what became of it, by event number.

    Attributes:
        bodies: Every event that was acknowledged.
        due: Events that are neither shipped nor dropped: they must be here or be reported as lost.
        retried: How many dead letters were retried.
    """

    bodies: dict[int, bytes] = field(default_factory=dict)
    due: set[int] = field(default_factory=set)
    retried: int = 0


def make(path: Path, *, closed: bool, routes: int = 2) -> Truth:
    """Write the history into a new outbox at `path`; end it in order, or as by kill -9.

    Event n has outbox number n + 1, but for the one that is retried. Only the first route is shipped.
    """
    truth = Truth()
    store = open_or_salvage(Files(path), SETTINGS, TUNING)
    for number in range(routes):
        register(store, f"route{number}", f"S{number}", "p")
    _accept(store, truth, 0, 400, routes)
    _ship(store, truth, upto=300, dead={6, 78, 150})
    store.settings = OutboxSettings(retain=0, min_free=0)
    while Prune().step(store):
        pass
    store.settings = SETTINGS
    with store.transaction():
        truth.retried = deadletters.retry(store, [6 + 1]).done
    with store.transaction():
        assert deadletters.drop(store, [78 + 1]).done == 1
    truth.due.discard(78)
    store.checkpoint()
    _accept(store, truth, 400, 700, routes)
    _ship(store, truth, upto=600, dead={450})
    if closed:
        store.checkpoint(truncate=True)
    store.close()
    return truth


def _accept(store: Store, truth: Truth, first: int, last: int, routes: int) -> None:
    for numbers in batched(range(first, last), 10):
        group = [
            row(
                number,
                route=number % routes + 1,
                agent=f"agent{number % 3}",
                size=LARGE if number % 37 == 0 else 60 + number % 300,
            )
            for number in numbers
        ]
        assert store_rows(store, group) == [None]
        truth.bodies |= {number_of(new.body): new.body for new in group}
        truth.due |= set(numbers)


def _ship(store: Store, truth: Truth, *, upto: int, dead: set[int]) -> None:
    """Settle the first route's events up to number `upto`, in batches; some of them die."""
    rows = [row for row in pending(store, 1) if row.seq <= upto + 1]
    for batch in batched(rows, BATCH):
        deaths = tuple(Death(row.seq, "too large", 0) for row in batch if number_of(row.body) in dead)
        gone = {death.seq for death in deaths}
        alive = [row for row in batch if row.seq not in gone]
        at = store.route(1).stream_seq + 1
        run = Run(alive[0].seq, alive[-1].seq, len(alive), at)
        with store.transaction():
            settle(store, Settlement(1, batch[-1].seq, (run,), deaths))
        truth.due -= {number_of(row.body) for row in alive}
