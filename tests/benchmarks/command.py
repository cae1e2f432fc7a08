"""`eventd emit` as a whole process, beside an interpreter that does nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from eventd_ipc.paths import SOCKET_VARIABLE

from .report import Sheet
from .stage import Options, eventd, workspace

NOTE = "wall time, bytecode cached; each run is one process"

EMIT = "eventd emit"
NOTHING = "python -c pass"
RUNS = 10  # of each, in each round
EVENT = b'{"type": "bench.note", "payload": {"text": "hello"}}'


def measure(sheet: Sheet, options: Options) -> None:
    """Run both in turn."""
    sheet.note = NOTE
    emit = [str(Path(sys.executable).with_name("eventd")), "emit"]
    nothing = [sys.executable, "-c", "pass"]
    with workspace(options, "command") as folder, eventd(folder) as daemon:
        environment = os.environ | {SOCKET_VARIABLE: str(daemon.socket)}
        _run(emit, environment)  # reads what the next ones find cached
        for _ in range(RUNS * options.rounds):
            sheet.add(EMIT, _run(emit, environment), "ms")
            sheet.add(NOTHING, _run(nothing, environment), "ms", control=True)
    sheet.compare(EMIT, NOTHING)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the milliseconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, input=EVENT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000
