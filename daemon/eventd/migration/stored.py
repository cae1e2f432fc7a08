"""Asks the daemon what it has of an agent's files, and puts files together again from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..events.normal import normalise
from .encoding import Text, encode
from .events import SOURCE
from .state import TYPES, State, Stored, StoredFile

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

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


def join(client: "Client", agent: str, file: StoredFile, lead: Stored) -> Joined:
    """Return a file as a lead and its sections have it.

    Raises:
        Incomplete: Some of it is not stored, or not any more.
    """
    wanted = (lead.id, *lead.sections)
    said: dict[str, str] = {}
    encoding = "utf-8"
    for event_id, data in _events(client, agent, file.run):
        if event_id in wanted:
            said[event_id] = next((v for key in ("text", "raw") if isinstance(v := data.get(key), str)), "")
            if event_id == lead.id and isinstance(data.get("encoding"), str):
                encoding = data["encoding"]
    if missing := sum(event_id not in said for event_id in wanted):
        raise Incomplete(f"{missing} of its {len(wanted)} events are not stored")
    text = "".join(said[event_id] for event_id in wanted)
    try:
        return Joined(file.path, text, encode(Text(encoding, text)), lead.sha256)
    except ValueError as error:
        raise Incomplete(f"its text is not what it was: {error}") from error


def text_with(client: "Client", body: bytes) -> str:
    """Return the text of the file that an event is a part of; of any other event its own text."""
    event = normalise(body)
    if event is None:
        return body.decode("utf-8", "replace")
    if event.meta.get("source") == SOURCE and event.run and event.data.get("path"):
        state = State()
        for stored in client.query(agent=event.agent, run=event.run, order="oldest", credit=CREDIT):
            state.add(stored.body)
        for workspace in state.workspaces.values():
            for file in workspace.files.values():
                if (lead := _lead_with(file, event.id)) is not None:
                    return join(client, event.agent, file, lead).text
    own = event.data.get("text")
    return own if isinstance(own, str) and own else event.text


def _lead_with(file: StoredFile, event_id: str) -> Stored | None:
    """Return the newest version of a file with an event in it."""
    for event in reversed(file.events.values()):
        if event.role == "lead" and event_id in (event.id, *event.sections):
            return event
    return None


def _events(client: "Client", agent: str, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for stored in client.query(agent=agent, run=run, credit=CREDIT):
        try:
            event = msgspec.json.decode(stored.body)
            yield event["id"], event["payload"]["data"]
        except (ValueError, LookupError, TypeError):
            continue
