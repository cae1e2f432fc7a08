"""Finds the files of a workspace that are migrated, and says of all others why they are not."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from .kinds import INSTRUCTIONS, LONG_TERM, Kind, kind_of

TREES = ("memory", "life")
"""Folders of a workspace that are looked through."""
MACHINE = frozenset({"node_modules", "__pycache__", "venv"})
MACHINE_ENDINGS = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".db", ".tmp", ".bak", ".lock", ".swp", "~")
KEEPER = ".gitkeep"
"""Only keeps an empty folder in git."""
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
    place: Path
    size: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not migrated.

    Attributes:
        told: Whether it may surprise a person; else it is left out as one would expect.
        lost: Whether it is something that should have been migrated.
    """

    path: bytes
    reason: str
    told: bool = False
    lost: bool = False


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
    return _Walker(folder).walk()


class _Walker:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = Path(os.path.realpath(root))
        self._trees = [self._real / tree for tree in TREES]
        self._seen: set[Path] = set()  # where links lead that were followed
        self._walk = Walk()

    def walk(self) -> Walk:
        roots: set[tuple[int, int]] = set()  # some disks do not tell `memory.md` from `MEMORY.md`
        for place in self._below(self._root, b""):
            path = os.fsencode(place.name)
            if place.name in INSTRUCTIONS:
                self._skip(path, "instructions for the agent, no memory")
            elif place.name in TREES:
                self._look(place, path, 0)
            elif place.name in LONG_TERM:
                found = place.lstat()
                if (found.st_dev, found.st_ino) not in roots:
                    roots.add((found.st_dev, found.st_ino))
                    self._look(place, path, 0)
        self._walk.files.sort(key=lambda file: file.path)
        self._walk.skipped.sort(key=lambda skipped: skipped.path)
        return self._walk

    def _below(self, folder: Path, path: bytes) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except OSError as error:
            self._skip(path, f"cannot be read: {os.strerror(error.errno or 0)}", lost=True)
            return []

    def _look(self, place: Path, path: bytes, depth: int) -> None:
        """Take in what is at a place; `path` is that below the workspace."""
        if reason := _machine_state(place.name):
            if place.name != KEEPER:
                self._skip(path, reason)
            return
        target = place
        try:
            if place.is_symlink():
                target = Path(os.path.realpath(place, strict=True))
                if not self._follows(path, target):
                    return
            found = target.lstat()
        except OSError as error:
            self._skip(path, f"leads nowhere: {os.strerror(error.errno or 0)}", told=True)
            return
        if stat.S_ISDIR(found.st_mode):
            if depth >= MAX_DEPTH:
                self._skip(path, f"more than {MAX_DEPTH} folders deep", lost=True)
                return
            for below in self._below(place, path):
                self._look(below, path + b"/" + os.fsencode(below.name), depth + 1)
        elif not stat.S_ISREG(found.st_mode):
            self._skip(path, "no plain file", told=True)
        elif (kind := kind_of(shown(path))) is None:
            self._skip(path, "no Markdown, and no list of facts")
        else:
            self._walk.files.append(Found(path, target, found.st_size, kind))

    def _follows(self, path: bytes, target: Path) -> bool:
        """Whether what a link leads to is read in its place; else it is told why not."""
        if not target.is_relative_to(self._real):
            self._skip(path, "a link out of the workspace", told=True)
        elif self._real.is_relative_to(target) or any(map(target.is_relative_to, self._trees)):
            self._skip(path, "a link to what is read under its own name")
        elif target in self._seen:
            self._skip(path, "a link to what is read already")
        else:
            self._seen.add(target)
            return True
        return False

    def _skip(self, path: bytes, reason: str, *, told: bool = False, lost: bool = False) -> None:
        self._walk.skipped.append(Skipped(path, reason, told or lost, lost))


def _machine_state(name: str) -> str:
    """Return why a name is none of a memory; "" where it may be one."""
    if name.startswith("."):
        return "hidden: machine state"
    return "machine state" if name in MACHINE or name.lower().endswith(MACHINE_ENDINGS) else ""
