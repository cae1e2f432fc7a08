"""What agents are told: queries and the context block over a large index, beside older ways to get them."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nats
import uvloop

from eventd.index.connection import open_writer
from eventd.index.model import NewEvent
from eventd.index.store import Store
from eventd.paths import index_file
from eventd.routes import DEFAULT_ROUTE, StreamKey
from eventd_ipc.blocking import Client, connect
from eventd_ipc.builders import Run, message_in, message_out, new_id
from eventd_ipc.paths import SOCKET_VARIABLE
from support.daemon import Daemon
from support.waiting import wait_until

from .disk import percentile
from .load import Load, Plan
from .report import Sheet
from .stage import Options, eventd, shipping, workspace
from .streams import STREAM, wait_stored

NOTE = (
    "context and recall are over an index of 50 agents, the broker away; older implementations build their "
    "context with one request to JetStream for each of up to 1000 messages"
)

CONTEXT_P50 = "context, p50"
CONTEXT_P99 = "context, p99"
CONTEXT_COMMAND = "eventd context, whole process"
RECALL_P50 = "recall, p50"
QUERY = "query of the last 1000"
QUERY_AWAY = "query of the last 1000, broker away"
ONE_BY_ONE = "the last 1000, one get each"
VISIBLE_P50 = "from ack to query, p50"
VISIBLE_P99 = "from ack to query, p99"
INDEXED = "indexed, in process"
REBUILT = "rebuilt from the stream"
SIZE = "index, bytes an event (300-byte bodies)"
WITH = "accepted with the index, one event a frame"
WITHOUT = "accepted without it"

NO_INDEX = """
import anyio
from eventd.indexing.indexer import Indexer
Indexer.run = lambda self: anyio.sleep_forever()
"""
"""Python that runs in the daemon before it starts: nothing is indexed."""

SENTENCES = (
    "Can you look at why the {0} for the {1} did not go through last night? The {2} says it is number {5}.",
    "I looked at the {0}: the {1} was still waiting for the {2}. It is fixed now, and I noted it under {5}.",
    "Before we go on with the {0}, please book the {1} for Thursday and tell Anna that the {2} moved to {5}.",
    "Done. The {0} is booked, the {1} comes later than we thought, and the {2} with the {3} costs {5} euros.",
    "What was it again that we wanted to do about the {0} and the {1}, once the {2} is over? See {5}.",
)

EVENTS = 1_000_000  # in the index
AGENTS = 50
ASKED = 200  # requests of each kind
COMMANDS = 10  # whole processes
STREAMED = 50_000  # events of the rebuild
ACCEPTED = 200_000  # events of the comparison with and without the index
LAST = 1000
BATCH = 500
STEP = 3000  # ms between two events; the newest is from now, so that none is old enough to leave the index
MS = 1000.0
WORDS = (
    *("deploy", "server", "database", "kafka", "broker", "meeting", "budget", "garden", "invoice", "release"),
    *("python", "typing", "socket", "stream", "memory", "context", "agent", "holiday", "doctor", "recipe"),
    *("piano", "novel", "train", "ticket", "hotel", "weather", "climbing", "bicycle"),
)


def measure(sheet: Sheet, options: Options) -> None:
    """Fill one index, then ask."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    with workspace(options, "remembering") as folder:
        _fill(sheet, index_file(folder / "eventd"), events)
        with eventd(folder) as daemon:
            for _ in range(options.rounds):
                _ask(sheet, daemon)
    for _ in range(options.rounds):
        _beside_one_by_one(sheet, options)
        _beside_no_index(sheet, options)
    sheet.compare(QUERY, ONE_BY_ONE)
    sheet.compare(CONTEXT_P50, ONE_BY_ONE)
    sheet.compare(WITH, WITHOUT)


def _fill(sheet: Sheet, path: Path, events: int) -> None:
    path.parent.mkdir(parents=True)
    db, _ = open_writer(path)
    store = Store(db)
    stream = store.stream(StreamKey(DEFAULT_ROUTE, STREAM), "then").number
    busy = 0.0
    began = time.time_ns() // 1_000_000 - events * STEP
    for first in range(0, events, BATCH):
        page = list(_page(began, first, min(BATCH, events - first)))
        start = time.perf_counter()
        store.add_stored(stream, page, first + len(page))
        busy += time.perf_counter() - start
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    sheet.add(INDEXED, events / busy, "events/s")
    sheet.add(SIZE, path.stat().st_size / events, "bytes")


def _page(began: int, first: int, count: int) -> Iterator[NewEvent]:
    for number in range(first, first + count):
        agent = f"agent-{number % AGENTS}"
        turn = number // AGENTS
        run = Run(f"agent:{agent}:{turn // 40}", run_id=f"{agent}-{turn // 4}")
        words = (WORDS[(number * step + step) % len(WORDS)] for step in range(1, 6))
        text = SENTENCES[number % len(SENTENCES)].format(*words, number)
        event = (message_in if turn % 2 else message_out)(run, text)
        kind = event.type.replace(".", "_")
        moment = began + number * STEP
        body = {
            "id": new_id(), "timestamp": moment, "agent": agent, "session": run.session, "type": event.type,
            "visibility": "internal", "payload": event.payload, "meta": event.meta,
        }  # fmt: skip
        yield NewEvent(
            number + 1, None, agent, f"openclaw.events.{agent}.{kind}", moment, str(body["id"]),
            json.dumps(body).encode(),
        )  # fmt: skip


def _ask(sheet: Sheet, daemon: Daemon) -> None:
    with connect("agent-7", socket=daemon.socket) as client:
        client.context()  # what everybody after the first finds cached
        times = [_timed(partial(client.context, agent=f"agent-{n % AGENTS}")) for n in range(ASKED)]
        sheet.add(CONTEXT_P50, percentile(times, 50) * MS, "ms")
        sheet.add(CONTEXT_P99, percentile(times, 99) * MS, "ms")
        asked = [(f"{WORDS[n % len(WORDS)]} {n * 7}", f"agent-{n % AGENTS}") for n in range(ASKED)]
        times = [_timed(partial(client.recall, text, agent=agent)) for text, agent in asked]
        sheet.add(RECALL_P50, percentile(times, 50) * MS, "ms")
        times = [_timed(partial(_take, client, f"agent-{n}")) for n in range(AGENTS)]
        sheet.add(QUERY_AWAY, percentile(times, 50) * MS, "ms")
    command = [str(Path(sys.executable).with_name("eventd")), "context", "--agent", "agent-7"]
    environment = os.environ | {SOCKET_VARIABLE: str(daemon.socket)}
    runs = [
        _timed(lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True))
        for _ in range(COMMANDS)
    ]
    sheet.add(CONTEXT_COMMAND, percentile(runs, 50) * MS, "ms")


def _beside_one_by_one(sheet: Sheet, options: Options) -> None:
    """The same events from the index and, one by one, from JetStream; then the index anew from the stream."""
    events = max(LAST, options.amount(STREAMED))
    with workspace(options, "remembering") as folder, shipping(folder) as (daemon, server):
        with Load(Plan(str(daemon.socket), events, batch=20)) as load:
            load.go()
        wait_stored(server.url, events)
        with connect("bench", socket=daemon.socket) as client:
            _wait_ready(client)
            times = [_timed(partial(_take, client)) for _ in range(AGENTS)]
            sheet.add(QUERY, percentile(times, 50) * MS, "ms")
            sheet.add(ONE_BY_ONE, uvloop.run(_get_each(server.url)) * MS, "ms", control=True)
            seen = [_visible(client) for _ in range(ASKED)]
            sheet.add(VISIBLE_P50, percentile(seen, 50) * MS, "ms")
            sheet.add(VISIBLE_P99, percentile(seen, 99) * MS, "ms")
            total = client.index()["events"]
            start = time.perf_counter()
            client.index("rebuild")
            _wait_ready(client)
            sheet.add(REBUILT, total / (time.perf_counter() - start), "events/s")


def _beside_no_index(sheet: Sheet, options: Options) -> None:
    for name, mutation in ((WITH, ""), (WITHOUT, NO_INDEX)):
        with (
            workspace(options, "remembering") as folder,
            eventd(folder, mutation=mutation) as daemon,
            Load(Plan(str(daemon.socket), options.amount(ACCEPTED))) as load,
        ):
            sheet.add(name, load.go().rate, "events/s", control=name is WITHOUT)


def _take(client: Client, agent: str = "bench") -> None:
    if len(list(client.query(agent=agent, limit=LAST))) != LAST:
        raise RuntimeError("the index does not have what was stored")


def _visible(client: Client) -> float:
    """Return the seconds from an ack until a query shows the event."""
    run = Run("agent:bench:visible")
    (event_id,) = client.emit([message_in(run, "now")])
    start = time.perf_counter()
    while event_id.encode() not in next(iter(client.query(agent="bench", limit=1))).body:
        pass
    return time.perf_counter() - start


def _wait_ready(client: Client) -> None:
    wait_until(lambda: client.index()["state"] == "ready", 600.0, what="the index is ready")


async def _get_each(url: str) -> float:
    """Return the seconds that getting the last messages one by one takes, as older implementations do it."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info(STREAM)).state.last_seq
        start = time.perf_counter()
        for seq in range(last - LAST + 1, last + 1):
            json.loads((await stream.get_msg(STREAM, seq)).data or b"")
        return time.perf_counter() - start
    finally:
        await asyncio.shield(client.close())


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
