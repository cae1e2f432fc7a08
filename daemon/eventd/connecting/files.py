"""Other programs' files: read as they are, and replaced as a whole or not at all."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from .model import CannotConnect

MAX_BYTES = 16 * 1024 * 1024  # of a configuration file; far more than any has
NEW_MODE = 0o600  # of files that we make: settings of tools may hold keys later


def read(path: Path) -> bytes | None:
    """Return a file's bytes; None where there is none.

    Raises:
        CannotConnect: It is no file, or far too long.
        OSError: It cannot be read.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise CannotConnect(f"{path} points to {path.readlink()}, which is not there") from None
        return None
    if not stat.S_ISREG(found.st_mode):
        raise CannotConnect(f"{path} is not a file")
    if found.st_size > MAX_BYTES:
        raise CannotConnect(f"{path} has {found.st_size:,} bytes; that is no configuration")
    return path.read_bytes()


def decode(path: Path, data: bytes | None) -> str:
    """Return a file's text, with its line ends and its byte order mark as they are.

    Raises:
        CannotConnect: It is not UTF-8.
    """
    try:
        return (data or b"").decode()
    except UnicodeDecodeError as error:
        raise CannotConnect(
            f"{path} is not UTF-8 (byte {error.start})", hint="save it as UTF-8 and try again"
        ) from error


def check_writable(path: Path) -> None:
    """Check that a file may be changed by us; somebody who made it read-only has meant it.

    Raises:
        CannotConnect: It may not.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        above = next(folder for folder in target.parents if folder.exists())
        if not os.access(above, os.W_OK):
            raise CannotConnect(f"{path} cannot be made: this user may not write to {above}") from None
        return
    if not mode & stat.S_IWUSR or not os.access(target, os.W_OK):
        raise CannotConnect(
            f"{path} is read-only (mode {stat.S_IMODE(mode):04o})",
            hint="make it writable, or change it where it comes from; `--dry-run` shows how",
        )
    if not os.access(target.parent, os.W_OK):
        raise CannotConnect(f"{path} cannot be replaced: this user may not write to {target.parent}")


def replace(path: Path, expected: bytes | None, data: bytes | None) -> None:
    """Bring a file from what it was to what it shall be; of a link, the file that it points to.

    The new file has the mode and the owner of the old one, and takes its place at once.

    Args:
        expected: What it was when it was looked at; None: it was not there.
        data: None removes it.

    Raises:
        CannotConnect: Somebody else has changed it meanwhile.
        OSError: It cannot be written; the old one is as it was.
    """
    target = Path(os.path.realpath(path))
    _check_unchanged(path, target, expected)
    if data is None:
        target.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.eventd")
    try:
        _write(fresh, data, like=target)
        _check_unchanged(path, target, expected)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _write(fresh: Path, data: bytes, *, like: Path) -> None:
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_MODE)
    with os.fdopen(fd, "wb") as file:
        with contextlib.suppress(FileNotFoundError):
            old = like.stat()
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):  # a group that is not ours: it stays private
                    os.fchown(fd, old.st_uid, old.st_gid)
            os.fchmod(fd, stat.S_IMODE(old.st_mode))
        file.write(data)
        file.flush()
        os.fsync(fd)


def _check_unchanged(path: Path, target: Path, expected: bytes | None) -> None:
    try:
        now = target.read_bytes()
    except FileNotFoundError:
        now = None
    if now != expected:
        raise CannotConnect(f"{path} was changed by somebody else just now", hint="do it again")


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
