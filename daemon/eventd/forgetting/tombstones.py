"""Puts tombstones into the outbox, where what they name is forgotten in the same moment."""

import logging
from collections.abc import Callable, Sequence

from ..events.tombstones import Forgotten, forgotten_in
from ..ingest.admission import Admission
from ..outbox.outbox import Outbox
from ..routes import Route
from ..shipping.fleet import Fleet
from ..shipping.shipper import Shipper

logger = logging.getLogger(__name__)


class Tombstones:
    """Makes tombstones for the routes of today's configuration.

    Args:
        admission: Returns that of today's configuration.
    """

    def __init__(self, outbox: Outbox, fleet: Fleet, admission: Callable[[], Admission]) -> None:
        self._outbox = outbox
        self._fleet = fleet
        self._admission = admission

    async def bury(self, agent: str, forgotten: Sequence[Forgotten]) -> list[str]:
        """Let events of an agent be forgotten; return the ids of the tombstones that name them.

        Raises:
            OutboxFull: There is no room for one of them; what those before it name is forgotten.
        """
        made = []
        for row in self._admission().tombstones(agent, forgotten):
            ids = list(dict.fromkeys(one.id for one in forgotten_in(row.body) if one.id))
            await self._outbox.forget(row, ids)
            made.append(row.event_id)
            logger.info(
                "events of agent %s are forgotten", agent,
                extra={"action": "forgotten", "agent": agent, "events": len(ids), "tombstone": row.event_id},
            )  # fmt: skip
        return made

    def route_of(self, agent: str) -> Route:
        """Return the route of an agent's tombstones."""
        return self._fleet.routes.of(agent)

    def account_of(self, agent: str) -> str:
        """Return the account of an agent's route: streams of other accounts are out of its reach."""
        return self._fleet.routes.account_of(self.route_of(agent))

    def shipper_of(self, agent: str) -> Shipper | None:
        """Return who ships an agent's tombstones; None where the configuration is just changing."""
        name = self.route_of(agent).name
        shippers = self._fleet.shippers.values()
        return next((one for one in shippers if one.configured and one.route.name == name), None)
