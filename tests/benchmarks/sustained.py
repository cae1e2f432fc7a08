"""Sustained from the socket to JetStream, synced at both ends: all at once, and at a steady rate."""

from .load import Load, Plan
from .report import Sheet
from .stage import Options, shipping, workspace
from .streams import wait_stored

NOTE = (
    "clients, daemon and nats-server (sync_interval: always) on this machine, first byte sent to last event\n"
    "stored; the backlog does not grow where at most a quarter of a second's events wait at the end"
)

SINGLES = "one event a frame, 1 connection"
SINGLES_8 = "one event a frame, 8 connections"
BATCHES = "20 events a frame, 1 connection"
SHAPES = {SINGLES: (1, 1), SINGLES_8: (1, 8), BATCHES: (20, 1)}
STEADY = "highest rate without a growing backlog"

EVENTS = 200_000
STEP = 5000  # events/s between two rates that are tried
SPAN = 3.0  # seconds at each rate
WAITING = 0.25  # seconds' worth of events that may wait at the end


def measure(sheet: Sheet, options: Options) -> None:
    """Measure all shapes; each also says how fast events were accepted, and shipped in the same time."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        for name, (batch, connections) in SHAPES.items():
            with workspace(options, "sustained") as folder, shipping(folder) as (daemon, server):
                with Load(Plan(str(daemon.socket), events, batch, connections)) as load:
                    outcome = load.go()
                waiting = daemon.status()["outbox"]["rows"]
                span = wait_stored(server.url, events)
            sheet.add(name, events / (span.last - outcome.began), "events/s")
            sheet.add(f"{name}: accepted", outcome.rate, "events/s")
            sheet.add(f"{name}: shipped meanwhile", (events - waiting) / outcome.seconds, "events/s")
        sheet.add(STEADY, _highest_steady_rate(options), "events/s")


def _highest_steady_rate(options: Options) -> int:
    """Try one rate after the other, one event a frame, until shipping falls behind."""
    span = max(1.0, SPAN * options.scale)
    stored = rate = 0
    with workspace(options, "steady") as folder, shipping(folder) as (daemon, server):
        while True:
            events = round((rate + STEP) * span)
            with Load(Plan(str(daemon.socket), events, seconds=span)) as load:
                outcome = load.go()
            waiting = daemon.status()["outbox"]["rows"]
            stored += events
            wait_stored(server.url, stored)
            if waiting > (rate + STEP) * WAITING or outcome.seconds > span + WAITING:
                return rate
            rate += STEP
