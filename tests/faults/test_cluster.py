"""G2, G3, G6 on a JetStream cluster with three replicas: nodes die, freeze, are cut off, and come back.

Beside the oracle each test asserts what status has said: no rollback, since a cluster that keeps its majority
loses nothing; and whatever lasts shows within the bounds of G6.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, Node, frozen
from support.daemon import STALL_HEALED, STALL_SHOWN, Daemon, DaemonFactory
from support.load import Load, Shape, emit
from support.oracle import check
from support.rounds import CLUSTER_ROUNDS, FULL

pytestmark = pytest.mark.faults

STEADILY = Shape(pause=0.02)
MORE = 50  # events that are shipped once it goes on


@pytest.fixture
def cluster(short_tmp: Path) -> Iterator[Cluster]:
    with Cluster(short_tmp / "cluster") as cluster:
        yield cluster


def start(daemon_factory: DaemonFactory, cluster: Cluster, at: Node | None = None, **settings: Any) -> Daemon:
    """Start a daemon with three replicas that connects to a node first; return when it has shipped."""
    url = cluster.url_from(at or cluster.nodes[0])
    daemon = daemon_factory(url, stream={"replicas": 3}, **settings)
    emit(daemon.socket, "first", [1])
    daemon.wait_healed()
    return daemon


def wait_shipping(daemon: Daemon) -> None:
    """Wait until it ships on; the bound is G6's."""
    goal = daemon.route()["shipped"] + MORE
    daemon.wait_for(lambda status: status["routes"][0]["shipped"] >= goal, STALL_HEALED, what="it ships on")


def wait_noted(daemon: Daemon, note: str) -> None:
    """Wait until status has a note; the bound is G6's."""
    daemon.wait_for(lambda status: note in str(status["routes"][0]["notes"]), STALL_SHOWN, what=note)


def finish(daemon: Daemon, cluster: Cluster, load: Load) -> None:
    """Let the load end, and see that all is there, and that nothing was said that is not so."""
    acked = dict(load.finish()) | {"first": ["first-000001"]}
    status = daemon.wait_healed()
    cluster.wait_formed()
    cluster.wait_settled()
    check(acked, cluster.read())
    (route,) = status["routes"]
    assert (route["repairs"], route["lost_by_server"], route["dead"]) == (0, 0, 0)
    daemon.wait_for(
        lambda status: status["index"]["events"] == sum(map(len, acked.values())),
        what="the index has each event once",
    )
    if FULL:
        daemon.wait_for(lambda status: not status["routes"][0]["notes"], STALL_SHOWN, what="all are back")


def test_nodes_are_stopped_in_turn_under_load(cluster: Cluster, daemon_factory: DaemonFactory) -> None:
    """As for an upgrade: each hands on what it leads, and the next one waits until it has caught up."""
    daemon = start(daemon_factory, cluster)
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(100)
        for _ in range(CLUSTER_ROUNDS):
            for node in cluster.nodes if FULL else [cluster.leader()]:
                node.stop()
                wait_shipping(daemon)
                come_back(cluster, node)
        finish(daemon, cluster, load)


@pytest.mark.skipif(not FULL, reason="in every run the leader is cut off, and two are killed, below")
def test_nodes_are_killed_in_turn_under_load(cluster: Cluster, daemon_factory: DaemonFactory) -> None:
    """Without notice, whether they lead or not."""
    daemon = start(daemon_factory, cluster)
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(100)
        for _ in range(CLUSTER_ROUNDS):
            for node in [cluster.leader(), *cluster.nodes]:
                node.kill()
                wait_shipping(daemon)
                come_back(cluster, node)
        finish(daemon, cluster, load)


def come_back(cluster: Cluster, node: Node) -> None:
    node.start()
    cluster.wait_formed()
    cluster.wait_settled()


CUT_OFF = {
    "the leader, where we are": (0, 0),
    "the leader, elsewhere": (1, 1),
    "a follower, where we are": (0, 1),
}
"""Number of the node that is cut off, and of the leader; we are at the first."""
CHOSEN = dict(list(CUT_OFF.items())[: None if FULL else 1])


@pytest.mark.parametrize("number", range(CLUSTER_ROUNDS))
@pytest.mark.parametrize(("cut", "leader"), CHOSEN.values(), ids=CHOSEN)
def test_a_node_is_cut_off_under_load(
    cluster: Cluster, daemon_factory: DaemonFactory, cut: int, leader: int, number: int
) -> None:
    """It goes on answering for a while, and cannot store anything; the others do, and it catches up."""
    daemon = start(daemon_factory, cluster)
    cluster.lead(cluster.nodes[leader])
    with Load(daemon.socket, shape=STEADILY) as load:
        wait_shipping(daemon)
        lost = cluster.nodes[cut]
        cluster.cut_off(lost)
        if daemon.route()["url"] == lost.url:
            daemon.wait_for(
                lambda status: status["routes"][0]["url"] != lost.url, STALL_HEALED, what="it leaves"
            )
        if FULL:
            wait_noted(daemon, f"goes on with 2 of 3 replicas: no answer from {lost.name}")
        wait_shipping(daemon)
        cluster.join()
        wait_shipping(daemon)
        finish(daemon, cluster, load)


def test_the_one_node_that_is_left_lags(cluster: Cluster, daemon_factory: DaemonFactory) -> None:
    """Two of three die, the leader among them, and the third was cut off when they stored the last events.

    Status says that nothing can be stored. The third tells about the stream all the same, with what it has:
    that is no rollback. (Nothing is retained; else a look at single messages would find that out, too.)
    """
    late, *others = cluster.nodes
    daemon = start(daemon_factory, cluster, at=others[0], outbox={"retain": "0s"})
    with Load(daemon.socket, shape=STEADILY) as load:
        for _ in range(CLUSTER_ROUNDS):
            cluster.lead(others[0])
            cluster.cut_off(late)
            wait_shipping(daemon)
            for node in others:
                node.kill()
            daemon.wait_troubled()
            daemon.wait_for(
                lambda status: "has no leader now" in str(status["health"]["reasons"]),
                STALL_SHOWN,
                what="the reason shows",
            )
            for node in others:
                node.start()
            cluster.join()
            daemon.wait_for(
                lambda status: status["health"]["state"] == "ok", STALL_HEALED, what="it is well again"
            )
        finish(daemon, cluster, load)


@pytest.mark.skipif(
    not FULL, reason="two looks at an idle stream are 10 s apart; the rule is in test_replicas"
)
def test_an_idle_daemon_says_that_nothing_can_be_stored(
    cluster: Cluster, daemon_factory: DaemonFactory
) -> None:
    """Two of three nodes freeze while there is nothing to ship, and the third answers everything."""
    daemon = start(daemon_factory, cluster)
    for _ in range(CLUSTER_ROUNDS):
        with frozen(*cluster.others(cluster.at(daemon.route()["url"]))):
            daemon.wait_troubled()
        daemon.wait_healed()


@pytest.mark.skipif(not FULL, reason="the other forms of a lost node are enough for every run")
def test_nodes_freeze_under_load(cluster: Cluster, daemon_factory: DaemonFactory) -> None:
    """What was on its way arrives late, perhaps at a node that leads no more."""
    daemon = start(daemon_factory, cluster)
    with Load(daemon.socket, shape=STEADILY) as load:
        load.wait_acked(100)
        for number in range(CLUSTER_ROUNDS):
            node = cluster.leader() if number % 2 else cluster.at(daemon.route()["url"])
            with frozen(node):
                wait_noted(daemon, f"no answer from {node.name}")
                wait_shipping(daemon)
            cluster.wait_settled()
        finish(daemon, cluster, load)
