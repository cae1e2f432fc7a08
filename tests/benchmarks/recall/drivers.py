"""Two ways to ask: the index database itself, and a daemon through its socket."""

# ruff: noqa: S608 - names of tables come from the code; what comes from outside is bound

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import apsw
import msgspec

from eventd.events.normal import normalise
from eventd.index.ranking import rank
from eventd.index.words import indexed, insert_sql, lexicon_sql, parse_query
from eventd_ipc.blocking import Client, connect
from eventd_ipc.events import Event
from support.waiting import wait_until

from ..stage import eventd

BATCH = 500  # events a transaction, or a frame
COLUMNS = 18  # of the table `events`
INDEX_TIMEOUT = 120.0  # seconds until the daemon must have indexed what it took


@dataclass(frozen=True, slots=True)
class Found:
    """A hit: its event's id and session, and the ids of its neighbours where they were asked for."""

    id: str
    session: str
    around: tuple[str, ...] = ()


class Driver(Protocol):
    """Takes an agent's events in and answers for it."""

    def load(self, agent: str, events: Iterable[Event]) -> None:
        """Index the events of an agent, oldest first."""
        ...

    def recall(self, agent: str, text: str, limit: int, around: int) -> list[Found]:
        """Return what answers a question, best first, with `around` neighbours on both sides."""
        ...


class Direct:
    """The database, without a daemon around it."""

    def __init__(self, path: str) -> None:
        self.db = apsw.Connection(path)
        self.db.execute("PRAGMA synchronous = off; PRAGMA journal_mode = wal; PRAGMA cache_size = -64000")
        self.db.execute(files("eventd.index").joinpath("schema.sql").read_text())
        self._names: dict[str, int] = {}
        self._agents: set[str] = set()
        self._n = 0

    def load(self, agent: str, events: Iterable[Event]) -> None:
        """Index the events of an agent, oldest first."""
        table = self._table(agent)
        if agent not in self._agents:
            self._agents.add(agent)
            self.db.execute(lexicon_sql(table))
        insert = insert_sql(table)
        into_events = f"INSERT INTO events VALUES ({','.join('?' * COLUMNS)})"
        with self.db:
            for event in events:
                body = msgspec.json.encode(event)
                normal = normalise(body)
                assert normal is not None
                self._n += 1
                time = normal.time or 0
                words = indexed(normal, time)
                row = (
                    self._n, 1, self._n, None, None, self._name(agent), self._name(normal.session),
                    self._name(normal.type), 1, normal.kind, 0, time, time, words.words, "", "",
                    normal.id, body,
                )  # fmt: skip
                self.db.execute(into_events, row)
                self.db.execute(insert, (self._n, *words.columns))

    def recall(self, agent: str, text: str, limit: int, around: int) -> list[Found]:
        """Return what answers a question, best first, with `around` neighbours on both sides."""
        hits = rank(
            self.db,
            [self._table(agent)],
            parse_query(text),
            limit=limit,
            condition="e.agent = ?",
            values=(self._name(agent),),
            apart=around,
        )
        return [self._found(hit.n, around) for hit in hits]

    def _found(self, n: int, around: int) -> Found:
        ((found, name, session, time),) = self.db.execute(
            "SELECT event_id, text, session, time FROM events JOIN names ON number = session WHERE n = ?",
            (n,),
        )
        ids: list[str] = []
        for sign, order in ((">", "ASC"), ("<", "DESC")) if around else ():
            rows = self.db.execute(
                f"SELECT event_id FROM events WHERE session = ? AND (time, n) {sign} (?, ?)"
                f" ORDER BY time {order}, n {order} LIMIT ?",
                (session, time, n, around),
            )
            ids.extend(row[0] for row in rows)
        return Found(found, name, tuple(ids))

    def _table(self, agent: str) -> str:
        return f"fts_{self._name(agent)}"

    def _name(self, text: str) -> int:
        if text not in self._names:
            self._names[text] = len(self._names) + 1
            self.db.execute("INSERT INTO names VALUES (?, ?)", (self._names[text], text))
        return self._names[text]


class Socket:
    """A daemon, asked as any agent asks it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._clients: dict[str, Client] = {}

    def load(self, agent: str, events: Iterable[Event]) -> None:
        """Index the events of an agent, oldest first."""
        held = list(events)
        client = self._client(agent)
        for first in range(0, len(held), BATCH):
            client.emit(held[first : first + BATCH])
        wait_until(lambda: not client.index()["behind"], INDEX_TIMEOUT, what="all is indexed")

    def recall(self, agent: str, text: str, limit: int, around: int) -> list[Found]:
        """Return what answers a question, best first, with `around` neighbours on both sides."""
        client: Any = self._client(agent)
        answer = client.recall(text, limit=limit, around=around)
        return [
            Found(hit["id"], hit["session"], tuple(one["id"] for one in hit.get("around", ())))
            for hit in answer["hits"]
        ]

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, agent: str) -> Client:
        if agent not in self._clients:
            self._clients[agent] = connect(agent, socket=self._socket)
        return self._clients[agent]


@contextmanager
def direct() -> Iterator[Driver]:
    """Give a database in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="recall-") as folder:
        yield Direct(str(Path(folder) / "index.db"))


@contextmanager
def daemon() -> Iterator[Driver]:
    """Give a daemon with a folder of its own; its broker is away, recall needs none."""
    with tempfile.TemporaryDirectory(prefix="recall-") as folder, eventd(Path(folder)) as running:
        driver = Socket(running.socket)
        try:
            yield driver
        finally:
            driver.close()


DRIVERS = {"direct": direct, "socket": daemon}
