"""`eventd run`: the daemon in the foreground."""

import dataclasses
import logging
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import __version__
from ..errors import EventdError
from .exits import ExitCode
from .options import file_type, option
from .output import is_terminal, notice
from .place import Place

if TYPE_CHECKING:
    from ..app import ReadyInfo
    from ..config.settings import Config, LogFormat, LogLevel

logger = logging.getLogger(__name__)

EPILOG = """\b
Examples:
  eventd run
  eventd --config ./config.yml run --log-level debug
  eventd --socket /tmp/try/eventd.sock run --data-dir /tmp/try/data
"""


@click.command("run", epilog=EPILOG)
@option(
    "--data-dir", envvar="EVENTD_DATA_DIR", type=file_type, metavar="FOLDER", help="Where everything is kept."
)
@option(
    "--log-level",
    envvar="EVENTD_LOG_LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least important messages that are logged.",
)
@option(
    "--log-format",
    envvar="EVENTD_LOG_FORMAT",
    type=click.Choice(["auto", "human", "json"]),
    help="How log lines look; `auto` suits terminals and the journal.",
)
@option(
    "--welcome/--no-welcome",
    default=None,
    help="Say how to send the first event.  [default: on a terminal]",
)
@click.pass_obj
def command(
    place: Place,
    data_dir: Path | None,
    log_level: "LogLevel | None",
    log_format: "LogFormat | None",
    welcome: bool | None,
) -> ExitCode:
    """Run the daemon in the foreground.

    It needs no config file and no NATS server: without them it runs a server of its own. SIGTERM or Ctrl-C
    end it in order; a second one ends it at once. What was accepted is never lost by that. Options stand
    above the config file.
    """
    from ..app import run
    from ..logs import setup_logging

    def load(source: Path | None) -> "Config":
        config = place.load_config(source)
        return _with_options(config, place.socket, data_dir, log_level, log_format)

    config = load(None)
    setup_logging(config.log.level, config.log.format)
    wanted = is_terminal(sys.stderr) if welcome is None else welcome
    try:
        run(config, load, on_ready=_welcome if wanted else lambda _info: None)
    except EventdError as error:
        if is_terminal(sys.stderr):
            raise
        # For the journal, and for whoever reads our log as JSON: this line matters more than all before it.
        logger.critical("%s", error, extra={"action": "ended_by_error", "hint": error.hint})
        return ExitCode.FAILED
    except Exception:
        logger.critical("a bug has ended eventd", exc_info=True, extra={"action": "ended_by_bug"})
        return ExitCode.FAILED
    return ExitCode.OK


def _with_options(
    config: "Config",
    socket: Path | None,
    data_dir: Path | None,
    log_level: "LogLevel | None",
    log_format: "LogFormat | None",
) -> "Config":
    return dataclasses.replace(
        config,
        data_dir=data_dir.absolute() if data_dir else config.data_dir,
        socket=dataclasses.replace(config.socket, path=socket.absolute() if socket else config.socket.path),
        log=dataclasses.replace(
            config.log, level=log_level or config.log.level, format=log_format or config.log.format
        ),
    )


def _welcome(info: "ReadyInfo") -> None:
    command = f"{typed_command()}{_socket_option(info.socket)}"
    notice(
        f"""
eventd {__version__} is ready.

  socket  {info.socket}
  data    {info.data_dir}
  server  {info.server}
  config  {info.config or "none, the defaults are used"}

Send the first event from another terminal, and see it again:

  {command} emit --type conversation.message.in --text "hello"
  {command} tail

Ctrl-C ends it.
"""
    )


def typed_command() -> str:
    """Return what a person types to run this very `eventd` from where they are."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{_from_here(Path(sys.executable))} -m eventd"
    found = shutil.which(program.name)
    if found is not None and os.path.realpath(found) == os.path.realpath(program):
        return program.name
    return _from_here(program)


def _from_here(path: Path) -> str:
    """Return a path relative to the current folder where it lies below it."""
    path = path.absolute()
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _socket_option(socket: Path) -> str:
    """Return what another terminal, without our environment, has to add to find the socket."""
    from eventd_ipc.paths import SOCKET_VARIABLE, client_sockets

    environ = {name: value for name, value in os.environ.items() if name != SOCKET_VARIABLE}
    return "" if socket in client_sockets(environ=environ) else f" --socket {shlex.quote(str(socket))}"
