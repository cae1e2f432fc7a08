"""A real daemon for tests: a process of its own that is started, killed, frozen and asked how it is."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from eventd_ipc.blocking import connect
from eventd_ipc.errors import EventdClientError

from .jetstream import JetStream
from .processes import Process, end, pause, start_tied
from .waiting import wait_until

READY_TIMEOUT = 30.0  # seconds until it must answer
STATUS_INTERVAL = 0.05  # seconds between two looks
STATUS_TIMEOUT = 10.0  # seconds for one answer
SETTLE_TIMEOUT = 90.0  # seconds until something must have come true; a bound against hanging
LOG_TAIL = 4000  # characters of the log that a failure shows

STALL_SHOWN = 30.0  # seconds: G6, a stall shows in status within it
STALL_HEALED = 60.0  # seconds: G6, it is over that soon after its cause went away

_ENTRY = "import sys; from eventd.cli.main import main; sys.exit(main())"

# Hands descriptors over as systemd does: from 3 on, said to be for the process that the program becomes.
HAND_OVER = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
aside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for fd in set(fds):
    os.close(fd)
for number, fd in enumerate(aside, 3):
    os.dup2(fd, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": "eventd"}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Daemon:
    """One eventd with a folder of its own; it keeps its data and its socket over restarts.

    Args:
        folder: Where config, data, log and socket live; a short path. Made if absent.
        settings: What stands under `gateway.eventStore`, in the config file's own words.
        mutation: Python that runs in the process before eventd does, to break it on purpose.
        environ: Variables that it has beside ours.
        handed: Descriptors that it gets as systemd's socket units hand theirs over; they stay ours.

    Attributes:
        socket: Where it listens.
        data: Its data folder; may be changed before the first start.
        settings: May be changed while it is down.
        crashes_expected: Whether a traceback in its log is part of the test.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        mutation: str = "",
        environ: Mapping[str, str] | None = None,
        handed: Sequence[int] = (),
    ) -> None:
        self.folder = folder
        self.socket = folder / "s" / "eventd.sock"
        self.data = folder / "data"
        self.settings = settings
        self.mutation = mutation
        self.environ = dict(environ or {})
        self.handed = handed
        self.crashes_expected = bool(mutation)
        self._process: Process | None = None

    @property
    def config(self) -> Path:
        """Its config file."""
        return self.folder / "config.yml"

    def write_config(self) -> None:
        """Write the settings into the config file, as editors do: another file takes its place."""
        settings = {"dataDir": str(self.data), "log": {"format": "json"}} | self.settings
        new = self.folder / "config.new"
        new.write_text(json.dumps({"gateway": {"eventStore": settings}}))  # JSON is YAML
        new.chmod(0o600)
        new.replace(self.config)

    def reconfigure(self, **settings: Any) -> dict[str, Any]:
        """Change settings while it runs, and return what it says came of it. None removes one."""
        self.settings = {key: value for key, value in (self.settings | settings).items() if value is not None}
        self.write_config()
        return self.reload()

    def reload(self) -> dict[str, Any]:
        """Ask it to take over its configuration; return what it says came of it."""
        with connect("test", socket=self.socket, token=self.admin_token, timeout=STATUS_TIMEOUT) as client:
            outcome: dict[str, Any] = client.reload()
        return outcome

    @property
    def pid(self) -> int | None:
        """The process, or None while it is down."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process lives (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    @property
    def outbox(self) -> Path:
        """The outbox's database."""
        return self.data / "outbox.db"

    @property
    def admin_token(self) -> str | None:
        """The administrator's token, once it has been made. Where there are no rules, nobody looks at it."""
        path = self.data / "admin.token"
        return path.read_text().strip() if path.exists() else None

    @property
    def log_text(self) -> str:
        """Everything it has logged since the first start."""
        path = self.folder / "eventd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def launch(self, *, write_config: bool = True) -> Self:
        """Start the process and return at once; the config is written anew, if nothing else is said."""
        assert not self.running, "it is running already"
        self.folder.mkdir(parents=True, exist_ok=True)
        if write_config:
            self.write_config()
        command = ["-c", f"{self.mutation}\n{_ENTRY}"] if self.mutation else ["-m", "eventd"]
        options = ["--config", str(self.config), "--socket", str(self.socket), "run"]
        if self.handed:
            command = ["-c", HAND_OVER, ",".join(map(str, self.handed)), sys.executable, *command]
        with (self.folder / "eventd.log").open("ab") as log:
            self._process = start_tied(
                [sys.executable, *command, *options], log, os.environ | self.environ, pass_fds=self.handed
            )
        return self

    def start(self, *, write_config: bool = True) -> Self:
        """Start it and return when it answers."""
        return self.launch(write_config=write_config).wait_ready()

    def wait_ready(self) -> Self:
        """Return when it answers."""
        self.wait_for(lambda status: True, READY_TIMEOUT, what="it answers")
        return self

    def kill(self) -> None:
        """Kill it (SIGKILL); nothing happens when it is down."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)

    def stop(self, timeout: float = 30.0) -> int:
        """Stop it in order (SIGTERM) and return its exit status."""
        assert self._process is not None, "it was never started"
        return end(self._process, signal.SIGTERM, timeout)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.pid is not None, "it is not running"
        os.kill(self.pid, number)

    def wait_end(self, timeout: float = 30.0) -> int:
        """Wait until it ends and return its exit status."""
        assert self._process is not None, "it was never started"
        return self._process.wait(timeout)

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        assert self._process is not None, "it was never started"
        pause(self._process)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.send(signal.SIGCONT)

    def restart(self, *, kill: bool = False) -> Self:
        """Stop or kill it and start it again."""
        if kill:
            self.kill()
        else:
            assert self.stop() == 0, self.complaint()
        return self.start()

    def status(self) -> dict[str, Any]:
        """Ask it how it is.

        Raises:
            EventdClientError: It does not answer.
        """
        token = self.admin_token
        with connect("test", socket=self.socket, token=token, timeout=STATUS_TIMEOUT, patience=0) as client:
            document: dict[str, Any] = client.status()
        return document

    def health(self) -> str:
        """Return its one word about itself."""
        return str(self.status()["health"]["state"])

    def route(self, name: str = "default") -> dict[str, Any]:
        """Return what it says about a route."""
        return next(route for route in self.status()["routes"] if route["name"] == name)

    def embedded_streams(self) -> JetStream:
        """Return the streams of the server that it runs itself."""
        folder = Path(self.settings.get("embedded", {}).get("storeDir", self.data / "embedded"))
        seed = (folder / "client.nk").read_text().strip()
        return JetStream(f"nats://127.0.0.1:{self.status()['embedded']['port']}", nkeys_seed_str=seed)

    def wait_for(
        self, condition: Callable[[dict[str, Any]], object], timeout: float = SETTLE_TIMEOUT, *, what: str
    ) -> dict[str, Any]:
        """Wait until its status meets a condition, and return that status.

        Raises:
            AssertionError: It does not come true in time, or the daemon ended.
        """
        last: dict[str, Any] = {}

        def met() -> dict[str, Any] | None:
            nonlocal last
            assert self.running, f"eventd ended\n{self.complaint()}"
            try:
                last = self.status()
            except EventdClientError as error:
                last = {"no answer": str(error)}
                return None
            return last if condition(last) else None

        found: dict[str, Any] = wait_until(
            met, timeout, what=lambda: f"{what}\n{last}\n{self.complaint()}", interval=STATUS_INTERVAL
        )
        return found

    def wait_shipped(self, timeout: float = SETTLE_TIMEOUT) -> dict[str, Any]:
        """Wait until nothing is waiting in its outbox."""
        return self.wait_for(lambda status: not status["outbox"]["rows"], timeout, what="all is shipped")

    def wait_troubled(self, timeout: float = STALL_SHOWN) -> dict[str, Any]:
        """Wait until it says that it is not well; the bound is G6's."""
        return self.wait_for(lambda status: status["health"]["state"] != "ok", timeout, what="trouble shows")

    def wait_healed(self, timeout: float = STALL_HEALED) -> dict[str, Any]:
        """Wait until it is well and has shipped everything; the bound is G6's."""
        return self.wait_for(
            lambda status: status["health"]["state"] == "ok" and not status["outbox"]["rows"],
            timeout,
            what="it is well again",
        )

    def complaint(self) -> str:
        """Return the end of the log, for a failure."""
        return self.log_text[-LOG_TAIL:]

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


DaemonFactory = Callable[..., Daemon]
"""The fixture `daemon_factory`."""
