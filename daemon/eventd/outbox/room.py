"""What happens when the disk fills up, and how the outbox finds back."""

import logging
import time

import apsw

from .connection import extended_code
from .disk import FULL_ERRNOS, Reserve, free_bytes
from .model import Refusal
from .store import Store

logger = logging.getLogger(__name__)

LOOK_PAUSE = 0.05  # seconds for which a look at the free space counts
RETRY_PAUSE = 1.0  # seconds before a disk that was full is trusted again

_SYNC_ERRORS = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})

DISK_FULL = Refusal("disk_full", "there is no room on the disk")


def is_full(store: Store, error: apsw.Error) -> bool:
    """Whether an error only means that the disk is full. A failed sync never does, whatever its errno."""
    if isinstance(error, apsw.FullError):
        return True
    if not isinstance(error, apsw.IOError) or extended_code(error) in _SYNC_ERRORS:
        return False
    return store.db.system_errno in FULL_ERRNOS or free_bytes(store.files.db.parent) == 0


class Room:
    """Refuses events in time, keeps deletes and checkpoints going, and takes events again by itself.

    Attributes:
        full: Whether events are refused.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reserve = Reserve(store.files.reserve, store.tuning.wal_max)
        self._look_again = 0.0
        self.full = False
        if not self._reserve.restore():
            self._refuse("there is not even room for the reserve")

    def refusal(self) -> Refusal | None:
        """Return the refusal of new events, None if there is room for them."""
        self.look()
        return DISK_FULL if self.full else None

    def look(self) -> None:
        """Look at the free space, unless that was just done; when there is room again, take events again."""
        now = time.monotonic()
        if now < self._look_again:
            return
        self._look_again = now + (RETRY_PAUSE if self.full else LOOK_PAUSE)
        free, least = self._store.room(), self._store.settings.min_free
        if not self.full:
            if free < least:
                self._refuse(f"{free} bytes are free, {least} must stay")
            return
        self.checkpoint(truncate=True)
        needed = least if self._reserve.held else least + self._reserve.size
        if free >= needed and self._reserve.restore():
            self.full = self._store.disk_full = False
            logger.info("there is room on the disk again", extra={"action": "disk_room", "free": free})

    def run_out(self, error: Exception) -> Refusal:
        """Note that a write found no room: give up the reserve, so that deletes and checkpoints go on."""
        self._reserve.release()
        self._refuse(str(error))
        return DISK_FULL

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Checkpoint, if need be on the room of the reserve; on a full disk it may have to wait."""
        try:
            self._store.checkpoint(truncate=truncate)
        except apsw.Error as error:
            if not is_full(self._store, error):
                raise
            self.run_out(error)
            try:
                self._store.checkpoint(truncate=truncate)
            except apsw.Error as again:
                if not is_full(self._store, again):
                    raise

    def _refuse(self, why: str) -> None:
        self._look_again = time.monotonic() + RETRY_PAUSE
        if not self.full:
            self.full = self._store.disk_full = True
            logger.warning(
                "no room on the disk (%s): new events are refused, shipping goes on",
                why,
                extra={"action": "disk_full", "folder": str(self._store.files.db.parent)},
            )
