"""The help texts: complete, and true."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest

from cli.support import Eventd
from eventd.cli.main import COMMANDS, cli


def all_commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its path, groups too."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from all_commands(below, (*path, name))


SHORTER = {
    "EVENTD_MCP_AGENT": "EVENTD_AGENT",
    "EVENTD_EMIT_AGENT": "EVENTD_AGENT",
    "EVENTD_RECALL_AGENT": "EVENTD_AGENT",
    "EVENTD_CONTEXT_AGENT": "EVENTD_AGENT",
    "EVENTD_WHOAMI_AGENT": "EVENTD_AGENT",
    "EVENTD_MIGRATE_AGENT": "EVENTD_AGENT",
    "EVENTD_RUN_DATA_DIR": "EVENTD_DATA_DIR",
    "EVENTD_RUN_LOG_LEVEL": "EVENTD_LOG_LEVEL",
    "EVENTD_RUN_LOG_FORMAT": "EVENTD_LOG_FORMAT",
}
"""Variables that are not made of the names of command and option."""

ALL = dict(all_commands())


def examples_of(command: click.Command) -> list[list[str]]:
    """Return the arguments of every `eventd …` among the examples of a help text."""
    lines = re.findall(r"^ +.*?\beventd (.+)$", command.epilog or "", re.MULTILINE)
    simple = [re.split(r" (?:\||<|>|&&|  ) ?", line)[0].strip() for line in lines]
    return [shlex.split(line) for line in simple]


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "eventd")
def test_the_help_has_examples_that_can_be_typed(path: tuple[str, ...], monkeypatch: Any) -> None:
    """Each example is of this command, and its options and arguments exist."""
    examples = examples_of(ALL[path])
    assert examples
    ran: list[tuple[str, ...]] = []
    for below, command in ALL.items():
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", lambda below=below, **_: ran.append(below))
    for example in examples:
        cli.main(example, standalone_mode=False)
        assert ran[-1][: len(path)] == path
    assert len(ran) == len(examples)


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "eventd")
def test_every_option_has_a_variable_that_the_help_names(path: tuple[str, ...]) -> None:
    """`EVENTD_` and the command's and the option's names, unless a shorter one is better."""
    command = ALL[path]
    context = cli.make_context("eventd", ["status"])
    for name in path:
        context = click.Context(command, info_name=name, parent=context)
    shown = re.sub(r"\s", "", command.get_help(context))
    for option in command.params:
        if isinstance(option, click.Option) and "--version" not in option.opts:
            assert option.help
            flag = max(option.opts, key=len)
            full = "_".join(("eventd", *path, flag.lstrip("-"))).replace("-", "_").upper()
            assert option.envvar == SHORTER.get(full, full)
            assert f"[envvar:{option.envvar}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed(eventd: Eventd, name: str) -> None:
    """-h is --help, on standard output, and succeeds."""
    ended = eventd(name, "-h")
    assert ended.code == 0
    assert ended.err == ""
    assert ended.lines[0].startswith(f"Usage: eventd {name}")


def test_the_variable_is_read(eventd: Eventd) -> None:
    """What the help names works: the option of a command, and a global one."""
    assert eventd("tail", EVENTD_TAIL_SINCE="someday").code == 2
    assert Eventd()("status", EVENTD_SOCKET="/nowhere/x.sock").err.count("/nowhere/x.sock") == 1


def test_the_version_is_printed(eventd: Eventd) -> None:
    """One line, name and version."""
    from eventd import __version__

    assert eventd("--version").lines == [f"eventd {__version__}"]
