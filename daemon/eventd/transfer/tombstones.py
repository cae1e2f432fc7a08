"""What tombstones say is forgotten: that must not come back from a file of before."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..events.tombstones import TOMBSTONE, Forgotten, forgotten_in
from .incoming import Place
from .record import Record

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

SUFFIX = ".eventd_tombstone"
"""Ends the subject of a tombstone."""


@dataclass(slots=True)
class Gone:
    """Messages that are not to come back.

    Attributes:
        names: Their `Nats-Msg-Id`s.
        places: Where those of other writers were: what they are put in as is no id that a tombstone names.
    """

    names: set[str] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.names or self.places)

    def learn(self, record: Record) -> None:
        """Take in what a message says is forgotten: nothing, unless it is a tombstone."""
        if record.subject.endswith(SUFFIX):
            agent = record.message_id.partition(":")[0]
            named = forgotten_in(record.stored)
            self.names |= {f"{agent}:{one.id}" for one in named if one.id}
            self.places |= _places(named)


def places_gone(client: "Client") -> set[Place]:
    """Return where other writers' messages were that the daemon was told to forget. Blocks."""
    with client.query(agent="*", types=TOMBSTONE) as found:
        return {place for stored in found for place in _places(forgotten_in(stored.body))}


def _places(named: Iterable[Forgotten]) -> set[Place]:
    return {Place(one.stream, one.seq, one.time) for one in named if one.time}
