"""The daemon: builds the parts, starts them in order, and ends them in order.

Everything runs in one task group: a crash of any part is everybody's crash, then a clean exit that the
service manager answers with a restart.
"""

import contextlib
import ctypes
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from eventd_ipc.messages import DeadLetters, Known, Metrics, Reload, Reroute, Result, Status
from eventd_ipc.paths import server_socket

from . import __version__
from .access.gate import Gate
from .applying import Applying, server_settings
from .config.settings import Config
from .deadletters import dead_letters_handler
from .embedded.keeper import EmbeddedKeeper
from .errors import EventdError
from .index.index import Index
from .indexing.indexer import Indexer
from .ingest.admission import Admission
from .intake import Intake, intake_folder
from .jetstream.endpoint import Endpoint, Resolve, fixed
from .metrics.endpoint import MetricsEndpoint
from .metrics.exposition import exposition
from .metrics.pages import pages
from .outbox.outbox import Outbox
from .paths import config_candidates, index_file, limits_file, outbox_file
from .reading.freshness import Freshness
from .reading.handlers import Reading
from .reading.known import KnownIds
from .reading.queries import Queries
from .reading.remembering import Remembering
from .reading.replay import Replays
from .reading.streams import StreamReads
from .reload.handler import reload_handler, reroute_handler
from .reload.reloader import Load, Reloader
from .reload.signals import expect_hangup, reload_on_hangup
from .reload.status import ReloadStatus
from .routes import Server as NatsServer
from .server.activation import path_of, take_socket
from .server.context import Context
from .server.listener import Listener
from .server.operations import Operations, Responder
from .server.server import Server
from .server.stats import ServerStats
from .service.notify import Notifier
from .service.starting import extending_start
from .service.watchdog import Watchdog
from .shipping.fleet import Fleet, register_routes
from .shipping.limits import Limits
from .status import StatusReport

logger = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)
TOKENS_INTERVAL = 1.0  # seconds between two looks at the files with tokens; a revoked one ends connections
SWITCH_INTERVAL = 0.001  # seconds for which the loop or the outbox may keep the interpreter from the other
M_ARENA_MAX = -8  # of mallopt(3)
# Of glibc. By default there are 8 for each processor, and what is free in one is of no use to the others: in
# soaks of 4 minutes the memory grew by 186 to 464 MiB/h, with two by 9 to 78.
HEAPS = 2
GC_THRESHOLD = 50_000  # new objects between collections: events are many objects that die at once


@dataclass(frozen=True, slots=True)
class ReadyInfo:
    """What a person may want to know once the daemon takes events.

    Attributes:
        server: Where events are shipped to, without credentials.
    """

    socket: Path
    data_dir: Path
    server: str
    config: Path | None


OnReady = Callable[[ReadyInfo], None]


def run(config: Config, load: Load, on_ready: OnReady = lambda _info: None) -> None:
    """Run the daemon until SIGTERM or SIGINT; return once everything has ended in order.

    A second signal ends the process at once; nothing that was acknowledged is lost by it.

    Args:
        load: Reads the configuration anew, when it has changed.
        on_ready: Called once the socket takes connections.

    Raises:
        EventdError: The daemon cannot start, or cannot go on; the message says why.
    """
    _prepare_process()
    ends_with_terminal = expect_hangup()
    daemon = Daemon(config, load, on_ready, Notifier.take(), take_socket(), ends_with_terminal)
    try:
        anyio.run(daemon.run, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseExceptionGroup as group:
        raise _cause(group) from group


class Daemon:
    """One life of the daemon.

    Args:
        notifier: What the service manager is told through.
        handed: The listening socket that it has handed over; None: the daemon makes its own.
        ends_with_terminal: From `expect_hangup`.
    """

    def __init__(
        self,
        config: Config,
        load: Load,
        on_ready: OnReady,
        notifier: Notifier,
        handed: socket.socket | None = None,
        ends_with_terminal: bool = False,
    ) -> None:
        self._config = config  # the one to start with
        self._load = load
        self._on_ready = on_ready
        self._notifier = notifier
        self._handed = handed
        self._ends_with_terminal = ends_with_terminal
        self._socket = path_of(handed) if handed else config.socket.path or server_socket()
        self._embedded: EmbeddedKeeper

    async def run(self) -> None:
        """Start, serve, and stop at the first signal."""
        config = self._config
        self._embedded = EmbeddedKeeper(config.embedded_store)
        for warning in config.warnings:
            logger.warning("%s", warning, extra={"action": "config_warning"})
        async with (
            extending_start(self._notifier) as opened,
            Outbox.open(outbox_file(config.data_dir), config.outbox, holder=str(self._socket)) as outbox,
            Index.open(index_file(config.data_dir)) as index,
            anyio.create_task_group() as tasks,
        ):
            opened.set()
            tasks.start_soon(outbox.watch_failure, name="outbox")
            tasks.start_soon(Watchdog(self._notifier, outbox.answers).run, name="watchdog")
            self._embedded.configure(config.embedded if config.uses_embedded else None)
            tasks.start_soon(self._embedded.run, name="embedded server")
            await self._serve(tasks, outbox, index)
            tasks.cancel_scope.cancel()
        logger.info("stopped", extra={"action": "stopped"})

    async def _serve(self, tasks: TaskGroup, outbox: Outbox, index: Index) -> None:
        config = self._config
        settings = server_settings(config.socket)
        numbers = await register_routes(outbox, config.routes)
        admission = Admission(config.routes, numbers, settings.limits, config.rates)
        limits = Limits(limits_file(config.data_dir))
        for number, size in limits.items():
            admission.set_max_payload(number, size)

        def on_limit(number: int, size: int) -> None:
            limits.note(number, size)
            context.admission.set_max_payload(number, size)

        fleet = Fleet(config.routes, numbers, outbox, self._resolve, on_limit)
        await fleet.keep_order_from_start()
        gate = Gate(config.access, config.data_dir)
        await anyio.to_thread.run_sync(gate.prepare)
        listener = self._listen()
        stats = ServerStats()
        operations = Operations()
        context = Context(settings, gate, admission, outbox, operations, stats, f"eventd {__version__}")
        indexer = Indexer(index, outbox, fleet, config.index, waiting=lambda: context.in_flight.size)
        endpoint = MetricsEndpoint(config.metrics.listen)
        reload = ReloadStatus()
        spool = intake_folder(self._socket)
        intake = Intake(spool, context) if spool is not None else None
        report = StatusReport(
            config, self._socket, outbox, fleet, indexer, stats, self._embedded, endpoint, reload, intake
        )
        freshness = Freshness(outbox, index, indexer)
        remembering = Remembering(index, freshness, config.context, config.contexts)
        _reading(index, indexer, fleet, freshness, remembering).add_to(operations)
        operations.add(Known, KnownIds(outbox, index, indexer).answer)
        operations.add(Status, _status_handler(report), admin=True)
        operations.add(Metrics, _metrics_handler(report), admin=True)
        operations.add(DeadLetters, dead_letters_handler(outbox), admin=True)
        server = Server(listener, context)
        applying = Applying(
            outbox, fleet, limits, indexer, remembering, server, self._embedded, endpoint, report
        )
        reloader = Reloader(config, self._load, applying.apply, tuple(config_candidates()), reload)
        operations.add(Reload, reload_handler(reloader), admin=True)
        operations.add(Reroute, reroute_handler(fleet, reloader), admin=True)
        served = anyio.Event()

        async def serve() -> None:
            await server.run()
            served.set()

        tasks.start_soon(fleet.run, name="shipping")
        tasks.start_soon(indexer.run, name="index")
        tasks.start_soon(serve, name="server")
        tasks.start_soon(endpoint.run, pages(report.document, report.health), name="metrics")
        tasks.start_soon(_watch_tokens, gate, server, name="tokens")
        hangup = partial(
            reload_on_hangup, reloader, self._notifier, ends_with_terminal=self._ends_with_terminal
        )
        await tasks.start(hangup, name="hangup")  # before anybody knows that we are ready
        logger.info(
            "eventd %s takes events on %s", __version__, self._socket,
            extra={"action": "ready", "socket": str(self._socket)},
        )  # fmt: skip
        self._notifier.ready()
        tasks.start_soon(self._notifier.keep_status, report.line, name="service status")
        self._on_ready(ReadyInfo(self._socket, config.data_dir, self._destination(), config.source))
        tasks.start_soon(reloader.run, name="config")
        if intake is not None:
            tasks.start_soon(intake.run, name="spool")
        await _first_signal()
        self._notifier.stopping()
        await self._stop(reloader.config.shutdown_timeout, server, served, fleet, index)

    def _listen(self) -> Listener:
        config = self._config.socket
        if self._handed is None:
            return Listener.bind(self._socket, config.mode, config.group)
        logger.info(
            "took over the socket %s; path, mode and group are those of the socket unit", self._socket,
            extra={"action": "socket_handed_over", "socket": str(self._socket)},
        )  # fmt: skip
        if config.path is not None and config.path != self._socket:
            logger.warning(
                "the configuration names another socket, on which nobody listens: %s", config.path,
                extra={"action": "socket_elsewhere", "hint": f"ListenStream={config.path} in eventd.socket"},
            )  # fmt: skip
        return Listener.adopt(self._handed)

    async def _stop(
        self, budget: float, server: Server, served: anyio.Event, fleet: Fleet, index: Index
    ) -> None:
        """Take nothing more, let commits and acks finish, then ship for as long as the budget lasts."""
        logger.info("stopping: shipping for up to %g s", budget, extra={"action": "stopping"})
        with anyio.move_on_after(budget) as scope:
            server.stop_intake(budget)
            await served.wait()
            await fleet.drain()
        index.stop_reading()  # a long search may take longer than the budget
        await served.wait()
        if scope.cancelled_caught:
            logger.info(
                "some events were not shipped in time; they are kept and go first at the next start",
                extra={"action": "stopped_with_backlog"},
            )

    def _resolve(self, server: NatsServer) -> Resolve:
        if not server.embedded:
            return fixed(server)

        async def resolve() -> Endpoint:
            found = await self._embedded.find()
            return Endpoint(found.urls, found.credentials)

        return resolve

    def _destination(self) -> str:
        server = self._config.routes.default.server
        return "the embedded NATS server" if server.embedded else ", ".join(server.urls)


def _prepare_process() -> None:
    """Let the process hold as many connections as it may and as little memory, and collect garbage apart."""
    _share_heaps()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and means less
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()  # what is loaded by now stays; nobody has to look at it again
    gc.set_threshold(GC_THRESHOLD)


def _share_heaps() -> None:
    """Let threads share heaps: what is read goes through several of them, and each would keep its peak."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # musl has no mallopt, and no such heaps
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)


def _reading(
    index: Index, indexer: Indexer, fleet: Fleet, freshness: Freshness, remembering: Remembering
) -> Reading:
    streams = StreamReads(fleet)
    return Reading(
        streams,
        Queries(index, freshness),
        Replays(streams, index, indexer.ownership),
        remembering,
        indexer,
        indexer.ownership,
        fleet.all_connected,
    )


def _status_handler(report: StatusReport) -> Callable[[Status, Responder], Awaitable[None]]:
    async def status(request: Status, responder: Responder) -> None:
        await responder.send(Result(request.id, await report.document()))

    return status


def _metrics_handler(report: StatusReport) -> Callable[[Metrics, Responder], Awaitable[None]]:
    async def metrics(request: Metrics, responder: Responder) -> None:
        text = await anyio.to_thread.run_sync(exposition, await report.document())
        await responder.send(Result(request.id, {"text": text}))

    return metrics


async def _watch_tokens(gate: Gate, server: Server) -> None:
    """Dismiss who has been let in by a token that is not good any more."""
    while True:
        await anyio.sleep(TOKENS_INTERVAL)
        if await anyio.to_thread.run_sync(gate.look):
            await server.recheck()


async def _first_signal() -> None:
    """Wait for the first signal; from then on the next one ends the process, whatever it is doing."""
    with anyio.open_signal_receiver(*STOPPING) as signals:
        async for number in signals:
            logger.info("got %s", number.name, extra={"action": "signal"})
            break
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one exception that matters: an error of ours if there is one, else the first."""
    ours = group.subgroup(EventdError)
    error: BaseException = ours or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
