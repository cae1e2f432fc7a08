"""Asks the daemon what it has of an agent's files, and puts files together again from it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

from ..events.normal import normalise
from .encoding import Text, encode
from .events import SOURCE
from .state import TYPES, State, Stored, StoredFile

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client
    from eventd_ipc.messages import StoredEvent

CREDIT = 64  # events under way: one may be large


class Incomplete(Exception):
    """A file cannot be put together; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A file as its events have it.

    Attributes:
        text: What people read of it.
        data: Its bytes.
    """

    path: bytes
    text: str
    data: bytes
    sha256: str


def read_state(client: "Client", agent: str) -> State:
    """Return what is stored of an agent's workspaces."""
    state = State()
    with client.query(agent=agent, types=TYPES, order="oldest", credit=CREDIT) as found:
        for event in found:
            state.add(event.body)
    return state


class Piece(NamedTuple):
    """What an event has of a file.

    Attributes:
        encoding: Of a lead, by which the text becomes the file.
    """

    text: str
    encoding: str


Pieces = Callable[[str], Piece | None]
"""The piece of the event with an id; None where it is not stored."""


def join(file: StoredFile, lead: Stored, pieces: Pieces) -> Joined:
    """Return a file as a lead and its sections have it.

    Raises:
        Incomplete: Some of it is not stored, or not any more.
    """
    found = [pieces(event_id) for event_id in (lead.id, *lead.sections)]
    held = [piece for piece in found if piece is not None]
    if len(held) < len(found):
        raise Incomplete(f"{len(found) - len(held)} of its {len(found)} events are not stored")
    text = "".join(piece.text for piece in held)
    try:
        return Joined(file.path, text, encode(Text(held[0].encoding, text)), lead.sha256)
    except ValueError as error:
        raise Incomplete(f"its text is not what it was: {error}") from error


class Spool:
    """The pieces of many files, aside in a file of our own: they are more than memory holds."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._places: dict[str, tuple[int, int, str]] = {}

    def fill(self, client: "Client", agent: str, wanted: Collection[str]) -> None:
        """Take in the events with some ids."""
        at = 0
        for event_id, piece in _pieces(client.query(agent=agent, types=TYPES, credit=CREDIT)):
            if event_id in wanted and event_id not in self._places:
                size = self._spool.write(piece.text.encode())
                self._places[event_id] = (at, size, piece.encoding)
                at += size

    def get(self, event_id: str) -> Piece | None:
        """Return the piece of an event."""
        if (place := self._places.get(event_id)) is None:
            return None
        at, size, encoding = place
        self._spool.seek(at)
        return Piece(self._spool.read(size).decode(), encoding)


def text_with(client: "Client", body: bytes) -> str:
    """Return the text of the file that an event is a part of; of any other event its own text."""
    event = normalise(body)
    if event is None:
        return body.decode("utf-8", "replace")
    if event.meta.get("source") == SOURCE and event.run and event.data.get("path"):
        bodies = [bytes(e.body) for e in client.query(agent=event.agent, run=event.run, order="oldest")]
        state = State()
        for held in bodies:
            state.add(held)
        pieces = dict(_pieces_of(bodies))
        for workspace in state.workspaces.values():
            for file in workspace.files.values():
                if (lead := _lead_with(file, event.id)) is not None:
                    return join(file, lead, pieces.get).text
    own = event.data.get("text")
    return own if isinstance(own, str) and own else event.text


def _lead_with(file: StoredFile, event_id: str) -> Stored | None:
    """Return the newest version of a file with an event in it."""
    for event in reversed(file.events.values()):
        if event.role == "lead" and event_id in (event.id, *event.sections):
            return event
    return None


def _pieces(found: "Iterable[StoredEvent]") -> Iterator[tuple[str, Piece]]:
    return _pieces_of(event.body for event in found)


def _pieces_of(bodies: Iterable[bytes]) -> Iterator[tuple[str, Piece]]:
    for body in bodies:
        if (event := normalise(body)) is None:
            continue
        data = event.data
        text = next((said for key in ("text", "raw") if isinstance(said := data.get(key), str)), None)
        if text is not None:
            yield event.id, Piece(text, data["encoding"] if isinstance(data.get("encoding"), str) else "")
