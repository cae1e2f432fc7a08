"""The status document in the text format of Prometheus: the same numbers under other names.

It holds no clock and no counters of its own, so that `eventd status` and a dashboard never disagree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

from eventd_ipc.errors import CODES

from ..embedded.server import State as EmbeddedState
from ..shipping.state import State as ShipperState
from .families import CONFIG, DAEMON, EMBEDDED, INDEX, OUTBOX, REFUSALS, ROUTE, SERVER, STREAM, Family

HEALTH_STATES = ("ok", "degraded", "failing")
INDEX_STATES = ("ready", "catching_up", "rebuilding", "stalled")

Tree = Mapping[str, Any]

_process = ProcessCollector(registry=None)  # CPU, memory and descriptors; on Linux only


def exposition(document: Tree) -> str:
    """Return the metrics of a status document. It takes milliseconds: not for the event loop."""
    return generate_latest(StatusCollector(document)).decode()


class StatusCollector:
    """A collector of prometheus_client over one status document.

    What the document does not know (a round trip before the first connection) has no sample.
    """

    def __init__(self, document: Tree) -> None:
        self._document = document

    def collect(self) -> Iterator[Metric]:
        """Yield every family that there is."""
        document = self._document
        outbox, index = document["outbox"], document["index"]
        yield InfoMetricFamily(
            "eventd_build",
            "Versions of eventd and of its SQLite.",
            {"version": document["version"], "sqlite": outbox["sqlite"]},
        )
        yield from _plain(DAEMON, document)
        health = _states("eventd_health", "How the daemon is, in a word: 1 for the one that it is.")
        health.add_metric((), _chosen(HEALTH_STATES, document["health"]["state"]))
        yield health
        yield from _plain(CONFIG, _config(document["reload"]))
        yield from _plain(SERVER, document["server"])
        yield _refusals(document["server"][REFUSALS.key])
        yield from _plain(OUTBOX, outbox)
        yield from self._routes()
        yield from _plain(INDEX, index)
        state = _states("eventd_index_state", "What the index does: 1 for that one thing.")
        state.add_metric((), _chosen(INDEX_STATES, index["state"]))
        yield state
        yield from _labelled(STREAM, _named(index["streams"], "route"))
        if (embedded := document["embedded"]) is not None:
            yield from _plain(EMBEDDED, embedded)
            state = _states("eventd_embedded_state", "What the nats-server does: 1 for that one thing.")
            state.add_metric((), _chosen(get_args(EmbeddedState), embedded["state"]))
            yield state
        yield from _process.collect()

    def _routes(self) -> Iterator[Metric]:
        routes = _named(self._document["routes"], "name")
        yield from _labelled(ROUTE, routes)
        state = _states("eventd_route_state", "What the route does: 1 for that one thing.", "route")
        for name, route in routes:
            state.add_metric((name,), _chosen(ShipperState, route["state"]))
        yield state


def _config(reload: Tree) -> Tree:
    waiting = len(reload["needs_restart"])
    return {**reload, "usable": reload["error"] is None, "waiting": waiting}


def _named(trees: Sequence[Tree], key: str) -> list[tuple[str, Tree]]:
    """Return what is in the label `route` of each; two samples with equal labels would spoil a scrape.

    Names repeat where an agent is called `default`: its route comes later, and gets a number.
    """
    taken: set[str] = set()
    named = []
    for number, tree in enumerate(trees):
        name = str(tree[key])
        label = f"{name}#{number}" if name in taken else name
        taken.add(label)
        named.append((label, tree))
    return named


def _plain(families: Iterable[Family], tree: Tree) -> Iterator[Metric]:
    for family in families:
        metric = _metric(family)
        metric.add_metric((), float(tree[family.key]) * family.scale)
        yield metric


def _labelled(families: Iterable[Family], routes: Sequence[tuple[str, Tree]]) -> Iterator[Metric]:
    for family in families:
        metric = _metric(family, "route")
        for name, route in routes:
            value = family.empty if route[family.key] is None else route[family.key]
            if value is not None:
                metric.add_metric((name,), float(value) * family.scale)
        yield metric


def _refusals(refused: Mapping[str, int]) -> Metric:
    """Count also what was never refused: the step from nothing to 1 is none to `rate()`."""
    metric = _metric(REFUSALS, "code")
    for code in CODES:
        metric.add_metric((code,), refused.get(code, 0))
    return metric


def _metric(family: Family, *labels: str) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=labels)


def _states(name: str, text: str, *labels: str) -> StateSetMetricFamily:
    return StateSetMetricFamily(name, text, labels=labels)


def _chosen(states: Iterable[str], state: str) -> dict[str, bool]:
    return {str(one): one == state for one in states}
