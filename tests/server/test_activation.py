"""Socket activation: what systemd hands over is taken as it is, or refused in words."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventd_ipc.blocking import connect
from support.daemon import HAND_OVER, Daemon
from support.processes import end, start_tied
from support.waiting import wait_until

NO_SERVER = "nats://127.0.0.1:9"  # the discard port: nobody listens
ACTIVATE = shutil.which("systemd-socket-activate")

# Prints the path, whether programs that are started would get the socket, and what is left of the variables.
TAKE = """
import os, sys
from eventd.server.activation import path_of, take_socket
from eventd.server.listener import ListenError
try:
    taken = take_socket()
except ListenError as error:
    print("refused:", error, "/", error.hint)
else:
    print(taken and path_of(taken), taken and taken.get_inheritable())
print(*(name for name in os.environ if name.startswith("LISTEN_")))
"""


@pytest.fixture
def listening(short_tmp: Path) -> Iterator[socket.socket]:
    """What systemd makes of `ListenStream=`."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(short_tmp / "s"))
        bound.listen(1024)
        yield bound


def taken(*descriptors: int, **environ: str) -> list[str]:
    """Let a process take what is handed over; return what it says."""
    hand_over = ["-c", HAND_OVER, ",".join(map(str, descriptors)), sys.executable] if descriptors else []
    done = subprocess.run(
        [sys.executable, *hand_over, "-c", TAKE],
        pass_fds=descriptors,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout.splitlines()


def test_the_socket_is_taken_and_kept_for_us(listening: socket.socket) -> None:
    """Where it is, is known; variables and descriptor do not get to the programs that the daemon starts."""
    assert taken(listening.fileno()) == [f"{listening.getsockname()} False", ""]


@pytest.mark.parametrize(
    "variables",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_PID": "1"}],
)
def test_what_is_meant_for_another_process_is_not_touched(variables: dict[str, str]) -> None:
    """The daemon then makes its own socket; the variables go all the same."""
    assert taken(**variables) == ["None None", ""]


def test_more_than_one_is_refused(listening: socket.socket) -> None:
    """Nobody could tell which one is meant."""
    said, left = taken(listening.fileno(), listening.fileno())
    assert "2 were handed over: eventd" in said
    assert "ListenStream=" in said
    assert not left


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("file", "not a socket"),
        ("tcp", "AF_INET"),
        ("datagram", "SOCK_DGRAM"),
        ("silent", "not listening"),
        ("abstract", "without a path"),
    ],
)
def test_anything_else_is_refused_in_words(short_tmp: Path, kind: str, fault: str) -> None:
    """A mistake in a unit shows at the start, and not as clients that cannot connect."""
    if kind == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    with ExitStack() as stack:
        if kind == "file":
            descriptor = stack.enter_context((short_tmp / "f").open("w")).fileno()
        else:
            family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
            made = stack.enter_context(
                socket.socket(family, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
            )
            if kind == "abstract":
                made.bind(f"\0eventd-test-{os.getpid()}")
                made.listen()
            descriptor = made.fileno()
        said, left = taken(descriptor)
    assert said.startswith("refused: ")
    assert "descriptor 3 (eventd)" in said
    assert fault in said
    assert not left


def test_a_daemon_serves_the_socket_and_leaves_it_behind(short_tmp: Path, listening: socket.socket) -> None:
    """Wherever it is; its log and its status say so. Whoever connects meanwhile waits for the next start."""
    daemon = Daemon(short_tmp / "d", {"url": NO_SERVER}, handed=[listening.fileno()])
    daemon.socket = Path(listening.getsockname())
    with daemon:
        assert daemon.status()["socket"] == str(daemon.socket)
        assert "socket_handed_over" in daemon.log_text
        assert daemon.stop() == 0, daemon.complaint()
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(str(daemon.socket))
            daemon.start()


def test_a_socket_that_the_configuration_places_elsewhere_is_told(
    short_tmp: Path, listening: socket.socket
) -> None:
    """Commands with this configuration would look for the daemon where it is not."""
    settings = {"url": NO_SERVER, "socket": {"path": str(short_tmp / "other")}}
    daemon = Daemon(short_tmp / "d", settings, handed=[listening.fileno()])
    daemon.launch()
    wait_until(lambda: '"ready"' in daemon.log_text, 30.0, what=daemon.complaint)
    assert "socket_elsewhere" in daemon.log_text
    assert daemon.stop() == 0, daemon.complaint()


def test_a_wrong_descriptor_keeps_the_daemon_from_starting(short_tmp: Path) -> None:
    """It ends with an error, and without a traceback."""
    with (short_tmp / "f").open("w") as file:
        daemon = Daemon(short_tmp / "d", {"url": NO_SERVER}, handed=[file.fileno()]).launch()
        assert daemon.wait_end() == 1
    assert "the descriptor 3 (eventd) that was handed over is not a socket" in daemon.log_text
    assert "Traceback" not in daemon.log_text


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
def test_systemd_itself_starts_the_daemon_at_the_first_connection(short_tmp: Path) -> None:
    """The client that woke it up is answered."""
    assert ACTIVATE is not None
    path, log = short_tmp / "s", short_tmp / "log"
    environ = f"--setenv=EVENTD_CONFIG={_config(short_tmp)}"
    with log.open("wb") as output:
        process = start_tied(
            [ACTIVATE, f"--listen={path}", "--fdname=eventd", environ, sys.executable, "-m", "eventd", "run"],
            output,
        )
    try:
        wait_until(path.is_socket, what=log.read_text)
        with connect("test", socket=path, timeout=30.0) as client:
            assert client.status()["pid"] == process.pid
        assert "socket_handed_over" in log.read_text()
    finally:
        assert end(process, signal.SIGTERM, 30.0) == 0, log.read_text()


def _config(folder: Path) -> Path:
    path = folder / "config.yml"
    settings = {"url": NO_SERVER, "dataDir": str(folder / "data"), "log": {"format": "json"}}
    path.write_text(json.dumps({"gateway": {"eventStore": settings}}))
    path.chmod(0o600)
    return path
