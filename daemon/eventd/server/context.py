"""What all connections of a server share."""

from dataclasses import dataclass
from typing import Protocol

from ..ingest.admission import Admission
from ..outbox.model import Done, Submission
from .operations import Operations
from .settings import ServerSettings
from .stats import ServerStats


class Accepts(Protocol):
    """What the server needs of the outbox."""

    def submit(self, submissions: list[Submission], done: Done) -> None:
        """Bring rows to disk; `done` is called on the event loop, in order."""


@dataclass(slots=True)
class Context:
    """What all connections of a server share.

    Attributes:
        admission: That of today's configuration; looked up anew for each batch.
        name: Name and version of the server, for welcome.
    """

    settings: ServerSettings
    admission: Admission
    outbox: Accepts
    operations: Operations
    stats: ServerStats
    name: str
