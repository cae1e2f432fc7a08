"""What was connected, and how to get back: in the user's state folder, with copies of files from before."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..spool.places import make_private
from . import files
from .model import CannotConnect, Scope

BACKUPS = "backups"
FILE = "connections.json"
LOCK = "lock"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A file in which eventd stands.

    Attributes:
        tool: Name of the tool.
        file: The file, as the tool finds it.
        backup: Name of the copy from before; None where the file was not there.
        after: SHA-256 of what we left there: with it, nobody has changed the file since.
        at: When, Unix milliseconds.
    """

    tool: str
    scope: Scope
    file: str
    backup: str | None
    after: str
    at: int


class Records:
    """The records of a user.

    Args:
        folder: Where they are kept; made when the first one is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Record]:
        """Return them in the order in which they were made.

        Raises:
            CannotConnect: They cannot be read.
        """
        try:
            return msgspec.json.decode((self._folder / FILE).read_bytes(), type=list[Record])
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as error:
            raise CannotConnect(
                f"{self._folder / FILE} is damaged: {error}",
                hint="move it away; the copies of the files from before are in the folder beside it",
            ) from error

    def of(self, file: Path) -> Record | None:
        """Return the record of a file."""
        return next((record for record in self.all() if record.file == str(file)), None)

    def backup_of(self, record: Record) -> bytes | None:
        """Return the file from before; None where there was none.

        Raises:
            CannotConnect: The copy is gone.
        """
        if record.backup is None:
            return None
        path = self._folder / BACKUPS / record.backup
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise CannotConnect(f"the copy {path} of {record.file} is gone") from error

    def backup_path(self, record: Record) -> Path | None:
        """Return where the copy from before is."""
        return self._folder / BACKUPS / record.backup if record.backup else None

    def add(self, tool: str, scope: Scope, file: Path, backup: bytes | None, after: bytes) -> Record:
        """Keep the copy and the record; an older record of the same file gives way, another copy stays."""
        at = time.time_ns() // 1_000_000
        name = None
        if backup is not None:
            old = self.of(file)
            is_kept = old is not None and old.backup is not None and self.backup_of(old) == backup
            name = old.backup if old is not None and is_kept else f"{at}-{tool}-{file.name}"
            if name is not None and not is_kept:
                make_private(str(self._folder / BACKUPS))
                _keep(self._folder / BACKUPS / name, backup)
        record = Record(
            tool=tool, scope=scope, file=str(file), backup=name, after=fingerprint(after), at=at
        )  # fmt: skip
        self._save([each for each in self.all() if each.file != record.file] + [record])
        return record

    def forget(self, file: Path, now: bytes | None) -> None:
        """Drop the record of a file; and its copy, which may hold secrets, where the file is the same now."""
        record = self.of(file)
        if record is None:
            return
        self._save([each for each in self.all() if each.file != record.file])
        copy = self.backup_path(record)
        if copy is not None and now is not None and copy.exists() and copy.read_bytes() == now:
            copy.unlink()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other `eventd connect` away for as long as the block lasts."""
        make_private(str(self._folder))
        fd = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _save(self, records: list[Record]) -> None:
        make_private(str(self._folder))
        _keep(self._folder / FILE, msgspec.json.format(msgspec.json.encode(records)) + b"\n")


def fingerprint(data: bytes) -> str:
    """Return what tells a file's bytes from others."""
    return hashlib.sha256(data).hexdigest()


def _keep(path: Path, data: bytes) -> None:
    files.replace(path, files.read(path), data)
