"""Files of records: written whole or not at all, plain or packed, and read whatever they are."""

import gzip
import os
import select
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from ..errors import EventdError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BUFFER = 1024 * 1024  # bytes that are written to the disk at once
GZIP_LEVEL = 6  # packs text to about a fifth; more takes much longer for little
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class DamagedFile(EventdError):
    """A packed file cannot be unpacked to its end."""


class Writable(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Write all of them."""


@contextmanager
def written(path: Path) -> Iterator[Writable]:
    """Write a file that has its name only when it is whole and on disk; packed if the name ends so.

    `.gz` is gzip, `.zst` is Zstandard. After an error nothing is left of it, and a file that had the name is
    as it was. It is for this user alone (mode 0600). Pipes and devices are written to directly.

    Raises:
        OSError: It cannot be written.
    """
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("wb", buffering=BUFFER) as plain, packed(plain, path.suffix) as file:
            yield file
        return
    path = path.resolve()  # so that a link stays one
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:  # names what is asked for, not the name that it has meanwhile
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(number, "wb", buffering=BUFFER) as plain:
            with packed(plain, path.suffix) as file:
                yield file
            plain.flush()
            os.fsync(plain.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def packed(plain: Writable, suffix: str) -> Iterator[Writable]:
    """Write into something, packed as the end of a name says."""
    match suffix:
        case ".gz":
            # Without a time in it, so that the same events make the same file.
            with gzip.GzipFile("", "wb", GZIP_LEVEL, cast("BinaryIO", plain), mtime=0) as file:
                yield cast("Writable", file)
        case ".zst":
            with zstd.ZstdFile(cast("BinaryIO", plain), "wb") as file:
                yield cast("Writable", file)
        case _:
            yield plain


class Unpacked:
    """A file as it was before it was packed, read piece by piece.

    Args:
        file: Opened for reading bytes, with a buffer.

    Attributes:
        size: Bytes of the file itself, where that is known.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        found = os.fstat(file.fileno())
        self.size = found.st_size if stat.S_ISREG(found.st_mode) else None
        self._source = _unpacking(file)

    @property
    def taken(self) -> int:
        """Bytes of the file itself that have been read."""
        return self._file.tell() if self.size is not None else 0

    def has_more(self) -> bool:
        """Whether reading goes on at once, rather than waiting for who writes it."""
        return self.size is not None or bool(select.select([self._file], [], [], 0)[0])

    def read(self, size: int) -> bytes:
        """Return the next bytes, `size` at the most; none at the end.

        Raises:
            DamagedFile: It cannot be unpacked any further.
        """
        try:
            return self._source.read1(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
            raise DamagedFile(
                f"the file is damaged, or ends too early: {error}", hint="what was before that has been read"
            ) from error


class _Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...


def _unpacking(file: BinaryIO) -> _Readable:
    start = file.peek(len(ZSTD_MAGIC))[: len(ZSTD_MAGIC)]  # type: ignore[attr-defined]
    if start.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if start == ZSTD_MAGIC:
        return cast("_Readable", zstd.ZstdFile(file, "rb"))
    return cast("_Readable", file)
