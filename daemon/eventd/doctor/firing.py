"""Whether what happens in a tool arrives here: its last event, against the sessions that it keeps itself."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eventd_ipc.blocking import Client
from eventd_ipc.errors import EventdClientError
from eventd_ipc.messages import StoredEvent

from ..connecting import claude_code, codex, openclaw
from ..connecting.connector import Connection
from ..errors import EventdError
from .clock import now_ms
from .model import Finding, Level, unmade
from .visit import Connect, Visit, hint_of, text_of

GAP = 10 * 60.0  # seconds by which a session may be newer than the last event of its tool
OWN = 200  # newest events of the agent with the tool's name that are looked at
ALL = 2000  # of all agents, where that one has none: EVENTD_AGENT may have named another
MOST_FILES = 20_000  # of sessions; of more the newest one may be missed

SESSIONS = {
    claude_code.NAME: ("projects/*/*.jsonl",),
    codex.NAME: ("sessions/*/*/*/rollout-*.jsonl",),
    openclaw.NAME: ("agents/*/sessions/*.jsonl", "agents/*/agent/openclaw-agent.sqlite*"),
}
"""Where the tools keep their sessions, below their folders."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of a tool.

    Attributes:
        at: Unix milliseconds.
        what: Which hook it came by.
    """

    at: int
    what: str


def examine_firing(connected: Sequence[Connection], visited: Visit, connect: Connect) -> Iterator[Finding]:
    """Yield when the tool's last event came, and whether more should have come. Blocks."""
    place = connected[0]
    check, title = "tools.firing", f"{place.tool.title} events"
    if visited.welcome is None:
        yield unmade(check, title, "the daemon does not answer")
        return
    try:
        with connect(None) as client:
            seen = last_seen(client, place.tool.name)
    except (EventdClientError, EventdError) as error:
        yield unmade(check, title, text_of(error), hint_of(error))
        return
    since = min(_since(each) for each in connected)
    session = newest_session(place.found.folder, SESSIONS[place.tool.name])
    last = max(since, seen.at if seen else 0)
    if session is not None and session > last + GAP * 1000:
        came = f"the last event came {_ago(seen.at)}" if seen else "no event has come yet"
        yield Finding(
            check, Level.WARNING, title,
            f"{came}, but a session of {place.tool.title} went on until {_ago(session)}",
            "look at the findings above; sessions that began before it was connected, or in which it is "
            "turned off (EVENTD_OFF, .eventd-ignore), send nothing",
        )  # fmt: skip
    elif seen is None:
        yield Finding(check, Level.NOTE, title, "none yet: no session since it was connected")
    else:
        yield Finding(check, Level.OK, title, f"the last one came {_ago(seen.at)} ({seen.what})")


def last_seen(client: Client, tool: str) -> Seen | None:
    """Return the newest event that came from a tool itself; what was imported does not count.

    Raises:
        EventdClientError: It cannot be asked for.
    """
    mine = "*" if client.welcome.admin else client.welcome.agent
    for agent, limit in ((tool, OWN), (mine, ALL)):
        if agent == tool and not client.welcome.admin and tool != client.welcome.agent:
            continue
        with client.query(agent=agent, limit=limit) as events:
            found = next((seen for event in events if (seen := _seen(event, tool))), None)
        if found is not None:
            return found
    return None


def newest_session(folder: Path, patterns: Sequence[str]) -> int | None:
    """Return when a session was last written, Unix milliseconds; None where there is none."""
    newest: float | None = None
    files = (file for pattern in patterns for file in folder.glob(pattern))
    for _, file in zip(range(MOST_FILES), files, strict=False):
        try:
            changed = os.stat(file).st_mtime  # noqa: PTH116 - thousands of them
        except OSError:
            continue
        newest = changed if newest is None else max(newest, changed)
    return None if newest is None else int(newest * 1000)


def _seen(event: StoredEvent, tool: str) -> Seen | None:
    try:
        body: Any = msgspec.json.decode(event.body)
        source = body["meta"]["source"]
        if source["tool"] != tool or source.get("via") == "import":
            return None
        at = body.get("timestamp")
        return Seen(at if isinstance(at, int) else event.time, str(source.get("hook") or body.get("type")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # somebody else's


def _since(place: Connection) -> int:
    """Return when a tool was connected; where that is not known, when its file was last changed."""
    if place.record is not None:
        return place.record.at
    try:
        return int(place.file.stat().st_mtime * 1000)
    except OSError:
        return now_ms()


def _ago(at: int) -> str:
    seconds = max(0.0, time.time() - at / 1000)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
