"""Where the daemon's socket is, for both ends, and whether its folder can be trusted.

Anybody who can write to a folder above the socket could put a socket of their own there and read what
agents say. So both ends look at the owner and the mode of every folder on the way.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

SOCKET_NAME = "eventd.sock"
SOCKET_VARIABLE = "EVENTD_SOCKET"
FOLDER = "eventd"
SYSTEM_FOLDER = Path("/run") / FOLDER
"""Of the system service: root makes it (systemd's `RuntimeDirectory=`) and hands it to the service's user."""

_PRIVATE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def client_sockets(
    socket: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Iterator[Path]:
    """Return the places where a client looks for the daemon, the first one first.

    Args:
        socket: The only place, when given; so is `$EVENTD_SOCKET`.
    """
    if (named := _named(socket, environ)) is not None:
        yield named
        return
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / FOLDER / SOCKET_NAME
    if os.geteuid() != 0:
        yield _login_folder() / FOLDER / SOCKET_NAME
    yield SYSTEM_FOLDER / SOCKET_NAME
    yield _fallback_folder() / SOCKET_NAME


def server_socket(
    socket: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """Return where the daemon makes its socket; the first of the places that is there for its user.

    Root's is in `SYSTEM_FOLDER`: /run/user/0 goes away when root logs out.

    Args:
        socket: The place itself, when given; so is `$EVENTD_SOCKET`.
    """
    if (named := _named(socket, environ)) is not None:
        return named
    if (runtime := environ.get("XDG_RUNTIME_DIR")) and Path(runtime).is_dir():
        return Path(runtime) / FOLDER / SOCKET_NAME
    if os.geteuid() != 0 and _is_ours(_login_folder()):
        return _login_folder() / FOLDER / SOCKET_NAME
    if _is_ours(SYSTEM_FOLDER) or (os.geteuid() == 0 and SYSTEM_FOLDER.parent.is_dir()):
        return SYSTEM_FOLDER / SOCKET_NAME
    return _fallback_folder() / SOCKET_NAME


def prepare_folder(folder: Path) -> None:
    """Make the socket's folder, for its owner only, where it is missing, and check it for the daemon.

    Raises:
        UnsafeSocket: As `check_folder` says; nor may it be somebody else's by root's gift.
        OSError: It cannot be made.
    """
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=_PRIVATE, exist_ok=True)
    check_folder(folder, as_guest=False)


def check_folder(folder: Path, *, as_guest: bool = True) -> None:
    """Check that only this user and root could have put the socket into its folder.

    The folder and those above it belong to this user or root, and no others can write there. The folder
    itself may belong to somebody else where root gave it to them, as systemd gives `SYSTEM_FOLDER` to the
    service's user: the one above it is root's alone. A folder of ours in one that all can write, such as
    /tmp, is fine where the sticky bit keeps others from moving it away; the socket itself never lies in one.

    Args:
        as_guest: Whether the folder may be one that root gave to somebody else.

    Raises:
        UnsafeSocket: Naming the folder and what is wrong with it.
        FileNotFoundError: It is not there.
    """
    folder = folder.absolute()
    real = folder.resolve(strict=True)
    for place in dict.fromkeys((folder, real)):  # a link on the way could be turned elsewhere
        _check(place, is_parent=False, as_guest=as_guest)
        for parent in place.parents:
            _check(parent, is_parent=True, as_guest=False)


def _check(folder: Path, *, is_parent: bool, as_guest: bool) -> None:
    if (problem := _problem(folder, is_parent=is_parent, as_guest=as_guest)) is not None:
        from .errors import UnsafeSocket  # loading it takes longer than all the rest of a hook

        raise UnsafeSocket(problem[0], hint=problem[1])


def _problem(folder: Path, *, is_parent: bool, as_guest: bool) -> tuple[str, str | None] | None:
    """Return what is wrong with a folder and what to do about it; None where nothing is."""
    found = folder.lstat()
    if found.st_uid not in {0, os.geteuid()} and not (as_guest and _is_given_by_root(folder)):
        return f"the folder {folder} belongs to another user (uid {found.st_uid})", None
    if stat.S_ISLNK(found.st_mode):
        return None  # has no mode; what it points to is looked at as well
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a folder", None
    if found.st_mode & _OTHERS_WRITE and not (is_parent and found.st_mode & stat.S_ISVTX):
        return (
            f"others can write to the folder {folder} (mode {stat.S_IMODE(found.st_mode):04o})",
            f"chmod go-w {folder}, or set {SOCKET_VARIABLE} to a socket in a folder of your own",
        )
    return None


def _is_given_by_root(folder: Path) -> bool:
    above = folder.parent.stat()  # through a link, as from /var/run; the link itself is looked at, too
    return above.st_uid == 0 and not above.st_mode & _OTHERS_WRITE


def _named(socket: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path | None:
    named = socket or environ.get(SOCKET_VARIABLE)
    return Path(named).expanduser() if named else None


def _login_folder() -> Path:
    """The folder that a login session has on Linux, also where the variable is missing (cron, su)."""
    return Path("/run/user") / str(os.geteuid())


def _fallback_folder() -> Path:
    """The folder on macOS, and in containers without logins; unlike a temporary one it is not cleaned up."""
    import platformdirs  # most clients never come here, and start faster without

    return platformdirs.user_data_path(FOLDER, appauthor=False)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_uid == os.geteuid()
