"""The store against a small model of it: whatever the order of calls, both hold the same."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventd.outbox import deadletters, settling
from eventd.outbox.appending import append
from eventd.outbox.files import Files
from eventd.outbox.model import Death, NewRow, Run, Settlement, Submission
from eventd.outbox.salvage import open_or_salvage
from eventd.outbox.settings import OutboxSettings
from eventd.outbox.shares import ALPHA
from eventd.outbox.store import ROW_OVERHEAD, Store, now_ms
from eventd.outbox.upkeep import Prune
from outbox.support import ALL, TUNING, number_of, pending, register, row

EXAMPLES = 400 if os.environ.get("EVENTD_FAULTS") == "full" else 30
ROUTES = (1, 2)
LIMITS = OutboxSettings(max_bytes=6000, min_free=0)  # about thirty rows


def size(new: NewRow) -> int:
    return ROW_OVERHEAD + len(f"{new.agent}:{new.event_id}") + len(new.subject) + len(new.body)


class Model:
    """What the outbox is meant to be: lists of (seq, row) by route."""

    def __init__(self) -> None:
        self.last_seq = 0
        self.digests: dict[str, int] = {}
        self.pending: dict[int, list[tuple[int, NewRow]]] = {route: [] for route in ROUTES}
        self.retained: dict[int, list[tuple[int, NewRow]]] = {route: [] for route in ROUTES}
        self.dead: dict[int, NewRow] = {}
        self.settled = dict.fromkeys(ROUTES, 0)

    def held(self, route: int) -> int:
        dead = [new for new in self.dead.values() if new.route == route]
        return sum(size(new) for new in [*(new for _, new in self.pending[route]), *dead])

    @property
    def used(self) -> int:
        return sum(map(self.held, ROUTES))

    def lacks_room(self, rows: Iterable[NewRow]) -> bool:
        """Whether a route would hold more than `ALPHA` times what is free then."""
        more = {route: sum(size(new) for new in rows if new.route == route) for route in ROUTES}
        free = LIMITS.max_bytes - self.used - sum(more.values())
        return any(more[route] and self.held(route) + more[route] > ALPHA * free for route in ROUTES)

    def add(self, new: NewRow) -> None:
        self.last_seq += 1
        self.pending[new.route].append((self.last_seq, new))

    def submit(self, rows: list[NewRow]) -> str | None:
        """Return the code of the refusal, None if the rows are stored."""
        digests = dict(self.digests)
        if any(digests.setdefault(new.event_id, new.digest) != new.digest for new in rows):
            return "id_conflict"
        fresh: dict[str, NewRow] = {}
        for new in rows:
            if new.event_id not in self.digests:
                fresh.setdefault(new.event_id, new)
        if self.lacks_room(fresh.values()):
            return "outbox_full"
        for new in fresh.values():
            self.add(new)
        self.digests = digests
        return None


new_rows = st.builds(
    lambda number, route, changed: row(number, route=route, digest=number + 1 + 1000 * changed),
    st.integers(0, 60),
    st.sampled_from(ROUTES),
    st.sampled_from([False] * 9 + [True]),
)


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ev"))
        self.model = Model()
        self.store: Store

    @initialize()
    def begin(self) -> None:
        self.store = self.open()
        assert tuple(register(self.store, f"r{route}") for route in ROUTES) == ROUTES

    def open(self) -> Store:
        return open_or_salvage(Files(self.folder / "outbox.db"), LIMITS, TUNING)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(groups=st.lists(st.lists(new_rows, min_size=1, max_size=5), min_size=1, max_size=4))
    def submit(self, groups: list[list[NewRow]]) -> None:
        submissions = [Submission(group) for group in groups]
        self.store.begin()
        append(self.store, submissions, now_ms())
        self.store.commit()
        codes = [submission.refusal and submission.refusal.code for submission in submissions]
        assert codes == [self.model.submit(group) for group in groups]

    @rule(route=st.sampled_from(ROUTES), data=st.data())
    def settle(self, route: int, data: st.DataObject) -> None:
        """Rows are stored in sequence, or after a gap, or nobody knows where, or they are dead."""
        count = data.draw(st.integers(0, len(self.model.pending[route])))
        rows = self.model.pending[route][:count]
        fates = data.draw(st.lists(st.sampled_from("sssgud"), min_size=count, max_size=count))
        at = self.store.route(route).stream_seq
        runs: list[Run] = []
        deaths = []
        together = False
        for (seq, new), fate in zip(rows, fates, strict=True):
            if fate == "d":
                deaths.append(Death(seq, "too large", 10054))
                self.model.dead[seq] = new
            elif fate in "sg":
                self.model.retained[route].append((seq, new))
                at += 1 if fate == "s" else 7
                if together and fate == "s":
                    last = runs.pop()
                    runs.append(Run(last.first, seq, last.count + 1, last.stream_seq))
                else:
                    runs.append(Run(seq, seq, 1, at))
            together = fate in "sg"
        del self.model.pending[route][:count]
        upto = rows[-1][0] if rows else self.model.settled[route]
        self.model.settled[route] = upto
        with self.store.transaction():
            settling.settle(self.store, Settlement(route, upto, tuple(runs), tuple(deaths)))

    @rule(route=st.sampled_from(ROUTES), data=st.data())
    def rewind(self, route: int, data: st.DataObject) -> None:
        to = data.draw(st.integers(0, self.model.settled[route]))
        reopened = [pair for pair in self.model.retained[route] if pair[0] > to]
        self.model.retained[route] = [pair for pair in self.model.retained[route] if pair[0] <= to]
        self.model.pending[route] = reopened + self.model.pending[route]
        self.model.settled[route] = to
        with self.store.transaction():
            assert settling.rewind(self.store, route, to, 0) == len(reopened)

    @precondition(lambda self: self.model.dead)
    @rule(data=st.data(), again=st.booleans())
    def dead_letters(self, data: st.DataObject, again: bool) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.model.dead)), unique=True))
        act = deadletters.retry if again else deadletters.drop
        with self.store.transaction():
            assert act(self.store, chosen).done == len(chosen)
        for number in chosen:
            new = self.model.dead.pop(number)
            if again:
                self.model.add(new)

    @rule()
    def prune(self) -> None:
        self.store.settings = OutboxSettings(retain=-1, min_free=0)
        while Prune().step(self.store):
            pass
        self.store.settings = LIMITS
        self.model.retained = {route: [] for route in ROUTES}

    @rule(killed=st.booleans())
    def reopen(self, killed: bool) -> None:
        if not killed:
            self.store.checkpoint(truncate=True)
        self.store.close()
        self.begin()

    @invariant()
    def holds_the_same(self) -> None:
        model, store = self.model, self.store
        assert store.last_seq == model.last_seq
        assert store.totals.used_bytes == model.used
        assert store.totals.lost_events == 0
        letters = deadletters.listing(store, 0, ALL).letters
        assert {letter.number: letter.body for letter in letters} == {
            number: new.body for number, new in model.dead.items()
        }
        for route in ROUTES:
            self.route_holds_the_same(route)

    def route_holds_the_same(self, route: int) -> None:
        expected = self.model.pending[route]
        found = [(row.seq, row.body) for row in pending(self.store, route)]
        assert found == [(seq, new.body) for seq, new in expected]
        assert settling.position(self.store, route).settled == self.model.settled[route]
        runs = settling.runs(self.store, route)
        in_runs = [
            settling.row_in_run(self.store, route, run, offset) for run in runs for offset in range(run.count)
        ]
        retained = self.model.retained[route]
        assert in_runs == [(seq, f"{new.agent}:{new.event_id}") for seq, new in retained]
        for before, after in pairwise(runs):
            assert before.last < after.first
        here = {f"{new.agent}:{new.event_id}": seq for seq, new in [*expected, *retained]}
        assert settling.find(self.store, route, [*here, "main:never"]) == here
        stats = self.store.route(route).stats
        dead = [new for new in self.model.dead.values() if new.route == route]
        assert (stats.pending_rows, stats.retained_rows, stats.dead_rows) == (
            len(expected),
            len(retained),
            len(dead),
        )
        assert (stats.pending_bytes, stats.retained_bytes) == (
            sum(size(new) for _, new in expected),
            sum(size(new) for _, new in retained),
        )
        assert (stats.oldest_pending_at is None) == (not expected)
        assert (stats.retained_since is None) == (not retained)


OutboxMachine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutboxMachine: Any = OutboxMachine.TestCase


def test_the_model_tells_events_apart() -> None:
    """The comparison is by body, so bodies must differ."""
    assert number_of(row(1).body) != number_of(row(2).body)
