"""The disk below the data folder: how much room there is, and whether it is one at all."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ..config.settings import Config
from .model import Finding, Findings, Level, unmade

LOW = 5  # percent of a disk; below it a warning
MIB = 2**20
MOUNTS = Path("/proc/self/mounts")  # Linux

VOLATILE = frozenset({"tmpfs", "ramfs"})
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs"})


def examine_room(config: Config) -> Findings:
    """Look at the disk of the data folder, and at that of the embedded server's streams if it is another."""
    folders = [config.data_dir]
    if config.uses_embedded and config.embedded.store_dir is not None:
        folders.append(config.embedded_store)
    return [finding for folder in folders for finding in _folder(folder, config)]


def _folder(folder: Path, config: Config) -> Iterator[Finding]:
    check, title = "disk.room", "disk"
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        disk = shutil.disk_usage(there)
    except OSError as error:
        yield unmade(check, title, f"this user may not look at {folder}: {os.strerror(error.errno or 0)}")
        return
    yield _room(folder, disk.free, disk.total, config)
    yield from _kind(folder, there)


def _room(folder: Path, free: int, total: int, config: Config) -> Finding:
    check, title = "disk.room", "disk"
    bounds = config.outbox
    text = f"{_size(free)} free of {_size(total)} for {folder}"
    if free <= bounds.min_free:
        text += f"; at {_size(bounds.min_free)} (outbox.minFree) events are refused"
        return Finding(
            check, Level.PROBLEM, title, text, "free space on it, or set dataDir to a folder on another disk"
        )
    if free < max(2 * bounds.min_free, total * LOW // 100):
        remedy = "free space on it before NATS is away for long: the outbox needs room then"
        return Finding(check, Level.WARNING, title, text, remedy)
    if free - bounds.min_free < bounds.max_bytes:
        text += f"; that is less than the outbox may take ({_size(bounds.max_bytes)}, outbox.maxBytes)"
        return Finding(check, Level.NOTE, title, text)
    return Finding(check, Level.OK, title, text)


def _kind(folder: Path, there: Path) -> Iterator[Finding]:
    """Say where an fsync means nothing, and where locks of SQLite may not hold."""
    kind = _file_system(there)
    if kind in VOLATILE:
        yield Finding(
            "disk.kind", Level.WARNING, "disk",
            f"{folder} is in memory ({kind}): what is accepted is gone after a reboot",
            "set dataDir to a folder on a disk",
        )  # fmt: skip
    elif kind in REMOTE:
        yield Finding(
            "disk.kind", Level.WARNING, "disk",
            f"{folder} is on another machine ({kind}), where SQLite's locks and log may not hold",
            "set dataDir to a folder on a local disk",
        )  # fmt: skip


def _file_system(folder: Path) -> str:
    """Return the kind of the file system of a folder; "" where that cannot be told."""
    if sys.platform != "linux":
        return ""
    folder = folder.resolve()
    best, kind = -1, ""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, place, found, *_ = line.split(" ")
        mount = Path(place.replace("\\040", " "))
        # A later mount on the same place hides the earlier one.
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), found
    return kind


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / MIB:.0f} MiB"
