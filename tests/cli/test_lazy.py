"""What a command imports: how long it takes to start is what an agent's hook waits for."""

import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

from eventd.cli.lazy import module_of
from eventd.cli.main import COMMANDS, cli
from ipc.support.scripted import ScriptedServer

HEAVY = {
    "nats": "the daemon's way to NATS; nobody else has one",
    "apsw": "the outbox is the daemon's",
    "anyio": "the client is the blocking one",
    "asyncio": "as anyio",
    "uvloop": "as anyio",
    "rich": "only where it draws",
    "yaml": "only where a config file is read",
    "watchfiles": "the daemon's",
    "prometheus_client": "the daemon's",
    "platformdirs": "only where the socket is at none of the usual places",
}
"""Modules that a command must not import, and why it has no need to."""

PROBE = """
import json, sys
from eventd.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def imported_by(server: ScriptedServer, *args: str) -> set[str]:
    """Return the top-level modules that a command has imported when it ends well."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "--socket", str(server.path), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | {"XDG_RUNTIME_DIR": str(server.path.parent)},
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "args",
    [
        ["emit", "--type", "conversation.message.in", "--text", "hello"],
        ["emit", "--stdin"],
        ["status"],
        ["status", "--json"],
        ["get", "1"],
        ["tail"],
        ["query"],
        ["replay"],
        ["recall", "Vienna"],
        ["context"],
        ["context", "--explain"],
        ["index", "status"],
        ["deadletter", "list"],
        ["metrics", "--alerts"],
    ],
    ids=" ".join,
)
def test_commands_that_talk_to_the_daemon_are_light(server: ScriptedServer, args: list[str]) -> None:
    """They import nothing of what makes the daemon, and nothing that draws."""
    assert not imported_by(server, *args) & set(HEAVY)


def test_the_help_imports_no_command(server: ScriptedServer) -> None:
    """`eventd --help` knows the commands by a table."""
    done = subprocess.run([sys.executable, "-c", PROBE, "--help"], capture_output=True, check=True, text=True)
    _, modules = json.loads(done.stderr)
    assert not {f"eventd.cli.{module_of(name)}" for name in COMMANDS} & set(modules)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    """The short help of the table is the first line of the command's own help."""
    command = import_module(f"eventd.cli.{module_of(name)}").command
    assert command.name == name
    assert command.help is not None
    assert COMMANDS[name] == command.help.partition("\n")[0]
    assert COMMANDS[name] in cli.get_help(cli.make_context("eventd", ["status"]))
