"""Restarts behind a socket that somebody else holds open, as systemd does: clients notice but a pause."""

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from support.daemon import Daemon
from support.jetstream import JetStream
from support.load import Load
from support.nats import NatsServer
from support.oracle import check
from support.rounds import HANDED_OVER_RESTARTS

pytestmark = pytest.mark.faults

BACKLOG = 4096  # as systemd's own
PAUSE = 0.005  # seconds between two calls: fewer than the backlog while a daemon starts


class Caller:
    """Connects again and again, and notes what did not work; a context manager.

    Attributes:
        calls: How many connections were made.
        failures: Why others were not.
    """

    def __init__(self, path: Path) -> None:
        self.calls = 0
        self.failures: list[OSError] = []
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE):
            try:
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.connect(str(self._path))
                self.calls += 1
            except OSError as error:
                self.failures.append(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


@pytest.fixture
def daemon(short_tmp: Path, nats_server: NatsServer) -> Iterator[Daemon]:
    """A started daemon whose socket stays open while it is away."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(short_tmp / "s"))
        bound.listen(BACKLOG)
        daemon = Daemon(short_tmp / "d", {"url": nats_server.url}, handed=[bound.fileno()])
        daemon.socket = short_tmp / "s"
        with daemon:
            yield daemon
    assert "Traceback" not in daemon.log_text, daemon.log_text


def test_restarts_refuse_nobody_and_lose_nothing(daemon: Daemon, jetstream: JetStream) -> None:
    """Stopped in order and killed, in turn: every connection is made, and what was acked is stored once."""
    with Caller(daemon.socket) as caller, Load(daemon.socket) as load:
        for number in range(HANDED_OVER_RESTARTS):
            load.wait_acked(random.randint(50, 600))
            daemon.restart(kill=number % 2 == 1)
        acked = load.finish()
    daemon.wait_shipped()
    assert not caller.failures
    assert caller.calls
    check(acked, jetstream.read())
