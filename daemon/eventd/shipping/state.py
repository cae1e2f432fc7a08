"""What a shipper is doing, and what it has done, for status."""

import enum
from dataclasses import dataclass, field

from ..rate import Rate
from .reconcile import Repair, now_ms


class State(enum.StrEnum):
    """What a shipper is doing."""

    CONNECTING = "connecting"
    PREPARING = "preparing"
    IDLE = "idle"
    SHIPPING = "shipping"
    STALLED = "stalled"


@dataclass(slots=True)
class ShipperStatus:
    """What a person wants to know about a route's shipping."""

    state: State = State.CONNECTING
    reason: str = ""
    since: int = field(default_factory=now_ms)
    """When `state` began, Unix milliseconds."""
    unready_since: int | None = field(default_factory=now_ms)
    """Since when it cannot ship, Unix milliseconds; None while it can. Attempts in between do not count."""
    stream: str = ""
    mode: str = ""
    notes: tuple[str, ...] = ()
    shipped: int = 0
    settled: int = 0
    """Rows behind the watermark: shipped, found to be stored already, or dead."""
    batches: int = 0
    repeated: int = 0
    dead: int = 0
    repairs: int = 0
    last_repair: Repair | None = None
    lost_by_server: int = 0
    """Acknowledged messages that the server lost and that were no longer retained here."""
    last_ack_at: int | None = None
    shipping: Rate = field(default_factory=Rate)
    settling: Rate = field(default_factory=Rate)
    dying: Rate = field(default_factory=Rate)

    def add(self, ended: "ShipperStatus") -> None:
        """Count what a shipper has done that has ended."""
        self.shipped += ended.shipped
        self.settled += ended.settled
        self.dead += ended.dead
        self.repairs += ended.repairs
        self.lost_by_server += ended.lost_by_server
