"""The lock that keeps a second daemon off an outbox and can say who holds it."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ..errors import AlreadyRunning, OutboxError


class Lock:
    """An exclusive `flock`; it ends with the process, however that ends.

    The file stays when the lock is released: removing it would let two daemons lock two different files.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def acquire(cls, path: Path, *, holder: str = "") -> Self:
        """Take the lock and write who holds it.

        Args:
            path: The lock file; made when absent.
            holder: What else tells this daemon from others, such as its socket.

        Raises:
            AlreadyRunning: Another process has it; the message names it.
            OutboxError: The file cannot be opened.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxError(
                f"cannot open the lock file {path}: {error.strerror}",
                hint="the outbox needs a folder that the daemon's user can write",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = _describe(fd)
            os.close(fd)
            raise AlreadyRunning(
                f"the outbox {path.with_suffix('')} is in use by {other}",
                hint="stop that daemon, or give this one another data folder",
            ) from error
        card = {
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "holder": holder,
        }
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(card).encode(), 0)
        except OSError:
            pass  # on a full disk the lock still holds, only nameless
        return cls(path, fd)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _describe(fd: int) -> str:
    try:
        card = json.loads(os.pread(fd, 4096, 0))
        text = f"process {card['pid']} since {card['since']}"
        return f"{text} ({card['holder']})" if card["holder"] else text
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
