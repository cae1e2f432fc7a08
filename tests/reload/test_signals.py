"""SIGHUP is told to the service manager from beginning to end; a closed terminal still ends the daemon."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from eventd.config.load import load_file
from eventd.config.settings import Config
from eventd.reload.reloader import Reloader
from eventd.reload.signals import expect_hangup, reload_on_hangup
from eventd.service.notify import Notifier

PATIENCE = 20.0  # seconds; a bound against hanging

# Makes standard input the controlling terminal, as that of a shell is.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["{}", "gateway: {eventStore: {enabledd: 1}}"], ids=["good", "bad"])
async def test_the_manager_is_told(tmp_path: Path, short_tmp: Path, text: str) -> None:
    """Also where the file is bad: `systemctl reload` waits for READY."""
    file = tmp_path / "config.yml"
    file.write_text("{}")
    config = load_file(file)
    file.write_text(text)

    def load(_source: Path | None) -> Config:
        return load_file(file)

    async def apply(_before: Config, _config: Config, _touched: frozenset[Path]) -> None:
        pytest.fail("nothing has changed")

    before = signal.getsignal(signal.SIGHUP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_tmp / "notify"))
        manager.settimeout(PATIENCE)
        try:
            expect_hangup()
            assert expect_hangup() is False  # it is ignored already, as by nohup
            os.kill(os.getpid(), signal.SIGHUP)  # too early, and no reason to end
            async with anyio.create_task_group() as tasks:
                notifier = Notifier(str(short_tmp / "notify"))
                reloader = Reloader(config, load, apply)
                tasks.start_soon(partial(reload_on_hangup, reloader, notifier, ends_with_terminal=False))
                await anyio.wait_all_tasks_blocked()
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGHUP)
                    told = [await anyio.to_thread.run_sync(manager.recv, 4096) for _ in range(2)]
                    assert told[0].startswith(b"RELOADING=1\nMONOTONIC_USEC=")
                    assert told[1] == b"READY=1"
                tasks.cancel_scope.cancel()
        finally:
            signal.signal(signal.SIGHUP, before)


def wait_shown(terminal: int, text: bytes) -> None:
    """Read what is written to a terminal until a text has come."""
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        assert ready, shown.decode(errors="replace")
        shown += os.read(terminal, 4096)


def test_a_closed_terminal_ends_the_daemon(short_tmp: Path) -> None:
    """In order: what it has accepted is kept, its own server is stopped."""
    (short_tmp / "config.yml").write_text("gateway: {eventStore: {url: 'nats://127.0.0.1:1'}}")
    path = short_tmp / "eventd.sock"
    options = ["--config", str(short_tmp / "config.yml"), "--socket", str(path)]
    command = ["-m", "eventd", *options, "run", "--data-dir", str(short_tmp / "data")]
    master, slave = pty.openpty()
    daemon = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, sys.executable, *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        os.close(slave)
        wait_shown(master, b"action=ready")
        daemon.send_signal(signal.SIGHUP)
        wait_shown(master, b"config_unchanged")
        os.close(master)
        assert daemon.wait(PATIENCE) == 0
    finally:
        daemon.kill()
        daemon.wait()
