"""What all connections of a server share."""

from dataclasses import dataclass, field
from typing import Protocol

from anyio import CapacityLimiter

from ..access.gate import Gate
from ..ingest.admission import Admission
from ..outbox.model import Done, Submission
from .inflight import InFlight
from .operations import Operations
from .settings import ServerSettings
from .stats import ServerStats

HELLOS = 4  # threads; a hello takes 0.1 ms of one, most of it for small files


class Accepts(Protocol):
    """What the server needs of the outbox."""

    def submit(self, submissions: list[Submission], done: Done) -> None:
        """Bring rows to disk; `done` is called on the event loop, in order."""


@dataclass(slots=True)
class Context:
    """What all connections of a server share.

    Attributes:
        gate: Decides who a client is.
        admission: That of today's configuration; looked up anew for each batch.
        name: Name and version of the server, for welcome.
        in_flight: Emits of all connections that have no reply yet.
        one_at_a_time: Limits the threads that take large frames, and so the memory that decoding needs.
        hellos: Limits the threads that look at hellos; a flood of them leaves threads to all others.
    """

    settings: ServerSettings
    gate: Gate
    admission: Admission
    outbox: Accepts
    operations: Operations
    stats: ServerStats
    name: str
    in_flight: InFlight = field(init=False)
    one_at_a_time: CapacityLimiter = field(init=False)
    hellos: CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.in_flight = InFlight(self.settings.max_in_flight_total)
        self.one_at_a_time = CapacityLimiter(1)
        self.hellos = CapacityLimiter(HELLOS)
