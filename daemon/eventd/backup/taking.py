"""Makes a backup, or adds to one what came since: the outbox first, then the streams.

What moves from the outbox into its stream meanwhile is in both, and known by its id; nothing is in neither.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec

from .. import __version__
from ..config.settings import Config
from ..errors import ConfigError, NatsError
from ..jetstream.permissions import PermissionMissing
from ..jetstream.reading import Message, get_message, open_reader
from ..jetstream.session import ApiError, Session
from ..jetstream.snapshots import SnapshotFailed, StreamState, open_snapshot
from ..jetstream.streams import stream_info
from ..subjects import encode_token
from .backlog import AskPage, BacklogReader
from .configuration import save_configuration
from .folder import Folder, writing
from .manifest import (
    Generation,
    Manifest,
    OutboxEntry,
    Part,
    RouteEntry,
    StreamEntry,
    now,
    told,
)
from .ownership import owner_of
from .places import Place, Servers, places, streams_of
from .records import SUFFIX, record_file, record_of_message, record_of_row

if TYPE_CHECKING:
    from ..transfer.record import Record

logger = logging.getLogger(__name__)

KEPT = 2  # generations of a stream: the newest, and the one before
ROWS_AT_ONCE = 500  # rows of the outbox that are written at once

Info = dict[str, Any]
"""JetStream's description of a stream."""

SNAPSHOTS_HINT = "`eventd nats-config --snapshots` prints a server configuration that allows snapshots"


@dataclass(frozen=True, slots=True)
class Wish:
    """How a backup is to be made.

    Attributes:
        full: Begin anew rather than add.
        records: Take no snapshots: every message as a line of its own.
        secrets: Put passwords, keys and tokens in.
    """

    full: bool = False
    records: bool = False
    secrets: bool = False


@dataclass(slots=True)
class Taken:
    """What was done about a stream.

    Attributes:
        stream: Its name.
        kind: `snapshot`, `records` or `unchanged`; "" where it could not be taken.
        events: Messages that were added.
        bytes: What they take in the backup.
        why: Why all of it was taken anew; "" where only what came since was.
        problem: Why it could not be taken; what an earlier backup has of it stays.
        note: What an operator should know.
    """

    stream: str
    kind: str = ""
    events: int = 0
    bytes: int = 0
    why: str = ""
    problem: str = ""
    note: str = ""


@dataclass(slots=True)
class Report:
    """What was done, all in all.

    Attributes:
        taken: About each stream.
        pending, dead_letters: What was in the outbox.
    """

    manifest: Manifest
    taken: list[Taken] = field(default_factory=list)
    pending: int = 0
    dead_letters: int = 0


Expect = Callable[[int], None]
"""Told how many bytes more there are to do, as far as that is known."""


class Taking:
    """One backup into a folder.

    Args:
        ask: Reads the outbox; None where there is none.
    """

    def __init__(
        self,
        folder: Folder,
        config: Config,
        servers: Servers,
        ask: AskPage | None,
        wish: Wish,
        expect: Expect,
    ) -> None:
        self._folder = folder
        self._config = config
        self._servers = servers
        self._ask = ask
        self._wish = wish
        self._expect = expect

    async def run(self) -> Report:
        """Make the backup; the manifest takes its place at the very end.

        Raises:
            BackupError: The folder cannot be used.
            OSError: The disk is full, or cannot be written. The backup of before is as it was.
        """
        old = await anyio.to_thread.run_sync(self._folder.manifest)
        manifest = Manifest(number=old.number + 1 if old else 1, taken=now(), version=__version__)
        report = Report(manifest)
        await anyio.to_thread.run_sync(
            save_configuration, self._folder, manifest, self._config, self._wish.secrets
        )
        if self._ask is not None:
            manifest.outbox = await self._outbox(self._ask, manifest.number)
            report.pending, report.dead_letters = manifest.outbox.pending, manifest.outbox.dead_letters
        else:
            manifest.without.append("the outbox: there is none")
        known = {(entry.account, entry.name): entry for entry in (old.streams if old else ())}
        for place in places(self._config):
            await self._place(place, known, report)
        for entry in known.values():  # of a route that is configured no more: what there is of it stays
            manifest.streams.append(entry)
            manifest.without.append(f"anything new of stream {entry.name}: no route goes there now")
        await anyio.to_thread.run_sync(self._folder.finish, manifest)
        logger.info(
            "made backup %d", manifest.number,
            extra={"action": "backup_made", "streams": len(manifest.streams)},
        )  # fmt: skip
        return report

    async def _outbox(self, ask: AskPage, number: int) -> OutboxEntry:
        pending = dead = 0
        name = f"outbox-{number}{SUFFIX}"
        reader = BacklogReader(ask)
        async with record_file(self._folder, name) as file:
            page: list[Record] = []
            async for row in reader.rows():
                page.append(record_of_row(row))
                dead += "reason" in row
                pending += "reason" not in row
                if len(page) >= ROWS_AT_ONCE:
                    await anyio.to_thread.run_sync(file.write, page)
                    page = []
            await anyio.to_thread.run_sync(file.write, page)
            entry = await anyio.to_thread.run_sync(file.finish)
        routes = msgspec.convert(reader.routes, list[RouteEntry])
        return OutboxEntry(file=entry, pending=pending, dead_letters=dead, routes=routes)

    async def _place(self, place: Place, known: dict[tuple[str, str], StreamEntry], report: Report) -> None:
        """Take the streams of a place. One that cannot be reached does not keep the others from it."""
        manifest = report.manifest
        try:
            async with self._servers.session(place.route) as session:
                names = await streams_of(session, place)
                if not names:
                    manifest.without.append(f"stream {place.label}: there is none yet")
                for name in names:
                    old = known.pop((place.account, name), None)
                    if any((one.account, one.name) == (place.account, name) for one in manifest.streams):
                        continue  # a wide stream that several routes go to
                    await self._stream(session, place, name, old, report)
        except (NatsError, ConfigError) as error:
            report.taken.append(Taken(place.label, problem=told(error)))
            if (old := known.pop((place.account, place.name), None)) is not None:
                manifest.streams.append(old)
            manifest.without.append(f"anything new of stream {place.label}: {error}")

    async def _stream(
        self, session: Session, place: Place, name: str, old: StreamEntry | None, report: Report
    ) -> None:
        generations = list(old.generations) if old else []
        newest = generations[-1] if generations else None
        taken = Taken(name)
        if newest and (fault := await anyio.to_thread.run_sync(self._fault, newest)):
            taken.why = fault
            generations.pop()
        try:
            info = await stream_info(session, name)
            if newest and not taken.why:
                taken.why = "it was asked for" if self._wish.full else await _change(session, info, newest)
            if taken.why or newest is None:
                number = newest.number + 1 if newest else 1
                generations.append(await self._full(session, place, info, number, taken))
            else:
                generations[-1] = await self._more(session, place, info, newest, taken)
        except NatsError as error:
            taken = Taken(name, problem=told(error))
            report.manifest.without.append(f"anything new of stream {name}: {error}")
        report.taken.append(taken)
        if generations:
            report.manifest.streams.append(
                StreamEntry(
                    name=name, account=place.account, routes=place.routes, generations=generations[-KEPT:]
                )
            )

    async def _full(
        self, session: Session, place: Place, info: Info, number: int, taken: Taken
    ) -> Generation:
        name = info["config"]["name"]
        state = StreamState.of(info["state"])
        generation = Generation(
            number=number, why=taken.why, created=info["created"], through=0, proof="", parts=[],
            config=info["config"],
        )  # fmt: skip
        part = None
        if not self._wish.records:
            try:
                part = await self._snapshot(session, place, name, generation)
            except PermissionMissing as error:
                taken.note = f"taken message by message: {error}; {SNAPSHOTS_HINT}"
            except (ApiError, SnapshotFailed) as error:
                taken.note = f"taken message by message, as no snapshot could be: {error}"
        if part is None:
            generation.through = state.last_seq
            part = await self._records(session, place, name, number, 1, state.last_seq)
        _note(taken, part)
        generation.parts.append(part)
        generation.proof = await _proof(session, name, generation.through)
        return generation

    async def _more(
        self, session: Session, place: Place, info: Info, newest: Generation, taken: Taken
    ) -> Generation:
        """Take what came behind the last sequence of the backup."""
        name, last = info["config"]["name"], StreamState.of(info["state"]).last_seq
        begin = newest.through + 1
        if last < begin:
            taken.kind = "unchanged"
            return newest
        part = await self._records(session, place, name, newest.number, begin, last)
        _note(taken, part)
        return msgspec.structs.replace(
            newest, config=info["config"], through=last, proof=await _proof(session, name, last),
            parts=[*newest.parts, part],
        )  # fmt: skip

    def _fault(self, generation: Generation) -> str:
        """Say which file of a generation is not there as it was, at a glance."""
        for part in generation.parts:
            if fault := self._folder.fault(part):
                return f"{part.name} in the backup is damaged: {fault}"
        return ""

    async def _snapshot(self, session: Session, place: Place, name: str, generation: Generation) -> Part:
        path = f"{_folder_of(place, name)}/{generation.number}-full.snapshot"
        async with open_snapshot(session, name) as snapshot:
            state = snapshot.state
            self._expect(state.bytes)
            async with writing(self._folder, path) as file:
                async for chunk in snapshot.chunks():
                    await anyio.to_thread.run_sync(file.write, chunk)
        generation.through = state.last_seq
        return Part(
            name=path, bytes=file.size, sha256=file.sha256, kind="snapshot", at=now(),
            events=state.messages, first=state.first_seq, last=state.last_seq, stream_bytes=state.bytes,
        )  # fmt: skip

    async def _records(
        self, session: Session, place: Place, name: str, number: int, begin: int, end: int
    ) -> Part:
        """Write the messages from one sequence to another."""
        path = f"{_folder_of(place, name)}/{number}-{begin}-{end}{SUFFIX}"
        owner = owner_of(self._config, place, name)
        async with record_file(self._folder, path) as file:
            async with open_reader(session, name, start_seq=begin) as reader:
                while page := await reader.page():
                    wanted = [record_of_message(name, m, owner(m)) for m in page if m.seq <= end]
                    await anyio.to_thread.run_sync(file.write, wanted)
                    if page[-1].seq >= end:
                        break
            entry = await anyio.to_thread.run_sync(file.finish)
        return Part(
            name=path, bytes=entry.bytes, sha256=entry.sha256, kind="records", at=now(),
            events=entry.events, first=begin, last=end,
        )  # fmt: skip


async def _change(session: Session, info: Info, newest: Generation) -> str:
    """Return how a stream has become another one than the backup has; "" where it only grew."""
    state = StreamState.of(info["state"])
    if info["created"] != newest.created:
        return "the stream was made anew"
    if state.last_seq < newest.through:
        return f"the stream was rolled back, from sequence {newest.through} to {state.last_seq}"
    if newest.through and state.first_seq > newest.through:
        return "the stream has nothing any more of what the backup has: it was purged, or it is too old"
    proof = await _proof(session, info["config"]["name"], newest.through)
    if proof and newest.proof and proof != newest.proof:
        return f"the stream was rolled back: sequence {newest.through} has another message now"
    return ""


async def _proof(session: Session, stream: str, seq: int) -> str:
    """Return a digest of the message at a sequence, "" without one: it may be deleted by itself."""
    message = await get_message(session, stream, seq) if seq else None
    return "" if message is None else digest_of(message)


def digest_of(message: Message) -> str:
    """Return what tells a message from others."""
    head = f"{message.subject}\n{message.msg_id}\n".encode()
    return hashlib.blake2b(head + message.body, digest_size=16).hexdigest()


def _note(taken: Taken, part: Part) -> None:
    taken.kind, taken.events, taken.bytes = part.kind, part.events or 0, part.bytes


def _folder_of(place: Place, name: str) -> str:
    account = "" if place.account == "default" else f"@{encode_token(place.account)}"
    return f"streams/{encode_token(name)}{account}"
