"""Node, a daemon on the embedded server, and OpenClaw's side of the plugin."""

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ipc.support.scripted import ScriptedServer
from support.daemon import Daemon

from .host import GRANTED, Host

NODE = 20  # the oldest version that the plugin is written for

_agents = (f"agent{n}" for n in itertools.count(1))


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < NODE:
        pytest.skip(f"node {version} is older than {NODE}")
    return path


@pytest.fixture
def daemon(short_tmp: Path) -> Iterator[Daemon]:
    """A started daemon on the embedded server."""
    with Daemon(short_tmp / "d", {}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shared_daemon() -> Iterator[Daemon]:
    """One for all tests of a file; each of them has an agent of its own in it."""
    folder = tempfile.mkdtemp(prefix="ev", dir="/tmp")
    with Daemon(Path(folder) / "d", {}) as daemon:
        yield daemon
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def agent() -> str:
    """The name of an agent that has no past."""
    return next(_agents)


@pytest.fixture
def server(short_tmp: Path) -> Iterator[ScriptedServer]:
    """A peer that does what a test tells it, in place of eventd."""
    with ScriptedServer(short_tmp / "eventd.sock") as server:
        yield server.start()


HostFactory = Callable[..., Host]
"""`host_factory(socket, config=..., **options of Host)`; the process is gone after the test."""


@pytest.fixture
def host_factory(node: str) -> Iterator[HostFactory]:
    """Make OpenClaws with the plugin in them."""
    with ExitStack() as stack:

        def make(socket: Path, config: dict[str, Any] | None = None, **options: Any) -> Host:
            options = {"policy": GRANTED} | options
            return stack.enter_context(Host({"socket": str(socket), **(config or {})}, **options))

        yield make
