"""Reads files that somebody else may be writing, and never waits for one that is none."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 256 * 2**20  # bytes; it is read into memory as a whole
TRIES = 3  # to read a file that changes meanwhile
CHUNK = 4 * 2**20  # bytes


class Unreadable(Exception):
    """A file that is not read; the text is the reason, for a person."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file.

    Attributes:
        modified: Unix ms.
    """

    data: bytes
    modified: int


def read(path: Path) -> Content:
    """Return all of a file, as it was at one time.

    Raises:
        Unreadable: It is no plain file, may not be read, is too large, or does not keep still.
    """
    for _ in range(TRIES):
        try:
            content = _read(path)
        except OSError as error:
            raise Unreadable(f"cannot be read: {os.strerror(error.errno or 0)}") from error
        if content is not None:
            return content
    raise Unreadable("changes while it is read")


def _read(path: Path) -> Content | None:
    """Return None where it has changed meanwhile."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("no plain file")
        if before.st_size > MAX_FILE:
            raise Unreadable(f"larger than {MAX_FILE >> 20} MiB")
        parts: list[bytes] = []
        left = before.st_size + 1  # no further: it may grow as fast as it is read
        while left > 0 and (part := os.read(fd, min(CHUNK, left))):
            parts.append(part)
            left -= len(part)
        after = os.fstat(fd)
    finally:
        os.close(fd)
    if left != 1 or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return None
    return Content(b"".join(parts), after.st_mtime_ns // 1_000_000)
