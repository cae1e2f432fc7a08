"""Finds the files of a workspace that are migrated, and says of all others why they are not."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from .kinds import INSTRUCTIONS, LONG_TERM, Kind, kind_of

TREES = (b"memory", b"life")
"""Folders of a workspace that are looked through."""
MACHINE = frozenset({b"node_modules", b"__pycache__", b"venv"})
MACHINE_ENDINGS = (
    b".sqlite",
    b".sqlite-wal",
    b".sqlite-shm",
    b".db",
    b".tmp",
    b".bak",
    b".lock",
    b".swp",
    b"~",
)
MAX_DEPTH = 64  # folders within folders


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is to be migrated.

    Attributes:
        path: Below the workspace, as the system has it.
        place: Where it is read.
        size: Bytes when it was found.
    """

    path: bytes
    place: bytes
    size: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not migrated.

    Attributes:
        trouble: Whether somebody has to see to it; else it is left out on purpose.
    """

    path: bytes
    reason: str
    trouble: bool = False


@dataclass(slots=True)
class Walk:
    """What is in a workspace."""

    files: list[Found] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def shown(path: bytes) -> str:
    """Return a path as text; bytes that are no UTF-8 stand as U+FFFD."""
    return path.decode("utf-8", "replace")


def walk(folder: Path) -> Walk:
    """Return the files of a workspace, in the order of their names."""
    return _Walker(os.fsencode(folder)).walk()


class _Walker:
    def __init__(self, root: bytes) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        self._trees = tuple(os.path.join(self._real, tree) for tree in TREES)
        self._seen: set[bytes] = set()  # real paths of links that were followed
        self._walk = Walk()

    def walk(self) -> Walk:
        files: dict[tuple[int, int], bytes] = {}  # on disks that do not tell `memory.md` from `MEMORY.md`
        for name in self._names(b""):
            if name in TREES:
                self._look(name, 0)
            elif os.fsdecode(name) in LONG_TERM:
                self._look(name, 0)
            elif os.fsdecode(name) in INSTRUCTIONS:
                self._skip(name, "instructions for the agent, no memory")
        for file in list(self._walk.files):
            found = os.lstat(file.place)
            if (
                not file.path.count(b"/")
                and files.setdefault((found.st_dev, found.st_ino), file.path) != file.path
            ):
                self._walk.files.remove(file)
        self._walk.files.sort(key=lambda file: file.path)
        self._walk.skipped.sort(key=lambda skipped: skipped.path)
        return self._walk

    def _names(self, path: bytes) -> list[bytes]:
        try:
            return sorted(os.listdir(os.path.join(self._root, path) if path else self._root))
        except OSError as error:
            self._skip(path, f"cannot be read: {os.strerror(error.errno or 0)}", trouble=True)
            return []

    def _look(self, path: bytes, depth: int) -> None:
        """Take in what is at a path."""
        name = os.path.basename(path)
        place = os.path.join(self._root, path)
        if reason := _machine_state(name):
            if name != b".gitkeep":  # it only keeps a folder
                self._skip(path, reason)
            return
        try:
            found = os.lstat(place)
            if stat.S_ISLNK(found.st_mode):
                if not self._follows(path, place):
                    return
                place = os.path.realpath(place, strict=True)
                found = os.stat(place)
        except OSError as error:
            self._skip(path, f"a link that leads nowhere: {os.strerror(error.errno or 0)}", trouble=True)
            return
        if stat.S_ISDIR(found.st_mode):
            if depth >= MAX_DEPTH:
                self._skip(path, f"more than {MAX_DEPTH} folders deep", trouble=True)
                return
            for below in self._names(path):
                self._look(os.path.join(path, below), depth + 1)
        elif not stat.S_ISREG(found.st_mode):
            self._skip(path, "no plain file", trouble=True)
        elif (kind := kind_of(shown(path))) is None:
            self._skip(path, "no Markdown, and no list of facts")
        else:
            self._walk.files.append(Found(path, place, found.st_size, kind))

    def _follows(self, path: bytes, place: bytes) -> bool:
        """Whether what a link leads to is read in its place; else it is told why not."""
        real = os.path.realpath(place, strict=True)
        if not _is_within(real, self._real):
            self._skip(path, "a link out of the workspace", trouble=True)
        elif _is_within(self._real, real) or any(_is_within(real, tree) for tree in self._trees):
            self._skip(path, "a link to what is read under its own name")
        elif real in self._seen:
            self._skip(path, "a link to what is read already")
        else:
            self._seen.add(real)
            return True
        return False

    def _skip(self, path: bytes, reason: str, *, trouble: bool = False) -> None:
        self._walk.skipped.append(Skipped(path, reason, trouble))


def _machine_state(name: bytes) -> str:
    """Return why a name is none of a memory; "" where it may be one."""
    if name.startswith(b"."):
        return "hidden: machine state"
    if name in MACHINE or name.lower().endswith(MACHINE_ENDINGS):
        return "machine state"
    return ""


def _is_within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
