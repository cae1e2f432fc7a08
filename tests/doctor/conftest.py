"""Fixtures: real daemons, with something about them that doctor has to find."""

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
    """A started daemon that ships to a real server, with its stream made."""
    daemon = daemon_factory(nats_server.url)
    daemon.wait_for(lambda status: status["routes"][0]["state"] == "idle", what="it is ready")
    return daemon
