"""How a command ends: the exit codes, and what a person is told when something went wrong."""

import enum
import os
from dataclasses import dataclass

import click

from eventd_ipc.errors import (
    AccessDenied,
    ConnectionLost,
    EventdClientError,
    MalformedEvent,
    NotRunning,
    Refused,
    TimedOut,
    UnsafeSocket,
)

from ..errors import EventdError
from .output import OutputClosed


class ExitCode(enum.IntEnum):
    """The exit codes of every command; scripts rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    """The daemon does not answer."""
    REFUSED = 4
    """The daemon answered, and said no; or some of several events were not taken."""
    DEGRADED = 5
    """Of `status` alone: events are safe, but something needs a look."""
    FAILING = 6
    """Of `status` alone: new events are refused."""
    INTERRUPTED = 130
    """By Ctrl-C; as shells count signals, 128 + SIGINT."""
    READER_LEFT = 141
    """What read our output went away before its end; 128 + SIGPIPE."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ends that did not succeed.

    Attributes:
        message: For standard error; nothing is said when empty.
        hint: What a person can do about it.
        help: A help text that stands for both.
    """

    code: ExitCode
    message: str = ""
    hint: str = ""
    help: str = ""


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (NotRunning, ExitCode.UNREACHABLE),
    (ConnectionLost, ExitCode.UNREACHABLE),
    (TimedOut, ExitCode.UNREACHABLE),
    (UnsafeSocket, ExitCode.UNREACHABLE),
    (AccessDenied, ExitCode.UNREACHABLE),
    (Refused, ExitCode.REFUSED),
    (MalformedEvent, ExitCode.REFUSED),
)
"""The first class that fits counts; every other error is `FAILED`."""


def outcome_of(error: BaseException) -> Outcome | None:
    """Return how the command ends after an error; None for one that only a bug can cause."""
    match error:
        case OutputClosed():
            return Outcome(ExitCode.READER_LEFT)
        case click.Abort() | KeyboardInterrupt():
            return Outcome(ExitCode.INTERRUPTED)
        case click.exceptions.NoArgsIsHelpError():
            return Outcome(ExitCode.USAGE, help=error.format_message())
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "eventd"
            return Outcome(ExitCode.USAGE, error.format_message(), f"`{path} --help` shows what is possible")
        case click.ClickException():
            return Outcome(ExitCode.FAILED, error.format_message())
        case EventdError():
            return Outcome(code_of(error), str(error), error.hint)
        case EventdClientError():
            # str() of these has the hint in it, for logs of agents.
            return Outcome(code_of(error), str(error.args[0]), error.hint)
        case OSError():
            text = os.strerror(error.errno) if error.errno else str(error)
            return Outcome(ExitCode.FAILED, f"{error.filename}: {text}" if error.filename else text)
    return None


def code_of(error: Exception) -> ExitCode:
    """Return the exit code for an error of ours."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)
