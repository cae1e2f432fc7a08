"""Processes of tests: started so that they never outlive pytest, and looked at from outside."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO

Process = subprocess.Popen[bytes]

STOP_TIMEOUT = 10.0  # seconds from a signal until the process must be gone

# Ends the program together with pytest, even when that is killed. (macOS has no such signal; there
# the fixtures' teardown is all.) The check after prctl closes the race with a parent that just died.
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def start_tied(
    command: Sequence[str | Path],
    output: IO[bytes],
    env: Mapping[str, str] | None = None,
    *,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program (an absolute path and its arguments) that ends at the latest when pytest does.

    It leads its own session, so that Ctrl-C reaches pytest alone. The parent-death signal is sent when
    the *thread* that forked ends, and `to_thread.run_sync` retires its threads with the loop; so a thread
    that lives as long as pytest does the forking.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]

    def start() -> Process:
        return subprocess.Popen(
            [*launcher, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    if threading.current_thread() is threading.main_thread():
        return start()
    return _starter().submit(start).result()


def end(process: Process, number: signal.Signals, timeout: float = STOP_TIMEOUT) -> int:
    """Send a signal and return the exit status; one that has ended already is left alone.

    Raises:
        TimeoutExpired: It went on for `timeout` seconds, and was killed.
    """
    process.send_signal(number)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT)
        raise


def pause(process: Process) -> None:
    """Freeze it (SIGSTOP); returns once every thread of it stands still."""
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it ended instead of pausing"


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and only waits for its parent to notice does not."""
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    state = listing.stdout.strip()
    return bool(state) and not state.startswith(b"Z")


@cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")
