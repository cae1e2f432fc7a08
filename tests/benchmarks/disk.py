"""The disk's own speed: what no durable service can beat."""

import fcntl
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

PAGE = 4096  # bytes; one page of the outbox's log


def sync_times(folder: Path, count: int) -> list[float]:
    """Return the seconds of each of `count` writes of one page and its sync.

    The file has its size beforehand, as the outbox's log has once it was written through.
    """
    path = folder / "sync-times"
    page = os.urandom(PAGE)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for i in range(count):
            os.pwrite(fd, page, i * PAGE)
        os.fsync(fd)
        times = []
        for i in range(count):
            start = time.perf_counter()
            os.pwrite(fd, page, i * PAGE)
            _sync(fd)
            times.append(time.perf_counter() - start)
    finally:
        os.close(fd)
        path.unlink()
    return times


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _sync(fd: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)
