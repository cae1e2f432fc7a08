"""What is looked at every few seconds: the daemon's process from outside, its files, and its status."""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eventd_ipc.errors import EventdClientError
from support.daemon import Daemon

FILES = {
    "outbox": "outbox.db",
    "outbox_wal": "outbox.db-wal",
    "index": "index.db",
    "index_wal": "index.db-wal",
}
"""Files of the data folder by the name of their value."""

FROM_STATUS = {
    "accepted": ("outbox", "accepted"),
    "pending": ("outbox", "rows"),
    "retained": ("outbox", "retained_rows"),
    "ledger": ("outbox", "ledger_ids"),
    "indexed": ("index", "events"),
    "connections": ("server", "connections"),
    "streams": ("server", "streams"),
}
"""Where the status document has other values."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        time: Seconds since the first look.
        values: By name; what could not be found out is not there.
    """

    time: float
    values: Mapping[str, float]


class Sampler:
    """Looks at a daemon again and again from a thread of its own; a context manager.

    Attributes:
        samples: All looks, in order.
    """

    def __init__(self, daemon: Daemon, interval: float) -> None:
        self.samples: list[Sample] = []
        self._daemon = daemon
        self._interval = interval
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def look(self) -> Sample:
        """Look once."""
        values = look(self._daemon)
        return Sample(time.monotonic() - self._began, values)

    def _run(self) -> None:
        while True:
            self.samples.append(self.look())
            if self._stopping.wait(self._interval):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


def look(daemon: Daemon) -> dict[str, float]:
    """Return every value that there is now."""
    values: dict[str, float] = {}
    for name, file in FILES.items():
        path = daemon.data / file
        values[name] = path.stat().st_size if path.exists() else 0
    values["log"] = (daemon.folder / "eventd.log").stat().st_size
    if daemon.pid is not None:
        values |= process(daemon.pid)
    try:
        document: dict[str, Any] = daemon.status()
    except EventdClientError:
        return values  # whether it answers is the clients' business
    for name, (part, key) in FROM_STATUS.items():
        values[name] = document[part][key]
    return values


def process(pid: int) -> dict[str, float]:
    """Return memory in bytes, threads and descriptors of a process; on macOS memory alone."""
    folder = Path("/proc", str(pid))
    if not folder.exists():
        listing = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=False)
        return {"rss": int(listing.stdout) * 1024} if listing.stdout.strip() else {}
    fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return {
        "rss": int(fields["VmRSS"].split()[0]) * 1024,
        "anonymous": int(fields["RssAnon"].split()[0]) * 1024,
        "threads": int(fields["Threads"]),
        "fds": len(list((folder / "fd").iterdir())),
    }
