"""Copies of a stream in a real cluster of three, whose servers go away one after the other."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.patient import config_of, look_at_route
from eventd.doctor.model import Level
from support.jetstream import JetStream
from support.nats import NatsServer, free_port
from support.waiting import wait_until

SOON = 60.0  # seconds; a bound against hanging

pytestmark = pytest.mark.skipif(
    os.environ.get("EVENTD_FAULTS") != "full", reason="a cluster takes long to notice; EVENTD_FAULTS=full"
)


@pytest.fixture
def cluster(nats_factory: Callable[..., NatsServer]) -> list[NatsServer]:
    """Three servers that have elected a leader."""
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in ports)
    servers = [
        nats_factory(
            server_name=f"n{number}",
            config=f'cluster {{ name: C, listen: "127.0.0.1:{port}", routes: [{routes}] }}',
        )
        for number, port in enumerate(ports)
    ]
    wait_until(lambda: _made(servers[0]), SOON, what="the cluster makes a stream", interval=0.2)
    return servers


def _made(server: NatsServer) -> bool:
    try:
        JetStream(server.url).make(num_replicas=3)
    except Exception:  # no leader yet, or no answer
        return False
    return True


def test_servers_of_a_cluster_that_go_away(cluster: list[NatsServer], tmp_path: Path) -> None:
    """All there, one missing, no majority."""
    config = config_of(tmp_path, url=cluster[0].url, stream={"replicas": 3})

    def level() -> Level:
        """How bad it is, by the stream; without a leader nobody may answer at all."""
        found = look_at_route(config).findings
        return max(f.level for f in found if f.check in ("stream.replicas", "nats.jetstream"))

    wait_until(lambda: level() is Level.OK, SOON, what="all copies are up to date")
    leader = JetStream(cluster[0].url).info()["cluster"]["leader"]
    next(server for server in cluster[1:] if server.server_name != leader).kill()
    wait_until(lambda: level() is Level.WARNING, SOON, what="a copy is missed", interval=1.0)
    for server in cluster[1:]:
        server.kill()
    wait_until(lambda: level() is Level.PROBLEM, SOON, what="the leader is missed", interval=1.0)
