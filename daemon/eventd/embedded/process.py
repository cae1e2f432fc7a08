"""A child process that cannot outlive the daemon, seen from the daemon; `guard` is the other half."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, STDOUT

import anyio
import anyio.abc

from . import guard

MAX_LINE = 8 * 1024  # bytes; what a longer line has before its last so many is dropped
INHERITED = ("GOMAXPROCS", "GOMEMLIMIT", "HOME", "LANG", "PATH", "TMPDIR")  # no secret of ours is in these

PARENT_DEATH_SIGNAL = sys.platform == "linux"
"""Whether the kernel ends the child; elsewhere a process in between does, at the end of file of a pipe."""


class GuardedProcess:
    """A running child: its output, its end, and the ways to bring it about.

    Attributes:
        pid: The child; where the kernel has no parent-death signal, the process that guards it.
    """

    def __init__(self, process: anyio.abc.Process, liveness: int | None) -> None:
        if process.stdout is None:
            raise TypeError("the output of a guarded process is a pipe")
        self._process = process
        self._output = process.stdout
        self._liveness = liveness
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: its status, or minus the signal's number; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until it has ended."""
        return await self._process.wait()

    async def read_lines(self, take: Callable[[str], None]) -> None:
        """Hand each line of its output and error output to `take`, until it closes them."""
        rest = b""
        async for chunk in self._output:
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-MAX_LINE:]
            for line in lines:
                take(line.decode(errors="replace"))
        if rest:
            take(rest.decode(errors="replace"))

    async def stop(self, timeout: float) -> None:
        """End it: SIGTERM, and SIGKILL when it has not ended after `timeout` seconds. Not cancellable."""
        with anyio.CancelScope(shield=True):
            if self.returncode is None:
                self._process.terminate()
                with anyio.move_on_after(timeout):
                    await self.wait()
            self.release()
            await self.wait()

    def release(self) -> None:
        """Let go of it: what still runs is killed."""
        if self._liveness is not None:
            os.close(self._liveness)  # the guard kills; killing the guard would orphan the child
            self._liveness = None
        elif PARENT_DEATH_SIGNAL and self.returncode is None:
            self._process.kill()


@asynccontextmanager
async def guarded_process(
    command: Sequence[str | Path], *, pass_fds: Sequence[int] = ()
) -> AsyncIterator[GuardedProcess]:
    """Start a child that ends with this process, however this process ends; on leaving it is killed.

    The child leads its own session, so that Ctrl-C in a terminal reaches the daemon alone.

    Args:
        command: The program (an absolute path) and its arguments.
        pass_fds: Descriptors that stay open in the child.

    Raises:
        OSError: The system cannot start it.
    """
    held, liveness = (None, None) if PARENT_DEATH_SIGNAL else os.pipe()
    try:
        mode = ["exec", str(os.getpid())] if held is None else ["watch", str(held)]
        with anyio.CancelScope(shield=True):  # never a child that nobody knows of
            process = await anyio.open_process(
                [sys.executable, "-I", "-S", guard.__file__, *mode, "--", *map(str, command)],
                stdin=DEVNULL,
                stderr=STDOUT,
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
                start_new_session=True,
                pass_fds=[*pass_fds, *([] if held is None else [held])],
            )
    except BaseException:
        if liveness is not None:
            os.close(liveness)
        raise
    finally:
        if held is not None:
            os.close(held)
    child = GuardedProcess(process, liveness)
    try:
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            child.release()
            await child.wait()
            await process.aclose()


def describe_exit(returncode: int) -> str:
    """Say how a process ended, for a person."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
