"""Shipping a backlog: rows wait in the outbox, then the broker comes; beside nats-py on that broker."""

from eventd.jetstream.publishing import BATCH_ROWS
from support.nats import NatsServer

from .load import Load, Plan
from .report import Sheet
from .stage import Options, eventd, workspace
from .streams import await_each, wait_stored

NOTE = (
    "as after an outage: all is indexed, nothing is shipped; from the first batch stored to the last, by the "
    "server's clock; the control is on the same server"
)

ALWAYS = "backlog, sync_interval: always"
DEFAULT = "backlog, sync_interval: default"
AWAITED_ALWAYS = "awaiting each publish, always"
AWAITED_DEFAULT = "awaiting each publish, default"

WAYS = (("always", ALWAYS, AWAITED_ALWAYS), ("2m", DEFAULT, AWAITED_DEFAULT))  # 2m is nats-server's default

EVENTS = 100_000
AWAITED = 3000  # publishes of the control


def measure(sheet: Sheet, options: Options) -> None:
    """Measure with a server that syncs always and with one that does so now and then."""
    sheet.note = NOTE
    events = max(10 * BATCH_ROWS, options.amount(EVENTS))
    for _ in range(options.rounds):
        for sync_interval, name, control in WAYS:
            with workspace(options, "backlog") as folder:
                server = NatsServer(folder / "nats", sync_interval=sync_interval)
                with eventd(folder, server.url) as daemon:
                    with Load(Plan(str(daemon.socket), events, batch=20)) as load:
                        load.go()
                    daemon.wait_for(lambda status: not status["index"]["behind"], what="all is indexed")
                    with server:
                        span = wait_stored(server.url, events)
                        # The first batch's own time is not in the span.
                        sheet.add(name, (events - BATCH_ROWS) / (span.last - span.first), "events/s")
                        awaited = await_each(server.url, options.amount(AWAITED))
                        sheet.add(control, awaited, "events/s", control=True)
    sheet.compare(ALWAYS, AWAITED_ALWAYS)
    sheet.compare(DEFAULT, AWAITED_DEFAULT)
