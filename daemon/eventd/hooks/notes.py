"""Where a hook says what went wrong: a small file, since the tool shall not see it."""

import os
import time

from ..spool.places import make_state

MAX_BYTES = 256 * 1024  # of the file; then it becomes the older one of two
MAX_LINE = 500  # characters

_FILE = "hook.log"


class Notes:
    """Lines about one call of a hook; never what is in an event.

    Args:
        state: Folder for the state of hooks; without one nothing is noted.

    Attributes:
        about: The tool and its hook, as far as they are known.
    """

    def __init__(self, state: str | None) -> None:
        self._state = state
        self.about = "hook"

    def add(self, text: str) -> None:
        """Write a line. Where that cannot be done, it is not."""
        if self._state is None:
            return
        path = os.path.join(self._state, _FILE)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = " ".join(f"{at} {self.about}: {text}".split())[:MAX_LINE] + "\n"
        try:
            make_state(self._state)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(path, flags, 0o600)
            try:
                os.write(fd, line.encode("utf-8", "replace"))
                is_full = os.fstat(fd).st_size > MAX_BYTES
            finally:
                os.close(fd)
            if is_full:
                os.replace(path, f"{path}.1")
        except OSError:
            pass
