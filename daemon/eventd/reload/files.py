"""What files hold, as digests: whether they were touched, replaced or swapped by a link does not matter."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

MAX_READ = 4 * 2**20  # bytes of a file that are looked at; no config file or secret is larger
DIGEST_LENGTH = 64  # hexadecimal digits of a SHA-256; no reason of the system's is as long
MAX_LINKS = 40  # symbolic links in a row, as many as the kernel follows

Stamp = tuple[int, ...]
Digests = Mapping[Path, str]
"""By file; for one that cannot be read, the reason stands in place of the digest."""


class Contents:
    """Looks at files again and again; reads those whose stamp has changed. Used from one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp, str]] = {}

    def look(self, files: Iterable[Path]) -> Digests:
        """Return what the files hold now."""
        self._known = {file: self._digest(file) for file in files}
        return {file: digest for file, (_, digest) in self._known.items()}

    def _digest(self, file: Path) -> tuple[Stamp, str]:
        try:
            found = file.stat()
            if not stat.S_ISREG(found.st_mode):
                return (), "it is no regular file"  # opening a pipe could last for ever
            stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
            known = self._known.get(file)
            if known is not None and known[0] == stamp:
                return known
            with file.open("rb") as opened:
                return stamp, hashlib.sha256(opened.read(MAX_READ)).hexdigest()
        except OSError as error:
            return (), os.strerror(error.errno or 0)


def folders_of(files: Iterable[Path]) -> frozenset[Path]:
    """Return the folders in which something happens when one of the files changes.

    Those of a file, and of every link on the way to it: Kubernetes replaces a link to a folder, beside the
    one that the file seems to be in. Of a folder that is not there, the nearest one above it that is.
    """
    folders: set[Path] = set()
    for file in files:
        _follow(file.absolute(), folders, MAX_LINKS)
    return frozenset(folders)


def _follow(path: Path, folders: set[Path], links: int) -> None:
    """Add the folders of a path and of what its links point to, part by part from the root."""
    walked = Path(path.anchor)
    parts = path.parts[1:]
    for i, part in enumerate(parts):
        step = walked / part
        try:
            target = step.readlink()
        except OSError:  # no link, or not there
            walked = step
            continue
        folders.add(walked)
        if links:
            _follow((walked / target).joinpath(*parts[i + 1 :]), folders, links - 1)
        return
    walked = walked.parent
    while not walked.is_dir() and walked != walked.parent:
        walked = walked.parent
    folders.add(walked)
