"""Fixtures for the fault tests: daemons that are gone after the test, and that must not have crashed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.nats import NatsServer
from support.proxy import Proxy

DISK = 96 * 1024 * 1024  # bytes


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
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    folder = short_tmp / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
