"""The folder of a backup: files that are whole or not there, and a manifest that is replaced last."""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import anyio.to_thread

from .manifest import NAME, BackupError, DamagedBackup, File, Manifest, dump, load

CHUNK = 1024 * 1024  # bytes read at once
PART = ".part"
"""Ends the name of a file while it is written."""

_is_ours = re.compile(
    rf"({re.escape(NAME)}|config-\d+\.yml|outbox-\d+\.ndjson\.zst|secrets/\d+-\d+-[^/]+"
    rf"|streams/[^/]+/\d+-(full\.snapshot|\d+-\d+\.ndjson\.zst))({re.escape(PART)})?"
).fullmatch
"""Whether a path is one that we give: any other file is somebody else's, and never removed."""

Advance = Callable[[int], None]
"""Told of bytes that were looked at or written."""


def unobserved(_done: int) -> None:
    """An `Advance` for nobody."""


class NewFile:
    """A file being written; what goes through it is counted and hashed.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self.size = 0
        self._file = file
        self._hash = hashlib.sha256()
        self._advance = advance

    def write(self, data: bytes) -> int:
        """Write bytes, all of them."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        self._advance(len(data))
        return len(data)

    @property
    def sha256(self) -> str:
        """Checksum of everything so far."""
        return self._hash.hexdigest()


class Folder:
    """A folder with a backup, or for one. Every method blocks: call them in a worker thread.

    Args:
        advance: Told of the bytes that are read and written.
    """

    def __init__(self, path: Path, advance: Advance = unobserved) -> None:
        self.path = path
        self._advance = advance

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder where it is missing, and keep a second backup off it meanwhile.

        Raises:
            BackupError: Another backup is being made into it, or it holds something else.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / NAME).exists() and (strange := self._strange()):
            raise BackupError(
                f"{self.path} holds something else, such as {strange}, and no backup",
                hint="name an empty folder, or one that does not exist",
            )
        self.path.chmod(0o700)
        lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError(
                    f"another backup is being made into {self.path}", hint="wait until it has ended"
                ) from error
            yield
        finally:
            os.close(lock)

    def manifest(self) -> Manifest | None:
        """Return the manifest, None where there is none.

        Raises:
            DamagedBackup: It is not what was written.
        """
        path = self.path / NAME
        try:
            return load(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None

    def existing(self) -> Manifest:
        """Return the manifest of a backup that has to be there.

        Raises:
            BackupError: It is not.
        """
        manifest = self.manifest()
        if manifest is None:
            raise BackupError(
                f"there is no backup in {self.path}: it has no {NAME}", hint="`eventd backup DIR` makes one"
            )
        return manifest

    @contextlib.contextmanager
    def new_file(self, name: str) -> Iterator[NewFile]:
        """Write a file (0600), which gets its name once it is whole and on disk."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(path.name + PART)
        part.unlink(missing_ok=True)  # one that was killed has left it, or somebody a link to another file
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield NewFile(file, self._advance)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def add(self, name: str, data: bytes) -> File:
        """Write a file of bytes that are there already."""
        with self.new_file(name) as file:
            file.write(data)
        return File(name=name, bytes=file.size, sha256=file.sha256)

    def finish(self, manifest: Manifest) -> None:
        """Let a manifest take the place of the one before, then remove files that are in neither."""
        for folder in {parent for file in manifest.files() for parent in Path(file.name).parents}:
            _sync(self.path / folder)
        self.add(NAME, dump(manifest))
        self._sweep({file.name for file in manifest.files()} | {NAME})

    def read(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        with (self.path / file.name).open("rb") as opened:
            while data := opened.read(CHUNK):
                self._advance(len(data))
                yield data

    def fault(self, file: File) -> str:
        """Say what is wrong with a file at a glance, without reading it; "" where it looks right."""
        path = self.path / file.name
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return "it is missing"
        return "" if size == file.bytes else f"it has {size} bytes, not {file.bytes}"

    def verify(self, files: Iterable[File]) -> None:
        """Compare files with their checksums.

        Raises:
            DamagedBackup: One is missing or not what was written; the message names it.
        """
        for file in files:
            path = self.path / file.name
            if fault := self.fault(file):
                raise _damaged(path, fault)
            digest = hashlib.sha256()
            for data in self.read(file):
                digest.update(data)
            if digest.hexdigest() != file.sha256:
                raise _damaged(path, "it does not fit its checksum")

    def _strange(self) -> str:
        """Return the name of something in the folder that is not ours, "" where there is nothing."""
        files = (path.relative_to(self.path) for path in self.path.rglob("*") if not path.is_dir())
        return next((str(name) for name in files if not _is_ours(str(name))), "")

    def _sweep(self, kept: set[str]) -> None:
        """Remove what earlier backups, or one that was killed, have left."""
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if path.is_file() and name not in kept and _is_ours(name):
                path.unlink()


@contextlib.asynccontextmanager
async def writing(folder: Folder, name: str) -> AsyncIterator[NewFile]:
    """Write a file as `Folder.new_file` does; beginning and ending it do not block."""
    opened = folder.new_file(name)
    file = await anyio.to_thread.run_sync(opened.__enter__)
    try:
        yield file
    except BaseException as error:
        opened.__exit__(type(error), error, error.__traceback__)
        raise
    await anyio.to_thread.run_sync(opened.__exit__, None, None, None)


def _damaged(path: Path, why: str) -> DamagedBackup:
    return DamagedBackup(
        f"{path} is damaged: {why}", hint="take the folder from another copy; nothing was changed"
    )


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
