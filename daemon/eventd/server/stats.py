"""Counters of the socket server, read by status and metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ServerStats:
    """What the server has done since it began; `connections` and `streams` are those of now.

    Attributes:
        accepted: Connections that were ever made, also refused ones.
        refused: Error replies by their code.
        stalled: Connections closed because their client took nothing any more.
    """

    connections: int = 0
    streams: int = 0
    accepted: int = 0
    frames: int = 0
    emits: int = 0
    events: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    stalled: int = 0
    refused: Counter[str] = field(default_factory=Counter)
