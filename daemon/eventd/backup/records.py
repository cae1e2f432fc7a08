"""Files of records in a backup: packed lines, counted and with a checksum."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator

import anyio.to_thread

from ..backlog import Page
from ..jetstream.reading import Message
from ..transfer.files import Unpacked, packed
from ..transfer.record import Record, read_record
from .folder import Folder, NewFile
from .manifest import DamagedBackup, File

SUFFIX = ".ndjson.zst"
CHUNK = 1024 * 1024  # bytes that are unpacked at once

REASON, CODE = "Eventd-Reason", "Eventd-Code"
"""Headers that say why a row became a dead letter; no stream has them."""


class RecordFile:
    """A file that is being written. Every method blocks: call them in a worker thread.

    Args:
        name: Its path inside of the folder.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._name = name
        self._events = 0
        self._open = contextlib.ExitStack()
        self._file: NewFile = self._open.enter_context(folder.new_file(name))
        self._packed = contextlib.ExitStack()
        self._lines = self._packed.enter_context(packed(self._file, ".zst"))

    def write(self, records: Iterable[Record]) -> None:
        """Write records."""
        for record in records:
            self._lines.write(record.line())
            self._events += 1

    def finish(self) -> File:
        """Give it its name, once it is on disk; return its entry for the manifest."""
        self._packed.close()
        entry = File(name=self._name, bytes=self._file.size, sha256=self._file.sha256, events=self._events)
        self._open.close()
        return entry

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError, ValueError):
            self._packed.close()
        with contextlib.suppress(type(error)):
            self._open.__exit__(type(error), error, error.__traceback__)


@contextlib.asynccontextmanager
async def record_file(folder: Folder, name: str) -> AsyncIterator[RecordFile]:
    """Begin a file; after an error nothing is left of it."""
    file = await anyio.to_thread.run_sync(RecordFile, folder, name)
    try:
        yield file
    except BaseException as error:
        file.abandon(error)
        raise


def read_records(folder: Folder, file: File) -> Iterator[Record]:
    """Yield the records of a file. Blocks.

    Raises:
        DamagedBackup: It is none of ours, or was changed since it was verified.
    """
    path = folder.path / file.name
    rest = b""
    with path.open("rb") as opened:
        source = Unpacked(opened)
        while data := source.read(CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    yield read_record(line)
                except ValueError as error:
                    raise DamagedBackup(f"{path} is damaged: {error}") from error
    if rest:
        raise DamagedBackup(f"{path} is damaged: it ends within a line")


def record_of_message(stream: str, message: Message, agent: str) -> Record:
    """Return the record of a message of a stream.

    Args:
        agent: Whose it is.
    """
    headers = dict(message.headers)
    return Record.of(stream, message.seq, message.time, message.subject, headers, message.body, agent)


def record_of_row(row: Page) -> Record:
    """Return the record of a row of the outbox, which has no sequence yet, or of a dead letter."""
    headers = {"Nats-Msg-Id": row["msgId"]} | ({"Nats-TTL": "never"} if row["neverExpires"] else {})
    if "reason" in row:
        headers |= {REASON: row["reason"], CODE: str(row["code"])}
    agent = row["msgId"].partition(":")[0]
    return Record.of(row.get("stream", ""), 0, row["time"], row["subject"], headers, row["body"], agent)
