"""Fixtures: daemons whose metrics are looked at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.nats import NatsServer


@pytest.fixture
def daemon_factory(short_tmp: Path) -> Iterator[DaemonFactory]:
    """Make started daemons: `daemon_factory(url, **settings)`; none may have logged a traceback."""
    daemons: list[Daemon] = []

    def make(url: str, **settings: Any) -> Daemon:
        daemon = Daemon(short_tmp / f"d{len(daemons)}", {"url": url, **settings})
        daemons.append(daemon)
        return daemon.start()

    yield make
    for daemon in daemons:
        daemon.kill()
    for daemon in daemons:
        assert "Traceback" not in daemon.log_text, daemon.log_text


@pytest.fixture
def daemon(daemon_factory: DaemonFactory, nats_server: NatsServer) -> Daemon:
    """A started daemon with a route for `bob`, whose server is away."""
    away = {"url": "nats://127.0.0.1:1", "streamName": "bobs"}
    return daemon_factory(nats_server.url, agents={"bob": away})
