"""`eventd service`: eventd under systemd or launchd."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .options import option
from .output import notice, print_line
from .place import Place
from .program import program

if TYPE_CHECKING:
    from ..service.installation import Command, Installation, UnitFile

FILE_MODE = 0o644

GROUP_EPILOG = """\b
Examples:
  eventd service install --dry-run     what would be done
  eventd service install
  eventd service status
"""

INSTALL_EPILOG = """\b
Examples:
  eventd service install
  sudo eventd service install --system
  eventd --config ./config.yml service install --dry-run

What you want to be otherwise goes into a drop-in (`systemctl --user edit eventd`): the files themselves are
written anew by each install.
"""

UNINSTALL_EPILOG = """\b
Examples:
  eventd service uninstall
  sudo eventd service uninstall --system --dry-run
"""

STATUS_EPILOG = """\b
Examples:
  eventd service status
  eventd service status --system
"""

form_option = option(
    "--system/--user",
    "is_system",
    default=None,
    help="For all users of the machine, or for this one.  [default: --system as root, else --user]",
)
dry_run_option = option("--dry-run", is_flag=True, help="Only show what would be done.")


@click.group("service", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """Let systemd or launchd run eventd."""


@command.command("install", epilog=INSTALL_EPILOG)
@form_option
@dry_run_option
@click.pass_obj
def install(place: Place, is_system: bool | None, dry_run: bool) -> None:
    """Write the unit files for this very eventd, and start it, now and from now on.

    A second time, it changes only what is not as it has to be.
    """
    installation = installation_for(place, is_system)
    outdated = [file for file in installation.files if not file.is_current()]
    for file in outdated:
        print_line(f"{'replace' if file.path.exists() else 'write'} {file.path}")
        if dry_run:
            print_line("".join(f"    {line}\n" for line in file.text.splitlines()))
        else:
            _write(file)
    _run_all(installation.begin if outdated else installation.resume, dry_run)
    if installation.advice:
        notice(installation.advice)


@command.command("uninstall", epilog=UNINSTALL_EPILOG)
@form_option
@dry_run_option
@click.pass_obj
def uninstall(place: Place, is_system: bool | None, dry_run: bool) -> None:
    """Stop the service and remove its unit files. Events and configuration stay where they are."""
    installation = installation_for(place, is_system)
    present = [file for file in installation.files if file.path.exists()]
    if not present:
        notice("nothing is installed")
        return
    _run_all(installation.stop, dry_run)
    for file in present:
        print_line(f"remove {file.path}")
        if not dry_run:
            file.path.unlink()
    _run_all(installation.forget, dry_run)


@command.command("status", epilog=STATUS_EPILOG)
@form_option
@click.pass_obj
def status(place: Place, is_system: bool | None) -> ExitCode:
    """Show whether the service is installed as it has to be, and how the service manager sees it.

    Fails where something is missing or it does not run. `eventd status` tells how the daemon is.
    """
    installation = installation_for(place, is_system)
    for file in installation.files:
        state = "current" if file.is_current() else "other" if file.path.exists() else "missing"
        print_line(f"{state:8} {file.path}")
    sys.stdout.flush()
    is_running = _run(installation.status) == 0
    is_installed = all(file.is_current() for file in installation.files)
    return ExitCode.OK if is_running and is_installed else ExitCode.FAILED


def installation_for(place: Place, is_system: bool | None) -> "Installation":
    """Return what `install` would install here.

    Raises:
        ServiceError: It cannot be installed so.
    """
    from ..service.installation import Form, for_launchd, for_systemd

    form = Form.SYSTEM if (os.geteuid() == 0 if is_system is None else is_system) else Form.USER
    config = [] if place.config is None else ["--config", str(place.config.absolute())]
    words, socket = [*program(), *config], place.socket.absolute() if place.socket else None
    if sys.platform == "darwin":
        return for_launchd(form, words, socket)
    return for_systemd(form, words, socket, version=_systemd_version())


def _systemd_version() -> int:
    """Return the version of this machine's systemd; 0 where it does not say."""
    from ..service.installation import ASK_VERSION, systemd_version

    try:
        answer = subprocess.run(ASK_VERSION, capture_output=True, text=True, check=False)  # noqa: S603 - as below
    except OSError:
        return 0  # what has to be run says so in its turn
    return systemd_version(answer.stdout)


def _write(file: "UnitFile") -> None:
    """Write a file as a whole, or not at all."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.path.with_name(f"{file.path.name}.new")
    fresh.write_text(file.text, encoding="utf-8")
    fresh.chmod(FILE_MODE)
    fresh.replace(file.path)


def _run_all(commands: "tuple[Command, ...]", dry_run: bool) -> None:
    """Show and run commands, up to the first that fails."""
    for each in commands:
        print_line(f"run {each}")
        if dry_run:
            continue
        sys.stdout.flush()  # what it prints comes after
        if (code := _run(each)) and not each.may_fail:
            raise click.ClickException(f"`{each}` failed ({code}); once that works, do this again")


def _run(each: "Command") -> int:
    try:
        return subprocess.run(each.words, check=False).returncode  # noqa: S603 - no shell, words of ours
    except FileNotFoundError:
        raise click.ClickException(f"there is no {each.words[0]} here to run `{each}`") from None
