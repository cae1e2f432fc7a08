"""The stage of a benchmark: its folders, a real daemon, a real nats-server; all gone when it is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eventd_ipc.messages import Result, Status
from support.nats import NatsServer
from support.waiting import wait_until

from .load import Client

START_TIMEOUT = 30.0  # seconds until the daemon must take connections
CONNECT_TIMEOUT = 30.0  # seconds until it must have found the broker
STOP_TIMEOUT = 30.0  # seconds from SIGTERM until it must be gone
NOWHERE = "nats://127.0.0.1:1"  # nobody listens there: the broker is away

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


class Daemon:
    """`eventd run` as a process of its own, with fresh data.

    Args:
        folder: For its data; on the disk that is measured.
        url: The NATS server it ships to.
    """

    def __init__(self, folder: Path, url: str = NOWHERE) -> None:
        self._folder = folder
        self._url = url
        self._short = Path(tempfile.mkdtemp(prefix="evb", dir="/tmp"))  # socket paths are short
        self.socket = self._short / "s"
        self.config = folder / "config.yml"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """An environment without settings of the person who measures."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return kept | {"HOME": str(self._folder), "EVENTD_SOCKET": str(self.socket)}

    def __enter__(self) -> Self:
        settings = {
            "url": self._url,
            "dataDir": str(self._folder / "data"),
            "socket": {"path": str(self.socket)},
            "log": {"level": "warning"},
        }
        self._folder.mkdir(parents=True)
        self.config.write_text(json.dumps({"gateway": {"eventStore": settings}}))  # JSON is YAML
        with (self._folder / "eventd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "eventd", "--config", str(self.config), "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._accepts, START_TIMEOUT, what=lambda: f"eventd accepts\n{self.log}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()  # a backlog that nobody waits for
            process.wait(STOP_TIMEOUT)
        shutil.rmtree(self._short, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "eventd.log").read_text(errors="replace")

    def status(self) -> dict[str, Any]:
        """Return the daemon's own account."""
        with Client(self.socket) as client:
            reply = client.ask(Status(1))
        assert isinstance(reply, Result), reply
        return dict(reply.data)

    def wait_connected(self) -> None:
        """Return when every route has its connection to the broker."""
        wait_until(
            lambda: all(route["connected"] for route in self.status()["routes"]),
            CONNECT_TIMEOUT,
            what="connected",
        )

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"eventd ended at once\n{self.log}"
        try:
            Client(self.socket).socket.close()
        except OSError:
            return False
        return True


@contextmanager
def workspace(options: Options, name: str) -> Iterator[Path]:
    """Give a folder on the disk that is measured, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=options.folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def broker(folder: Path, sync_interval: str = "always") -> Iterator[NatsServer]:
    """Run a nats-server with an empty store."""
    with NatsServer(folder, sync_interval=sync_interval) as server:
        yield server
