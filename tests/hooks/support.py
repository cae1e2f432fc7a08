"""Runs `eventd hook` as a tool does: a process of its own, a file of input, and what it leaves behind."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventd.spool.files import Spool

INPUTS = Path(__file__).with_name("inputs")
GOLDEN = Path(__file__).with_name("golden")
COMMAND = [sys.executable, "-m", "eventd", "hook"]
PATIENT = """
import sys
from eventd.entry import main
from eventd.hooks import command, delivery, given
given.LONGEST = delivery.EVENT_TIME = delivery.CONTEXT_TIME = 20.0
command.HARD = command.HARD_AT_END = 50.0
sys.exit(main())
"""
"""The same with more time for all of it: a busy machine shall not decide what the tests see."""

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
        patient: Whether they wait longer for the daemon than they do for people.
    """

    folder: Path
    socket: Path
    environ: dict[str, str | None] = field(default_factory=dict)
    patient: bool = False

    @property
    def state(self) -> Path:
        return self.folder / "state" / "eventd"

    @property
    def spool(self) -> Spool:
        return Spool(self.environ.get("EVENTD_SPOOL") or str(self.folder / "spool"))

    @property
    def log(self) -> str:
        path = self.state / "hook.log"
        return path.read_text() if path.exists() else ""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", PATIENT, "hook"] if self.patient else COMMAND

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
        with tempfile.TemporaryFile() as file:  # takes 100 MB at once, which subprocess's pipe does not
            file.write(data)
            file.seek(0)
            done = subprocess.run(
                [*self.command, tool],
                stdin=file,
                capture_output=True,
                env=self.variables(**environ),
                timeout=HANGING,
                check=False,
            )
        return Called(done.returncode, done.stdout.decode(), done.stderr.decode())


def inputs(tool: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The recorded inputs of a tool's hooks, by name."""
    for path in sorted((INPUTS / tool.replace("-", "_")).glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def given(tool: str, name: str, **changes: Any) -> dict[str, Any]:
    """One recorded input, changed."""
    return dict(inputs(tool))[name] | changes
