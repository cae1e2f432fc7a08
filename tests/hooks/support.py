"""Runs `eventd hook` as a tool does: a process of its own, a file of input, and what it leaves behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventd.spool.files import Spool

INPUTS = Path(__file__).with_name("inputs")
GOLDEN = Path(__file__).with_name("golden")
COMMAND = [sys.executable, "-m", "eventd", "hook"]
HANGING = 60.0  # seconds after which a call that should be over is taken for one that hangs


@dataclass(frozen=True)
class Called:
    """A call that has ended."""

    code: int
    out: str
    err: str

    @property
    def context(self) -> str | None:
        """The context that it handed over."""
        if not self.out:
            return None
        specific = json.loads(self.out)["hookSpecificOutput"]
        return str(specific["additionalContext"])


@dataclass
class Hooks:
    """The hooks of one user, with a state folder and a spool of their own.

    Attributes:
        environ: Variables of the calls; None takes one away.
    """

    folder: Path
    socket: Path
    environ: dict[str, str | None] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state" / "eventd"

    @property
    def spool(self) -> Spool:
        return Spool(str(self.folder / "spool"))

    @property
    def log(self) -> str:
        path = self.state / "hook.log"
        return path.read_text() if path.exists() else ""

    def variables(self, **more: str | None) -> dict[str, str]:
        """The environment of a call."""
        ours: dict[str, str | None] = {
            "EVENTD_SOCKET": str(self.socket),
            "EVENTD_SPOOL": self.spool.folder,
            "XDG_STATE_HOME": str(self.state.parent),
            "HOME": str(self.folder),
        }
        merged = {**os.environ, **ours, **self.environ, **more}
        return {key: value for key, value in merged.items() if value is not None}

    def __call__(self, tool: str, given: dict[str, Any] | bytes, **environ: str | None) -> Called:
        """Call a hook and wait for its end."""
        data = given if isinstance(given, bytes) else json.dumps(given).encode()
        done = subprocess.run(
            [*COMMAND, tool],
            input=data,
            capture_output=True,
            env=self.variables(**environ),
            timeout=HANGING,
            check=False,
        )
        return Called(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, tool: str, given: dict[str, Any], **environ: str | None) -> subprocess.Popen[bytes]:
        """Start a call; its input is there already, and closed."""
        file = self.folder / f"in-{time.monotonic_ns()}"
        file.write_text(json.dumps(given))
        with file.open("rb") as opened:
            return subprocess.Popen(
                [*COMMAND, tool], stdin=opened, stdout=subprocess.PIPE, env=self.variables(**environ)
            )


def inputs(tool: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The recorded inputs of a tool's hooks, by name."""
    for path in sorted((INPUTS / tool.replace("-", "_")).glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def given(tool: str, name: str, **changes: Any) -> dict[str, Any]:
    """One recorded input, changed."""
    return dict(inputs(tool))[name] | changes
