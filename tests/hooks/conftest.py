"""Fixtures: the hooks of a user, with a daemon or without one."""

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
