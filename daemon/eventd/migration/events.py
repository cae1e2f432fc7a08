"""The events that are made of a file, and their ids.

A file becomes one *lead* and the *sections* behind it; the texts of these, in the order of the lead's
`sections`, are the file. What is for programs stands under `raw` instead of `text`, where full-text search
does not look. All events of one file have one `runId`, by which they are found again.

An id is made of whose memory it is, the file, and the words. So the same file gives the same ids on every
run, and on every machine. Words that come back after they were replaced are a new event: its id has a number
behind it.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from eventd_ipc.events import Event

SOURCE = "migration"
"""`meta.source` of every event that was made of a file."""

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose a file is.

    Attributes:
        workspace: Tells several workspaces of one agent apart; "" for the first.
        host, folder: Where the workspace was when this was made.
    """

    agent: str
    workspace: str
    host: str
    folder: str


@dataclass(slots=True)
class Draft:
    """An event before it is known whether it is stored already.

    Attributes:
        role: `lead`, `section` or `fact`.
        name: What is replaced by a later one with the same name: a heading with a part, the id of a fact.
        content: By which it is found again.
        said: What its id is made of: its words alone, so that words that were forgotten do not come back with
            something else about them.
        data: `payload.data`, without what depends on what is stored.
    """

    role: str
    type: str
    name: str
    content: str
    time: int
    data: dict[str, Any]
    session: str | None = None
    said: str = ""


def digest(*parts: object) -> str:
    """Return a short name of a content."""
    return hashlib.blake2b(_encode(parts), digest_size=16).hexdigest()


def run_of(origin: Origin, path: bytes) -> str:
    """Return what all events of a file have as their run."""
    return f"migrate-{digest(origin.agent, origin.workspace, base64.b64encode(path).decode())}"


def id_of(run: str, draft: Draft, number: int = 1) -> str:
    """Return the id of an event.

    Args:
        number: Of the events with these words, from 1; each replaces an earlier one, or one that did.
    """
    name = f"migration-{digest(run, draft.role, draft.said or draft.content)}"
    return name if number == 1 else f"{name}-{number}"


def event_of(
    origin: Origin, run: str, draft: Draft, event_id: str, replaces: list[str], closes: Sequence[str]
) -> Event:
    """Return the event of a draft.

    Args:
        replaces: Ids of earlier versions of the same.
        closes: Names or ids of other facts that hold no more.
    """
    meta: dict[str, Any] = {
        "source": SOURCE, "runId": run, "role": draft.role, "name": draft.name, "content": draft.content,
        "workspace": origin.workspace, "host": origin.host, "folder": origin.folder,
    }  # fmt: skip
    data = draft.data
    if replaces:
        meta["replaces"] = replaces
    if replaces or closes:
        data = data | {"supersedes": [*dict.fromkeys((*replaces, *closes))]}
    return Event(
        type=draft.type,
        id=event_id,
        timestamp=draft.time,
        agent=origin.agent,
        session=draft.session,
        payload={"data": data},
        meta=meta,
    )


def path_data(path: bytes) -> dict[str, str]:
    """Return a path for `data`; what is no UTF-8 also as its bytes."""
    text = path.decode("utf-8", "replace")
    exact = {} if text.encode() == path else {"pathBytes": base64.b64encode(path).decode()}
    return {"path": text, **exact}


def path_of(path: str, exact: str | None) -> bytes:
    """Return the path that `path_data` has written.

    Raises:
        ValueError: It was written by somebody else.
    """
    return base64.b64decode(exact, validate=True) if exact else path.encode()
