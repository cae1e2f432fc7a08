"""How the configuration in force came about: a part of the daemon's status."""

import time
from dataclasses import dataclass, field


def now_ms() -> int:
    """Return the time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class ReloadStatus:
    """What a person wants to know about the configuration in force.

    Attributes:
        generation: Counts the configurations that took effect since the start, from 1.
        loaded_at: When this one did, Unix milliseconds.
        error: Why the file cannot be used now, with its lines; None where it can.
        error_at: When that was found, Unix milliseconds.
        needs_restart: What the file says otherwise than what is in force, and will only hold after a restart.
    """

    generation: int = 1
    loaded_at: int = field(default_factory=now_ms)
    error: str | None = None
    error_at: int | None = None
    needs_restart: list[str] = field(default_factory=list)
