"""File systems for SQLite that fail on purpose."""
# ruff: noqa: N802 - the names are SQLite's

import os
from collections.abc import Buffer

import apsw

_PIECE = 64 * 1024  # bytes; the platform's own VFS takes less than 128 KiB at once


class PowerCut(apsw.VFS):
    """Keeps what is written in memory until it is synced: that is what a power cut takes.

    A stand-in for the page cache at its least friendly. `cut` makes everything that follows fail, too:
    the machine is off.
    """

    def __init__(self, name: str = "powercut") -> None:
        self.name = name
        self.off = False
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _CutFile(self, name, flags)

    def cut(self) -> None:
        self.off = True


class _CutFile(apsw.VFSFile):
    def __init__(self, vfs: PowerCut, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs
        self._cache = bytearray(super().xRead(super().xFileSize(), 0)) if super().xFileSize() else bytearray()
        self._dirty = False

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._cache[offset : offset + amount])

    def xWrite(self, data: Buffer, offset: int) -> None:
        chunk = bytes(data)
        if len(self._cache) < offset:
            self._cache.extend(bytes(offset - len(self._cache)))
        self._cache[offset : offset + len(chunk)] = chunk
        self._dirty = True

    def xTruncate(self, newsize: int) -> None:
        del self._cache[newsize:]
        self._dirty = True

    def xFileSize(self) -> int:
        return len(self._cache)

    def xSync(self, flags: int) -> None:
        if self._dirty and not self._vfs.off:
            super().xTruncate(len(self._cache))
            for at in range(0, len(self._cache), _PIECE):
                super().xWrite(bytes(self._cache[at : at + _PIECE]), at)
            self._dirty = False
        super().xSync(flags)


class Faulty(apsw.VFS):
    """Passes everything on, until it is told to fail.

    Attributes:
        fail_write: Raised by every write.
        fail_sync: Raised by every sync.
        errno: What the system is said to have said last.
    """

    def __init__(self, name: str = "faulty") -> None:
        self.name = name
        self.fail_write: Exception | None = None
        self.fail_sync: Exception | None = None
        self.errno = 0
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _FaultyFile(self, name, flags)

    def xGetLastError(self) -> tuple[int, str]:
        return self.errno, os.strerror(self.errno)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: Faulty, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs

    def xWrite(self, data: Buffer, offset: int) -> None:
        if self._vfs.fail_write is not None:
            raise self._vfs.fail_write
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._vfs.fail_sync is not None:
            raise self._vfs.fail_sync
        super().xSync(flags)


def write_failure() -> Exception:
    """What SQLite sees when a write fails for any other reason than ENOSPC."""
    error = apsw.IOError("write failed")
    error.extendedresult = apsw.SQLITE_IOERR_WRITE  # type: ignore[attr-defined]
    return error


def sync_failure() -> Exception:
    """What SQLite sees when fsync fails."""
    error = apsw.IOError("fsync failed")
    error.extendedresult = apsw.SQLITE_IOERR_FSYNC  # type: ignore[attr-defined]
    return error
