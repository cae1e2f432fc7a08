"""Keeps accept order where an agent's events begin to take another route into the same stream.

What was accepted before a change of the configuration belongs to the route of that time, and goes out by it.
Routes ship side by side, so one whose row is newer waits until the other one has shipped what is older.
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
        upto: The newest outbox number that can be one of them; None while some may still be under way.
    """

    shipper: "Shipper"
    upto: int | None = None


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
        """Let these rows go before newer ones, too; in place of what was said of the same route before."""
        self._ahead = [other for other in self._ahead if other.shipper is not ahead.shipper]
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
            older = await outbox.pending(ahead.shipper.number, after=0, limit=1, max_bytes=1)
            first = older[0].seq if older else None
            if ahead.upto is not None and (first is None or first > ahead.upto):
                self._ahead = [other for other in self._ahead if other is not ahead]
            elif first is not None:
                rows = list(takewhile(lambda row, first=first: row.seq < first, rows))  # type: ignore[misc]
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
