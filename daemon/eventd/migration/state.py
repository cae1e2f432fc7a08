"""What of an agent's files is stored already, as the events themselves say."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .events import SOURCE, Origin, digest, path_of

TYPES = ("migration.*", "memory.fact")
"""Types of the events that are asked for."""


class _Data(msgspec.Struct, rename="camel", gc=False):
    path: str = ""
    path_bytes: str | None = None
    sections: list[str] = []
    sha256: str = ""


class _Payload(msgspec.Struct, gc=False):
    data: _Data


class _Meta(msgspec.Struct, rename="camel", gc=False):
    source: str = ""
    run_id: str = ""
    role: str = ""
    name: str = ""
    content: str = ""
    workspace: str = ""
    folder: str = ""
    replaces: list[str] = []


class _Body(msgspec.Struct, gc=False):
    id: str
    payload: _Payload
    meta: _Meta


_decode = msgspec.json.Decoder(_Body).decode


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An event of a file; `events.Draft` says what the parts are.

    Attributes:
        sections: Of a lead, the ids of its sections in their order.
        sha256: Of a lead, that of the file.
    """

    id: str
    role: str
    name: str
    content: str
    sections: tuple[str, ...] = ()
    sha256: str = ""


@dataclass(slots=True)
class StoredFile:
    """All that is stored of a file, the replaced versions too.

    Attributes:
        run: What its events have as their run.
    """

    path: bytes
    run: str
    events: dict[str, Stored] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)

    def current(self, role: str) -> list[Stored]:
        """Return the events that are not replaced, in the order in which they came."""
        return [e for e in self.events.values() if e.role == role and e.id not in self.replaced]

    @property
    def lead(self) -> Stored | None:
        """The newest lead."""
        return next(iter(reversed(self.current("lead"))), None)


@dataclass(slots=True)
class StoredWorkspace:
    """All that is stored of a workspace.

    Attributes:
        name: Tells it from others of the same agent; "" for the first.
        folders: Where it was when something was taken from it, in that order.
        files: By their paths.
    """

    name: str
    folders: dict[str, None] = field(default_factory=dict)
    files: dict[bytes, StoredFile] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """What is stored of an agent's workspaces, by their names."""

    workspaces: dict[str, StoredWorkspace] = field(default_factory=dict)

    def add(self, body: bytes) -> None:
        """Take an event in, the older ones first; those that are of no file are passed over."""
        try:
            event = _decode(body)
            path = path_of(event.payload.data.path, event.payload.data.path_bytes)
        except (ValueError, RecursionError):
            return
        meta, data = event.meta, event.payload.data
        if meta.source != SOURCE or not (path and meta.run_id and meta.content):
            return
        workspace = self.workspaces.setdefault(meta.workspace, StoredWorkspace(meta.workspace))
        workspace.folders.setdefault(meta.folder)
        file = workspace.files.setdefault(path, StoredFile(path, meta.run_id))
        file.events[event.id] = Stored(
            event.id, meta.role, meta.name, meta.content, tuple(data.sections), data.sha256
        )
        file.replaced.update(meta.replaces)

    def workspace_of(self, folder: Path, hashes: "Iterable[tuple[bytes, str]]") -> StoredWorkspace:
        """Return what is stored of the workspace in a folder; something new where nothing is.

        It is known by its folder. One that was moved, or is on another machine now, is known by a file that is
        as it was; the folder where it was is not there any more then.

        Args:
            hashes: Path and SHA-256 of its files; only looked at where its folder is not known.
        """
        real = os.path.realpath(folder)
        for known in self.workspaces.values():
            if real in known.folders:
                return known
        lost = [w for w in self.workspaces.values() if not any(map(os.path.isdir, w.folders))]
        if lost:
            same: Counter[str] = Counter()
            for path, sha256 in hashes:
                for known in lost:
                    file = known.files.get(path)
                    same[known.name] += (
                        file is not None and file.lead is not None and file.lead.sha256 == sha256
                    )
            name, files = same.most_common(1)[0] if same else ("", 0)
            if files:
                return self.workspaces[name]
        name = f"{digest(real)[:12]}" if self.workspaces else ""
        return self.workspaces.setdefault(name, StoredWorkspace(name))


def origin_of(agent: str, stored: StoredWorkspace, folder: Path) -> Origin:
    """Return what the events of a workspace say about where they come from."""
    return Origin(agent, stored.name, os.path.realpath(folder))
