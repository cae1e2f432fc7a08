"""How much of the outbox each route may fill, so that one whose server is away leaves room for the others.

The bound moves with what is free, as that of a queue in a switch whose memory all queues share (Choudhury and
Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998): a route holds at most
`ALPHA` times what is free. So one route alone can fill 80 % of `max_bytes`, two 44 % each, three 31 %, and
whoever comes next still finds room. A fixed part for each would either waste room or run out of parts.

Where there is one route only, it may fill everything.
"""

from collections.abc import Mapping

from .store import Store

ALPHA = 4  # times what is free; 1 would leave half of the outbox unused where one server is away, 9 a tenth


def share_of(store: Store, route: int) -> int:
    """Return the bytes that a route may hold now, pending and dead."""
    return _share(store, route, store.totals.used_bytes - store.route(route).stats.held_bytes)


def _share(store: Store, route: int, others: int) -> int:
    """Return what a route may hold while the other ones hold `others` bytes together.

    What they leave is what is free and what the route itself holds, and the latter is at most `ALPHA` times
    the former.
    """
    left = max(0, store.settings.max_bytes - others)
    if not others and store.registered <= {route}:
        return left
    return left * ALPHA // (ALPHA + 1)


class Shares:
    """What the routes hold during a transaction that stores rows, those that it has stored included."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used = store.totals.used_bytes
        self._added: dict[int, int] = {}

    def lacking(self, sizes: Mapping[int, int]) -> int | None:
        """Return a route that has no room for its part of some rows; None if there is room for all of them.

        Args:
            sizes: Bytes of the rows, by route.
        """
        used = self._used + sum(sizes.values())
        for route, size in sizes.items():
            held = self._store.route(route).stats.held_bytes + self._added.get(route, 0) + size
            if held > _share(self._store, route, used - held):
                return route
        return None

    def add(self, sizes: Mapping[int, int]) -> None:
        """Count rows that are stored, in bytes by route."""
        for route, size in sizes.items():
            self._used += size
            self._added[route] = self._added.get(route, 0) + size
