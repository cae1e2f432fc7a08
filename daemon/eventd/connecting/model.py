"""What connecting is about: a tool, what is changed for it, and what a person has to do. Plain data."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from ..errors import EventdError


class CannotConnect(EventdError):
    """A tool cannot be connected as it was asked for; nothing was changed."""


class Scope(StrEnum):
    """Where a tool is connected: in all of a user's projects, or in one."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where tools are looked for.

    Attributes:
        home: The user's home.
        project: The folder that counts as the project.
        environ: Variables; tools are told by some where their configuration is.
    """

    home: Path
    project: Path
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """This eventd, as a tool calls it.

    Attributes:
        words: What starts it from anywhere; the first is an absolute path that outlives upgrades.
        socket: The daemon's socket, where it is not where clients look by themselves.
    """

    words: Sequence[str]
    socket: Path | None = None

    def hook(self, tool: str) -> str:
        """Return the command line of a tool's hooks, for a shell; the same in every version.

        Codex asks for approval again when it changes by one character.
        """
        variables = ["env", f"EVENTD_SOCKET={self.socket}"] if self.socket else []
        return shlex.join([*variables, *self.words, "hook", tool])


@dataclass(frozen=True, slots=True)
class Wish:
    """How a tool is to be connected.

    Attributes:
        grant: Whether eventd may also give itself what the tool's owner has to grant.
    """

    program: Program
    grant: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A tool on this machine.

    Attributes:
        folder: Where it keeps its configuration.
        binary: Its program; None where there is none on the path.
        others: Further installations, which are left alone.
    """

    folder: Path
    binary: str | None = None
    others: Sequence[Path] = ()

    @property
    def is_there(self) -> bool:
        """Whether there is anything to connect."""
        return self.binary is not None or self.folder.is_dir()


@dataclass(frozen=True, slots=True)
class Advice:
    """What a person is told beside the change.

    Attributes:
        todo: What they still have to do.
        notes: What they should know.
    """

    todo: Sequence[str] = ()
    notes: Sequence[str] = ()


class Tool(Protocol):
    """What differs from tool to tool."""

    name: str
    """As `eventd connect` is told, and as its agent is called."""
    title: str
    """As people call it."""
    scopes: Sequence[Scope]

    def find(self, around: Surroundings) -> Found:
        """Return where it is, or would be."""
        ...

    def file(self, around: Surroundings, scope: Scope) -> Path:
        """Return the file that says what it runs."""
        ...

    def connected(self, text: str, wish: Wish) -> str:
        """Return the file's text with eventd in it, as this very eventd would have it.

        Raises:
            NotJson, WrongShape, CannotConnect: It cannot be put there.
        """
        ...

    def disconnected(self, text: str, original: str) -> str:
        """Return the file's text without eventd.

        Args:
            original: The text from before it was connected: what was empty in it is left in place.
        """
        ...

    def commands(self, text: str) -> Sequence[str]:
        """Return what of eventd's the file names, each once: command lines, or folders."""
        ...

    def advice(self, around: Surroundings, scope: Scope, text: str, wish: Wish) -> Advice:
        """Return what to tell the person about a file that is connected."""
        ...

    def install(self, wish: Wish) -> None:
        """Bring to disk what else the tool needs of eventd."""
        ...

    def uninstall(self) -> None:
        """Take that away again."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to a file of a tool.

    Attributes:
        file: The file, as the tool finds it.
        before, after: Its bytes; None where it is not there.
        backup: What undoing has to bring back; differs from `before` where eventd was in the file already.
    """

    tool: Tool
    scope: Scope
    file: Path
    before: bytes | None
    after: bytes | None
    backup: bytes | None = None
    advice: Advice = Advice()

    @property
    def is_needed(self) -> bool:
        """Whether the file is not as it has to be yet."""
        return self.before != self.after


Tree = dict[str, Any]
