"""A whole eventd, as a person starts it: a process of its own with its embedded nats-server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon


@pytest.fixture
def daemon(short_tmp: Path) -> Iterator[Daemon]:
    """A started daemon on the embedded server."""
    with Daemon(short_tmp / "d", {}) as daemon:
        yield daemon


@pytest.fixture
def daemon_socket(daemon: Daemon) -> Path:
    """Where clients find it."""
    return daemon.socket
