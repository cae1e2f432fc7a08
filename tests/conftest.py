"""Fixtures for every area: a clean environment, short folders, real nats-servers."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from support.nats import NatsServer

FOREIGN = ("EVENTD_", "NATS_", "XDG_", "LISTEN_", "NOTIFY_SOCKET")
KEPT = ("EVENTD_FAULTS",)  # chooses the length of tests/faults

# Hypothesis judges by its result, never by the time that it took: the machine may be busy, and the very first
# run also builds Hypothesis's tables of Unicode.
settings.register_profile("eventd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("eventd")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asyncio without uvloop, whose debug hooks and warnings are the better ones for tests."""
    return ("asyncio", {"use_uvloop": False})


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """Hide the person who runs the tests: no settings of theirs, and a home that is thrown away."""
    home = tempfile.mkdtemp(prefix="evh", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(FOREIGN) and name not in KEPT]:
            patch.delenv(name)
        patch.setenv("HOME", home)
        yield
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder (0700) with a path short enough for Unix sockets (104 bytes on macOS)."""
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nats_factory(short_tmp: Path) -> Iterator[Callable[..., NatsServer]]:
    """Make started nats-servers: `nats_factory(**options of NatsServer)`; all are gone after the test."""
    servers: list[NatsServer] = []

    def make(*, start: bool = True, **options: Any) -> NatsServer:
        folder = options.pop("folder", short_tmp / f"nats{len(servers)}")
        server = NatsServer(folder, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def nats_server(nats_factory: Callable[..., NatsServer]) -> NatsServer:
    """A started nats-server with an empty store that syncs every write."""
    return nats_factory()
