"""Reads what the outbox holds that is in no stream: from the daemon that runs, or from its file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio.to_thread

from eventd_ipc.blocking import Client

from ..backlog import Page, dead_letters, pending
from ..outbox.outbox import Outbox

AskPage = Callable[..., Awaitable[Page]]
"""Asked with `dead`, `route` and `after`, as the `backlog` request is."""


def from_daemon(client: Client) -> AskPage:
    """Return what asks a daemon."""

    async def ask(**which: Any) -> Page:
        return await anyio.to_thread.run_sync(lambda: client.backlog(**which))

    return ask


def from_outbox(outbox: Outbox) -> AskPage:
    """Return what reads an outbox that no daemon uses."""

    async def ask(*, dead: bool = False, route: int = 0, after: int = 0) -> Page:
        return await (dead_letters(outbox, after) if dead else pending(outbox, route, after))

    return ask


class BacklogReader:
    """Reads it once.

    Attributes:
        routes: How far each route was, once the rows are read.
    """

    def __init__(self, ask: AskPage) -> None:
        self.routes: list[Page] = []
        self._ask = ask

    async def rows(self) -> AsyncIterator[Page]:
        """Yield rows that wait, and dead letters, which have a `reason`; each number once.

        Dead letters are read before and after the rows: whatever becomes the other meanwhile is met as one.
        """
        seen: set[int] = set()
        passes: tuple[Page, ...] = ({"dead": True}, {}, {"dead": True})
        for begin in passes:
            which: Page | None = begin
            while which is not None:
                page = await self._ask(**which)
                self.routes = page.get("routes", self.routes)
                for row in page["rows"]:
                    if row["number"] not in seen:
                        seen.add(row["number"])
                        yield row
                which = page.get("next")
