"""Runs the real command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TIMEOUT = 60.0  # seconds; a bound against hanging

COMMAND = [sys.executable, "-m", "eventd"]


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def objects(self) -> list[Any]:
        """What it printed, as one JSON value a line."""
        return [json.loads(line) for line in self.lines]


@dataclass(frozen=True)
class Eventd:
    """Runs `eventd` with the global options given."""

    options: Sequence[str | Path] = ()
    environ: Mapping[str, str] | None = None

    def __call__(self, *args: str | Path, stdin: bytes | None = b"", **environ: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [*COMMAND, *self.options, *args],
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT,
            env=os.environ | environ,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *args: str | Path, **streams: Any) -> "Running":
        """Start a command; standard input, output and error are pipes unless they are given."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return Running(subprocess.Popen([*COMMAND, *self.options, *args], **(pipes | streams)))


class Running:
    """A command that runs; it is killed at the latest at the end of its `with` block."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(TIMEOUT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def write(self, data: bytes) -> None:
        """Write to its standard input at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read_line(self) -> str:
        """Wait for a line of its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def read_error_line(self) -> str:
        """Wait for a line of its standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode().rstrip("\n")

    def interrupt(self) -> Ended:
        """Send Ctrl-C and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> Ended:
        """Close its standard input and wait for the end."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        return Ended(self.process.returncode, out or b"", (err or b"").decode())
