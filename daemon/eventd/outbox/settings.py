"""The bounds of an outbox: those that operators set, and those that are fixed but for tests."""

from dataclasses import dataclass

from ..config.settings import MIB, OutboxSettings

__all__ = ["MIB", "OutboxSettings", "Tuning"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Sizes in bytes.

    Attributes:
        wal_max: Largest write-ahead log; one emit that is larger than half of it may exceed it. The reserve
            file has this size too, because that is what a checkpoint can need on a full disk.
        group_rows: About how many rows are committed together at most. 3000 take 15 to 20 ms, for which
            others wait (unless somebody waits for each ack, see turns.py); 1000 cost a tenth more for each
            row, 4000 only 5 % less.
        vfs: SQLite's VFS; "" is the platform's own. Tests inject faults by it.
    """

    wal_max: int = 16 * MIB
    group_rows: int = 3000
    vfs: str = ""
