"""Takes in what hooks have left in the spool while there was no daemon: in order for each session, and once.

A file is deleted after its events are on disk in the outbox. A crash in between brings them again, and their
ids tell that they are there. Rules hold as on the socket: the spool's owner is this daemon's user, and the
hook has left the digest of the token that it would have shown.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from eventd_ipc.errors import CODES
from eventd_ipc.messages import Emit, Error
from eventd_ipc.paths import client_sockets
from eventd_ipc.strict import agent_fault

from .access.gate import NotAdmitted
from .access.identity import Identity
from .outbox.model import Submission
from .server.context import Context
from .server.peer import Peer
from .spool.files import SETTLED, Spool, Spooled, Unreadable
from .spool.places import SPOOL_VARIABLE, spool_folder

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks
BATCH_FILES = 200  # of one session that are taken at once
BATCH_BYTES = 4 * 1024 * 1024  # likewise


@dataclass(slots=True)
class IntakeStatus:
    """How the spool is.

    Attributes:
        folder: Where it is.
        waiting: Files in it.
        waiting_bytes: Their size.
        taken: Events that were taken in since the start.
        set_aside: Files that could not be used, since the start.
        lost: Events that found no room in the spool, ever.
        problem: Why something goes on waiting; "" where nothing does.
    """

    folder: str
    waiting: int = 0
    waiting_bytes: int = 0
    taken: int = 0
    set_aside: int = 0
    lost: int = 0
    problem: str = ""


@dataclass(slots=True)
class _Batch:
    """Events of one session, each with its file, that are stored all or none."""

    files: list[Spooled] = field(default_factory=list)
    agent: str = ""
    token: str | None = None
    events: list[tuple[Spooled, dict[str, Any]]] = field(default_factory=list)


def intake_folder(socket: Path, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the folder whose events this daemon takes in; None where that is another daemon's business.

    Hooks look for a daemon where all clients do. One that listens elsewhere (a second one, to try something)
    takes nothing in, unless `$EVENTD_SPOOL` names a folder for it.
    """
    if environ.get(SPOOL_VARIABLE) or socket in list(client_sockets(environ=environ)):
        return spool_folder(environ)
    return None


class Intake:
    """Empties a spool while the daemon runs.

    Args:
        folder: The spool's.
        context: Admits and stores, as it does for the clients of the socket.
    """

    def __init__(self, folder: str, context: Context) -> None:
        self._spool = Spool(folder)
        self._context = context
        self._peer = Peer(os.getpid(), os.geteuid(), frozenset((os.getegid(), *os.getgroups())))
        self._told: set[str] = set()  # why something waits, as the log has it already
        self.status = IntakeStatus(folder)

    async def run(self) -> None:
        """Look into the spool for ever; nothing that is in it ends this."""
        while True:
            try:
                await self.look()
            except OSError as error:
                self._wait_for(f"the spool cannot be used: {error}")
            except Exception as error:
                logger.error(
                    "the spool could not be taken in because of a bug in eventd",
                    exc_info=error,
                    extra={"action": "spool_failed"},
                )
            await anyio.sleep(INTERVAL)

    async def look(self) -> None:
        """Take in what there is.

        Raises:
            OSError: The folder cannot be used.
        """
        files = await self._list()
        await anyio.to_thread.run_sync(self._tidy)
        if not files:
            self._told.clear()
            self.status.problem = ""
            return
        right = await anyio.to_thread.run_sync(self._spool.begin_emptying)
        if right is None:
            return  # a hook is sending what waits
        try:
            await self._empty(files)
        finally:
            self._spool.end_emptying(right)
        await self._list()

    async def _empty(self, files: list[Spooled]) -> None:
        taken = self.status.taken
        self.status.problem = ""
        sessions = {file.session: None for file in files}
        for session in sessions:
            own = [file for file in files if file.session == session]
            while own:
                batch = await anyio.to_thread.run_sync(self._read, own)
                if not await self._take(batch):
                    break
                own = own[len(batch.files) :]
        if new := self.status.taken - taken:
            logger.info(
                "took in %d events that waited in the spool", new,
                extra={"action": "spool_taken", "events": new},
            )  # fmt: skip

    async def _list(self) -> list[Spooled]:
        files = await anyio.to_thread.run_sync(self._spool.files)
        self.status.waiting = len(files)
        self.status.waiting_bytes = sum(file.size for file in files)
        return files

    def _tidy(self) -> None:
        """Put away what was never finished, and see what was lost."""
        try:
            unfinished = self._spool.unfinished()
        except FileNotFoundError:
            return  # no hook has written anything yet
        for name in unfinished:
            self._set_aside(name, "its writer has gone before it was done")
        lost = self._spool.lost
        if lost > self.status.lost:
            logger.warning(
                "%d events of hooks were lost: neither a daemon nor the spool could take them",
                lost - self.status.lost,
                extra={"action": "spool_lost", "hint": f"there was no room in {self._spool.folder}"},
            )
        self.status.lost = lost

    def _read(self, files: list[Spooled]) -> _Batch:
        """Read the first files of a session, as many as go together."""
        batch = _Batch()
        size = 0
        for file in files[:BATCH_FILES]:
            size += file.size
            if batch.files and size > BATCH_BYTES:
                break
            try:
                document = self._spool.read(file)
            except FileNotFoundError:
                batch.files.append(file)
                continue
            except Unreadable as error:
                self._set_aside(file.name, str(error))
                batch.files.append(file)
                continue
            who = document["agent"], document.get("token")
            if batch.events and who != (batch.agent, batch.token):
                break
            batch.agent, batch.token = who
            if len(batch.events) + len(document["events"]) > self._context.settings.limits.max_events:
                if not batch.events:
                    self._set_aside(file.name, "it has too many events")
                    batch.files.append(file)
                break
            batch.files.append(file)
            batch.events += [(file, event) for event in document["events"]]
        return batch

    async def _take(self, batch: _Batch) -> bool:
        """Bring a batch to disk and delete its files; return whether the session can go on."""
        while batch.events:
            identity = await self._identity(batch)
            if identity is None:
                return False
            submission = await self._admit(batch, identity)
            if isinstance(submission, Error):
                refused, why, at = submission.code, submission.message, submission.index
            else:
                await self._store(submission)
                if submission.refusal is None:
                    self.status.taken += len(batch.events)
                    break
                refusal = submission.refusal
                refused, why, at = refusal.code, refusal.message, refusal.index
            if CODES[refused].retryable or at is None:
                self._wait_for(f"{refused}: {why}")
                return False
            spoiler = batch.events[at][0]
            if refused in SETTLED:
                del batch.events[at]
            else:
                await anyio.to_thread.run_sync(self._set_aside, spoiler.name, f"{refused}: {why}")
                batch.events = [(file, event) for file, event in batch.events if file is not spoiler]
        await anyio.to_thread.run_sync(self._remove, batch.files)
        return True

    async def _identity(self, batch: _Batch) -> Identity | None:
        """Return as whom a batch is stored; None where it may not be, as things are."""
        if fault := agent_fault(batch.agent):
            for name in dict.fromkeys(file.name for file, _ in batch.events):
                await anyio.to_thread.run_sync(self._set_aside, name, f"agent: {fault}")
            return None
        admit = self._context.gate.admit
        try:
            return await anyio.to_thread.run_sync(admit, batch.agent, batch.token, self._peer)
        except NotAdmitted as error:
            self._wait_for(f"unauthorised: {error}")
            return None

    async def _admit(self, batch: _Batch, identity: Identity) -> Submission | Error:
        def admit() -> Submission | Error:
            raws = [msgspec.Raw(msgspec.msgpack.encode(event)) for _, event in batch.events]
            return self._context.admission.admit(Emit(0, raws), identity)

        return await anyio.to_thread.run_sync(admit, limiter=self._context.one_at_a_time)

    async def _store(self, submission: Submission) -> None:
        stored = anyio.Event()
        self._context.outbox.submit([submission], lambda _: stored.set())
        await stored.wait()

    def _remove(self, files: list[Spooled]) -> None:
        self._spool.remove(*files)

    def _set_aside(self, name: str, why: str) -> None:
        try:
            self._spool.set_aside(name)
        except FileNotFoundError:
            return
        self.status.set_aside += 1
        logger.warning(
            "a file of the spool was set aside: %s", why,
            extra={"action": "spool_set_aside", "file": name, "folder": self._spool.folder},
        )  # fmt: skip

    def _wait_for(self, why: str) -> None:
        """Say why something goes on waiting; in the log only once."""
        self.status.problem = why
        if why not in self._told:
            self._told.add(why)
            logger.warning("events wait in the spool: %s", why, extra={"action": "spool_waits"})
