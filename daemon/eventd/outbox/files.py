"""The files of an outbox, all beside the database."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything of the outbox at `db` is.

    Attributes:
        db: The database; the others are named after it.
    """

    db: Path

    def _beside(self, suffix: str) -> Path:
        return self.db.with_name(self.db.name + suffix)

    @property
    def wal(self) -> Path:
        """SQLite's write-ahead log."""
        return self._beside("-wal")

    @property
    def set(self) -> tuple[Path, ...]:
        """The database with everything that SQLite may put beside it: it is only moved as a whole."""
        return (self.wal, self._beside("-shm"), self._beside("-journal"), self.db)

    @property
    def mark(self) -> Path:
        """High-water mark: how far the outbox had come, told by another file (mark.py)."""
        return self._beside("-mark")

    @property
    def lock(self) -> Path:
        """Held by the daemon that uses the outbox (lock.py)."""
        return self._beside(".lock")

    @property
    def reserve(self) -> Path:
        """Room that is given up when the disk is full (disk.py)."""
        return self._beside("-reserve")

    @property
    def damaged(self) -> Path:
        """Left by a daemon that ran into damage: the next one salvages instead of opening."""
        return self._beside("-damaged")

    @property
    def part(self) -> Path:
        """The salvaged outbox while it is being written."""
        return self._beside("-rebuild-part")

    @property
    def rebuilt(self) -> Path:
        """The salvaged outbox, complete. While it exists, it is the outbox, and `db` is the damaged one."""
        return self._beside("-rebuild")

    @property
    def quarantining(self) -> Path:
        """Name of the folder in the quarantine that the salvage under way is for."""
        return self._beside("-quarantining")

    @property
    def quarantine(self) -> Path:
        """Folder of damaged outboxes, one sub-folder each."""
        return self.db.parent / "quarantine"
