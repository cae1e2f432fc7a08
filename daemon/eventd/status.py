"""How the daemon is: one document, for `eventd status`, for metrics, and a line of it for systemd."""

import os
import platform
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio.to_thread

from . import __version__
from .config.settings import Config
from .embedded.keeper import EmbeddedKeeper
from .health import HealthCheck
from .indexing.indexer import Indexer
from .intake import Intake
from .metrics.endpoint import MetricsEndpoint
from .outbox.model import OutboxStats, RouteStats
from .outbox.outbox import Outbox
from .rate import WINDOW, Rate
from .reload.status import ReloadStatus
from .server.stats import ServerStats
from .shipping.fleet import Fleet
from .shipping.shipper import Shipper

ASK_TIMEOUT = 2.0  # seconds for what has to be asked of the disk; status answers also while that hangs


class StatusReport:
    """Gathers the state of all parts; cheap enough to be asked every second.

    Args:
        config: The configuration in force.
        socket: Where the daemon listens.
        outbox, fleet, indexer, server: The parts that are reported on.
        embedded: The embedded server, where one is run.
        endpoint: Where metrics are served by HTTP, if they are.
        reload: How the configuration was taken over.
        intake: What empties the spool of hooks, where this daemon does that.
    """

    def __init__(
        self,
        config: Config,
        socket: Path,
        outbox: Outbox,
        fleet: Fleet,
        indexer: Indexer,
        server: ServerStats,
        embedded: EmbeddedKeeper,
        endpoint: MetricsEndpoint,
        reload: ReloadStatus,
        intake: Intake | None = None,
    ) -> None:
        self._config = config
        self._socket = socket
        self._outbox = outbox
        self._fleet = fleet
        self._indexer = indexer
        self._server = server
        self._embedded = embedded
        self._endpoint = endpoint
        self._health = HealthCheck(outbox, fleet, indexer, embedded, endpoint, reload)
        self._libraries = {"python": platform.python_version(), "nats_py": version("nats-py")}
        self._disk_free = 0  # bytes, at the last look
        self._started = time.monotonic()
        self._started_at = _now()
        self._reload = reload
        self._intake = intake

    def configure(self, config: Config) -> None:
        """Report on another configuration."""
        self._config = config

    async def document(self) -> dict[str, Any]:
        """Return the whole status. It holds no secrets: URLs come without credentials."""
        await self._look_at_disk()
        index = await self._indexer.document()
        now, stats = _now(), self._outbox.stats
        return {
            "version": __version__,
            "versions": {
                "eventd": __version__,
                "sqlite": stats.sqlite,
                **self._libraries,
                "nats_servers": sorted(filter(None, {s.link.status.server_version for s in self._shippers})),
            },
            "time": now,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "health": self.health(),
            "socket": str(self._socket),
            "config": str(self._config.source) if self._config.source else None,
            "reload": asdict(self._reload),
            "data_dir": str(self._config.data_dir),
            "flow": self._flow_document(stats),
            "server": self._server_document(),
            "outbox": self._outbox_document(stats, now),
            "routes": [_route_document(one, stats.routes.get(one.number), now) for one in self._shippers],
            "index": index,
            "embedded": asdict(embedded) if (embedded := self._embedded.status) else None,
            "spool": asdict(self._intake.status) if self._intake else None,
            "metrics": asdict(endpoint) if (endpoint := self._endpoint.status) else None,
        }

    def line(self) -> str:
        """Return the state in one line, for the service manager."""
        health = self.health()
        reasons = f" ({'; '.join(health['reasons'])})" if health["reasons"] else ""
        shipped = sum(shipper.status.shipped for shipper in self._shippers) + self._fleet.ended.shipped
        return f"{health['state']}{reasons}: {self._outbox.stats.accepted} accepted, {shipped} shipped"

    def health(self) -> dict[str, Any]:
        """Return the word and the reasons for it."""
        return self._health.look()

    @property
    def _shippers(self) -> list[Shipper]:
        """All of them: those of the configuration in its order, then those that only have a backlog left."""
        order = {route.name: place for place, route in enumerate(self._fleet.routes.all())}
        return sorted(
            self._fleet.shippers.values(),
            key=lambda one: (not one.configured, order.get(one.route.name, len(order)), one.number),
        )

    async def _look_at_disk(self) -> None:
        """Note how much room there is; where the disk does not answer, what was known last is told."""
        with anyio.move_on_after(ASK_TIMEOUT):
            usage = await anyio.to_thread.run_sync(
                shutil.disk_usage, self._config.data_dir, abandon_on_cancel=True
            )
            self._disk_free = usage.free

    def _flow_document(self, stats: OutboxStats) -> dict[str, Any]:
        """Return what has come in, gone out and gone wrong since the start, and how fast it does now.

        `refused` are requests, all others events.
        """
        of_routes = [*(one.status for one in self._shippers), self._fleet.ended]
        return {
            "window_s": WINDOW,
            "accepted": {"count": stats.accepted, "per_s": stats.accepted_per_s},
            "shipped": _flow((status.shipped, status.shipping) for status in of_routes),
            "settled": _flow((status.settled, status.settling) for status in of_routes),
            "dead_lettered": _flow((status.dead, status.dying) for status in of_routes),
            "refused": _flow([(self._server.refused.total(), self._server.refusing)]),
        }

    def _server_document(self) -> dict[str, Any]:
        numbers = {one.name: getattr(self._server, one.name) for one in fields(self._server)}
        del numbers["refusing"]
        return {**numbers, "refused": dict(self._server.refused)}

    def _outbox_document(self, stats: OutboxStats, now: int) -> dict[str, Any]:
        routes = stats.routes.values()
        oldest = [r.oldest_pending_at for r in routes if r.oldest_pending_at is not None]
        retained = [r.retained_since for r in routes if r.retained_since is not None]
        return {
            "rows": sum(r.pending_rows for r in routes),
            "bytes": sum(r.pending_bytes for r in routes),
            "max_bytes": self._config.outbox.max_bytes,
            "oldest_age_s": _age(min(oldest, default=None), now),
            "retained_rows": sum(r.retained_rows for r in routes),
            "retained_bytes": sum(r.retained_bytes for r in routes),
            "retained_span_s": _age(min(retained, default=None), now),
            "dead_rows": sum(r.dead_rows for r in routes),
            "accepted": stats.accepted,
            "repeated": stats.repeated,
            "refused": dict(stats.refused),
            "commits": stats.commits,
            "commit_ms": round(stats.commit_ms, 3),
            "commit_s": round(stats.commit_s, 6),
            "busy_s": round(stats.busy_s, 1),
            "file_bytes": stats.file_bytes,
            "wal_bytes": stats.wal_bytes,
            "disk_free": self._disk_free,
            "min_free": self._config.outbox.min_free,
            "disk_full": stats.disk_full,
            "ledger_ids": stats.ledger_ids,
            "lost_events": stats.lost_events,
            "quarantines": stats.quarantines,
            "sqlite": stats.sqlite,
        }


def _flow(parts: Iterable[tuple[int, Rate]]) -> dict[str, Any]:
    together = list(parts)
    per_second = sum(rate.per_second for _, rate in together)
    return {"count": sum(count for count, _ in together), "per_s": round(per_second, 2)}


def _route_document(shipper: Shipper, stats: RouteStats | None, now: int) -> dict[str, Any]:
    status, link = shipper.status, shipper.link.status
    unready = _age(status.unready_since, now) or 0.0
    return {
        "name": shipper.link.name,
        "stream": status.stream or shipper.route.stream,
        "prefix": shipper.route.prefix,
        "enabled": shipper.route.enabled,
        "configured": shipper.configured,
        "state": status.state.value,
        "reason": status.reason or ("" if link.connected else link.last_error),
        "since": status.since,
        "unready_s": unready,
        "mode": status.mode,
        "connected": link.connected,
        "url": link.url,
        "server_version": link.server_version,
        "pending_rows": stats.pending_rows if stats else 0,
        "pending_bytes": stats.pending_bytes if stats else 0,
        "max_bytes": stats.max_bytes if stats else 0,
        "full": stats.full if stats else False,
        "oldest_age_s": _age(stats.oldest_pending_at, now) if stats else None,
        "retained_rows": stats.retained_rows if stats else 0,
        "retained_bytes": stats.retained_bytes if stats else 0,
        "retained_span_s": _age(stats.retained_since, now) if stats else None,
        "shipped": status.shipped,
        "shipped_per_s": status.shipping.per_second,
        "settled": status.settled,
        "settled_per_s": status.settling.per_second,
        "dead": stats.dead_rows if stats else 0,
        "dead_bytes": stats.dead_bytes if stats else 0,
        "died": status.dead,
        "repeated": status.repeated,
        "batches": status.batches,
        "last_ack_at": status.last_ack_at,
        "repairs": status.repairs,
        "lost_by_server": status.lost_by_server,
        "connects": link.connects,
        "disconnects": link.disconnects,
        "rtt_ms": link.rtt_ms,
        "last_error": link.last_error,
        "denied": list(link.denied),
        "notes": list(status.notes),
    }


def _now() -> int:
    return time.time_ns() // 1_000_000


def _age(moment: int | None, now: int) -> float | None:
    return None if moment is None else round(max(0, now - moment) / 1000, 1)
