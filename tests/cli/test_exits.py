"""The exit codes, on which scripts rely, and what is said beside them."""

import inspect
import os
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from cli.support import COMMAND, Eventd
from eventd import errors as daemon_errors
from eventd.cli.exits import ExitCode, code_of, outcome_of
from eventd.cli.output import OutputClosed
from eventd_ipc import errors as client_errors
from eventd_ipc.errors import CODES
from eventd_ipc.messages import Status
from ipc.support.scripted import ScriptedServer, dismiss, error, refuse

TALKING = [
    ["emit", "--type", "note"],
    ["emit", "--stdin"],
    ["status"],
    ["metrics"],
    ["get", "1"],
    ["tail"],
    ["deadletter", "list"],
    ["deadletter", "retry", "--all"],
    ["deadletter", "drop", "--all", "--yes"],
]
"""Every command that talks to the daemon."""

CLIENT_ERRORS = {
    "EventdClientError": ExitCode.FAILED,
    "NotRunning": ExitCode.UNREACHABLE,
    "AccessDenied": ExitCode.UNREACHABLE,
    "UnsafeSocket": ExitCode.UNREACHABLE,
    "ConnectionLost": ExitCode.UNREACHABLE,
    "TimedOut": ExitCode.UNREACHABLE,
    "ProtocolError": ExitCode.FAILED,
    "BadFrame": ExitCode.FAILED,
    "FrameTooLarge": ExitCode.FAILED,
    "RequestInvalid": ExitCode.FAILED,
    "MalformedEvent": ExitCode.REFUSED,
    "Refused": ExitCode.REFUSED,
    "NotFound": ExitCode.REFUSED,
    "Unauthorised": ExitCode.REFUSED,
}


def of_tree[E: Exception](module: object, root: type[E]) -> dict[str, type[E]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, root) and kind.__module__ == getattr(module, "__name__", "")
    }


def test_every_client_error_has_its_code() -> None:
    """A new class in the tree is given a code here before it can come out of a command."""
    tree = of_tree(client_errors, client_errors.EventdClientError)
    found = {name: code_of(kind.__new__(kind)) for name, kind in tree.items()}
    assert found == CLIENT_ERRORS


def test_every_daemon_error_is_a_failure() -> None:
    """The daemon's own errors come out of `run`, `init` and `config`: they failed."""
    for kind in of_tree(daemon_errors, daemon_errors.EventdError).values():
        outcome = outcome_of(kind("what", hint="do this"))
        assert outcome is not None
        assert (outcome.code, outcome.message, outcome.hint) == (ExitCode.FAILED, "what", "do this")


def test_the_hint_is_said_once() -> None:
    """Client errors carry the hint in their text, for logs; here it has a line of its own."""
    outcome = outcome_of(client_errors.NotRunning("nobody answers", hint="start it"))
    assert outcome is not None
    assert (outcome.message, outcome.hint) == ("nobody answers", "start it")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.UsageError("wrong"), ExitCode.USAGE),
        (click.ClickException("failed"), ExitCode.FAILED),
        (click.Abort(), ExitCode.INTERRUPTED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (OutputClosed(), ExitCode.READER_LEFT),
        (FileNotFoundError(2, "not there", "x.yml"), ExitCode.FAILED),
    ],
)
def test_other_errors(error: BaseException, code: ExitCode) -> None:
    """What does not come from eventd has a code too."""
    outcome = outcome_of(error)
    assert outcome is not None
    assert outcome.code is code


def test_a_bug_is_not_dressed_up() -> None:
    """Nothing is caught that only a mistake in the program causes: its traceback is needed."""
    assert outcome_of(KeyError("bug")) is None


@pytest.mark.parametrize("args", TALKING, ids=" ".join)
def test_without_a_daemon_the_remedy_is_named(eventd: Eventd, args: list[str]) -> None:
    """No daemon: code 3, one line what is wrong, one line what to do, nothing on standard output."""
    ended = eventd(*args)
    assert ended.code == ExitCode.UNREACHABLE
    assert ended.out == b""
    error, hint = ended.err.splitlines()
    assert error.startswith("error: eventd is not running")
    assert hint.startswith("hint: ")
    assert "eventd run" in hint


@pytest.mark.parametrize("code", sorted(code for code, info in CODES.items() if not info.closes_connection))
def test_a_refusal_is_told_with_its_hint(eventd: Eventd, server: ScriptedServer, code: str) -> None:
    """Whatever the daemon refuses with: code 4, its code and message, its hint."""
    server.script.append(refuse(code))
    server.answers[Status] = lambda peer, request: peer.send(error(code, id=request.id))
    for args in (["emit", "--type", "note"], ["status"]):
        ended = eventd(*args)
        assert ended.code == ExitCode.REFUSED
        assert ended.err.splitlines() == [f"error: {code}: scripted {code}", "hint: a hint"]


def test_a_refused_connection_is_a_refusal(eventd: Eventd, server: ScriptedServer) -> None:
    """The daemon answered, so it is reachable; it does not want us."""
    server.greeting = lambda peer, hello: dismiss("unauthorised")(peer, None)
    ended = eventd("status")
    assert ended.code == ExitCode.REFUSED
    assert ended.err.startswith("error: unauthorised: ")


def test_a_closed_connection_is_unreachable(eventd: Eventd, server: ScriptedServer) -> None:
    """The daemon went away in the middle of a request."""
    server.answers[Status] = lambda peer, request: peer.close()
    assert eventd("status").code == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["config"],
        ["deadletter"],
        ["emti"],
        ["status", "--jsno"],
        ["get"],
        ["tail", "--last", "-1"],
        ["tail", "--since", "someday"],
        ["tail", "--last", "3", "--since", "1h"],
        ["tail", "--json", "--raw"],
        ["emit", "--text", "x"],
        ["emit", "--type", "x", "--payload", "[1]"],
        ["emit", "--type", "x", "--payload", "{"],
        ["emit", "--type", "x", "--visibility", "none"],
        ["emit", "--stdin", "--type", "x"],
        ["emit", "--stdin", "--wait", "long"],
        ["emit"],
        ["deadletter", "retry"],
        ["deadletter", "retry", "3", "--all"],
        ["deadletter", "drop", "--all"],
        ["deadletter", "list", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(eventd: Eventd, args: list[str]) -> None:
    """Code 2, said on standard error, and nothing was asked of any daemon (none runs here)."""
    ended = eventd(*args)
    assert ended.code == ExitCode.USAGE
    assert ended.out == b""
    assert "--help" in ended.err


def test_a_misspelt_command_is_answered_with_the_right_one(eventd: Eventd) -> None:
    """Also where the commands are not loaded yet."""
    assert "Did you mean 'emit'?" in eventd("emti").err


def test_a_reader_that_leaves_ends_the_command_quietly(eventd: Eventd, server: ScriptedServer) -> None:
    """`eventd tail | head -1` says nothing about the closed pipe."""
    server.stream = 100_000  # more than a pipe holds
    with eventd.start("tail", "--last", "100000") as running:
        assert running.read_line()
        assert running.process.stdout is not None
        running.process.stdout.close()
        assert running.process.wait(60) == ExitCode.READER_LEFT
        assert running.process.stderr is not None
        assert running.process.stderr.read() == b""


def test_a_help_text_that_nobody_reads_is_no_traceback() -> None:
    """Also what click prints may meet a closed pipe."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b""


def test_output_that_cannot_be_written_is_a_failure(eventd: Eventd, server: ScriptedServer) -> None:
    """A full disk behind `>` is told; the exit code does not say that all is well."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full, eventd.start("status", stdout=full) as running:
        ended = running.end()
    assert ended.code == ExitCode.FAILED
    assert ended.err.startswith("error: ")


def test_control_characters_of_a_message_do_not_reach_the_terminal(
    eventd: Eventd, server: ScriptedServer
) -> None:
    """An error may repeat what an agent sent."""

    def answer(peer: object, request: Status) -> None:
        reply = error("internal", id=request.id)
        reply.message = "name \x1b[31m"
        peer.send(reply)  # type: ignore[attr-defined] # a Peer

    server.answers[Status] = answer
    ended = eventd("status")
    assert "\x1b" not in ended.err
    assert r"\x1b[31m" in ended.err


@pytest.mark.parametrize(
    ("closed", "args", "code"),
    [
        ("<&-", ["emit", "--type", "note"], ExitCode.OK),
        ("<&-", ["emit"], ExitCode.USAGE),
        ("<&-", ["emit", "--stdin"], ExitCode.USAGE),
        (">&-", ["emit", "--type", "note"], ExitCode.OK),
        (">&-", ["tail"], ExitCode.OK),
        (">&-", ["status"], ExitCode.OK),
        (">&-", ["--help"], ExitCode.OK),
        ("2>&-", ["emit", "--stdin"], ExitCode.OK),
        ("2>&-", ["emti"], ExitCode.USAGE),
        ("<&- >&- 2>&-", ["emit", "--type", "note"], ExitCode.OK),
    ],
)
def test_closed_streams_do_no_harm(
    eventd: Eventd, server: ScriptedServer, closed: str, args: list[str], code: ExitCode
) -> None:
    """Hooks and services may start a command without them."""
    command = shlex.join(map(str, [*COMMAND, *eventd.options, *args]))
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
