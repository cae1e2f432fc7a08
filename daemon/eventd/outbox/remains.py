"""What is left of a damaged outbox: every record that can be read goes into a new file, then what is
stale among them goes away.

Pages that were freed still hold old records, so what is found is not yet what was there:

- a row below its route's watermark and in no run was pruned;
- a dead letter whose id points to a later row was retried or dropped; of the newest ones the mark knows it;
- of two versions of a route or a run, the one that is further on is true.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Any

import apsw

from .checks import ledger_key, row_is_sound, seal
from .connection import PAGE_SIZE
from .mark import Mark, RouteIdentity
from .model import RouteStats
from .pages import Record
from .settling import RunRecord
from .sql import QUERIES, Statements, read
from .store import ROW_OVERHEAD, RouteState

DIGESTS_SINCE = 3  # schema version from which on the ledger's digests mean what they mean now
_BATCH = 500  # records written at once
_PRAGMAS = (
    f"page_size = {PAGE_SIZE}",
    "auto_vacuum = incremental",
    "journal_mode = off",  # if this is interrupted it begins anew
    "synchronous = off",
    "temp_store = memory",
)
_SCRATCH = """
CREATE TEMP TABLE seen_rows (seq INTEGER PRIMARY KEY, route INTEGER NOT NULL);
CREATE TEMP TABLE seen_dead (number INTEGER PRIMARY KEY);
"""


class Trust(IntEnum):
    """Which records are believed: less and less if what was found does not fit together."""

    FACTS = 0
    SEALED = 1
    """Those with a checksum: the small tables, rows and dead letters."""
    ALL = 2
    """Ledger and indexes, too."""


class Remains(Statements):
    """The new file while it is being filled, in one long transaction.

    Attributes:
        trust: Which records of the old file are believed.
        facts: Facts about the old file that were found.
        routes: Every route whose names are known, with its furthest watermark; after `sort_out`.
    """

    def __init__(self, db: apsw.Connection, trust: Trust = Trust.ALL) -> None:
        super().__init__(db)
        self.trust = trust
        self.facts: dict[str, int] = {}
        self.routes: dict[int, RouteState] = {}
        self._found: dict[int, RouteState] = {}
        self._named: dict[int, RouteIdentity] = {}  # by the index
        self._runs: dict[tuple[int, int], RunRecord] = {}
        self._agents: dict[int, str] = {}
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.execute("BEGIN")
        db.execute(read("schema.sql"))
        db.execute(_SCRATCH)

    # Taking

    def take(self, rowid: int | None, record: Record) -> None:
        """Keep a record of the old file, if it is one of ours and sound.

        Args:
            rowid: None for a record of an index or of a table without rowid.
        """
        if rowid is None:
            self._take_keyed(record)
        elif self.trust is not Trust.FACTS:
            self._take_row(rowid, record)

    def _take_row(self, rowid: int, record: Record) -> None:
        match record:
            case (None, int(), int(), bytes(), bytes(), int(), int(), int(), bytes()):
                row = (rowid, *record[1:])
                if row_is_sound(row):
                    self._keep("salvage_row", row)
            case (None, str(), str(), str(), int(), int(), str(), int(), crc):
                values = (rowid, *record[1:8])
                if crc == seal("routes", *values):
                    self._take_route(RouteState(RouteStats(*values[:4]), *values[4:]))
            case (None, str(name), crc):
                if crc == seal("agents", rowid, name):
                    self._agents[rowid] = name
            case (None, int(last), crc):
                if crc == seal("lost", rowid, last):
                    self._keep("add_lost", (rowid, last, crc))
            case (None, *columns, crc) if len(columns) == 10:
                if crc == seal("dead", rowid, *columns):
                    self._keep("salvage_dead", (rowid, *columns, crc))

    def _take_keyed(self, record: Record) -> None:
        match record:
            case (str(key), int(value), crc):
                if crc == seal("meta", key, value):
                    self.facts[key] = max(value, self.facts.get(key, 0))
            case _ if self.trust is Trust.FACTS:
                pass
            case (*columns, crc) if len(columns) == 7 and crc == seal("runs", *columns):
                run = RunRecord(*columns)
                known = self._runs.get((run.route, run.first))
                if known is None or known.rows < run.rows:
                    self._runs[run.route, run.first] = run
            case _ if self.trust is Trust.SEALED:
                pass
            case (int(), bytes(key), None | int(), int(seq)) if len(key) in (16, 17) and seq > 0:
                self._keep("salvage_ledger", record)
            case (int(route), int(seq)):
                self._keep("see_row", (seq, route))
            case (int(), int(), int(number)):
                self._keep("see_dead", (number,))
            case (str(name), str(stream), str(prefix), int(number)):
                self._named[number] = (number, name, stream, prefix)

    def _take_route(self, state: RouteState) -> None:
        known = self._found.get(state.stats.number)
        if known is None or (known.rewinds, known.settled) < (state.rewinds, state.settled):
            self._found[state.stats.number] = state

    def _keep(self, query: str, values: tuple[Any, ...]) -> None:
        waiting = self._waiting.setdefault(query, [])
        waiting.append(values)
        if len(waiting) >= _BATCH:
            self._write(query)

    def _write(self, query: str) -> None:
        self.db.executemany(QUERIES[query], self._waiting.pop(query))

    def flush(self) -> None:
        """Write what is still held back."""
        for query in tuple(self._waiting):
            self._write(query)

    def newest(self) -> int:
        """Return the greatest number among rows and dead letters so far."""
        self.flush()
        rows, dead = self.rows("last_numbers")[0]
        return max(int(rows), int(dead))

    # Sorting out

    def sort_out(self, mark: Mark | None, names: list[RouteIdentity]) -> None:
        """Decide what is still true.

        Args:
            mark: May know later watermarks than the file.
            names: Identities of routes that the mark knows.
        """
        self.flush()
        self._decide_routes(mark, names)
        if self.facts.get("schema", 0) < DIGESTS_SINCE:
            self.run("forget_digests")
        for (route,) in self.rows("routes_of_rows"):
            if route not in self.routes:  # nobody knows any more where these should go
                self.run("delete_route_rows", (route,))
                self.run("delete_route_dead", (route,))
        for route, state in self.routes.items():
            self._drop_settled(route, state.settled)
        self._complete_agents()
        self._drop_stale_dead(mark.removed if mark else ())
        self._complete_ledger()

    def fresh(self, mark: Mark) -> bool:
        """Whether no route is further on than the mark says."""
        return all(
            (state.rewinds, state.settled) <= mark.settled.get(route, (0, 0))
            for route, state in self._found.items()
        )

    def agent(self, number: int) -> str:
        """Return the name of an agent by its number in the ledger, "" if it is not known."""
        return self._agents.get(number, "")

    def _decide_routes(self, mark: Mark | None, names: list[RouteIdentity]) -> None:
        """Find names and watermark of each route.

        A watermark that nobody knows is 0 or the end of the newest run: rows are then pending again that
        may have been shipped. That is safe, because after a start the shipper looks them up in the stream.
        """
        for identity in self._identities(names):
            route = identity[0]
            state = self._found.get(route) or RouteState(RouteStats(*identity))
            runs = [run for (of, _), run in sorted(self._runs.items()) if of == route]
            marked = mark.settled.get(route) if mark else None
            if marked is not None and marked > (state.rewinds, state.settled):
                state = replace(state, rewinds=marked[0], settled=marked[1])
            elif route not in self._found and runs:
                state = replace(state, settled=runs[-1].last)
            ends = [run.stream_seq + run.rows - 1 for run in runs if run.last <= state.settled]
            if ends:
                state = replace(state, stream_seq=ends[-1])
            self.routes[route] = state
            values = (*identity, state.settled, state.stream_seq, state.stream_created, state.rewinds)
            self.run("put_route", (*values, seal("routes", *values)))

    def _identities(self, marked: list[RouteIdentity]) -> list[RouteIdentity]:
        """Return the identities of all routes, each number and each set of names once.

        Where sources disagree the more trusted one is right: the sealed record, then the mark, then the
        index, which has no checksum.
        """
        stats = (state.stats for state in self._found.values())
        sealed = [(of.number, of.name, of.stream, of.prefix) for of in stats]
        identities: list[RouteIdentity] = []
        known: set[object] = set()
        for identity in (*sealed, *marked, *self._named.values()):
            number, *names = identity
            if known.isdisjoint((number, tuple(names))):
                identities.append(identity)
                known.update((number, tuple(names)))
        return identities

    def _drop_settled(self, route: int, settled: int) -> None:
        """Keep settled rows only where a run of them is whole."""
        done = 0
        for _, run in sorted(self._runs.items()):
            last = min(run.last, settled)
            if run.route != route or not done < run.first <= last:
                continue
            values = {"route": route, "first": run.first, "last": last, "overhead": ROW_OVERHEAD}
            rows, size = self.rows("range_totals", values)[0]
            if not rows or (last == run.last and rows != run.rows):
                continue
            self.run("delete_range", (route, done + 1, run.first - 1))
            record = run._replace(last=last, rows=rows, bytes=size)
            self.run("put_run", (*record, seal("runs", *record)))
            done = last
        self.run("delete_range", (route, done + 1, settled))

    def _complete_agents(self) -> None:
        """Find the names of agents whose own record is gone, by ids in both rows and ledger."""
        missing = {number for (number,) in self.rows("agents_of_ledger")} - self._agents.keys()
        names = {ledger_key(event_id): agent for agent, event_id, _ in self._ids()} if missing else {}
        for number in missing:
            keys = (key for (key,) in self.rows("keys_of_agent", (number,)))
            name = next((names[key] for key in keys if key in names), None)
            if name is None or name in self._agents.values():
                self.run("delete_agent_ids", (number,))
            else:
                self._agents[number] = name
        for number, name in self._agents.items():
            self.run("add_agent", (number, name, seal("agents", number, name)))

    def _drop_stale_dead(self, removed: tuple[tuple[int, int], ...]) -> None:
        numbers = {name: number for number, name in self._agents.items()}
        for agent, event_id, number in list(self._ids("ids_of_dead")):
            known = self.first("known_digest", (numbers.get(agent, 0), ledger_key(event_id)))
            if known is not None and known[1] > number:
                self.run("delete_dead", (number,))
        self.run("delete_dead_that_are_rows")
        for number, became in removed:
            self.run("delete_dead_removed", {"number": number, "became": became})

    def _complete_ledger(self) -> None:
        """Let the ledger know every row; where a digest is lost, any repeat counts as the same event."""
        numbers = {name: number for number, name in self._agents.items()}
        for agent, event_id, seq in self._ids():
            if agent not in numbers:
                numbers[agent] = number = max(self._agents, default=0) + 1
                self._agents[number] = agent
                self.run("add_agent", (number, agent, seal("agents", number, agent)))
            self._keep("salvage_id", (numbers[agent], ledger_key(event_id), seq))
        self.flush()

    def _ids(self, *queries: str) -> Iterator[tuple[str, str, int]]:
        """Yield agent, id and number of rows and dead letters."""
        for query in queries or ("ids_of_rows", "ids_of_dead"):
            for msg_id, owner, number in self.each(query):
                agent, event_id = msg_id[:owner], msg_id[owner + 1 :]
                yield agent.decode(errors="replace"), event_id.decode(errors="replace"), number
