"""Has a new configuration take effect in every part of the running daemon, without a pause for clients."""

from dataclasses import dataclass
from pathlib import Path

from .config.settings import Config, SocketSettings
from .embedded.keeper import EmbeddedKeeper
from .indexing.indexer import Indexer
from .logs import setup_logging
from .metrics.endpoint import MetricsEndpoint
from .outbox.outbox import Outbox
from .reading.remembering import Remembering
from .server.server import Server
from .server.settings import ServerSettings
from .shipping.fleet import Fleet, register_routes
from .shipping.limits import Limits
from .status import StatusReport


def server_settings(settings: SocketSettings) -> ServerSettings:
    """Return the server's bounds."""
    return ServerSettings(
        max_frame=settings.max_frame,
        max_event=settings.max_frame,
        max_events=settings.max_events,
        max_in_flight=settings.max_in_flight,
        max_connections=settings.max_connections,
        hello_timeout=settings.hello_timeout,
    )


@dataclass(frozen=True, slots=True)
class Applying:
    """The parts that a configuration concerns."""

    outbox: Outbox
    fleet: Fleet
    limits: Limits
    indexer: Indexer
    remembering: Remembering
    server: Server
    embedded: EmbeddedKeeper
    endpoint: MetricsEndpoint
    report: StatusReport

    async def apply(self, before: Config, config: Config, touched: frozenset[Path]) -> None:
        """Go on by another configuration.

        Rows that were admitted by the one before stay with its routes; new ones are taken for the new routes
        as soon as these are there. No connection of a client ends, but those that may not be here any more.

        Args:
            before: The configuration in force.
            touched: Files that hold something else than before; who logs in by them connects anew.
        """
        self.server.context.gate.configure(config.access)
        if config.log != before.log:
            setup_logging(config.log.level, config.log.format)
        if config.uses_embedded:
            self.embedded.configure(config.embedded)
        numbers = await register_routes(self.outbox, config.routes)
        self.fleet.change(config.routes, numbers, touched)
        self._admit_by(config, numbers)
        await self.outbox.configure(config.outbox, numbers.values())
        self.indexer.configure(config.index)
        self.remembering.configure(config.context, config.contexts)
        self.endpoint.configure(config.metrics.listen)
        self.report.configure(config)
        await self.server.recheck()
        await self._settle_down()
        if not config.uses_embedded:
            await self.fleet.wait_changed()  # what is under way there may still be answered
            self.embedded.configure(None)

    def _admit_by(self, config: Config, numbers: dict[str, int]) -> None:
        """Take new events by the new configuration, from the next frame of each client on."""
        context = self.server.context
        context.settings = server_settings(config.socket)
        admission = context.admission.successor(config.routes, numbers, context.settings.limits, config.rates)
        for number, size in self.limits.items():
            admission.set_max_payload(number, size)
        context.admission = admission

    async def _settle_down(self) -> None:
        """Wait until everything that was admitted before is on disk; the fleet keeps the order by that."""
        async with self.server.context.one_at_a_time:
            pass  # a large frame that was being admitted in a thread has been handed over
        self.fleet.settle_down(await self.outbox.flush())
