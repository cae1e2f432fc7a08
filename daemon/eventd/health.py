"""How the daemon is, in one word with its reasons.

`ok`: everything accepted is stored or on its way. `degraded`: events are safe but something needs a look.
`failing`: new events are refused, or not answered.
"""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .embedded.keeper import EmbeddedKeeper
from .indexing.indexer import Indexer
from .metrics.endpoint import MetricsEndpoint
from .outbox.model import OutboxStats, RouteStats
from .outbox.outbox import Outbox
from .reload.status import ReloadStatus
from .shipping.fleet import Fleet
from .shipping.shipper import Shipper
from .shipping.state import State

GRACE = 10_000  # ms that a route may take to get ready before that counts as trouble
PROGRESS = 20_000  # ms without an ack after which it is trouble that a route has events and says it is well
OUTBOX_GRACE = 10.0  # seconds that the outbox may take for one group; a slow disk needs tenths


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


class HealthCheck:
    """Looks at all parts; asks none of them, so a part that hangs cannot keep the answer back.

    Args:
        outbox, fleet, indexer: The parts that are looked at.
        embedded: The embedded server, where one is run.
        endpoint: Where metrics are served by HTTP, if they are.
        reload: How the configuration was taken over.
    """

    def __init__(
        self,
        outbox: Outbox,
        fleet: Fleet,
        indexer: Indexer,
        embedded: EmbeddedKeeper,
        endpoint: MetricsEndpoint,
        reload: ReloadStatus,
    ) -> None:
        self._outbox = outbox
        self._fleet = fleet
        self._indexer = indexer
        self._embedded = embedded
        self._endpoint = endpoint
        self._reload = reload

    def look(self) -> dict[str, Any]:
        """Return the word and the reasons for it."""
        reasons = Reasons()
        stats = self._outbox.stats
        self._look_at_outbox(stats, reasons)
        self._look_at_routes(stats, reasons)
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
        if self._reload.error is not None:
            reasons.degraded.append(f"the configuration cannot be used: {self._reload.error}")
        return reasons.document()

    def _look_at_outbox(self, stats: OutboxStats, reasons: Reasons) -> None:
        if stats.busy_s > OUTBOX_GRACE:
            reasons.failing.append(
                f"the outbox has been at one write for {stats.busy_s:.0f} s: the disk may hang, "
                "and new events wait for their acks"
            )
        if stats.disk_full:
            reasons.failing.append("the disk is full: new events are refused until there is room")
        self._look_for_room(stats, reasons)
        if stats.lost_events:
            reasons.degraded.append(
                f"{stats.lost_events} acknowledged events were lost with a damaged outbox; see its quarantine"
            )

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

    def _look_at_routes(self, stats: OutboxStats, reasons: Reasons) -> None:
        now = time.time_ns() // 1_000_000
        for shipper in self._fleet.shippers.values():
            route = stats.routes.get(shipper.number)
            trouble = _trouble(shipper, now) or _standstill(shipper, route, now)
            if trouble:
                reasons.degraded.append(f"route {shipper.link.name}: {trouble}")
            if lost := shipper.status.lost_by_server:
                reasons.degraded.append(
                    f"route {shipper.link.name}: "
                    f"the server may have lost up to {lost} messages from before what is retained"
                )
            if route is not None and route.dead_rows:
                reasons.degraded.append(
                    f"route {shipper.link.name}: {route.dead_rows} dead letters; see `eventd deadletter list`"
                )


def _trouble(shipper: Shipper, now: int) -> str:
    """Return what keeps a route from shipping, as far as it knows, or ""."""
    status = shipper.status
    if status.state is State.STALLED:
        return f"stalled: {status.reason}"
    if status.unready_since is not None and now - status.unready_since > GRACE:
        return f"not ready: {shipper.link.status.last_error or status.reason or status.state.value}"
    return ""


def _standstill(shipper: Shipper, route: RouteStats | None, now: int) -> str:
    """Return that nothing gets on, whatever the reason: the net under all that is looked for by name."""
    status = shipper.status
    if route is None or not route.pending_rows or route.oldest_pending_at is None:
        return ""
    since = max(route.oldest_pending_at, status.since, status.last_ack_at or 0)
    if now - since <= PROGRESS:
        return ""
    return f"{route.pending_rows} events wait, and none has been stored for {(now - since) // 1000} s"
