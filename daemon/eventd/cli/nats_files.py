"""Files with secrets in them: for their owner only, and never over others by mistake."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class SecretFiles:
    """Files in one folder.

    Attributes:
        folder: Absolute; made when it is missing.
    """

    def __init__(self, folder: Path, *, force: bool) -> None:
        self.folder = folder
        self._force = force

    def write(self, texts: Mapping[Path, str]) -> None:
        """Write files; where they may be replaced, the old ones are kept with `.old` behind their names.

        Raises:
            ConfigError: One is there already, or cannot be written.
        """
        there = [path for path in texts if path.exists()]
        if there and not self._force:
            raise ConfigError(
                f"there is a file {there[0]} already; nothing was written",
                hint="name another folder, or use --force to replace it; the old one is kept as .old",
            )
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for path, text in texts.items():
                if path in there:
                    path.replace(path.with_name(f"{path.name}.old"))
                _write(path, text)
        except OSError as error:
            raise ConfigError(
                f"cannot write {error.filename or self.folder}: {os.strerror(error.errno or 0)}"
            ) from error


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
