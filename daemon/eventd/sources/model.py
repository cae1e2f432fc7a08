"""What there is to import: the transcripts that were found, and what was passed over and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from eventd_ipc.events import Event

Tool = Literal["claude-code", "codex", "openclaw"]
TOOLS: tuple[Tool, ...] = ("claude-code", "codex", "openclaw")
"""The tools whose sessions can be imported; the name is also that of their agent, but for OpenClaw's."""

MAX_RECORD = 64 * 2**20  # bytes of one line or row; a longer one is passed over, and never held


class NotUnderstood(ValueError):
    """A record is not of the format that its adapter knows."""


class Record(NamedTuple):
    """A line of a transcript, or a row.

    Attributes:
        data: None where it is longer than `MAX_RECORD`.
        taken: Bytes of the transcript's size up to and with this record.
    """

    data: bytes | None
    taken: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """A recorded session, or a part of one.

    Attributes:
        agent: Whose it is.
        path: The file, or the database that it is in.
        size: Bytes; of rows in a database those of their texts.
        modified: When it was last written to, Unix ms.
        session: The tool's id of the session, as far as the place tells.
        key: OpenClaw's session key; "" where that is not known.
        form: How it is kept: lines of a file, rows of a database, or a file in a database.
        part: Which of the files in the database.
        group: Transcripts of one group may repeat each other's lines.
    """

    tool: Tool
    agent: str
    path: Path
    size: int
    modified: int
    session: str
    key: str = ""
    form: Literal["lines", "rows", "file"] = "lines"
    part: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """Something that looks like a transcript and is not read.

    Attributes:
        trouble: Whether somebody has to see to it; else it is left out on purpose.
    """

    path: Path
    reason: str
    trouble: bool = False


@dataclass(slots=True)
class Found:
    """What was found of a tool.

    Attributes:
        places: Where it was looked.
        transcripts: In the order in which they are read: one that others repeat comes before them.
    """

    tool: Tool
    places: list[Path] = field(default_factory=list)
    transcripts: list[Transcript] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


class Tidy(Protocol):
    """Makes what was said fit to be stored."""

    def said(self, text: str) -> str:
        """Return a text without its private parts; "" where nothing of it is left."""

    def value(self, value: Any) -> Any:
        """Return a text, or what a tool was given or has answered, without secrets, and not too long."""


@dataclass(frozen=True, slots=True)
class Options:
    """How transcripts are read.

    Attributes:
        thinking: Whether what a model thinks becomes events, too.
    """

    tidy: Tidy
    thinking: bool = False


class Adapter(Protocol):
    """Makes events of the records of one transcript. Pure: it reads no files."""

    def read(self, data: bytes) -> Iterator[Event]:
        """Return the events of the next record; most records of a transcript are none.

        Raises:
            NotUnderstood: The format is another one.
        """

    def finish(self) -> Iterator[Event]:
        """Return the events that are only known at the end."""


@dataclass(slots=True)
class Seen:
    """What was read already, so that what transcripts repeat is told once.

    Hashes instead of ids: a group has as many as 10^6, of which each takes some 60 bytes.
    """

    group: str = ""
    _hashes: set[int] = field(default_factory=set)

    def enter(self, group: str) -> None:
        """Begin with a transcript of a group; what is known of another one is forgotten."""
        if group != self.group:
            self.group = group
            self._hashes.clear()

    def add(self, name: str) -> bool:
        """Note a name; return whether it is new."""
        number = hash(name)
        if number in self._hashes:
            return False
        self._hashes.add(number)
        return True
