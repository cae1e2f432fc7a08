"""Fixtures: the command, and a daemon's socket with a script behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.support import Eventd
from ipc.support.scripted import ScriptedServer


@pytest.fixture
def server(short_tmp: Path) -> Iterator[ScriptedServer]:
    """A started server; a test may stop and start it."""
    with ScriptedServer(short_tmp / "eventd.sock") as server:
        yield server.start()


@pytest.fixture
def eventd(short_tmp: Path) -> Eventd:
    """The command, told where the server's socket is, whether it runs or not."""
    return Eventd(["--socket", short_tmp / "eventd.sock"])
