"""What a person has said about being recorded: switches that turn everything off.

`EVENTD_OFF=1` for all that a terminal starts; a file `.eventd-ignore` in a project, or in a folder above it
up to the home; and `eventd off` as a prompt, for the session in which it is said, until `eventd on`.
"""

import os
from collections.abc import Mapping

from ..spool.places import make_private, make_state

OFF_VARIABLE = "EVENTD_OFF"
IGNORE_FILE = ".eventd-ignore"
SAY_OFF, SAY_ON = "eventd off", "eventd on"
MAX_LEVELS = 64  # folders above the project that are looked at
_ON = frozenset({"", "0", "no", "off", "false"})
_FOLDER = "off"


def is_off(environ: Mapping[str, str]) -> bool:
    """Whether a variable turns everything off."""
    return environ.get(OFF_VARIABLE, "").strip().lower() not in _ON


def is_ignored(*folders: str) -> bool:
    """Whether one of a project's folders, or one above it up to the home, has a file that says so."""
    home = os.path.realpath(os.path.expanduser("~"))
    return any(_is_ignored(folder, home) for folder in folders if os.path.isabs(folder))


def _is_ignored(folder: str, home: str) -> bool:
    try:
        folder = os.path.realpath(folder)
    except ValueError:
        return False  # NUL, or half a character: no folder has such a name
    for _ in range(MAX_LEVELS):
        if os.path.lexists(os.path.join(folder, IGNORE_FILE)):
            return True
        above = os.path.dirname(folder)
        if above == folder or folder == home:
            return False
        folder = above
    return False


def switch_in(prompt: str) -> str:
    """Return `SAY_OFF` or `SAY_ON` where a prompt says that and nothing else; else ""."""
    said = " ".join(prompt.lower().split()).rstrip(" .!")
    return said if said in (SAY_OFF, SAY_ON) else ""


class SessionSwitch:
    """Whether one session is recorded; kept as a file, so that all its hooks know.

    Args:
        state: Folder for the state of hooks; None where there is no place for one.
        name: Name of the session as a file.
    """

    def __init__(self, state: str | None, name: str) -> None:
        self._folder = os.path.join(state, _FOLDER) if state else None
        self._file = os.path.join(self._folder, name) if self._folder else None

    @property
    def is_off(self) -> bool:
        """Whether it was turned off."""
        return self._file is not None and os.path.lexists(self._file)

    def listen(self, prompt: str) -> bool:
        """Turn it as a prompt says; return whether the prompt was about that.

        Raises:
            OSError: It cannot be noted.
        """
        said = switch_in(prompt)
        if not said or self._file is None or self._folder is None:
            return False
        if said == SAY_ON:
            if self.is_off:
                os.unlink(self._file)
        elif not self.is_off:
            make_state(os.path.dirname(self._folder))
            make_private(self._folder)
            os.close(os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return True
