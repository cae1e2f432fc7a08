"""Fixtures: the hooks of a user, with a daemon or without one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooks.support import Hooks
from support.daemon import Daemon
from support.nats import NatsServer


@pytest.fixture
def hooks(short_tmp: Path) -> Hooks:
    """Hooks whose daemon is away."""
    return Hooks(short_tmp, short_tmp / "s" / "eventd.sock")


@pytest.fixture
def daemon(short_tmp: Path, nats_server: NatsServer) -> Iterator[Daemon]:
    """A started daemon whose spool is that of `hooks`; it must not have crashed."""
    spool = str(short_tmp / "spool")
    with Daemon(short_tmp, {"url": nats_server.url}, environ={"EVENTD_SPOOL": spool}) as daemon:
        yield daemon
    assert "Traceback" not in daemon.log_text, daemon.log_text


@pytest.fixture(scope="module")
def healthy() -> Iterator[Daemon]:
    """A daemon for the tests of a module that do it no harm; each has sessions of its own."""
    with tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder:
        spool = f"{folder}/spool"
        with Daemon(Path(folder), {}, environ={"EVENTD_SPOOL": spool}) as daemon:
            yield daemon
        assert "Traceback" not in daemon.log_text, daemon.log_text


@pytest.fixture
def served(hooks: Hooks, healthy: Daemon) -> Hooks:
    """Hooks whose daemon is there, and well."""
    hooks.socket = healthy.socket
    hooks.patient = True
    hooks.environ["EVENTD_SPOOL"] = healthy.environ["EVENTD_SPOOL"]
    return hooks
