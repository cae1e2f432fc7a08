"""Fixtures for the fault tests: daemons that are gone after the test, and that must not have crashed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.disks import NoDisk, small_disk
from support.jetstream import JetStream
from support.nats import NatsServer
from support.proxy import Proxy


@pytest.fixture
def daemon_factory(short_tmp: Path) -> Iterator[DaemonFactory]:
    """Make started daemons: `daemon_factory(url, start=True, mutation="", **settings of the config)`.

    After the test none of them runs, and none may have logged a traceback that the test did not expect.
    """
    daemons: list[Daemon] = []

    def make(url: str = "embedded", *, start: bool = True, mutation: str = "", **settings: Any) -> Daemon:
        daemon = Daemon(short_tmp / f"d{len(daemons)}", {"url": url, **settings}, mutation=mutation)
        daemons.append(daemon)
        return daemon.start() if start else daemon

    yield make
    for daemon in daemons:
        daemon.kill()
    for daemon in daemons:
        if not daemon.crashes_expected:
            assert "Traceback" not in daemon.log_text, daemon.log_text


@pytest.fixture
def daemon(daemon_factory: DaemonFactory, nats_server: NatsServer) -> Daemon:
    """A started daemon that ships to `nats_server`."""
    return daemon_factory(nats_server.url)


@pytest.fixture
def jetstream(nats_server: NatsServer) -> JetStream:
    """The operator of `nats_server`."""
    return JetStream(nats_server.url)


@pytest.fixture
def proxy(nats_server: NatsServer) -> Iterator[Proxy]:
    """A proxy in front of `nats_server`."""
    with Proxy(nats_server.port) as proxy:
        yield proxy


@pytest.fixture
def disk(short_tmp: Path) -> Iterator[Path]:
    """A small disk."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(small_disk(short_tmp / "disk"))
        except NoDisk as error:
            pytest.skip(str(error))
        yield folder
