"""Keeps accept order where an agent's events begin to take another route into the same stream.

What was accepted before a change of the configuration belongs to the route of that time, and goes out by it.
Routes ship side by side, so a row waits while another one has an older row of the same agent. It waits for a
smaller outbox number each time, so routes never wait for each other.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import anyio

from ..outbox.model import Row
from ..outbox.outbox import Outbox

if TYPE_CHECKING:
    from .shipper import Shipper

logger = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds without progress of the other route; a dead one must not hold up others for ever
LOOK_INTERVAL = 0.25  # seconds between two looks, should the other one lose its rows otherwise


@dataclass(slots=True, eq=False)
class Ahead:
    """Rows that go before newer ones of another route.

    Attributes:
        shipper: Whose they are.
        agent: Whose events they are; None: all of the route's.
        upto: The newest outbox number that can be one of them; None while some may still be under way.
    """

    shipper: "Shipper"
    agent: str | None = None
    upto: int | None = None
    _looked: int = 0  # up to this number the route has none of them
    _repairs: int = 0  # of the route at that time: a repair brings older rows back

    def concerns(self, row: Row) -> bool:
        """Whether a row of the other route is one that has to wait."""
        return self.agent is None or row.msg_id.startswith(f"{self.agent}:")

    async def first(self, outbox: Outbox) -> int | None:
        """Return the oldest of the rows that are not shipped; None where there is none now."""
        repairs = self.shipper.status.repairs
        if repairs != self._repairs:
            self._repairs, self._looked = repairs, 0
        first = await outbox.first_pending(self.shipper.number, self.agent, after=self._looked)
        if first is not None:
            self._looked = first - 1
        return first


class Progress:
    """Tells those who wait that some route has settled rows."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Let all who wait now go on."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Return at the next `notify`."""
        await self._event.wait()


class Precedence:
    """What a route has to let go first; nothing, most of the time.

    Args:
        progress: Notified of the progress of all routes.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._ahead: list[Ahead] = []

    def let_first(self, ahead: Ahead) -> None:
        """Let these rows go before newer ones, too; in place of what was said of the same ones before."""
        self._ahead = [
            other for other in self._ahead if (other.shipper, other.agent) != (ahead.shipper, ahead.agent)
        ]
        self._ahead.append(ahead)

    @property
    def routes(self) -> str:
        """The names of the routes that may have older rows; "" where there is none."""
        return ", ".join(sorted({ahead.shipper.link.name for ahead in self._ahead}))

    @property
    def ahead(self) -> list[Ahead]:
        """What has to go first."""
        return list(self._ahead)

    async def may_go(self, rows: Sequence[Row], outbox: Outbox) -> Sequence[Row]:
        """Return the first ones of the rows, those before which no others have to go now; maybe none."""
        for ahead in self.ahead:  # as of now: another one may be added while the outbox is asked
            if not any(map(ahead.concerns, rows)):
                continue
            first = await ahead.first(outbox)
            if ahead.upto is not None and (first is None or first > ahead.upto):
                self._ahead = [other for other in self._ahead if other is not ahead]
            elif first is not None:
                rows = list(takewhile(lambda row, a=ahead, n=first: row.seq < n or not a.concerns(row), rows))  # type: ignore[misc]
        return rows

    async def wait(self, rows: Sequence[Row], outbox: Outbox) -> None:
        """Return as soon as any of the rows may go.

        When none of the others gets on, they have to: the order is given up rather than the route.
        """
        while True:
            settled = self._settled()
            with anyio.move_on_after(PATIENCE):
                while settled == self._settled():
                    if await self.may_go(rows, outbox):
                        return
                    with anyio.move_on_after(LOOK_INTERVAL):
                        await self._progress.wait()
                continue
            logger.warning(
                "route %s does not get on: newer events of its agents go before the ones that it has",
                self.routes, extra={"action": "order_given_up", "routes": self.routes},
            )  # fmt: skip
            self._ahead.clear()
            return

    def _settled(self) -> list[int]:
        return [ahead.shipper.settled for ahead in self._ahead]
