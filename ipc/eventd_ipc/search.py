"""Finding the daemon: which sockets to try, and what to say when none answers. Does no I/O on sockets."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import AccessDenied, EventdClientError, NotRunning
from .paths import check_folder, client_sockets

PATIENCE = 2.0  # seconds: `eventd run & my-agent` has to work
PAUSE = 0.05  # seconds between two rounds

_NOBODY_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.EAGAIN}


class Search:
    """One attempt to reach the daemon, in rounds over all places where it may be.

    Args:
        socket: The only place, when given.
        patience: Seconds until nobody there means not running.
    """

    def __init__(self, socket: str | os.PathLike[str] | None = None, patience: float = PATIENCE) -> None:
        self._socket = socket
        self._deadline = time.monotonic() + patience
        self._tried: dict[Path, None] = {}

    def places(self) -> Iterator[Path]:
        """Return the sockets that are there, each in a folder that can be trusted.

        Raises:
            UnsafeSocket: There is a socket where others could have put it.
            AccessDenied: This user may not look.
        """
        for place in client_sockets(self._socket):
            self._tried[place] = None
            try:
                place.lstat()
                check_folder(place.parent)
            except OSError as error:
                self.failed(place, error)
            else:
                yield place

    def failed(self, place: Path, error: OSError) -> None:
        """Note that nobody answers at a place.

        Raises:
            AccessDenied: Somebody may be there, but not for this user.
            EventdClientError: The place can hold no socket.
        """
        if isinstance(error, PermissionError):
            raise AccessDenied(f"this user may not use {place}") from error
        if error.errno not in _NOBODY_THERE:
            raise EventdClientError(f"{place} cannot be used: {error}") from error

    def pause(self) -> float:
        """Return the seconds to wait before the next round.

        Raises:
            NotRunning: The patience is over.
        """
        if time.monotonic() >= self._deadline:
            raise NotRunning(f"eventd is not running: nobody answers at {', '.join(map(str, self._tried))}")
        return PAUSE
