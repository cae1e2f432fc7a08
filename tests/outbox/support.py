"""Rows, stores and outboxes for the tests of this folder."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import anyio

from eventd.outbox import settling
from eventd.outbox.appending import append
from eventd.outbox.files import Files
from eventd.outbox.model import NewRow, Refusal, Row, Run, Settlement, Submission
from eventd.outbox.outbox import Outbox
from eventd.outbox.salvage import open_or_salvage
from eventd.outbox.settings import MIB, OutboxSettings, Tuning
from eventd.outbox.store import Store

KIB = 1024

SETTINGS = OutboxSettings(min_free=0)
TUNING = Tuning(wal_max=1 * MIB)
ALL = 1_000_000  # more than any test has

_IDS = uuid.UUID("018f0000-0000-7000-8000-000000000000").int


def event_id(number: int) -> str:
    """A UUIDv7-like id: greater numbers, greater ids."""
    return str(uuid.UUID(int=_IDS + (number << 16)))


def row(
    number: int, *, route: int = 1, agent: str = "main", size: int = 60, digest: int | None = None
) -> NewRow:
    """The row of event `number`; its content tells which one it is."""
    body = f'{{"number":{number},"agent":"{agent}"}}'.encode().ljust(size, b" ")
    return NewRow(route, agent, event_id(number), f"p.{agent}.t", False, digest or number + 1, body)


def rows(first: int, last: int, *, size: int = 60) -> list[NewRow]:
    """The rows of events first..last."""
    return [row(number, size=size) for number in range(first, last + 1)]


def number_of(body: bytes) -> int:
    """Which event a body is."""
    return int(json.loads(body)["number"])


def msg_id(number: int, agent: str = "main") -> str:
    return f"{agent}:{event_id(number)}"


@contextlib.contextmanager
def opened(path: Path, settings: OutboxSettings = SETTINGS, tuning: Tuning = TUNING) -> Iterator[Store]:
    """An open store that is closed as after kill -9: without a checkpoint."""
    store = open_or_salvage(Files(path), settings, tuning)
    try:
        yield store
    finally:
        store.close()


def store_rows(store: Store, *groups: Sequence[NewRow]) -> list[Refusal | None]:
    """Commit each group as one submission, all in one transaction; return their refusals."""
    submissions = [Submission(group) for group in groups]
    store.begin()
    append(store, submissions, 1_700_000_000_000)
    store.commit()
    return [submission.refusal for submission in submissions]


def pending(store: Store, route: int = 1) -> list[Row]:
    return settling.pending(store, route, 0, ALL, ALL).rows


def settle(store: Store, upto: int, *, route: int = 1, stream_seq: int | None = None) -> None:
    """Settle every pending row of a route up to `upto`, as one run."""
    done = [row.seq for row in pending(store, route) if row.seq <= upto]
    at = settling.position(store, route).stream_seq + 1 if stream_seq is None else stream_seq
    runs = (Run(done[0], done[-1], len(done), at),) if done else ()
    with store.transaction():
        settling.settle(store, Settlement(route, upto, runs))


def register(store: Store, name: str = "*", stream: str = "S", prefix: str = "p") -> int:
    with store.transaction():
        return store.register_route(name, stream, prefix)


@contextlib.asynccontextmanager
async def outbox_at(
    path: Path, settings: OutboxSettings = SETTINGS, tuning: Tuning = TUNING
) -> AsyncIterator[Outbox]:
    async with Outbox.open(path, settings, tuning=tuning) as outbox:
        yield outbox


async def submit(outbox: Outbox, *groups: Sequence[NewRow]) -> list[Refusal | None]:
    """Submit each group as one submission, in one call; wait for the outcome."""
    submissions = [Submission(group) for group in groups]
    finished = anyio.Event()
    outbox.submit(submissions, lambda _: finished.set())
    with anyio.fail_after(10):
        await finished.wait()
    return [submission.refusal for submission in submissions]


async def all_pending(outbox: Outbox, route: int = 1) -> list[Row]:
    return await outbox.pending(route, after=0, limit=ALL, max_bytes=ALL)
