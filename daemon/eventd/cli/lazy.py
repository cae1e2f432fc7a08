"""A group of commands whose modules are imported when they are used: how long a command takes to start
is what an agent's hook waits for.
"""

import importlib
import keyword
from collections.abc import Mapping
from typing import Any, Final

import click

COMMAND: Final = "command"
"""Name of the click command in the module of each command."""


def module_of(command: str) -> str:
    """Return the name of a command's module: `-` becomes `_`, and a word of Python gets one behind it."""
    name = command.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


class LazyGroup(click.Group):
    """A click group that knows its commands by name and short help alone.

    Args:
        package: Where the modules of the commands are.
        commands: Short help by name, in the order of the help.
    """

    def __init__(self, *args: Any, package: str, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of their table, which is the order in which people need them."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._lazy:
            return None
        module = importlib.import_module(f"{self._package}.{module_of(cmd_name)}")
        command: click.Command = getattr(module, COMMAND)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one is answered with the names that are like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self._lazy, ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lazy.items()))
