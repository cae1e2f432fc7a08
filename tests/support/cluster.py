"""A real JetStream cluster of three nats-servers on loopback: nodes die, freeze, come back, and are cut off.

Each node reaches each other one through a proxy of its own, so that the routes between any two of them can be
cut while clients still reach both. Nodes tell each other an address of a third that leads nowhere, so that
they learn of no way around the proxies.
"""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import permutations
from pathlib import Path
from typing import Any, Self

import nats.errors

from .jetstream import STREAM, JetStream, Stored
from .nats import NatsServer, free_port
from .proxy import Proxy
from .waiting import wait_until

NODES = 3
NOWHERE = "127.0.0.1:1"  # what nodes tell each other of a node, and where nobody listens
FORM_TIMEOUT = 60.0  # seconds until there is a leader; elections take 4 to 9 s each
SETTLED_TIMEOUT = 120.0  # seconds until every replica has caught up
MONITOR_TIMEOUT = 2.0  # seconds for one answer


class Node(NatsServer):
    """One nats-server of the cluster.

    Attributes:
        route_port: Where other nodes connect to, behind their proxies.
        monitor_port: Where it tells how it is, by HTTP.
    """

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        super().__init__(folder, server_name=name, **options)
        self.route_port = free_port()
        self.monitor_port = free_port()

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return self.server_name

    def view(self) -> dict[str, Any]:
        """Return what it knows of the cluster (`/jsz`); empty while it does not answer."""
        url = f"http://127.0.0.1:{self.monitor_port}/jsz?streams=1&config=1&raft=1"
        try:
            with urllib.request.urlopen(url, timeout=MONITOR_TIMEOUT) as answer:
                view: dict[str, Any] = json.load(answer)
        except (OSError, ValueError):
            return {}
        return view

    @property
    def meta(self) -> dict[str, Any]:
        """What it says about the group of all nodes: `leader`, `cluster_size`, `replicas`."""
        return dict(self.view().get("meta_cluster") or {})


class Cluster:
    """Three nodes; a context manager that starts them, and at whose end none of them is left.

    Args:
        folder: Where the nodes have theirs.
        name: The cluster's, for `placement.cluster`.
        tags: Of each node, for `placement.tags`.
        config: More configuration of each node, as raw text.
        options: Of `NatsServer`, for each node.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "test",
        tags: Callable[[int], list[str]] = lambda number: [f"node:{number}"],
        config: str = "",
        **options: Any,
    ) -> None:
        self.name = name
        self.nodes = [
            Node(folder / f"n{number}", f"n{number}", sync_interval="", **options)
            for number in range(1, NODES + 1)
        ]
        self._config = config
        self._tags = tags
        self._ways = {
            (one.name, other.name): Proxy(other.route_port) for one, other in permutations(self.nodes, 2)
        }
        self._open = ExitStack()

    @property
    def urls(self) -> list[str]:
        """Where clients connect to, node by node."""
        return [node.url for node in self.nodes]

    @property
    def url(self) -> str:
        """The same as the `url` of a config file."""
        return ",".join(self.urls)

    def url_from(self, node: Node) -> str:
        """Return the `url` of a daemon that connects to this node first."""
        return ",".join(one.url for one in [node, *self.others(node)])

    @property
    def running(self) -> list[Node]:
        """The nodes that live."""
        return [node for node in self.nodes if node.running]

    def node(self, name: str) -> Node:
        """Return a node by its name."""
        return next(node for node in self.nodes if node.name == name)

    def at(self, url: str) -> Node:
        """Return the node that clients reach at a url."""
        return next(node for node in self.nodes if node.url == url)

    def others(self, *nodes: Node) -> list[Node]:
        """Return all nodes but these."""
        return [node for node in self.nodes if node not in nodes]

    def jetstream(self, node: Node | None = None) -> JetStream:
        """Return the operator, who is connected to a node that lives."""
        return JetStream((node or self.running[0]).url)

    def read(self, stream: str = STREAM) -> list[Stored]:
        """Return everything that a stream holds; tried again while the nodes are finding each other."""

        def attempt() -> list[Stored] | None:
            try:
                return self.jetstream().read(stream)
            except nats.errors.Error:
                return None

        found: list[Stored] = wait_until(attempt, SETTLED_TIMEOUT, what=f"{stream} can be read", interval=0.5)
        return found

    def leader(self, stream: str = STREAM, among: list[Node] | None = None) -> Node:
        """Return the leader of a stream, as the first of some nodes says that knows one; waits for it."""
        asked = among or self.running

        def find() -> str:
            for node in asked:
                for account in node.view().get("account_details") or ():
                    for detail in account.get("stream_detail") or ():
                        leader = (detail.get("cluster") or {}).get("leader")
                        if detail["name"] == stream and leader in {other.name for other in asked}:
                            return str(leader)
            return ""

        return self.node(str(wait_until(find, FORM_TIMEOUT, what=f"{stream} has a leader", interval=0.05)))

    def lead(self, node: Node, stream: str = STREAM) -> None:
        """Make a node the leader of a stream."""
        wish = {"placement": {"preferred": node.name}}

        def leads() -> bool:
            with suppress(LookupError):  # there is an election already
                if self.leader(stream) is not node:
                    self.jetstream().api(f"STREAM.LEADER.STEPDOWN.{stream}", wish)
            return self.leader(stream) is node

        wait_until(leads, FORM_TIMEOUT, what=f"{node.name} leads {stream}", interval=0.2)

    def wait_formed(self, size: int = NODES) -> None:
        """Wait until so many nodes know one leader, and that one all of them."""

        def formed() -> bool:
            metas = {node.name: node.meta for node in self.running}
            leaders = {str(meta.get("leader") or "") for meta in metas.values()}
            if len(metas) < size or len(leaders) != 1:
                return False
            replicas = metas.get(leaders.pop(), {}).get("replicas") or []
            here = [replica for replica in replicas if replica["current"] and not replica.get("offline")]
            return len(here) + 1 >= size

        wait_until(formed, FORM_TIMEOUT, what=lambda: [node.meta for node in self.nodes], interval=0.05)

    def wait_settled(self, stream: str = STREAM) -> None:
        """Wait until all replicas of a stream have what its leader has."""

        def settled() -> bool:
            try:
                cluster = self.jetstream().info(stream)["cluster"]
            except Exception:  # there is no leader yet, or the answer is late
                return False
            replicas = cluster.get("replicas") or []
            return all(r["current"] and not r.get("offline") and not r.get("lag") for r in replicas)

        wait_until(settled, SETTLED_TIMEOUT, what=f"replicas of {stream} have caught up", interval=0.1)

    def cut_off(self, *nodes: Node) -> None:
        """Let nothing through between these nodes and all others; clients still reach everybody.

        As when a cable is pulled: connections stay open, and what is sent on them does not arrive.
        """
        for proxy in self._between(nodes):
            proxy.black_hole()

    def join(self) -> None:
        """Let everything through again; what was held back arrives now."""
        for proxy in self._ways.values():
            proxy.resume()

    def write_config(self) -> None:
        """Give every node its configuration; it is read at its next start."""
        for number, node in enumerate(self.nodes, 1):
            routes = [f'"{self._ways[node.name, other.name].url}"' for other in self.others(node)]
            node.config = (
                f'http: "127.0.0.1:{node.monitor_port}"\n'
                f"server_tags: {json.dumps(self._tags(number))}\n"
                f'cluster {{ name: {self.name}, listen: "127.0.0.1:{node.route_port}", no_advertise: true, '
                f'advertise: "{NOWHERE}", '
                f"routes: [{', '.join(routes)}] }}\n{self._config}"
            )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for proxy in self._ways.values():
                stack.enter_context(proxy)
            self.write_config()
            for node in self.nodes:
                stack.enter_context(node)
            self.wait_formed()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _between(self, nodes: tuple[Node, ...]) -> Iterator[Proxy]:
        names = {node.name for node in nodes}
        return (proxy for (one, other), proxy in self._ways.items() if (one in names) != (other in names))


@contextmanager
def frozen(*nodes: Node) -> Iterator[None]:
    """Freeze nodes (SIGSTOP) for as long as the block runs."""
    for node in nodes:
        node.pause()
    try:
        yield
    finally:
        for node in nodes:
            node.resume()
