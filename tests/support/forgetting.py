"""Events that are found wherever a byte of them is left, and what is not left once they are forgotten."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventd_ipc.blocking import Client, connect
from eventd_ipc.errors import EventdClientError
from eventd_ipc.events import Event
from eventd_ipc.messages import Selected

from .daemon import SETTLE_TIMEOUT, Daemon
from .waiting import wait_until

MARKER = "xyzzyQUUXforgotten"
"""A word that nothing else has."""

FOLDED = "quuxforgotten"
"""What a full-text table has of it: words that begin alike share that, and its parts are in there, too."""

SECRET_EVERY = 5  # of the events that `emit_some` stores


def emit_some(daemon: Daemon, count: int = 50, *, agent: str = "main") -> tuple[list[str], list[str]]:
    """Store events, some of which are secret; return the ids of these, and of the others."""
    events = [
        Event(
            type="conversation.message.in",
            session=f"agent:{agent}:main",
            payload={"data": {"text": f"{MARKER if number % SECRET_EVERY == 0 else 'plain'} number{number}"}},
        )
        for number in range(count)
    ]
    with admin(daemon, agent) as client:
        ids = client.emit(events)
    return ids[::SECRET_EVERY], [name for at, name in enumerate(ids) if at % SECRET_EVERY]


def admin(daemon: Daemon, agent: str = "main") -> Client:
    """Connect as an administrator; a context manager."""
    return connect(agent, socket=daemon.socket, token=daemon.admin_token, patience=0)


def forget(daemon: Daemon, ids: Iterable[str], *, agent: str = "main") -> dict[str, Any]:
    """Let events be forgotten; return the answer."""
    with admin(daemon) as client:
        return client.forget(agent, [Selected(name) for name in ids])


def progress(daemon: Daemon, answer: dict[str, Any], *, agent: str = "main") -> dict[str, Any]:
    """Return what has become of it."""
    with admin(daemon) as client:
        return client.forget_progress(agent, answer["tombstones"])


def wait_forgotten(daemon: Daemon, answer: dict[str, Any], *, agent: str = "main") -> None:
    """Wait until it is confirmed: erased from the stream, overwritten in outbox and index."""
    last: dict[str, Any] = {}

    def confirmed() -> bool:
        nonlocal last
        try:
            last = progress(daemon, answer, agent=agent)
        except EventdClientError as error:
            last = {"no answer": str(error)}
            return False
        return bool(last["clean"]) and not last["waiting"] and not last["dead"]

    wait_until(confirmed, SETTLE_TIMEOUT, what=lambda: f"it is confirmed\n{last}\n{daemon.complaint()}")


def wait_placed(daemon: Daemon, *, agent: str = "*") -> None:
    """Wait until the index knows where each event of an agent stands in its stream."""

    def placed() -> bool:
        with admin(daemon) as client:
            return all(event.seq for event in client.query(agent=agent))

    wait_until(placed, SETTLE_TIMEOUT, what="the index knows all places")


def shown(daemon: Daemon, *, agent: str = "*", text: str | None = None) -> list[str]:
    """Return the ids of the events that the index shows, oldest first; without tombstones."""
    with admin(daemon) as client:
        found = [json.loads(event.body) for event in client.query(agent=agent, text=text, order="oldest")]
    return [event.get("id", "") for event in found if event["type"] != "eventd.tombstone"]


def holding(*folders: Path) -> list[str]:
    """Return the files below folders in which a byte of a secret event is left; some may go meanwhile."""
    words = (MARKER.encode(), FOLDED.encode())
    found: list[str] = []
    for file in (file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()):
        with suppress(FileNotFoundError):
            data = file.read_bytes()
            found += [str(file)] if any(word in data for word in words) else []
    return found


def ids_of(messages: Sequence[Any]) -> list[str]:
    """Return the ids of stored events in the order of their stream, without tombstones."""
    found = [message.event for message in messages]
    return [event["id"] for event in found if event["type"] != "eventd.tombstone"]


def tombstones_of(messages: Sequence[Any]) -> list[set[str]]:
    """Return the ids that each tombstone in a stream names."""
    found = [message.event for message in messages]
    return [
        {one["id"] for one in event["payload"]["forgotten"]}
        for event in found
        if event["type"] == "eventd.tombstone"
    ]
