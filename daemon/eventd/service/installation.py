"""What a service manager needs of eventd: files for this very installation, and what it is told, in order.

Nothing is written or run here; `eventd service` does that, or only shows it.
"""

import os
import plistlib
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import EventdError

PACKAGED = Path(__file__).parent / "units"  # in an installed wheel
CHECKOUT = Path(__file__).parents[3]  # beside the code, where it is worked on

SERVICE = "eventd.service"
SOCKET = "eventd.socket"
SYSUSERS = "eventd.sysusers"
LABEL = "dev.openclaw.eventd"
LAUNCHD_LOG = '"$HOME/Library/Logs/eventd.log"'  # for a shell

ASK_VERSION = ("systemctl", "--version")
NOTIFY_RELOAD = 253  # the first systemd that knows Type=notify-reload
_VERSION = re.compile(r"systemd (\d+)")  # how its answer begins

UNFIT = frozenset("'\"\\$")  # systemd takes these in arguments, but not in the path of a program
ENV = "/usr/bin/env"  # starts such a program, by an argument

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_USERS = Path("/etc/sysusers.d/eventd.conf")
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What `ProtectHome=` hides from the system service."""


class ServiceError(EventdError):
    """eventd cannot be installed as the service that was asked for."""


class Form(StrEnum):
    """Whose service it is."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file, as it has to be."""

    path: Path
    text: str

    def is_current(self) -> bool:
        """Whether it is there with this text."""
        return self.path.is_file() and self.path.read_text(encoding="utf-8") == self.text


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is run.

    Attributes:
        may_fail: Whether its failure only says that there was nothing to do.
    """

    words: tuple[str, ...]
    may_fail: bool = False

    def __str__(self) -> str:
        return shlex.join(self.words)


@dataclass(frozen=True, slots=True)
class Installation:
    """A service: its files, and what is run at each occasion.

    Attributes:
        begin: After the files were written or changed; starts it, or starts it anew.
        resume: When the files are as they have to be; starts it where it does not run.
        stop: Before the files are removed; it does not start any more.
        forget: After that.
        status: Shows how it is, and fails when it does not run.
        advice: What else a person may want to do.
    """

    files: tuple[UnitFile, ...]
    begin: tuple[Command, ...]
    resume: tuple[Command, ...]
    stop: tuple[Command, ...]
    forget: tuple[Command, ...]
    status: Command
    advice: str = ""


def systemd_version(answer: str) -> int:
    """Return the version in the answer to `ASK_VERSION`; 0 where it is none."""
    match = _VERSION.match(answer)
    return int(match[1]) if match else 0


def for_systemd(
    form: Form,
    program: Sequence[str],
    socket: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    version: int = 0,
) -> Installation:
    """Return the installation for systemd.

    Args:
        program: The words before `run` that start this eventd; the first is an absolute path.
        socket: Where clients shall find it, instead of where they look by themselves.
        version: Of the systemd that is to run it; 0 stands for any.

    Raises:
        ServiceError: The system service could not see this eventd.
    """
    is_system = form is Form.SYSTEM
    if is_system:
        _refuse_homes(program)
    words = [*program, "run"]
    if set(program[0]) & UNFIT:
        words.insert(0, ENV)
    start = " ".join(_quoted(word) for word in words)
    source = "systemd" if is_system else "systemd/user"
    service = _with_setting(_source(f"{source}/{SERVICE}"), "ExecStart", start)
    if version >= NOTIFY_RELOAD:
        service = _with_setting(service, "Type", "notify-reload")
        service = _with_setting(service, "ExecReload", None)  # or it would be signalled twice
    unit = _source(f"{source}/{SOCKET}")
    if socket is not None:
        unit = _with_setting(unit, "ListenStream", str(socket).replace("%", "%%"))
    folder = SYSTEM_UNITS if is_system else _user_units(environ)
    files = [UnitFile(folder / SERVICE, service), UnitFile(folder / SOCKET, unit)]
    ctl = ("systemctl",) if is_system else ("systemctl", "--user")
    reload = Command((*ctl, "daemon-reload"))
    load: tuple[Command, ...] = (reload,)
    if is_system:
        files.insert(0, UnitFile(SYSTEM_USERS, _source(f"systemd/{SYSUSERS}")))
        load = (Command(("systemd-sysusers", str(SYSTEM_USERS))), reload)
    return Installation(
        files=tuple(files),
        begin=(
            *load,
            Command((*ctl, "enable", SERVICE, SOCKET)),
            Command((*ctl, "restart", SOCKET, SERVICE)),
        ),
        resume=(*load, Command((*ctl, "enable", "--now", SOCKET, SERVICE))),  # that may have failed earlier
        stop=(Command((*ctl, "disable", "--now", SERVICE, SOCKET), may_fail=True),),
        forget=(reload,),
        status=Command((*ctl, "--no-pager", "status", SERVICE, SOCKET)),
        advice="who is to use it becomes a member of the group eventd: usermod -aG eventd NAME"
        if is_system
        else "to keep it running while nobody is logged in: loginctl enable-linger",
    )


def for_launchd(form: Form, program: Sequence[str], socket: Path | None = None) -> Installation:
    """Return the installation for launchd; arguments as for `for_systemd`.

    Raises:
        ServiceError: It is not to be for this user.
    """
    if form is not Form.USER:
        raise ServiceError(
            "there is no system form for launchd",
            hint="install it for each user: eventd service install --user",
        )
    job = plistlib.loads(_source(f"launchd/{LABEL}.plist").encode())
    options = () if socket is None else ("--socket", str(socket))
    start = shlex.join([*program, *options, "run"])
    job["ProgramArguments"] = ["/bin/sh", "-c", f"exec {start} 2>>{LAUNCHD_LOG}"]
    path = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    domain = f"gui/{os.getuid()}"
    load = ("launchctl", "bootstrap", domain, str(path))
    unload = Command(("launchctl", "bootout", f"{domain}/{LABEL}"), may_fail=True)
    return Installation(
        files=(UnitFile(path, plistlib.dumps(job, sort_keys=False).decode()),),
        begin=(unload, Command(load)),
        resume=(Command(load, may_fail=True),),  # it fails where it is loaded, and so runs, already
        stop=(unload,),
        forget=(),
        status=Command(("launchctl", "print", f"{domain}/{LABEL}")),
        advice="its log is ~/Library/Logs/eventd.log",
    )


def _source(name: str) -> str:
    """Return one of the files that come with eventd."""
    for base in (PACKAGED, CHECKOUT):
        if (path := base / name).is_file():
            return path.read_text(encoding="utf-8")
    raise ServiceError(f"this installation of eventd lacks {name}", hint="install eventd anew")


def _with_setting(unit: str, name: str, value: str | None) -> str:
    """Return a unit with another value for the one setting of that name, or without it."""
    line = "" if value is None else f"{name}={value}\n"
    text, count = re.subn(rf"^{name}=.*\n", lambda _: line, unit, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{count} settings {name}=")
    return text


def _quoted(word: str) -> str:
    """Return a word of a command line as systemd.service(5) reads it."""
    word = word.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII) else f'"{word}"'


def _user_units(environ: Mapping[str, str]) -> Path:
    """Return where systemd looks for a user's own units."""
    named = environ.get("XDG_CONFIG_HOME")
    return (Path(named) if named else Path.home() / ".config") / "systemd" / "user"


def _refuse_homes(program: Sequence[str]) -> None:
    """Raise where the program, its interpreter or a file that it is given would not be there for it."""
    named = [Path(word) for word in (*program, sys.executable) if word.startswith("/")]
    for place in (*named, *(place.resolve() for place in named)):
        if any(place.is_relative_to(home) for home in HOMES):
            raise ServiceError(
                f"the system service has no access to homes, and {place} is in one",
                hint="pipx install --global 'openclaw-eventd[embedded]'; it reads /etc/eventd/config.yml",
            )
