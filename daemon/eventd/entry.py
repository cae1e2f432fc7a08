"""Where the `eventd` command begins: the way of hooks, which agents wait for, is the short one."""

import os
import sys


def main() -> int:
    """Run the command; return its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["hook"] and len(arguments) == 2 and not arguments[1].startswith("-"):
        from .hooks.command import TOOLS, run

        if arguments[1] in TOOLS:
            os._exit(run(arguments[1]))  # nothing is open; the interpreter's own end takes 3 ms
    from .cli.main import main as command_line

    return command_line()
