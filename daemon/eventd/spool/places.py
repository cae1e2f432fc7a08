"""Where hooks keep what outlives them: the same place for the hooks of a user and for the user's daemon.

Without platformdirs, which takes longer to load than a hook has.
"""

import os
import sys
from collections.abc import Mapping

SPOOL_VARIABLE = "EVENTD_SPOOL"
_FOLDER = "eventd"
_ANY, _WRITE = 0o077, 0o022  # what others may do


def state_folder(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the folder for the state of the user's hooks: markers, a log, the spool.

    Returns:
        `$XDG_STATE_HOME/eventd`, by default below ~/.local/state; on macOS below ~/Library/Application
        Support. None where the user has no home.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        below = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state"
        base = os.path.expanduser(below) if os.environ.get("HOME") != "" else ""
    return os.path.join(base, _FOLDER) if os.path.isabs(base) else None


def spool_folder(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the folder with events that wait for a daemon: `$EVENTD_SPOOL`, else one in `state_folder`."""
    if named := environ.get(SPOOL_VARIABLE):
        return os.path.abspath(os.path.expanduser(named))
    state = state_folder(environ)
    return os.path.join(state, "spool") if state else None


def make_state(folder: str) -> None:
    """Make the folder for the state of hooks, or check it: others may look into it, since what is in it is
    private by itself, but not write there.

    Raises:
        OSError: It cannot be made, is another user's, or others may write there.
    """
    make_private(folder, _WRITE)


def make_private(folder: str, forbidden: int = _ANY) -> None:
    """Make a folder that is its user's alone, where it is missing, and check one that is there.

    Args:
        forbidden: What others may not do in it, as bits of its mode.

    Raises:
        OSError: It cannot be made, is another user's, or others may do that.
    """
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        try:
            os.mkdir(folder, mode=0o700)
        except FileExistsError:
            pass  # another hook was faster; it is looked at below
        found = os.lstat(folder)
    check_private(folder, found, forbidden)


def check_private(folder: str, found: os.stat_result | None = None, forbidden: int = _ANY) -> None:
    """Check that a folder is its user's alone.

    Raises:
        OSError: It is not, or is not there.
    """
    found = found or os.lstat(folder)
    is_folder = found.st_mode & 0o170000 == 0o040000
    if not is_folder or found.st_uid != os.geteuid() or found.st_mode & forbidden:
        raise PermissionError(f"{folder} is not a folder of this user alone (mode 0700)")
