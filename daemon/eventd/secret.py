"""Secrets that cannot leak by being printed, logged or put into a status."""

import re
from pathlib import Path

from .errors import ConfigError

MASK = "********"
HASHED = "sha256:"
"""Begins a line that holds a token's SHA-256 in hex, rather than the token itself."""

_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)


def redact(text: str) -> str:
    """Mask what stands before the `@` of URLs."""
    return _USERINFO.sub(rf"\g<1>{MASK}@", text)


def lines_of(text: str) -> list[str]:
    """Return the tokens in a text: a line each, without comments and empty lines."""
    lines = map(str.strip, text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class Secret:
    """A password, token or key, given by value or as a file that is read at each use.

    A file is read again each time, so that a rotated secret is used by the next connection.
    """

    __slots__ = ("_path", "_value")

    def __init__(self, value: str | None = None, *, path: Path | None = None) -> None:
        if (value is None) == (path is None):
            raise TypeError("a Secret has either a value or a path")
        self._value = value
        self._path = path

    @property
    def path(self) -> Path | None:
        """The file that holds it, if it is not given by value."""
        return self._path

    def reveal(self) -> str:
        """Return the secret itself.

        Raises:
            ConfigError: Its file cannot be read or is empty.
        """
        if self._value is not None:
            return self._value
        assert self._path is not None  # noqa: S101 - __init__ guarantees one of the two
        try:
            text = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the secret file {self._path}: {error}") from error
        if not text:
            raise ConfigError(f"the secret file {self._path} is empty")
        return text

    def __repr__(self) -> str:
        return f"Secret(path={str(self._path)!r})" if self._path else "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value and self._path == other._path

    def __hash__(self) -> int:
        return hash((self._value, self._path))
