"""Where clients look for the socket, and what makes its folder unsafe: `paths`, quick to load.

A program that runs for each step of an agent has no time for pathlib. All others use `paths`.
"""

import os
import stat
from collections.abc import Iterator, Mapping

SOCKET_NAME = "eventd.sock"
SOCKET_VARIABLE = "EVENTD_SOCKET"
FOLDER = "eventd"
SYSTEM_FOLDER = f"/run/{FOLDER}"

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def sockets(
    named: str | None, environ: Mapping[str, str], system_folder: str = SYSTEM_FOLDER
) -> Iterator[str]:
    """Return the places where a client looks for the daemon, the first one first.

    Args:
        named: The only place, when given; so is `$EVENTD_SOCKET`.
    """
    if named := named or environ.get(SOCKET_VARIABLE):
        yield os.path.expanduser(named)
        return
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield f"{runtime}/{FOLDER}/{SOCKET_NAME}"
    if os.geteuid() != 0:
        yield f"{login_folder()}/{FOLDER}/{SOCKET_NAME}"
    yield f"{system_folder}/{SOCKET_NAME}"
    yield f"{fallback_folder()}/{SOCKET_NAME}"


def login_folder() -> str:
    """Return the folder that a login session has on Linux, also where the variable is missing (cron, su)."""
    return f"/run/user/{os.geteuid()}"


def fallback_folder() -> str:
    """Return the folder on macOS, and in containers without logins; unlike a temporary one it stays."""
    import platformdirs  # most clients never come here, and start faster without

    return platformdirs.user_data_dir(FOLDER, appauthor=False)


def fault_of(folder: str, *, as_guest: bool) -> tuple[str, str | None] | None:
    """Return what is wrong with a socket's folder, with a hint; None where it can be trusted.

    Args:
        as_guest: Whether the folder may be one that root gave to somebody else.

    Raises:
        FileNotFoundError: It is not there.
    """
    folder = os.path.abspath(folder)
    real = os.path.realpath(folder, strict=True)
    for place in dict.fromkeys((folder, real)):  # a link on the way could be turned elsewhere
        fault = _fault(place, is_parent=False, as_guest=as_guest)
        below, above = place, os.path.dirname(place)
        while fault is None and above != below:
            fault = _fault(above, is_parent=True, as_guest=False)
            below, above = above, os.path.dirname(above)
        if fault is not None:
            return fault
    return None


def _fault(folder: str, *, is_parent: bool, as_guest: bool) -> tuple[str, str | None] | None:
    found = os.lstat(folder)
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


def _is_given_by_root(folder: str) -> bool:
    # Through a link, as from /var/run; the link itself is looked at, too.
    above = os.stat(os.path.dirname(folder))
    return above.st_uid == 0 and not above.st_mode & _OTHERS_WRITE
