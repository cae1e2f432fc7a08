"""Counters of the socket server, read by status and metrics."""

from collections import Counter
from dataclasses import dataclass, field

from ..rate import Rate


@dataclass(slots=True)
class ServerStats:
    """What the server has done since it began; `connections`, `streams`, `stuck` and `paused` are of now.

    Attributes:
        accepted: Connections that were ever made, also refused ones.
        stuck: Connections whose client takes nothing of what was sent to it, for a while already.
        paused: Streams with events for a client that has not asked for more of them, for a while already.
        refused: Error replies by their code.
        refusing: How fast these are sent.
        stalled: Connections closed because their client took nothing any more.
    """

    connections: int = 0
    streams: int = 0
    stuck: int = 0
    paused: int = 0
    accepted: int = 0
    frames: int = 0
    emits: int = 0
    events: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    stalled: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusing: Rate = field(default_factory=Rate)

    def refuse(self, code: str) -> None:
        """Count an error reply."""
        self.refused[code] += 1
        self.refusing.count()
