"""Reads the lines of transcripts: plain or packed files of any size, one line at a time."""

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import EventdError
from .model import MAX_RECORD, Record

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BUFFER = 256 * 1024  # bytes read from the disk at once
PACKED = ".zst"
SKIPPED = 1024 * 1024  # bytes of a line that is too long that are read at once

PackingError = zstd.ZstdError
"""What is packed is damaged."""


class Unreadable(EventdError):
    """A transcript cannot be read, or not to its end."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file for reading, and nothing else: not a pipe, which would keep us for ever.

    Raises:
        Unreadable: It is none, or may not be read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(os.strerror(error.errno or 0)) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Unreadable("no plain file")
    with os.fdopen(number, "rb", buffering=BUFFER) as file:
        yield file


def lines(path: Path) -> Iterator[Record]:
    """Yield the lines of a file, packed or not.

    A last line without an end is yielded like the others: whoever reads it finds out whether it is whole.

    Raises:
        Unreadable: The file cannot be read, or is damaged; the lines before that were yielded.
    """
    with opened(path) as file:
        try:
            if path.suffix == PACKED:
                with zstd.ZstdFile(file, "rb") as unpacked:
                    # How much of the packed file was taken is what progress can be told by.
                    yield from lines_of(io.BufferedReader(cast("io.RawIOBase", unpacked), BUFFER), file.tell)
            else:
                yield from lines_of(file)
        except (OSError, EOFError, zstd.ZstdError) as error:
            raise Unreadable(f"cannot be read to its end: {error}") from error


def unpacked_lines(data: bytes) -> Iterator[Record]:
    """Yield the lines of a packed file that is held in memory; see `lines`."""
    try:
        with zstd.ZstdFile(io.BytesIO(data), "rb") as file:
            yield from lines_of(io.BufferedReader(cast("io.RawIOBase", file), BUFFER))
    except (EOFError, zstd.ZstdError) as error:
        raise Unreadable(f"cannot be read to its end: {error}") from error


def unpack(data: bytes) -> bytes | None:
    """Return what was packed; None where it is longer than a record may be.

    Raises:
        zstd.ZstdError: It is damaged.
    """
    decompressor = zstd.ZstdDecompressor()
    found = decompressor.decompress(data, MAX_RECORD + 1)
    if len(found) > MAX_RECORD:
        return None
    if not decompressor.eof:
        raise zstd.ZstdError("the packed data ends too early")
    return bytes(found)


def lines_of(file: io.BufferedIOBase | BinaryIO, taken: Callable[[], int] | None = None) -> Iterator[Record]:
    """Yield the lines of an open file that are not empty.

    Args:
        taken: How much of the transcript was read; by default the bytes of the lines.
    """
    size = 0
    while line := file.readline(MAX_RECORD + 1):
        size += len(line)
        too_long = len(line) > MAX_RECORD
        while too_long and not line.endswith(b"\n") and (line := file.readline(SKIPPED)):
            size += len(line)
        if too_long or not line.isspace():
            yield Record(None if too_long else line, taken() if taken else size)
