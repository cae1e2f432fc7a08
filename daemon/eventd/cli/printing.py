"""Events on standard output: a line for people, an object for programs, or the stored bytes."""

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .options import option
from .output import is_terminal, print_bytes, print_json, print_line, wants_colour

if TYPE_CHECKING:
    from eventd_ipc.messages import StoredEvent

raw_option = option("--raw", is_flag=True, help="Print the stored bytes, one event a line, and nothing else.")


def event_printer(*, as_json: bool, raw: bool) -> Callable[["StoredEvent"], None]:
    """Return what prints an event in the form that was asked for.

    Raises:
        click.UsageError: Two forms were asked for.
    """
    if as_json and raw:
        raise click.UsageError("--json and --raw exclude each other")
    return _print_raw if raw else _print_json if as_json else _line_printer()


def _print_raw(stored: "StoredEvent") -> None:
    print_bytes(stored.body + b"\n")


def _print_json(stored: "StoredEvent") -> None:
    from . import views

    print_json(views.as_json(stored))


def _line_printer() -> Callable[["StoredEvent"], None]:
    from . import views

    terminal, colour = is_terminal(sys.stdout), wants_colour(sys.stdout)

    def show(stored: "StoredEvent") -> None:
        head, text = views.as_line(stored, shutil.get_terminal_size().columns if terminal else None)
        print_line(f"{click.style(head, dim=True) if colour else head}  {text}".rstrip())

    return show
