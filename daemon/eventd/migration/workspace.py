"""Finds the workspaces of OpenClaw, and whose memory is in each."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventd_ipc.strict import agent_fault

from . import tolerant

STATE_VARIABLE = "OPENCLAW_STATE_DIR"
STATE_FOLDERS = (".openclaw", ".clawdbot", ".moltbot")
"""Below the home folder: what the program was called so far, the newest first."""
LONE_WORKSPACES = ("clawd",)
"""Below the home folder: a workspace outside of those."""
CONFIGS = ("openclaw.json", "clawdbot.json", "moltbot.json")
WORKSPACE = "workspace"
OF_AGENT = "workspace-"
"""A workspace's name begins with this where it is not the main agent's; the agent's id follows."""
REMEMBERING = ("memory", "MEMORY.md", "memory.md", "life")
"""A folder with one of these holds memories."""
MAX_CONFIG = 4 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with an agent's memory.

    Attributes:
        agent: Whose; None where neither its name nor the configuration says.
    """

    folder: Path
    agent: str | None = None


@dataclass(slots=True)
class Search:
    """What was found, and where it was looked for.

    Attributes:
        places: Each place with what is there, for a person.
    """

    found: list[Workspace] = field(default_factory=list)
    places: list[tuple[Path, str]] = field(default_factory=list)


def find(home: Path, environ: Mapping[str, str]) -> Search:
    """Return the workspaces of this person, those that the configuration names first."""
    search = Search()
    seen: set[str] = set()
    for workspace in _candidates(home, environ):
        real = os.path.realpath(workspace.folder)
        if real in seen:
            continue
        seen.add(real)
        state = state_of(workspace.folder)
        search.places.append((workspace.folder, state or "found"))
        if not state:
            search.found.append(workspace)
    return search


def state_of(folder: Path) -> str:
    """Return why there is nothing to migrate in a folder; "" where there may be something."""
    try:
        names = set(os.listdir(folder))  # noqa: PTH208 - names that are no text, too
    except FileNotFoundError:
        return "not there"
    except NotADirectoryError:
        return "no folder"
    except OSError as error:
        return f"cannot be read: {os.strerror(error.errno or 0)}"
    return "" if names & set(REMEMBERING) else f"has none of {', '.join(REMEMBERING)}"


def agent_of(folder: Path) -> str | None:
    """Return the agent that a workspace's name says; None where it says none."""
    name = folder.name.removeprefix(OF_AGENT)
    return name if name != folder.name and agent_fault(name) is None else None


def _candidates(home: Path, environ: Mapping[str, str]) -> Iterator[Workspace]:
    roots = [home / name for name in STATE_FOLDERS]
    if named := environ.get(STATE_VARIABLE):
        roots.insert(0, _expanded(named, home))
    for root in roots:
        yield from _configured(root, home)
        yield Workspace(root / WORKSPACE)
        try:
            others = sorted(path for path in root.iterdir() if path.name.startswith(OF_AGENT))
        except OSError:
            others = []
        yield from (Workspace(path, agent_of(path)) for path in others)
    yield from (Workspace(home / name) for name in LONE_WORKSPACES)


def _configured(root: Path, home: Path) -> Iterator[Workspace]:
    """Yield the workspaces that a configuration names, agents' own ones first."""
    for name in CONFIGS:
        try:
            with (root / name).open("rb") as file:
                config = tolerant.decode(file.read(MAX_CONFIG).decode("utf-8-sig"))
        except (OSError, ValueError):  # no reason not to look at the usual places
            continue
        agents = _map(_map(config).get("agents"))
        own = agents.get("list")
        for agent in own if isinstance(own, list) else ():
            folder, label = _map(agent).get(WORKSPACE), _map(agent).get("id")
            if isinstance(folder, str) and folder:
                is_name = isinstance(label, str) and agent_fault(label) is None
                yield Workspace(_expanded(folder, home), label if is_name else None)
        folder = _map(agents.get("defaults")).get(WORKSPACE)
        if isinstance(folder, str) and folder:
            path = _expanded(folder, home)
            yield Workspace(path, agent_of(path))


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _expanded(text: str, home: Path) -> Path:
    return home / text[2:] if text.startswith("~/") else home if text == "~" else home / text
