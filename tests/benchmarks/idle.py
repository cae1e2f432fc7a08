"""The daemon that has nothing to do: memory and processor time, connected to a broker that is not counted."""

import os
import subprocess
import time
from pathlib import Path

from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = "connected to a broker of its own process, after one status request"

RSS = "resident memory"
CPU = "processor time, share of a core"
SPAN = 20.0  # seconds of each round
CONNECT_TIMEOUT = 30.0  # seconds
SETTLE = 2.0  # seconds after the start that are not measured


def measure(sheet: Sheet, options: Options) -> None:
    """Look at the process twice, `SPAN` apart."""
    sheet.note = NOTE
    span = max(2.0, SPAN * options.scale)
    for _ in range(options.rounds):
        with workspace(options, "idle") as folder, shipping(folder) as (daemon, _):
            pid = daemon.pid
            assert pid is not None
            time.sleep(SETTLE)
            before = cpu_seconds(pid)
            time.sleep(span)
            sheet.add(CPU, 100 * (cpu_seconds(pid) - before) / span, "%")
            sheet.add(RSS, int(_ps(pid, "rss")) * 1024 / 1e6, "MB")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for part in _ps(pid, "time").split(":"):  # macOS: [hours:]minutes:seconds.hundredths
        seconds = seconds * 60 + float(part)
    return seconds


def _ps(pid: int, column: str) -> str:
    listing = subprocess.run(
        ["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, check=True, text=True
    )
    return listing.stdout.strip()
