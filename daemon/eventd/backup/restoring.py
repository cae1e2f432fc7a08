"""Brings a backup back: streams from their snapshots where there is room, all else event by event.

Nothing that is there is deleted or written over. What is in several places of a backup, or here already, is
known by its id, and is there once afterwards.
"""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from eventd_ipc.messages import RawEvent

from ..errors import ConfigError, NatsError
from ..jetstream.deleting import erase_message
from ..jetstream.permissions import PermissionMissing
from ..jetstream.reading import open_reader
from ..jetstream.session import ApiError
from ..jetstream.settings import wanted_settings
from ..jetstream.snapshots import SnapshotFailed, StreamState, restore_stream
from ..transfer import incoming
from ..transfer.incoming import NotTaken, Reader, Taken
from ..transfer.record import Record
from ..transfer.tombstones import Gone
from .contents import Contents, state_of
from .folder import Folder
from .holdings import Held, Holdings
from .manifest import BackupError, File, Manifest, told
from .ownership import OwnerOf, owner_of
from .places import Place, Servers, called, places
from .plan import Step, make_room, put_back
from .publishing import publish_events
from .putting import Putter
from .records import REASON
from .source import Source

logger = logging.getLogger(__name__)

OWNER = "main"  # whose a message is that names nobody
FORGOTTEN = "forgotten"
UNREACHABLE = "unreachable"
"""Why an event is refused whose route has a server that is not there."""
PAUSE = 0.2  # seconds between two looks whether what was put has come to its stream
PATIENCE = 30.0  # seconds without one that has, after which the others are said to be missing

_DESTINATION = ("num_replicas", "placement")
"""Settings of a stream that are those of the server that it comes to."""


@dataclass(slots=True)
class Restored:
    """What became of a stream, or of what the outbox held.

    Attributes:
        how: As in `Step`.
        restored: Events that were brought back.
        there: Events that were there already.
        forgotten: Events that are not to come back.
        refused: Others that were refused, by the code.
        missing: Events that were accepted and are not in their stream yet.
        different: Events whose id is there with other bytes.
        dead_letters: Dead letters that were left out.
        compared: Whether all was compared by id and bytes.
        note: Why it did not go as planned.
        problem: Why it was not restored, or not compared.
    """

    name: str
    how: str
    restored: int = 0
    there: int = 0
    forgotten: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    different: int = 0
    dead_letters: int = 0
    compared: bool = False
    note: str = ""
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is there, but for what was forgotten."""
        return not (self.refused or self.missing or self.different or self.problem)


@dataclass(frozen=True, slots=True)
class Wish:
    """How it is to be done.

    Attributes:
        renamed: Names that streams have here, by the names that they had.
        dead_letters: Put dead letters in, too.
        verify: Compare everything by id and bytes afterwards.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dead_letters: bool = False
    verify: bool = True


class Restoring:
    """One restore.

    Args:
        source: The daemon that is restored into.
    """

    def __init__(
        self, folder: Folder, manifest: Manifest, source: Source, putter: Putter, wish: Wish
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._config = source.config
        self._servers: Servers = source.servers
        self._putter = putter
        self._wish = wish
        self._holdings = Holdings()
        self._contents = Contents(folder, source.config.embedded.server_path)
        limit = putter.max_event
        self._reader = Reader(OWNER, None, limit)
        # Names of messages, as their `Nats-Msg-Id`:
        self._waiting: set[str] = set()  # the daemon has them to ship
        self._arrived: set[str] = set()  # brought in by us
        self._gone: set[str] = set()  # refused, or forgotten: not to be missed at the end
        self._forgotten = Gone()  # as the backup says itself, and the daemon of places
        self._away: dict[str, str] = {}  # routes that could not be looked at in the beginning, and why
        self._impatient = False

    async def run(self, steps: Sequence[Step]) -> list[Restored]:
        """Carry a plan out.

        Raises:
            EventdError, EventdClientError: It cannot go on. What was brought back by then stays; to do all
                once more adds the rest.
        """
        try:
            done = [(step, Restored(step.entry.name, step.how)) for step in steps]
            for step, restored in done:
                if step.how == "none":
                    restored.problem = step.why
                elif step.how == "snapshot" and step.place is not None:
                    await self._from_snapshot(step, step.place, restored)
            await self._look()
            for step, restored in done:
                if step.how != "none" and step.place is not None and step.place.routes[0] in self._away:
                    step.how, restored.problem = "none", self._away[step.place.routes[0]]
            await self._read_tombstones(steps)
            for step, restored in done:  # before the daemon gets the tombstones, and does it, too
                if restored.how == "snapshot" and step.place is not None and step.how != "none":
                    await self._forget(step.place, restored)
            for step, restored in done:
                if step.place is not None and step.how != "none":
                    first = 1 if restored.how == "snapshot" else 0
                    async for page in self._contents.pages(step.generation, self._owner(step), first=first):
                        await self._put(page, step.place, restored)
            outbox = await self._outbox()
            if self._wish.verify:
                await self._compare(done, outbox)
            return [restored for _, restored in done] + ([outbox] if outbox else [])
        finally:
            await self._contents.close()

    # Snapshots

    async def _from_snapshot(self, step: Step, place: Place, restored: Restored) -> None:
        """Make the stream from its snapshot; where that cannot be after all, its events go in singly."""
        part, server = step.parts[0], place.route.settings
        try:
            async with self._servers.session(place.route) as session:
                here = wanted_settings(session.server_version, server)
                config = {k: v for k, v in step.generation.config.items() if k not in _DESTINATION}
                config |= {key: here[key] for key in _DESTINATION if key in here}
                before = await make_room(session, place.name)
                try:
                    info = await restore_stream(session, config, state_of(part), self._folder.read(part))
                except NatsError:
                    if before is not None:
                        await put_back(session, before)
                    raise
        except (ApiError, SnapshotFailed, PermissionMissing) as error:
            logger.warning("%s", error, extra={"action": "snapshot_not_restored", "stream": place.name})
            restored.how = "events"
            restored.note = f"not from its snapshot: {told(error)}"
            return
        restored.restored = StreamState.of(info["state"]).messages

    async def _forget(self, place: Place, restored: Restored) -> None:
        """Delete from a stream that came as a whole what was forgotten since, or is here."""
        if not self._forgotten and not await anyio.to_thread.run_sync(self._putter.has_tombstones):
            return
        async with self._servers.session(place.route) as session:
            doomed: list[int] = []
            async with open_reader(session, place.name, headers_only=True) as reader:
                while page := await reader.page():
                    _, forgotten = await self._known({message.msg_id for message in page if message.msg_id})
                    doomed += [
                        message.seq
                        for message in page
                        if message.msg_id in forgotten
                        or incoming.Place(place.name, message.seq, message.time) in self._forgotten.places
                    ]
            for seq in doomed:
                await erase_message(session, place.name, seq)  # the daemon may be faster: it has tombstones
        restored.forgotten += len(doomed)
        restored.restored -= len(doomed)

    async def _read_tombstones(self, steps: Sequence[Step]) -> None:
        """Learn what was forgotten since it was backed up, before any of it is put in.

        What a snapshot says is forgotten was not in it any more.
        """
        files: list[File] = [part for step in steps for part in step.parts if part.kind == "records"]
        if self._manifest.outbox is not None:
            files.append(self._manifest.outbox.file)
        for file in files:
            async for page in self._contents.records(file):
                for record in page:
                    self._forgotten.learn(record)
        self._forgotten.places |= await anyio.to_thread.run_sync(self._putter.places_gone)

    # Events

    async def _look(self) -> None:
        """Learn what the daemon is still to ship, then what the streams hold; so nothing is in neither."""
        self._waiting = await anyio.to_thread.run_sync(self._putter.waiting)
        for place in places(self._config):
            try:
                await self._look_at(place)
            except (NatsError, ConfigError) as error:
                self._away |= dict.fromkeys(place.routes, told(error))

    async def _look_again(self) -> None:
        for place in places(self._config):
            if place.routes[0] not in self._away:
                await self._look_at(place)

    async def _look_at(self, place: Place) -> None:
        async with self._servers.session(place.route) as session:
            await self._holdings.look(session, place.account, place.name)

    async def _put(self, page: Sequence[Record], place: Place | None, restored: Restored) -> None:
        """Bring in those of some messages that are not there.

        Args:
            place: The stream that they are from; None for the outbox.
        """
        wanted: dict[str, RawEvent] = {}
        for record in page:
            taken = self._taken(record, restored)
            if taken is None:
                continue
            event = taken.event
            name = f"{event.agent}:{event.id}"
            if taken.place in self._forgotten.places:
                self._refuse(restored, FORGOTTEN, name)
                continue
            if called(self._config.routes.of(event.agent).name) in self._away:  # where it may be already
                self._refuse(restored, UNREACHABLE, name)
                continue
            held = self._held(record, place, name)
            if held is Held.NO and name not in self._waiting and name not in self._arrived:
                wanted[name] = event
            else:
                restored.there += 1
        known, forgotten = await self._known(wanted)
        for name in forgotten:
            del wanted[name]
        restored.forgotten += len(forgotten)
        new = {name: event for name, event in wanted.items() if name not in known}
        refused = await anyio.to_thread.run_sync(self._putter.put, list(new.values()))
        for code, events in refused.items():
            for event in events:
                self._refuse(restored, code, f"{event.agent}:{event.id}")
        restored.restored += len(new) - sum(map(len, refused.values()))
        self._arrived |= wanted.keys()
        await self._publish([event for name, event in wanted.items() if name in known], restored)

    def _taken(self, record: Record, restored: Restored) -> Taken | None:
        """Return a message as it is put; None for one that cannot be."""
        try:
            return self._reader.read(record.line())
        except NotTaken as error:
            self._refuse(restored, error.code, "")
            return None

    def _held(self, record: Record, place: Place | None, name: str) -> Held:
        account, stream = (place.account, place.name) if place else ("", "")
        return self._holdings.find(record, account, stream, name)

    async def _known(self, names: Collection[str]) -> tuple[set[str], set[str]]:
        """Return which messages the daemon has met before, and which are not to come back."""
        by_agent: dict[str, list[str]] = {}
        for agent, _, event_id in (name.partition(":") for name in names):
            by_agent.setdefault(agent, []).append(event_id)
        known: set[str] = set()
        forgotten = self._forgotten.names.intersection(names)
        for agent, ids in by_agent.items():
            met, gone = await anyio.to_thread.run_sync(self._putter.known, agent, ids)
            known |= {f"{agent}:{event_id}" for event_id in met}
            forgotten |= {f"{agent}:{event_id}" for event_id in gone}
        self._gone |= forgotten
        return known, forgotten

    def _refuse(self, restored: Restored, code: str, name: str) -> None:
        """Count what was refused; it is not missed at the end."""
        self._gone.add(name)
        if code == FORGOTTEN:
            restored.forgotten += 1
        else:
            restored.refused[code] = restored.refused.get(code, 0) + 1

    async def _publish(self, events: Sequence[RawEvent], restored: Restored) -> None:
        """Publish events that the daemon has met before, and that no stream has any more.

        To it they are repeated, and done with: when a server has lost its streams, the ledger of ids has not.
        """
        by_route: dict[str, list[RawEvent]] = {}
        for event in events:
            by_route.setdefault(self._config.routes.of(event.agent).name, []).append(event)
        for part in by_route.values():
            route = self._config.routes.of(part[0].agent)
            async with self._servers.session(route) as session:
                refused = await publish_events(session, route, part)
            for code, names in refused.items():
                for name in names:
                    self._refuse(restored, code, name)
            restored.restored += len(part) - sum(map(len, refused.values()))

    def _owner(self, step: Step) -> OwnerOf:
        assert step.place is not None  # noqa: S101 - asked of those that go somewhere
        return owner_of(self._config, step.place, step.entry.name)

    # The outbox

    async def _outbox(self) -> Restored | None:
        """Bring in what the outbox held and no stream has."""
        if self._manifest.outbox is None:
            return None
        restored = Restored("outbox", "events")
        async for page in self._contents.records(self._manifest.outbox.file):
            rows = [record for record in page if self._wish.dead_letters or REASON not in record.headers]
            restored.dead_letters += len(page) - len(rows)
            await self._put(rows, None, restored)
        return restored

    # The end

    async def _compare(self, done: Sequence[tuple[Step, Restored]], outbox: Restored | None) -> None:
        """Compare all that was to be restored with the streams; wait for what is still on its way."""
        for step, restored in done:
            if step.place is None or step.how == "none":
                continue
            try:
                await self._compare_pages(
                    self._contents.pages(step.generation, self._owner(step)), step.place, restored
                )
            except BackupError as error:
                restored.problem = f"not compared by id and bytes: {told(error)}"
        if outbox is not None and self._manifest.outbox is not None:
            await self._compare_pages(self._contents.records(self._manifest.outbox.file), None, outbox)

    async def _compare_pages(
        self, pages: AsyncIterator[Sequence[Record]], place: Place | None, restored: Restored
    ) -> None:
        async for page in pages:
            left = [
                record
                for record in page
                if self._name(record) not in self._gone
                and (self._wish.dead_letters or REASON not in record.headers)
            ]
            left = await self._wait_for(left, place, restored)
            restored.missing += len(left)
        restored.compared = True

    async def _wait_for(
        self, records: Sequence[Record], place: Place | None, restored: Restored
    ) -> list[Record]:
        """Return those of some messages that do not come, however long others keep coming."""
        patience = anyio.current_time() + PATIENCE
        left = list(records)
        while True:
            before = len(left)
            found = [(record, self._held(record, place, self._name(record))) for record in left]
            restored.different += sum(held is Held.OTHERWISE for _, held in found)
            left = [record for record, held in found if held is Held.NO]
            now = anyio.current_time()
            if len(left) < before:
                patience = now + PATIENCE
            if not left or self._impatient or now > patience:
                self._impatient = bool(left)  # for the next page, too: whatever comes is behind these
                return left
            await anyio.sleep(PAUSE)
            await self._look_again()

    def _name(self, record: Record) -> str:
        try:
            event = self._reader.read(record.line()).event
        except NotTaken:
            return ""
        return f"{event.agent}:{event.id}"
