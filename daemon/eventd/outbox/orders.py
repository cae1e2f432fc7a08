"""Which routes have to let older rows of others go first, over restarts; see `shipping.precedence`.

Kept among the facts about the file: there are few, and they are only written when the configuration changes.
"""

from collections.abc import Collection
from typing import NamedTuple

from .connection import facts, set_fact
from .store import Store

PREFIX = "ahead"


class Order(NamedTuple):
    """Rows of one route go before newer ones of another.

    Attributes:
        first: Number of the route that has the older ones.
        then: Number of the other route.
        upto: The newest outbox number that the older ones can have.
    """

    first: int
    then: int
    upto: int


def orders(store: Store) -> list[Order]:
    """Return what was written last."""
    found = []
    for key, upto in facts(store.db).items():
        name, _, numbers = key.partition("/")
        if name == PREFIX:
            first, _, then = numbers.partition("/")
            found.append(Order(int(first), int(then), upto))
    return found


def write_orders(store: Store, wanted: Collection[Order]) -> None:
    """Keep these, and no others."""
    for order in orders(store):
        store.run("delete_fact", (_key(order),))
    for order in wanted:
        set_fact(store.db, _key(order), order.upto)


def _key(order: Order) -> str:
    return f"{PREFIX}/{order.first}/{order.then}"
