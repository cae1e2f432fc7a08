"""Which call of a session's hooks hands over the context: one, whatever happens.

The right to do so is a file that can be made once. It is made before the context is printed, so that of two
hooks that run at once, or of one that is called twice, only one prints; and where a hook dies in between,
none does. A compaction takes what was handed over out of the model's sight, so it gives the right back.

A session's start takes the right when eventd has answered. Where it has not, or a build of the tool drops
what its start is given, the first prompt takes it: `EVENTD_INJECT=prompt` leaves it to that from the
beginning, and `off` hands over nothing.
"""

import os
from collections.abc import Mapping

from ..spool.places import make_private, make_state

INJECT_VARIABLE = "EVENTD_INJECT"
MAX_MARKERS = 2000  # files; then the older half goes
_FOLDER = "context"


def wanted(environ: Mapping[str, str], *, at_start: bool) -> bool:
    """Whether a session's start, or a prompt, may hand over the context."""
    where = environ.get(INJECT_VARIABLE, "").strip().lower()
    return where != "off" and not (at_start and where == "prompt")


class Right:
    """The right to hand over the context to a session.

    Args:
        state: Folder for the state of hooks; without one there is no such right.
        name: Name of the session as a file.
    """

    def __init__(self, state: str | None, name: str) -> None:
        self._folder = os.path.join(state, _FOLDER) if state else None
        self._name = name

    @property
    def is_free(self) -> bool:
        """Whether nobody has taken it yet."""
        return self._folder is not None and not os.path.lexists(os.path.join(self._folder, self._name))

    def take(self) -> bool:
        """Take it; return whether we have it now. What cannot be noted is not taken."""
        if self._folder is None:
            return False
        try:
            make_state(os.path.dirname(self._folder))
            make_private(self._folder)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(os.path.join(self._folder, self._name), flags, 0o600))
            self._tidy(self._folder)
        except OSError:
            return False
        return True

    def give_back(self) -> None:
        """Let the next one take it."""
        if self._folder is not None:
            try:
                os.unlink(os.path.join(self._folder, self._name))
            except OSError:
                pass  # nobody has it, or it cannot be changed: then nothing is handed over twice

    @staticmethod
    def _tidy(folder: str) -> None:
        names = os.listdir(folder)
        if len(names) > MAX_MARKERS:
            ages = sorted((os.lstat(os.path.join(folder, name)).st_mtime_ns, name) for name in names)
            for _, name in ages[: MAX_MARKERS // 2]:
                os.unlink(os.path.join(folder, name))
