"""Durable accept rate: clients in their own process, the broker away, every ack after an fsync."""

import os
from pathlib import Path

import anyio

from eventd.outbox.model import NewRow, Submission
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import OutboxSettings
from eventd_ipc.builders import new_id

from .disk import sync_times
from .idle import cpu_seconds
from .load import AGENT, BODY, Load, Plan
from .report import Sheet
from .stage import Options, eventd, workspace

NOTE = "the broker is away; 300-byte bodies; one process holds all connections"

SINGLES = "one event a frame, 1 connection"
SINGLES_8 = "one event a frame, 8 connections"
BATCHES = "20 events a frame, 1 connection"
BATCHES_8 = "20 events a frame, 8 connections"
SHAPES = {SINGLES: (1, 1), SINGLES_8: (1, 8), BATCHES: (20, 1), BATCHES_8: (20, 8)}

CPU = "daemon's processor time"  # less moved than the rates by what else the machine does
OUTBOX = "outbox alone, in process"
SYNCS = "write and sync of 4 KiB"

EVENTS = 200_000  # of each shape in each round
CHUNK = 500  # submissions handed to the outbox at once: about what one read of the socket holds
AHEAD = 16  # such chunks in flight: about what `max_in_flight` lets one connection have


def measure(sheet: Sheet, options: Options) -> None:
    """Measure all shapes and both controls, one after the other in each round."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        for name, (batch, connections) in SHAPES.items():
            with workspace(options, "accept") as folder, eventd(folder) as daemon:
                plan = Plan(str(daemon.socket), events, batch, connections)
                pid = daemon.pid
                assert pid is not None
                with Load(plan) as load:
                    before = cpu_seconds(pid)
                    sheet.add(name, load.go().rate, "events/s")
                    used = cpu_seconds(pid) - before
                sheet.add(f"{name}: {CPU}", 1e6 * used / events, "µs/event")
        with workspace(options, "accept") as folder:
            sheet.add(OUTBOX, anyio.run(_outbox_alone, folder, events), "events/s", control=True)
            times = sync_times(folder, options.amount(2000))
            sheet.add(SYNCS, len(times) / sum(times), "syncs/s", control=True)
    for name in SHAPES:
        sheet.compare(name, OUTBOX)


async def _outbox_alone(folder: Path, events: int) -> float:
    """Return how many rows a second the outbox takes where nobody else wants the interpreter."""
    async with Outbox.open(folder / "outbox.db", OutboxSettings()) as outbox:
        route = await outbox.register_route("*", "bench", "bench")
        chunks = [
            [Submission([_row(route)]) for _ in range(min(CHUNK, events - first))]
            for first in range(0, events, CHUNK)
        ]
        limiter = anyio.Semaphore(AHEAD)

        def done(_: list[Submission]) -> None:
            limiter.release()

        start = anyio.current_time()
        for chunk in chunks:
            await limiter.acquire()
            outbox.submit(chunk, done)
        for _ in range(AHEAD):
            await limiter.acquire()
        seconds = anyio.current_time() - start
        refused = [one.refusal for chunk in chunks for one in chunk if one.refusal]
        if refused:
            raise RuntimeError(f"the outbox refused: {refused[0]}")
        return events / seconds


def _row(route: int) -> NewRow:
    digest = int.from_bytes(os.urandom(8), signed=True)
    return NewRow(route, AGENT, new_id(), f"bench.{AGENT}.message", False, digest, bytes(BODY))
