"""The stage of a benchmark: a folder on the disk that is measured, a real daemon, a real nats-server."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.daemon import Daemon
from support.nats import NatsServer

NOWHERE = "nats://127.0.0.1:1"  # nobody listens there: the broker is away
CONNECT_TIMEOUT = 30.0  # seconds until the daemon must have found its broker
FOREIGN = ("EVENTD_", "NATS_", "XDG_", "LISTEN_", "NOTIFY_SOCKET")


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured.

    Attributes:
        rounds: How often each figure is measured.
        scale: Part of the usual amount of events in each round.
        folder: On the disk that is measured.
    """

    rounds: int
    scale: float
    folder: Path

    def amount(self, usual: int) -> int:
        """Return how many events to use where `usual` is the full amount."""
        return max(100, round(usual * self.scale))


def hide_person() -> None:
    """Take the settings of the person who measures out of the environment."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]


@contextmanager
def workspace(options: Options, name: str) -> Iterator[Path]:
    """Give a folder on the disk that is measured, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=options.folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def eventd(folder: Path, url: str = NOWHERE, *, mutation: str = "", **settings: Any) -> Iterator[Daemon]:
    """Run a daemon with its data in `folder`; it ships to the broker at `url`.

    Args:
        mutation: Python that runs in its process before it starts.
        settings: More of its configuration.
    """
    short = Path(tempfile.mkdtemp(prefix="evb", dir="/tmp"))  # socket paths are short
    daemon = Daemon(short, {"url": url, "log": {"level": "warning"}, **settings}, mutation=mutation)
    daemon.data = folder / "eventd"
    try:
        yield daemon.start()
    except Exception as error:
        error.add_note(daemon.complaint())
        raise
    finally:
        daemon.kill()  # its data goes anyway
        shutil.rmtree(short, ignore_errors=True)


@contextmanager
def shipping(folder: Path, **settings: Any) -> Iterator[tuple[Daemon, NatsServer]]:
    """Run a daemon that is connected to a broker which syncs always, with its default route at least."""
    with (
        NatsServer(folder / "nats", sync_interval="always") as server,
        eventd(folder, server.url, **settings) as daemon,
    ):
        daemon.wait_for(
            lambda status: all(r["connected"] for r in status["routes"] if r["name"] == "default"),
            CONNECT_TIMEOUT,
            what="connected",
        )
        yield daemon, server
