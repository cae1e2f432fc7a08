"""The spool: one file for each call of a hook, written once, read once, and then deleted.

A file's name is all that is needed to put the files in order and to bound them::

    00001764161000123456789-1c291ca3-4711.890.json
    when it was written, ns | session | process | bytes

Names sort by time; within a session none is older than the one before, also where the clock was set back. A
file is there as a whole or not at all: it is written under another name, brought to disk, and renamed. What
is in it is `{"v": 1, "agent", "session", "token"?: SHA-256, "events": [...]}`.

Beside them are `lock` (held by who empties the spool), `lost` (how many events found no room, ever), and
`aside/` (files that nobody could make sense of).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib

from .places import check_private, make_private

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
MAX_FILES = 10_000
MAX_BYTES = 256 * 1024 * 1024  # of all files
MAX_FILE = 8 * 1024 * 1024  # bytes; what a hook makes is far smaller
MAX_ASIDE = 1000  # files that are kept aside
STALE = 60.0  # seconds after which a file that is not finished has no writer any more

SETTLED = frozenset({"id_conflict", "forgotten"})
"""Codes of refused events of which nothing is kept. They are there already: an id is made of what an event
is, and only its time may differ. Or somebody had them forgotten."""

_LOCK, _LOST, _ASIDE = "lock", "lost", "aside"
_UNFINISHED = "."  # before the name of a file that is being written
_DIGITS = 20  # of the number in `lost`: it is written in place, also where the disk has no room
_TIME = 23  # digits of the time in a name


class Spooled:
    """A file of the spool, as its name says it.

    Attributes:
        time: When it was written, Unix ns.
        session: Stands for its session.
        size: Bytes.
    """

    def __init__(self, name: str, time: int, session: str, size: int) -> None:
        self.name = name
        self.time = time
        self.session = session
        self.size = size

    def __repr__(self) -> str:
        return f"<Spooled {self.name}>"


class SpoolFull(OSError):
    """The spool holds as much as it may."""


class Unreadable(Exception):
    """A file is torn, or is none that a hook of this user has written."""


class Spool:
    """The spool in a folder.

    Args:
        folder: Its place; made at the first write.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def files(self) -> list[Spooled]:
        """Return what waits, in order; nothing where there is no spool.

        Raises:
            OSError: The folder cannot be read, or is not this user's alone.
        """
        try:
            check_private(self.folder)
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        found = (_parse(name) for name in sorted(names) if not name.startswith(_UNFINISHED))
        return [file for file in found if file is not None]

    def unfinished(self) -> list[str]:
        """Return the names of files whose writer has gone before it was done. Nothing else is looked at."""
        found: list[str] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                ours = entry.name.startswith(_UNFINISHED) and _parse(entry.name[1:]) is not None
                if ours and time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                    found.append(entry.name)
        return found

    def waits(self, session: str) -> bool:
        """Whether anything of a session waits."""
        tag = tag_of(session)
        return any(file.session == tag for file in self.files())

    def write(self, document: dict[str, Any]) -> None:
        """Bring a document with events to disk, behind all that waits of its session.

        Raises:
            SpoolFull: There are too many files, or too large ones.
            OSError: It cannot be written.
        """
        make_private(self.folder)
        body = json.dumps({"v": VERSION, **document}, separators=(",", ":")).encode()
        tag, now = tag_of(document["session"]), time.time_ns()
        waiting = self.files()
        if len(waiting) >= MAX_FILES or sum(file.size for file in waiting) + len(body) > MAX_BYTES:
            raise SpoolFull("the spool is full")
        self._prepare_count()
        now = max([now, *(file.time + 1 for file in waiting if file.session == tag)])
        name = f"{now:0{_TIME}d}-{tag}-{os.getpid()}.{len(body)}.json"
        self._bring_to_disk(name, body)

    def _bring_to_disk(self, name: str, body: bytes) -> None:
        path, unfinished = self._path(name), self._path(_UNFINISHED + name)
        try:
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(body)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(unfinished, path)
        except OSError:
            _remove(unfinished)
            raise
        self._sync()

    def read(self, file: Spooled) -> dict[str, Any]:
        """Return the document in a file.

        Raises:
            FileNotFoundError: It is gone.
            Unreadable: It is torn, or not this user's.
        """
        try:
            fd = os.open(self._path(file.name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(f"it cannot be opened: {error.strerror}") from error
        try:
            found = os.fstat(fd)
            if found.st_mode & 0o170000 != 0o100000 or found.st_uid != os.geteuid():
                raise Unreadable("it is no file of this user")
            if found.st_size != file.size or found.st_size > MAX_FILE:
                raise Unreadable(f"it has {found.st_size} bytes, and should have {file.size}")
            body = os.read(fd, file.size)
        finally:
            os.close(fd)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Unreadable("it holds no JSON") from error
        if not _is_sound(document):
            raise Unreadable("it holds something else than events")
        return dict(document)

    def remove(self, *files: Spooled) -> None:
        """Delete files whose events are stored."""
        for file in files:
            _remove(self._path(file.name))

    def set_aside(self, name: str) -> None:
        """Put a file where it is in nobody's way and a person finds it; the oldest ones there make room."""
        aside = self._path(_ASIDE)
        os.makedirs(aside, mode=0o700, exist_ok=True)
        for old in sorted(os.listdir(aside))[: -MAX_ASIDE + 1]:
            _remove(os.path.join(aside, old))
        shown = f"unfinished{name}" if name.startswith(_UNFINISHED) else name
        os.rename(self._path(name), os.path.join(aside, shown))

    def begin_emptying(self) -> int | None:
        """Take the right to empty the spool; None where somebody else has it.

        Returns:
            What `end_emptying` takes; the end of the process gives it back as well.
        """
        try:
            fd = os.open(self._path(_LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def end_emptying(self, right: int) -> None:
        """Give the right to somebody else."""
        os.close(right)

    # What was lost.

    @property
    def lost(self) -> int:
        """How many events found no room here, since the spool was made."""
        try:
            with open(self._path(_LOST), "rb") as file:
                return int(file.read(_DIGITS) or 0)
        except (OSError, ValueError):
            return 0

    def count_lost(self, events: int) -> None:
        """Count events that found no room.

        Raises:
            OSError: Not even that can be written.
        """
        make_private(self.folder)
        fd = os.open(self._path(_LOST), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            digits = os.pread(fd, _DIGITS, 0)
            before = int(digits) if digits.isdigit() else 0
            os.pwrite(fd, f"{before + events:0{_DIGITS}d}".encode(), 0)
        finally:
            os.close(fd)

    def _prepare_count(self) -> None:
        """Take the room for the number of what is lost while there is some."""
        if not os.path.exists(self._path(_LOST)):
            self.count_lost(0)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _sync(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def tag_of(session: str) -> str:
    """Return what stands for a session in names. Two that share one only wait for each other."""
    return f"{zlib.crc32(session.encode('utf-8', 'replace')):08x}"


def _parse(name: str) -> Spooled | None:
    parts = name.replace(".", "-").split("-")
    if len(parts) != 5:
        return None
    moment, session, process, size, end = parts
    is_sound = moment.isdigit() and process.isdigit() and size.isdigit() and len(moment) == _TIME
    if not (is_sound and end == "json" and name == f"{moment}-{session}-{process}.{size}.json"):
        return None
    return Spooled(name, int(moment), session, int(size))


def _is_sound(document: object) -> bool:
    if not isinstance(document, dict) or document.get("v") != VERSION:
        return False
    events, token = document.get("events"), document.get("token")
    return (
        all(isinstance(document.get(key), str) for key in ("agent", "session"))
        and (token is None or isinstance(token, str))
        and isinstance(events, list)
        and bool(events)
        and all(isinstance(event, dict) for event in events)
    )


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
