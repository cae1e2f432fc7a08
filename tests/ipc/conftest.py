"""A scripted peer on a socket of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ipc.support.scripted import ScriptedServer


@pytest.fixture
def absent_server(short_tmp: Path) -> Iterator[ScriptedServer]:
    """A peer that is not started yet."""
    with ScriptedServer(short_tmp / "eventd.sock") as server:
        yield server


@pytest.fixture
def server(absent_server: ScriptedServer) -> ScriptedServer:
    """A peer that listens."""
    return absent_server.start()
