"""Runs the embedded nats-server for as long as eventd runs: starts it, watches it, starts it again."""

import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.abc
import anyio.to_thread

from eventd_ipc.backoff import Backoff

from ..config.settings import EmbeddedSettings
from ..errors import EmbeddedServerError, EventdError
from ..routes import Credentials, Server
from .binary import Binary, find_binary
from .logs import LogLines
from .process import GuardedProcess, describe_exit, guarded_process
from .store import StoreFolder

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = 5.0  # seconds for the server of a daemon that was just killed to let go of the store
LOCK_POLL = 0.05  # seconds
READY_POLL = 0.02  # seconds between two attempts to connect while it starts
GREETING_TIMEOUT = 1.0  # seconds for its INFO line
MAX_GREETING = 64 * 1024  # bytes
STOP_TIMEOUT = 5.0  # seconds it may take to end after SIGTERM before it is killed
HEALTHY = 60.0  # seconds of service after which a death counts as the first one again
BACKOFF_FIRST = 0.1  # seconds
BACKOFF_LONGEST = 10.0  # seconds; well within the minute in which a stall has to heal
ROOM_POLL = 5.0  # seconds between two looks at a full disk

State = Literal["stopped", "starting", "ready", "stalled", "waiting"]


@dataclass(slots=True)
class EmbeddedStatus:
    """What a person wants to know about the embedded server.

    Attributes:
        state: `stopped`; `starting`; `ready`; `stalled` when it runs but stores nothing, and is started
            anew once the disk has room; `waiting` for the next attempt to start it.
        binary: The nats-server that is run.
        restarts: How often it was started again.
        problem: The last warning or error that it logged since its start.
        last_exit: How it last ended, or why it could not be started; "" if it never did.
    """

    state: State = "stopped"
    pid: int | None = None
    port: int | None = None
    version: str = ""
    binary: str = ""
    restarts: int = 0
    problem: str = ""
    last_exit: str = ""


class EmbeddedServer:
    """A nats-server of our own on loopback, with its streams in a folder that only we use.

    Args:
        settings: From the configuration.
        store: The folder for its streams, its key and its lock; made if absent.
        durable: Whether it has to have on disk what it acknowledges.

    Attributes:
        status: A live view; copy it to keep it.
    """

    def __init__(self, settings: EmbeddedSettings, store: Path, *, durable: bool = True) -> None:
        self.status = EmbeddedStatus()
        self._settings = settings
        self._durable = durable
        self._store = StoreFolder(store)
        self._ready = anyio.Event()
        self._server: Server | None = None
        self._ready_at: float | None = None

    @property
    def server(self) -> Server | None:
        """Where to connect and as whom; None while it is down."""
        return self._server

    async def wait_ready(self) -> Server:
        """Wait until it accepts connections; return where and as whom."""
        while self._server is None:
            await self._ready.wait()
        return self._server

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep it running until cancelled; then end it.

        `task_status` is told as soon as it is certain that a server can be run on this store, which says
        nothing about when it is ready (see `wait_ready`): reading large streams takes its time. From
        then on no failure ends this task; a server that died or cannot be started is tried again.

        Raises:
            EmbeddedServerError: At the start: there is no nats-server to run, or another daemon (whose
                process the message names) runs one on this store.
        """
        async with self._locked() as lock:
            binary = await self._find_binary()
            task_status.started()
            backoff = Backoff(BACKOFF_FIRST, BACKOFF_LONGEST)
            while True:
                await self._one_life(binary, lock)
                if self._served() >= HEALTHY:
                    backoff.reset()
                pause, reason = backoff.pause(), self.status.last_exit
                logger.warning(
                    "the embedded nats-server ended (%s); starting it again in %.1f s", reason, pause,
                    extra={"action": "embedded_ended", "reason": reason, "pause": pause},
                )  # fmt: skip
                self.status.state = "waiting"
                try:
                    await anyio.sleep(pause)
                finally:
                    self.status.state = "stopped"
                self.status.restarts += 1
                with contextlib.suppress(EmbeddedServerError):
                    binary = await self._find_binary()  # it may have been replaced

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        """Hold the store's lock; the server of a daemon that was just killed has a moment to let go."""
        deadline = time.monotonic() + LOCK_TIMEOUT
        while (lock := await anyio.to_thread.run_sync(self._store.lock)) is None:
            if time.monotonic() > deadline:
                holder = await anyio.to_thread.run_sync(self._store.holder)
                raise EmbeddedServerError(
                    f"another eventd (process {holder}) runs a nats-server on {self._store.folder}",
                    hint=f"stop it, or the nats-server that it left behind (-c {self._store.config})",
                )
            await anyio.sleep(LOCK_POLL)
        try:
            yield lock
        finally:
            os.close(lock)

    async def _find_binary(self) -> Binary:
        return await anyio.to_thread.run_sync(find_binary, self._settings.server_path)

    def _served(self) -> float:
        """Return for how many seconds it has been ready, or was when it ended just now."""
        return 0.0 if self._ready_at is None else time.monotonic() - self._ready_at

    async def _one_life(self, binary: Binary, lock: int) -> None:
        """Run it once, until it ends or cannot be started; `last_exit` says how."""
        status, store = self.status, self._store
        status.state, status.problem = "starting", ""
        self._ready_at = None
        try:
            port = self._settings.port or await anyio.to_thread.run_sync(store.choose_port)
            name = await anyio.to_thread.run_sync(
                partial(store.write_config, durable=self._durable), port, self._settings.max_payload
            )
            async with guarded_process([binary.path, "-c", store.config], pass_fds=[lock]) as process:
                status.binary, status.pid, status.port = str(binary.path), process.pid, port
                try:
                    await self._attend(process, port, name)
                finally:
                    self._server = None
                    if self._ready.is_set():  # else somebody may be waiting on it
                        self._ready = anyio.Event()
                    status.state, status.pid = "stopped", None
                    await process.stop(STOP_TIMEOUT)
        except (OSError, EventdError) as error:
            status.last_exit = str(error)

    async def _attend(self, process: GuardedProcess, port: int, name: str) -> None:
        """Do everything that has to be done while it runs; return when it has ended."""
        stalled = anyio.Event()
        log = LogLines()

        def take(line: str) -> None:
            if log.take(line):
                stalled.set()
            self.status.problem = log.last_problem

        async with anyio.create_task_group() as group:
            group.start_soon(self._announce, port, name, name="embedded server: wait until it is ready")
            group.start_soon(self._mend, process, stalled, name="embedded server: wait for room")
            await process.read_lines(take)  # to the end of its output, which is its own end
            self.status.last_exit = describe_exit(await process.wait())
            if log.last_problem:
                self.status.last_exit += f": {log.last_problem}"
            group.cancel_scope.cancel()

    async def _announce(self, port: int, name: str) -> None:
        """Publish where to connect once it greets a connection by its name."""
        while (info := await _greeting(port)).get("server_name") != name:  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(READY_POLL)
        self._ready_at = time.monotonic()
        self._server = Server((f"nats://127.0.0.1:{port}",), Credentials(nkey_seed=self._store.nkey))
        self._ready.set()
        self.status.state, self.status.version = "ready", str(info.get("version", ""))
        logger.info(
            "the embedded nats-server %s is ready on port %d", self.status.version, port,
            extra={"action": "embedded_ready", "port": port, "pid": self.status.pid},
        )  # fmt: skip

    async def _mend(self, process: GuardedProcess, stalled: anyio.Event) -> None:
        """End it, to be started anew, when it stopped storing and the disk has room (again).

        After a write that failed, or at its limit on storage, nats-server refuses every message until
        it is restarted, however much room there is by then (seen with 2.15.0).
        """
        await stalled.wait()
        self.status.state = "stalled"
        logger.error(
            "the embedded nats-server stopped storing: %s", self.status.problem,
            extra={"action": "embedded_stalled"},
        )  # fmt: skip
        await anyio.sleep(ROOM_POLL)
        while not await anyio.to_thread.run_sync(self._store.has_room):  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(ROOM_POLL)
        await process.stop(STOP_TIMEOUT)


async def _greeting(port: int) -> dict[str, Any]:
    """Connect and return the INFO of whoever listens; empty if nobody does, or nobody that speaks NATS."""
    line = b""
    try:
        with anyio.fail_after(GREETING_TIMEOUT):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                while b"\n" not in line and len(line) < MAX_GREETING:
                    line += await stream.receive()
        kind, _, text = line.partition(b" ")
        info = json.loads(text.partition(b"\n")[0]) if kind == b"INFO" else None
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}
