"""What is in a backup: a file of YAML that a person can read, protected by a checksum in its last line."""

import hashlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import msgspec
import yaml

from ..errors import EventdError

NAME = "MANIFEST.yml"
FORMAT = 1
"""Version of the folder; it changes only when an older eventd would misunderstand it."""

_SEAL = "# sha256 of everything above: "
_HEAD = """\
# A backup by eventd. `eventd restore DIR` brings it back, `eventd backup DIR` adds what came since,
# `eventd backup DIR --verify` compares every file with its checksum.
"""


class BackupError(EventdError):
    """A backup cannot be made, or not be used."""


class DamagedBackup(BackupError):
    """A file of a backup is not what was written; the message names it."""


def told(error: EventdError) -> str:
    """Return what an error says, and what can be done about it."""
    return f"{error}; {error.hint}" if error.hint else str(error)


class File(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A file of the backup.

    Attributes:
        name: Its path inside of the folder.
        events: Messages, rows or dead letters in it.
        first, last: Sequences that it covers, where it is one of a stream.
    """

    name: str
    bytes: int
    sha256: str
    events: int | None = None
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{self.name!r} is not inside of the folder")


class Part(File, kw_only=True):
    """A file with messages of a stream.

    Attributes:
        kind: `snapshot`: JetStream's own, which a nats-server reads; `records`: a line of JSON a message.
        at: When it was taken.
        stream_bytes: What its messages take in the stream; of a snapshot.
    """

    kind: Literal["snapshot", "records"]
    at: str
    stream_bytes: int | None = None


class Generation(msgspec.Struct, rename="camel", kw_only=True):
    """A stream from one full backup on.

    Attributes:
        why: Why it was begun.
        created: Creation time of the stream, as JetStream tells it.
        through: Sequence up to which it is in the backup.
        proof: Digest of the message at that sequence, "" where there was none: tells a stream that was rolled
            back, and has grown since.
        config: The stream's configuration at its last backup, in JetStream's words.
        parts: The full backup, and what was added.
    """

    number: int
    why: str
    created: str
    through: int
    proof: str
    parts: list[Part]
    config: dict[str, Any]


class StreamEntry(msgspec.Struct, rename="camel", kw_only=True):
    """A stream.

    Attributes:
        account: The first route that logs in to its account; tells streams of one name apart.
        routes: Those that go to it.
        generations: The newest one last; the one before it is kept.
    """

    name: str
    account: str
    routes: list[str]
    generations: list[Generation]


class RouteEntry(msgspec.Struct, rename="camel"):
    """How far a route had come.

    Attributes:
        settled: Greatest outbox number that was in the stream.
        stream_seq: Its greatest sequence there.
    """

    name: str
    stream: str
    prefix: str
    pending: int
    settled: int
    stream_seq: int


class OutboxEntry(msgspec.Struct, rename="camel", kw_only=True):
    """What the outbox held.

    Attributes:
        pending: Rows that were not in their stream yet.
        dead_letters: Rows that could not be published.
    """

    file: File
    pending: int
    dead_letters: int
    routes: list[RouteEntry]


class SecretFile(File, kw_only=True):
    """A file that the configuration names, such as a key; only there where secrets were asked for.

    Attributes:
        source: Where it was.
    """

    source: str


class Manifest(msgspec.Struct, rename="camel", kw_only=True):
    """What is in a backup.

    Attributes:
        number: How many backups were made into the folder.
        taken: When the last one began.
        without: What is not in it, for a person.
    """

    format: int = FORMAT
    number: int = 1
    taken: str
    version: str
    host: str = msgspec.field(default_factory=socket.gethostname)
    without: list[str] = []
    config: File | None = None
    secrets: list[SecretFile] = []
    outbox: OutboxEntry | None = None
    streams: list[StreamEntry] = []

    def files(self) -> Iterator[File]:
        """Yield every file that belongs to it."""
        if self.config is not None:
            yield self.config
        yield from self.secrets
        if self.outbox is not None:
            yield self.outbox.file
        for stream in self.streams:
            for generation in stream.generations:
                yield from generation.parts


class Total(NamedTuple):
    """How much a backup holds."""

    files: int
    bytes: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Total":
        """Count the files of a backup."""
        files = list(manifest.files())
        return cls(len(files), sum(file.bytes for file in files))


def now() -> str:
    """Return the time as the manifest has it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def dump(manifest: Manifest) -> bytes:
    """Return the manifest as the bytes of its file."""
    tree = yaml.safe_dump(msgspec.to_builtins(manifest), sort_keys=False, allow_unicode=True, width=110)
    text = (_HEAD + tree).encode()
    return text + f"{_SEAL}{hashlib.sha256(text).hexdigest()}\n".encode()


def load(data: bytes, path: str) -> Manifest:
    """Read a manifest.

    Raises:
        DamagedBackup: It is not what was written.
        BackupError: A newer eventd wrote it.
    """
    text, seal, digest = data.rpartition(_SEAL.encode())
    if not seal or digest != f"{hashlib.sha256(text).hexdigest()}\n".encode():
        raise DamagedBackup(
            f"{path} is damaged: it does not fit its own checksum",
            hint="take the folder from another copy; nothing was changed",
        )
    tree = yaml.safe_load(text)
    if isinstance(tree, dict) and isinstance(version := tree.get("format"), int) and version > FORMAT:
        raise BackupError(
            f"{path} has format {version}, this eventd knows up to {FORMAT}",
            hint="a newer eventd wrote it: run that version or a newer one",
        )
    try:
        return msgspec.convert(tree, Manifest)
    except msgspec.ValidationError as error:
        raise DamagedBackup(f"{path} is no manifest of a backup: {error}") from error
