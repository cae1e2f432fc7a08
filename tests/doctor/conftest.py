"""Fixtures: real daemons, with something about them that doctor has to find."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.nats import NatsServer


@pytest.fixture
def daemon_factory(short_tmp: Path) -> Iterator[DaemonFactory]:
    """Make started daemons: `daemon_factory(url, mutation="", **settings)`; none may have met a bug."""
    daemons: list[Daemon] = []

    def make(url: str, mutation: str = "", **settings: Any) -> Daemon:
        daemon = Daemon(short_tmp / f"d{len(daemons)}", {"url": url, **settings}, mutation=mutation)
        daemons.append(daemon)
        return daemon.start()

    yield make
    for daemon in daemons:
        daemon.kill()
    for daemon in daemons:
        assert "Traceback" not in daemon.log_text, daemon.log_text


@pytest.fixture
def daemon(daemon_factory: DaemonFactory, nats_server: NatsServer) -> Daemon:
    """A started daemon that ships to a real server, with its stream made; to be broken."""
    return ready(daemon_factory(nats_server.url))


@pytest.fixture(scope="module")
def standing() -> Iterator[tuple[Daemon, NatsServer]]:
    """The same for all tests of a file, who leave it as it is, with its server."""
    with (
        tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder,
        NatsServer(Path(folder) / "nats") as server,
        Daemon(Path(folder) / "d", {"url": server.url}) as daemon,
    ):
        yield ready(daemon), server
        assert "Traceback" not in daemon.log_text, daemon.log_text


def ready(daemon: Daemon) -> Daemon:
    daemon.wait_for(lambda status: status["routes"][0]["state"] == "idle", what="it is ready")
    return daemon
