"""Ack latency: one event at a time on an idle daemon, beside the disk's own sync."""

from support.daemon import Daemon

from .disk import percentile, sync_times
from .load import Load, Plan
from .report import Sheet
from .stage import Options, eventd, shipping, workspace

NOTE = "one event at a time; with the broker there each is also shipped, on the same disk, meanwhile"

P50 = "ack p50, broker away"
P99 = "ack p99, broker away"
SYNC_P50 = "disk's sync p50"
SYNC_P99 = "disk's sync p99"
SHIPPED_P50 = "ack p50, broker there"
SHIPPED_P99 = "ack p99, broker there"

EVENTS = 2000
MS = 1000.0


def measure(sheet: Sheet, options: Options) -> None:
    """Measure with and without a broker, and the disk between them."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        with workspace(options, "latency") as folder, eventd(folder) as daemon:
            _record(sheet, daemon, events, P50, P99)
        with workspace(options, "latency") as folder:
            times = sync_times(folder, events)
            sheet.add(SYNC_P50, percentile(times, 50) * MS, "ms", control=True)
            sheet.add(SYNC_P99, percentile(times, 99) * MS, "ms", control=True)
        with workspace(options, "latency") as folder, shipping(folder) as (daemon, _):
            _record(sheet, daemon, events, SHIPPED_P50, SHIPPED_P99)
    sheet.compare(P50, SYNC_P50)
    sheet.compare(P99, SYNC_P99)
    sheet.compare(SHIPPED_P50, SYNC_P50)
    sheet.compare(SHIPPED_P99, SYNC_P99)


def _record(sheet: Sheet, daemon: Daemon, events: int, p50: str, p99: str) -> None:
    with Load(Plan(str(daemon.socket), events, one_by_one=True)) as load:
        latencies = load.go().latencies
    sheet.add(p50, percentile(latencies, 50) * MS, "ms")
    sheet.add(p99, percentile(latencies, 99) * MS, "ms")
