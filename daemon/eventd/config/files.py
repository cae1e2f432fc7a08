"""Files that a configuration names: found from the config file's folder, readable, and not by everybody."""

import os
import stat
from pathlib import Path

from .problems import KeyPath, Report


class Files:
    """Looks at named files and reports what is wrong with them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._folder = report.source.absolute().parent if report.source else Path.cwd()
        self._told_of_source = False

    def path(self, path: Path | None) -> Path | None:
        """Return a path of the file: `~` is the home, and a relative one begins at the config file."""
        if path is None:
            return None
        try:
            return self._folder / path.expanduser()
        except RuntimeError:  # no such user: then the folder is called so
            return self._folder / path

    def existing(self, path: Path | None, key: KeyPath, *, secret: bool = False) -> Path | None:
        """Return such a path, which has to be that of a file; see `check`."""
        found = self.path(path)
        if found is not None:
            self.check(found, key, secret=secret)
        return found

    def check(self, path: Path, key: KeyPath, *, secret: bool) -> bool:
        """Whether a file can be read; warns of a secret that everybody can read."""
        try:
            mode = path.stat().st_mode
        except OSError as error:
            self._report.problem(key, f"cannot read {path}: {os.strerror(error.errno or 0)}")
            return False
        if not stat.S_ISREG(mode):
            self._report.problem(
                key, f"cannot read {path}: it is {'a folder' if stat.S_ISDIR(mode) else 'no file'}"
            )
            return False
        if not os.access(path, os.R_OK):
            self._report.problem(key, f"cannot read {path}: it is not readable for this user")
            return False
        if secret and mode & stat.S_IROTH:
            self._report.warning(key, _exposed(path))
        return True

    def program(self, path: Path | None, key: KeyPath) -> Path | None:
        """Return the path of a program, which has to be one."""
        found = self.path(path)
        if found is not None and not (os.access(found, os.X_OK) and found.is_file()):
            self._report.problem(key, f"{found} is no program that can be run")
        return found

    def holds_secret(self, key: KeyPath) -> None:
        """Warn, once, of a secret by value where everybody can read the config file itself."""
        source = self._report.source
        if source is None or self._told_of_source:
            return
        self._told_of_source = True
        if source.is_file() and source.stat().st_mode & stat.S_IROTH:
            self._report.warning(key, f"a secret is in this file, and {_exposed(source)}")


def _exposed(path: Path) -> str:
    return f"everybody on this machine can read {path}; `chmod o-rwx {path}` takes that away"
