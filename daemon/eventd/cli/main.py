"""The root of the command line: global options, the table of commands, and how they end."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from .. import __version__
from .exits import ExitCode, Outcome, outcome_of
from .lazy import LazyGroup
from .options import file_type, option
from .output import discard_output, is_terminal, notice, printable
from .place import Place

COMMANDS: Final = {
    "run": "Run the daemon in the foreground.",
    "init": "Write a config file with every setting explained.",
    "config": "Check the config file, or show what is in effect.",
    "emit": "Store an event, or many from standard input.",
    "status": "Show how the daemon is.",
    "doctor": "Find what is wrong, and say what to do about it.",
    "metrics": "Print the daemon's metrics in the text format of Prometheus.",
    "tail": "Show the last events, and new ones as they come.",
    "query": "Show the events that meet conditions.",
    "get": "Show one stored event.",
    "recall": "Find what was said and done by its words, best first.",
    "context": "Print the block for an agent's system prompt.",
    "hook": "Store what a hook of an agent tool is given.",
    "replay": "Show the events of a stream once more, in its order.",
    "export": "Write stored events to a file, as they are.",
    "import": "Store the events of files, each of them once.",
    "index": "Look after the index that answers query, recall and context.",
    "reload": "Let the daemon load its config file anew.",
    "service": "Let systemd or launchd run eventd.",
    "token": "Make, list and revoke the tokens of agents.",
    "whoami": "Show as whom the daemon knows us, and by what.",
    "outbox": "Move what waits for a stream that is not configured.",
    "deadletter": "List, retry or drop events that could not be published.",
    "nats-config": "Print a NATS server configuration that keeps the agents apart.",
}
"""Short help of every command, so that `eventd --help` imports none of them."""

EPILOG: Final = """\b
Examples:
  eventd run
  eventd emit --type conversation.message.in --text "hello"
  eventd tail -f
  eventd recall when is the deadline
  eventd --config ./config.yml config check

\b
Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  the daemon cannot be reached
  4  the daemon refused, or some events were not taken
  5  status: the daemon is degraded
  6  status: the daemon is failing
"""


class _Root(LazyGroup):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would put a blank line into standard error, also where nobody typed ^C.
            raise click.Abort from None


@click.group(
    cls=_Root,
    package=__package__,
    lazy=COMMANDS,
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"auto_envvar_prefix": "EVENTD", "help_option_names": ["-h", "--help"]},
)
@option(
    "--config",
    type=file_type,
    metavar="FILE",
    help="Config file.  [default: found where the system keeps them]",
)
@option(
    "--socket",
    type=file_type,
    metavar="PATH",
    help="Socket of the daemon.  [default: found where the daemon puts it]",
)
@click.version_option(__version__, prog_name="eventd", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, socket: Path | None) -> None:
    """An event-sourced memory for local AI agents.

    Agents write events to a Unix socket; each one is on disk before it is acknowledged, and ends up in NATS
    JetStream, once and in order.
    """
    ctx.obj = Place(config, socket)


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        code = cli.main(args, prog_name="eventd", standalone_mode=False)
    except BaseException as error:
        outcome = outcome_of(error)
        if outcome is None:
            raise
        _tell(outcome)
        code = outcome.code
    return _flushed(int(code or ExitCode.OK))


def _tell(outcome: Outcome) -> None:
    if outcome.code is ExitCode.INTERRUPTED and is_terminal(sys.stderr):
        notice("")  # the prompt does not belong behind the ^C
    if outcome.help:
        notice(outcome.help)
    for line in outcome.message.splitlines():
        notice(f"error: {printable(line)}")
    if outcome.hint:
        notice(f"hint: {printable(outcome.hint)}")


def _flushed(code: int) -> int:
    """Write out what click printed; the interpreter would complain about a reader that is gone."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return ExitCode.READER_LEFT
    return code
