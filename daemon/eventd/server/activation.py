"""Socket activation: the socket that systemd made, and holds open while the daemon is away.

The protocol is sd_listen_fds(3): descriptors from 3 on, how many, for which process, and their names.
"""

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

from .listener import ListenError

FIRST = 3  # the first descriptor that is handed over: SD_LISTEN_FDS_START
COUNT_VARIABLE = "LISTEN_FDS"
PID_VARIABLE = "LISTEN_PID"
NAMES_VARIABLE = "LISTEN_FDNAMES"

_HINT = "eventd.socket has one ListenStream= with a path; stop the socket unit to let eventd make its own"


def take_socket(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that was handed to this process; None where there is none.

    The variables are removed, and the programs that the daemon starts do not get the socket.

    Raises:
        ListenError: What was handed over is not one listening Unix stream socket with a path.
    """
    count = environ.pop(COUNT_VARIABLE, "")
    process = environ.pop(PID_VARIABLE, "")
    names = environ.pop(NAMES_VARIABLE, "")
    if not count or process != str(os.getpid()):
        return None  # as sd_listen_fds: what is meant for another process was only inherited
    if count != "1":
        named = f": {names}" if names else ""
        raise ListenError(f"one socket is expected, but {count} were handed over{named}", hint=_HINT)
    what = f"the descriptor {FIRST}{f' ({names})' if names else ''} that was handed over"
    try:
        os.set_inheritable(FIRST, False)
        handed = socket.socket(fileno=FIRST)
    except OSError as error:
        raise ListenError(f"{what} is not a socket: {error.strerror}", hint=_HINT) from error
    if fault := _fault(handed):
        handed.detach()  # not ours to close
        raise ListenError(f"{what} is {fault}", hint=_HINT)
    return handed


def path_of(bound: socket.socket) -> Path:
    """Return where clients find a socket that `take_socket` has returned."""
    return Path(os.fsdecode(bound.getsockname()))


def _fault(handed: socket.socket) -> str:
    """Return what is wrong with a socket that was handed over, or ""."""
    if handed.family != socket.AF_UNIX:
        return f"no Unix socket but one of {handed.family.name}"
    if handed.type != socket.SOCK_STREAM:
        return f"no stream socket but {handed.type.name}"
    if not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "not listening"
    address = handed.getsockname()
    if not address or isinstance(address, bytes):
        return "a socket without a path: no permissions would keep anybody out"
    return ""
