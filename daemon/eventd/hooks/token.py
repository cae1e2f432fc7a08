"""What a hook shows where eventd asks for proof: the same as the other commands do (`eventd.cli.place`)."""

import os
import sys
from collections.abc import Mapping

from eventd_ipc.places import sockets

TOKEN_VARIABLE = "EVENTD_TOKEN"  # noqa: S105 - its name
MAX_FILE = 4096  # bytes

_ADMIN_FILE = "admin.token"
_SYSTEM_DATA = "/var/lib/eventd"


def named_token(environ: Mapping[str, str]) -> str | None:
    """Return `$EVENTD_TOKEN`, if it is set."""
    return environ.get(TOKEN_VARIABLE) or None


def admin_token(environ: Mapping[str, str], place: str | None = None) -> str | None:
    """Return the administrator's token, where this user may read it.

    It is only shown on a socket that belongs to the token's owner. Data folders that a configuration names
    are not looked for: reading it takes longer than a hook has.
    """
    try:
        with open(os.path.join(_data_folder(environ), _ADMIN_FILE), "rb") as file:
            owner = os.fstat(file.fileno()).st_uid
            lines = file.read(MAX_FILE).decode().split()
        socket = next(socket for socket in sockets(place, environ) if os.path.exists(socket))
        return lines[0] if os.stat(socket).st_uid == owner else None
    except (OSError, UnicodeDecodeError, IndexError, StopIteration):
        return None


def _data_folder(environ: Mapping[str, str]) -> str:
    if os.geteuid() == 0:
        return _SYSTEM_DATA
    base = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):
        below = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share"
        base = os.path.expanduser(below)
    return os.path.join(base, "eventd")
