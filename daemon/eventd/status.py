"""How the daemon is: one document for `eventd status`, and one word of health with its reasons.

`ok`: everything accepted is stored or on its way. `degraded`: events are safe but something needs a look.
`failing`: new events are refused.
"""

import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import anyio.to_thread

from . import __version__
from .config.settings import Config
from .embedded.keeper import EmbeddedKeeper
from .indexing.indexer import Indexer
from .metrics.endpoint import MetricsEndpoint
from .outbox.model import OutboxStats
from .outbox.outbox import Outbox
from .reload.status import ReloadStatus
from .server.stats import ServerStats
from .shipping.fleet import Fleet
from .shipping.shipper import Shipper, State

GRACE = 10_000  # ms that a route may take to get ready before that counts as trouble


class Health(StrEnum):
    """The one word."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(slots=True)
class Reasons:
    """Collects what is wrong; the worst of it gives the word."""

    degraded: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return `{state, reasons}`."""
        state = Health.FAILING if self.failing else Health.DEGRADED if self.degraded else Health.OK
        return {"state": state.value, "reasons": [*self.failing, *self.degraded]}


class StatusReport:
    """Gathers the state of all parts; cheap enough to be asked every second.

    Args:
        config: The configuration in force.
        socket: Where the daemon listens.
        outbox, fleet, indexer, server: The parts that are reported on.
        embedded: The embedded server, where one is run.
        endpoint: Where metrics are served by HTTP, if they are.

    Attributes:
        reload: How the configuration was taken over.
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
    ) -> None:
        self._config = config
        self._socket = socket
        self._outbox = outbox
        self._fleet = fleet
        self._indexer = indexer
        self._server = server
        self._embedded = embedded
        self._endpoint = endpoint
        self._started = time.monotonic()
        self._started_at = _now()
        self.reload = ReloadStatus()

    def configure(self, config: Config) -> None:
        """Report on another configuration."""
        self._config = config

    async def document(self) -> dict[str, Any]:
        """Return the whole status. It holds no secrets: URLs come without credentials."""
        index = await self._indexer.document()
        disk = await anyio.to_thread.run_sync(shutil.disk_usage, self._config.data_dir)
        now = _now()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "health": self.health(),
            "socket": str(self._socket),
            "config": str(self._config.source) if self._config.source else None,
            "reload": asdict(self.reload),
            "data_dir": str(self._config.data_dir),
            # asdict would make a Counter of its pairs.
            "server": {**asdict(self._server), "refused": dict(self._server.refused)},
            "outbox": self._outbox_document(now, disk.free),
            "routes": [self._route_document(shipper, now) for shipper in self._fleet.shippers.values()],
            "index": index,
            "embedded": asdict(embedded) if (embedded := self._embedded.status) else None,
            "metrics": asdict(endpoint) if (endpoint := self._endpoint.status) else None,
        }

    def line(self) -> str:
        """Return the state in one line, for the service manager."""
        health = self.health()
        reasons = f" ({'; '.join(health['reasons'])})" if health["reasons"] else ""
        shipped = sum(shipper.status.shipped for shipper in self._fleet.shippers.values())
        return f"{health['state']}{reasons}: {self._outbox.stats.accepted} accepted, {shipped} shipped"

    def health(self) -> dict[str, Any]:
        """Return the word and the reasons for it."""
        now = _now()
        reasons = Reasons()
        stats = self._outbox.stats
        if stats.disk_full:
            reasons.failing.append("the disk is full: new events are refused until there is room")
        self._look_for_room(stats, reasons)
        if stats.lost_events:
            reasons.degraded.append(
                f"{stats.lost_events} acknowledged events were lost with a damaged outbox; see its quarantine"
            )
        for shipper in self._fleet.shippers.values():
            trouble = _trouble(shipper, now)
            if trouble:
                reasons.degraded.append(f"route {shipper.link.name}: {trouble}")
            dead = stats.routes[shipper.number].dead_rows if shipper.number in stats.routes else 0
            if dead:
                reasons.degraded.append(
                    f"route {shipper.link.name}: {dead} dead letters; see `eventd deadletter list`"
                )
        if problem := self._indexer.trouble():
            reasons.degraded.append(f"the index: {problem}")
        embedded = self._embedded.status
        if embedded is not None and embedded.state in ("stalled", "waiting"):
            reasons.degraded.append(
                f"the embedded nats-server is {embedded.state}: {embedded.problem or embedded.last_exit}"
            )
        endpoint = self._endpoint.status
        if endpoint is not None and endpoint.problem:
            reasons.degraded.append(endpoint.problem)
        if self.reload.error is not None:
            reasons.degraded.append(f"the configuration cannot be used: {self.reload.error}")
        return reasons.document()

    def _look_for_room(self, stats: OutboxStats, reasons: Reasons) -> None:
        """Say who has too little room: while some route still takes events, the outbox is not full."""
        taking = [s for s in self._fleet.shippers.values() if s.configured and s.route.enabled]
        if taking and all(stats.routes[shipper.number].full for shipper in taking):
            reasons.failing.append("the outbox is full: new events are refused until some are shipped")
            return
        for shipper in taking:
            route = stats.routes[shipper.number]
            if route.full:
                reasons.degraded.append(
                    f"route {shipper.link.name}: its room in the outbox is full: "
                    "its new events are refused until some are shipped"
                )
            elif route.nearly_full:
                percent = route.held_bytes * 100 // max(1, route.max_bytes)
                reasons.degraded.append(
                    f"route {shipper.link.name}: {percent} % of its room in the outbox is taken"
                )

    def _outbox_document(self, now: int, disk_free: int) -> dict[str, Any]:
        stats = self._outbox.stats
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
            "file_bytes": stats.file_bytes,
            "wal_bytes": stats.wal_bytes,
            "disk_free": disk_free,
            "min_free": self._config.outbox.min_free,
            "disk_full": stats.disk_full,
            "ledger_ids": stats.ledger_ids,
            "lost_events": stats.lost_events,
            "quarantines": stats.quarantines,
            "sqlite": stats.sqlite,
        }

    def _route_document(self, shipper: Shipper, now: int) -> dict[str, Any]:
        status, link = shipper.status, shipper.link.status
        stats = self._outbox.stats.routes.get(shipper.number)
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


def _trouble(shipper: Shipper, now: int) -> str:
    """Return what keeps a route from shipping, or ""."""
    status = shipper.status
    if status.state is State.STALLED:
        return f"stalled: {status.reason}"
    if status.unready_since is not None and now - status.unready_since > GRACE:
        return f"not ready: {shipper.link.status.last_error or status.reason or status.state.value}"
    if status.lost_by_server:
        return f"the server may have lost up to {status.lost_by_server} messages from before what is retained"
    return ""


def _now() -> int:
    return time.time_ns() // 1_000_000


def _age(moment: int | None, now: int) -> float | None:
    return None if moment is None else round(max(0, now - moment) / 1000, 1)
