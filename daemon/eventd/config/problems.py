"""What is wrong with a configuration, and where: every problem has its file, line and key."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError

ROOT = ("gateway", "eventStore")
"""The node that is ours; everything else in the file belongs to others."""

KeyPath = tuple[str, ...]
"""Keys from the top of the file to a setting."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


class ConfigNotFound(ConfigError):
    """The config file that was named is not there."""


class InvalidConfig(ConfigError):
    """A config file is there, but cannot be used; the message lists every problem, one a line.

    Attributes:
        problems: Never empty, in the order of the file.
    """

    def __init__(self, source: Path | None, problems: "list[Problem]") -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__(
            "\n".join(problem.at(source) for problem in self.problems),
            hint="correct it and try `eventd config check`; `eventd init` writes a file with every setting",
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        line: From 1; 0 where it concerns the file as a whole.
        key: Dotted path of the key, "" where it concerns none.
        message: What is wrong; never holds a secret.
    """

    line: int
    key: str
    message: str

    def at(self, source: Path | None) -> str:
        """Return `file:line: key: message`, which editors and terminals can jump to."""
        place = f"{source or 'config.yml'}:{self.line}" if self.line else f"{source or 'config.yml'}"
        return ": ".join(filter(None, (place, self.key, self.message)))


@dataclass(slots=True)
class Report:
    """Collects what is wrong while a file is read, so that a person sees all of it at once."""

    source: Path | None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, path: KeyPath, message: str) -> None:
        """Note what makes the file unusable."""
        self.problems.append(Problem(self.line(path), dotted(path), message))

    def warning(self, path: KeyPath, message: str) -> None:
        """Note what a person should know; the file is used all the same."""
        self.warnings.append(Problem(self.line(path), dotted(path), message).at(self.source))

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest key above it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def check(self) -> None:
        """Raise what was found so far.

        Raises:
            InvalidConfig: There was a problem.
        """
        if self.problems:
            raise InvalidConfig(self.source, self.problems)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: `gateway.eventStore.agents["my.agent"].url`."""
    text = ""
    for key in path:
        text += f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{key!r}]"
    return text.removeprefix(".")
