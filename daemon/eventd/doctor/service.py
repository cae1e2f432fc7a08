"""The service: whether its files are there and current, and whether the service manager runs it."""

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..service.installation import SERVICE, Installation, UnitFile
from .model import Finding, Findings, Level
from .visit import Visit

TIMEOUT = 5.0  # seconds for the service manager

TITLE = "service"
_NO_MANAGER = 127


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way in which eventd may be installed as a service here.

    Attributes:
        form: `user` or `system`.
        options: Which other options of `install` give what is installed: the first one that fits counts.
    """

    form: str
    options: Sequence[Installation]


Candidates = Callable[[Path | None, Path | None], Sequence[Candidate]]
"""Returns what may be installed, for the config file and the socket that the daemon says it uses."""


def examine_service(candidates: Sequence[Candidate], visited: Visit) -> Findings:
    """Look at the files of every form that has any, and ask the manager how it sees the service."""
    installed = [each for each in candidates if any(f.path.exists() for f in _files(each))]
    if not installed:
        text = "not installed: eventd runs only as long as somebody runs it"
        return [Finding("service.installed", Level.NOTE, TITLE, text, "`eventd service install`")]
    return [finding for each in installed for finding in _installed(each, visited)]


def _files(candidate: Candidate) -> Sequence[UnitFile]:
    return candidate.options[0].files if candidate.options else ()


def _installed(candidate: Candidate, visited: Visit) -> Iterator[Finding]:
    install = f"eventd service install --{candidate.form}"
    try:
        current = next((one for one in candidate.options if all(f.is_current() for f in one.files)), None)
        others = [str(f.path) for f in _files(candidate) if not f.is_current()]
        program = _program(_files(candidate))
    except OSError as error:
        text = f"this user may not read {error.filename}"
        yield Finding("service.installed", Level.NOTE, TITLE, text, made=False)
        return
    check = "service.installed"
    if program is not None and shutil.which(program) is None:
        yield Finding(
            check,
            Level.PROBLEM,
            TITLE,
            f"the {candidate.form} service starts {program}, which is not there",
            install,
        )
    elif current is None:
        yield Finding(
            check, Level.WARNING, TITLE,
            f"{', '.join(others)}: not as this eventd would install it"
            + (f" (it starts {program})" if program else ""),
            f"`{install}` with the --config and --socket that you want; `--dry-run` shows it",
        )  # fmt: skip
    else:
        yield Finding(check, Level.OK, TITLE, f"installed for the {candidate.form}, and current")
    yield from _state(candidate, current or candidate.options[0], visited)


def _state(candidate: Candidate, installation: Installation, visited: Visit) -> Iterator[Finding]:
    check, title = "service.runs", TITLE
    code = _run(installation.status.words)
    if code == 0:
        yield Finding(check, Level.OK, title, "the service manager runs it")
    elif code == _NO_MANAGER:
        yield Finding(
            check, Level.NOTE, title, f"there is no {installation.status.words[0]} here to ask", made=False
        )
    elif visited.welcome is not None:
        text = "eventd runs, but the service manager does not run it: after a reboot it may not come back"
        remedy = f"stop the other one, then `eventd service install --{candidate.form}`"
        yield Finding(check, Level.WARNING, title, text, remedy)
    else:
        yield Finding(
            check, Level.PROBLEM, title, "installed, but it does not run",
            f"`{installation.status}` says why; `eventd service install --{candidate.form}` starts it",
        )  # fmt: skip


def _run(words: Sequence[str]) -> int:
    """Return the exit status of a command that only looks; what it prints is for nobody."""
    try:
        return subprocess.run(  # noqa: S603 - no shell, words of ours
            words, check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ).returncode  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return _NO_MANAGER


def _program(files: Sequence[UnitFile]) -> str | None:
    """Return what the installed unit starts, where that can be told."""
    unit = next((file.path for file in files if file.path.name == SERVICE and file.path.exists()), None)
    if unit is None:
        return None
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("ExecStart="):
            try:
                words = shlex.split(line.partition("=")[2])
            except ValueError:
                return None
            # systemd's own escapes and `%h` are not for us to resolve.
            return words[0] if words and words[0].startswith("/") and "%" not in words[0] else None
    return None
