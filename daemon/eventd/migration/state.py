"""What of an agent's files is stored already, as the events themselves say."""

import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .events import SOURCE, Origin, digest, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    host: str = ""
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
        places: Host and folder where it was when something was taken from it, in that order.
        files: By their paths.
    """

    name: str
    places: dict[tuple[str, str], None] = field(default_factory=dict)
    files: dict[bytes, StoredFile] = field(default_factory=dict)

    def is_of(self, host: str) -> bool:
        """Whether it has always been on a host."""
        return all(name == host for name, _ in self.places)

    def is_in_place(self, host: str) -> bool:
        """Whether it is still where it was on a host."""
        return any(name == host and Path(folder).is_dir() for name, folder in self.places)

    def has(self, path: bytes, sha256: str) -> bool:
        """Whether a file is stored as it is."""
        file = self.files.get(path)
        return file is not None and file.lead is not None and file.lead.sha256 == sha256


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
        workspace.places.setdefault((meta.host, meta.folder))
        file = workspace.files.setdefault(path, StoredFile(path, meta.run_id))
        file.events[event.id] = Stored(
            event.id, meta.role, meta.name, meta.content, tuple(data.sections), data.sha256
        )
        file.replaced.update(meta.replaces)

    def workspace_of(self, folder: Path, hashes: "Iterable[tuple[bytes, str]]") -> StoredWorkspace:
        """Return what is stored of the workspace in a folder; something new where nothing is.

        It is known by its place. One that was moved is known by a file that is as it was, one that came from
        another machine by half of them; and it is no more where it was before.

        Args:
            hashes: Path and SHA-256 of its files; only looked at where its place is not known.
        """
        here = place_of(folder)
        for known in self.workspaces.values():
            if here in known.places:
                return known
        lost = [known for known in self.workspaces.values() if not known.is_in_place(here[0])]
        if lost:
            same: Counter[str] = Counter()
            for path, sha256 in hashes:
                same.update(known.name for known in lost if known.has(path, sha256))
            for name, files in same.most_common():
                known = self.workspaces[name]
                if files >= (1 if known.is_of(here[0]) else len(known.files) / 2):
                    return known
        name = digest(*here)[:12] if self.workspaces else ""
        return self.workspaces.setdefault(name, StoredWorkspace(name))


def place_of(folder: Path) -> tuple[str, str]:
    """Return the host and the folder by which a workspace is known."""
    return socket.gethostname(), os.fsencode(os.path.realpath(folder)).decode("utf-8", "replace")


def origin_of(agent: str, stored: StoredWorkspace, folder: Path) -> Origin:
    """Return what the events of a workspace say about where they come from."""
    return Origin(agent, stored.name, *place_of(folder))
