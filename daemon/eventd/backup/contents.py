"""The messages of a backup, one by one, whatever they are kept as."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ..jetstream.reading import open_reader
from ..jetstream.snapshots import StreamState
from ..transfer.record import Record
from .folder import Folder
from .manifest import File, Generation, Part
from .ownership import OwnerOf
from .records import read_records, record_of_message
from .scratch import scratch_server, unpack

if TYPE_CHECKING:
    from ..jetstream.session import Session

PAGE = 500  # messages that are handed on at once

Page = list[Record]


class Contents:
    """Reads the messages of a backup; a private nats-server for its snapshots runs once one is asked for.

    Args:
        program: The nats-server that is configured, if one is.
    """

    def __init__(self, folder: Folder, program: Path | None) -> None:
        self._folder = folder
        self._program = program
        self._stack = contextlib.AsyncExitStack()
        self._session: Session | None = None
        self._unpacked = ""  # name of the file whose messages the server has …
        self._stream = ""  # … in this stream

    async def close(self) -> None:
        """End the server."""
        await self._stack.aclose()

    async def pages(self, generation: Generation, owner: OwnerOf, *, first: int = 0) -> AsyncIterator[Page]:
        """Yield the messages of a stream, in its order.

        Args:
            owner: Tells whose those of a snapshot are.
            first: Number of the part to begin with, from 0.

        Raises:
            BackupError: A snapshot has to be read, and there is no nats-server to read it.
        """
        for part in generation.parts[first:]:
            pages = self._snapshot(generation, part, owner) if part.kind == "snapshot" else self.records(part)
            async for page in pages:
                yield page

    async def records(self, file: File) -> AsyncIterator[Page]:
        """Yield the records of a file."""
        records: Iterator[Record] = read_records(self._folder, file)
        take: Callable[[], Page] = lambda: list(islice(records, PAGE))  # noqa: E731 - for a thread
        while page := await anyio.to_thread.run_sync(take):
            yield page

    async def _snapshot(self, generation: Generation, part: Part, owner: OwnerOf) -> AsyncIterator[Page]:
        session = self._session
        if session is None:
            session = await self._stack.enter_async_context(scratch_server(self._program))
            self._session = session
        name = generation.config["name"]
        if self._unpacked != part.name:  # it has room for one at a time
            if self._unpacked:
                await session.api(f"STREAM.DELETE.{self._stream}")
            await unpack(session, generation.config, state_of(part), self._folder.read(part))
            self._unpacked, self._stream = part.name, name
        async with open_reader(session, name) as reader:
            while page := await reader.page():
                yield [record_of_message(name, message, owner(message)) for message in page]


def state_of(part: Part) -> StreamState:
    """Return what a snapshot holds."""
    return StreamState(part.events or 0, part.stream_bytes or 0, part.first or 0, part.last or 0)
