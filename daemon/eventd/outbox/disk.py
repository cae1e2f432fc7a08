"""Room on the disk: how much there is, and a reserve for when there is none."""

import errno
import fcntl
import os
from pathlib import Path

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_CHUNK = 1024 * 1024  # bytes


def free_bytes(folder: Path) -> int:
    """Return how many bytes an ordinary user can still write to the disk of `folder`."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def sync_file(fd: int) -> None:
    """Bring a file's content to the platters; on macOS plain fsync stops at the drive's cache."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries (new names, renames) to disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Reserve:
    """A file that only takes up room. Deletes and checkpoints need room too, so on a full disk it is
    given up for them, and made again when there is room.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size

    @property
    def held(self) -> bool:
        """Whether the reserve is there in full."""
        try:
            return self.path.stat().st_size >= self.size
        except FileNotFoundError:
            return False

    def restore(self) -> bool:
        """Make the reserve if it is not there; return whether it is there now."""
        if self.held:
            return True
        try:
            self._make()
        except OSError as error:
            self.release()
            if error.errno in FULL_ERRNOS:
                return False
            raise
        return True

    def _make(self) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, self.size)
            else:
                zeros = bytes(min(_CHUNK, self.size))
                for offset in range(0, self.size, len(zeros)):
                    os.pwrite(fd, zeros[: self.size - offset], offset)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Give the room back to the disk."""
        self.path.unlink(missing_ok=True)
