"""Sustained from the socket to JetStream, synced at both ends: first byte sent to last event stored."""

from .load import Load, Plan
from .report import Sheet
from .stage import Daemon, Options, broker, workspace
from .streams import wait_stored

NOTE = (
    "clients, daemon and nats-server (sync_interval: always) on this machine; until the last event is stored"
)

SINGLES = "one event a frame, 1 connection"
SINGLES_8 = "one event a frame, 8 connections"
BATCHES = "20 events a frame, 1 connection"
SHAPES = {SINGLES: (1, 1), SINGLES_8: (1, 8), BATCHES: (20, 1)}

EVENTS = 200_000


def measure(sheet: Sheet, options: Options) -> None:
    """Measure all shapes; each also says how much was waiting when the last event was accepted."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        for name, (batch, connections) in SHAPES.items():
            with (
                workspace(options, "sustained") as folder,
                broker(folder / "nats") as server,
                Daemon(folder / "eventd", server.url) as daemon,
                Load(Plan(str(daemon.socket), events, batch, connections)) as load,
            ):
                outcome = load.go()
                waiting = daemon.status()["outbox"]["rows"]
                span = wait_stored(server.url, events)
                sheet.add(name, events / (span.last - outcome.began), "events/s")
                sheet.add(f"{name}: accepted", outcome.rate, "events/s")
                sheet.add(f"{name}: waiting at the end", 100 * waiting / events, "%")
