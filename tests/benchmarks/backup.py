"""`eventd backup` and `eventd restore` as whole processes."""

import subprocess
import sys
import time
from pathlib import Path

from support.daemon import Daemon

from .load import Load, Plan
from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = (
    "whole processes, events of 300 bytes; files are synced and have checksums. A restore ends when all is "
    "compared by id and bytes, unless it says otherwise"
)

SNAPSHOT = "backup, as a snapshot"
RECORDS = "backup, as records"
FROM_SNAPSHOT = "restore from a snapshot"
UNCOMPARED = "restore from a snapshot, not compared"
FROM_RECORDS = "restore event by event"

EVENTS = 100_000


def measure(sheet: Sheet, options: Options) -> None:
    """Measure both ways to take a stream, and to bring it back into an empty server."""
    sheet.note = NOTE
    events = options.amount(EVENTS)
    for _ in range(options.rounds):
        with workspace(options, "backup") as folder:
            with shipping(folder / "source") as (source, _):
                with Load(Plan(str(source.socket), events, batch=20)) as load:
                    load.go()
                source.wait_for(
                    lambda status: not status["outbox"]["rows"] and not status["index"]["behind"],
                    what="all is shipped and indexed",
                )
                for name, options_of in ((SNAPSHOT, ()), (RECORDS, ("--records",))):
                    seconds = _seconds(source, "backup", folder / name.replace(" ", "-"), *options_of)
                    sheet.add(name, events / seconds, "events/s")
            for name, taken, options_of in (
                (FROM_SNAPSHOT, SNAPSHOT, ()),
                (UNCOMPARED, SNAPSHOT, ("--no-verify",)),
                (FROM_RECORDS, RECORDS, ()),
            ):
                with shipping(folder / name.replace(" ", "-").replace(",", "")) as (target, _):
                    seconds = _seconds(target, "restore", folder / taken.replace(" ", "-"), *options_of)
                    sheet.add(name, events / seconds, "events/s")


def _seconds(daemon: Daemon, *args: str | Path) -> float:
    """Return how long a command takes that goes well."""
    command = [sys.executable, "-m", "eventd", "--config", daemon.config, "--socket", daemon.socket, *args]
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began
