"""Where the daemon's socket is, for both ends, and whether its folder can be trusted.

Anybody who can write to a folder above the socket could put a socket of their own there and read what
agents say. So both ends look at the owner and the mode of every folder on the way.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import places
from .errors import UnsafeSocket
from .places import FOLDER, SOCKET_NAME, SOCKET_VARIABLE

SYSTEM_FOLDER = Path(places.SYSTEM_FOLDER)
"""Of the system service: root makes it (systemd's `RuntimeDirectory=`) and hands it to the service's user."""

_PRIVATE = 0o700


def client_sockets(
    socket: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Iterator[Path]:
    """Return the places where a client looks for the daemon, the first one first.

    Args:
        socket: The only place, when given; so is `$EVENTD_SOCKET`.
    """
    named = os.fspath(socket) if socket else None
    return map(Path, places.sockets(named, environ, str(SYSTEM_FOLDER)))


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
    login = Path(places.login_folder())
    if os.geteuid() != 0 and _is_ours(login):
        return login / FOLDER / SOCKET_NAME
    if _is_ours(SYSTEM_FOLDER) or (os.geteuid() == 0 and SYSTEM_FOLDER.parent.is_dir()):
        return SYSTEM_FOLDER / SOCKET_NAME
    return Path(places.fallback_folder()) / SOCKET_NAME


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
    if (fault := places.fault_of(os.fspath(folder), as_guest=as_guest)) is not None:
        raise UnsafeSocket(fault[0], hint=fault[1])


def _named(socket: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path | None:
    named = socket or environ.get(SOCKET_VARIABLE)
    return Path(named).expanduser() if named else None


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_uid == os.geteuid()


__all__ = [
    "FOLDER",
    "SOCKET_NAME",
    "SOCKET_VARIABLE",
    "SYSTEM_FOLDER",
    "check_folder",
    "client_sockets",
    "prepare_folder",
    "server_socket",
]
