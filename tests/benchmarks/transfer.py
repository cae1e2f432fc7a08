"""`eventd export` and `eventd import` as whole processes: events out of a stream, and into another daemon."""

import subprocess
import sys
import time
from pathlib import Path

from support.daemon import Daemon

from .load import Load, Plan
from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = (
    "whole processes, from a daemon that has shipped all of it, into an empty one that ships and indexes "
    "meanwhile; files are synced"
)

EXPORT = "export"
EXPORT_ZST = "export, .zst"
IMPORT = "import"
IMPORT_ZST = "import, .zst"
AGAIN = "import again, nothing new"

WAYS = ((EXPORT, IMPORT, "events.ndjson"), (EXPORT_ZST, IMPORT_ZST, "events.ndjson.zst"))
EVENTS = 100_000


def measure(sheet: Sheet, options: Options) -> None:
    """Measure plain and packed files."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        with workspace(options, "transfer") as folder:
            with shipping(folder / "source") as (source, _):
                with Load(Plan(str(source.socket), events, batch=20)) as load:
                    load.go()
                source.wait_for(
                    lambda status: not status["outbox"]["rows"] and not status["index"]["behind"],
                    what="all is shipped and indexed",
                )
                for export, _, name in WAYS:
                    sheet.add(export, events / _seconds(source, "export", folder / name), "events/s")
            for _, into, name in WAYS:
                with shipping(folder / name.replace(".", "-")) as (target, _):
                    sheet.add(into, events / _seconds(target, "import", folder / name), "events/s")
                    if into == IMPORT:
                        again = _seconds(target, "import", folder / name)
                        sheet.add(AGAIN, events / again, "events/s")


def _seconds(daemon: Daemon, *args: str | Path) -> float:
    """Return how long a command takes that goes well."""
    command = [sys.executable, "-m", "eventd", "--socket", daemon.socket, *args]
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began
