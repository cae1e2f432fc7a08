"""Runs the real command in a process of its own."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from eventd_ipc.messages import StoredEvent
from ipc.support.scripted import ScriptedServer
from support.waiting import wait_until

TIMEOUT = 60.0  # seconds until a command must have ended; a bound against hanging
LINE_TIMEOUT = 20.0  # seconds until a line that is waited for must have come; likewise

_END = b"\x04the end\x04"

Stream = int | IO[bytes]

BODY = b'{"id":"%d","agent":"main","session":"s","type":"note","payload":{"data":{"text":"hi"}}}'

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

    def start(
        self,
        *args: str | Path,
        stdin: Stream = subprocess.PIPE,
        stdout: Stream = subprocess.PIPE,
        stderr: Stream = subprocess.PIPE,
    ) -> "Running":
        """Start a command and return at once."""
        command = [*COMMAND, *self.options, *args]
        return Running(subprocess.Popen(command, bufsize=0, stdin=stdin, stdout=stdout, stderr=stderr))


class Terminal:
    """A terminal that somebody looks at: all that is drawn on it is read at once.

    Attributes:
        fd: What the command is given as its input, output or error.
    """

    def __init__(self) -> None:
        self._ours, self.fd = pty.openpty()
        self._drawn = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def type(self, text: str) -> None:
        """Type on it."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text has been drawn."""
        wait_until(lambda: text in self._drawn.decode(errors="replace"), TIMEOUT, what=f"{text!r} is drawn")

    def close(self) -> str:
        """Return all that was drawn, when no command uses it any more."""
        if self._reader.is_alive():
            os.write(self.fd, _END)
            self._reader.join(TIMEOUT)
            os.close(self.fd)
            os.close(self._ours)
        return bytes(self._drawn).removesuffix(_END).decode(errors="replace")

    def _read(self) -> None:
        while not self._drawn.endswith(_END):
            self._drawn += os.read(self._ours, 65536)


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
        """Write to its standard input."""
        assert self.process.stdin is not None
        while data:
            data = data[self.process.stdin.write(data) :]

    def read_line(self) -> str:
        """Wait for a line of its standard output."""
        return self._line(self.process.stdout)

    def read_error_line(self) -> str:
        """Wait for a line of its standard error."""
        return self._line(self.process.stderr)

    def _line(self, stream: IO[bytes] | None) -> str:
        assert stream is not None
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([stream], [], [], LINE_TIMEOUT)
            assert readable, f"nothing came after {line!r}"
            data = stream.read(1)
            assert data, f"the end came after {line!r}"
            line += data
        return line.decode().removesuffix("\n")

    def interrupt(self) -> Ended:
        """Send Ctrl-C and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> Ended:
        """Close its standard input and wait for the end."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        return Ended(self.process.returncode, out or b"", (err or b"").decode())


def note(request: int, seq: int, *, stream: str = "events", time: int | None = None) -> StoredEvent:
    """Return a reply with a stored event whose id is its sequence."""
    at = 1700000000000 + seq if time is None else time
    return StoredEvent(request, stream, seq, "openclaw.events.main.note", at, BODY % seq)


def asked(server: ScriptedServer, kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return what was asked for: the keys that have another value than their default."""
    requests = [request for request in server.requests if isinstance(request, kind)]
    return [
        {
            field.name: value
            for field in msgspec.structs.fields(kind)
            if field.name not in ("id", "credit")
            and (value := getattr(request, field.name)) not in (field.default, [])
        }
        for request in requests
    ]
