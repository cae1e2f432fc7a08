"""A small disk, and how it becomes full."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK = 96 * 1024 * 1024  # bytes
MIB = 1024 * 1024
PAGE = 4096  # bytes


class NoDisk(Exception):
    """This machine or this user cannot make one."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk on a folder, which is made.

    Raises:
        NoDisk: Only root can, and not everywhere.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoDisk("only root can mount a tmpfs")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False)
    if mounted.returncode:
        raise NoDisk("this machine lets nobody mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take all room on the disk but so many bytes; removing the returned file gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for chunk in (MIB, PAGE):  # others are writing too, so room is taken until there is none
            with contextlib.suppress(OSError):
                while shutil.disk_usage(disk).free > leave:
                    file.write(bytes(chunk))
    return filler
