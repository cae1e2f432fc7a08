"""`eventd status`: how the daemon is."""

import sys
import time
from typing import Any, NoReturn

import click

from eventd_ipc.errors import ConnectionLost, NotRunning, TimedOut

from .exits import ExitCode
from .options import Duration, json_option, option
from .output import is_terminal, notice, print_json, print_line, wants_colour
from .place import Place
from .status_view import HEALTH_COLOURS, health_of, status_lines

EPILOG = """\b
Examples:
  eventd status
  eventd status --watch --interval 10s
  eventd status --json | jq '.flow.accepted.per_s'
  eventd status >/dev/null || notify-send "eventd is not well"

\b
The first line says it in a word, and so does the exit code, with --json too:
  0  ok        everything accepted is stored, or on its way
  5  degraded  events are safe, but something needs a look
  6  failing   new events are refused
  3            the daemon does not run, or does not answer
"""

_CODES = {"ok": ExitCode.OK, "failing": ExitCode.FAILING}


@click.command("status", epilog=EPILOG)
@option("-w", "--watch", is_flag=True, help="Show it again and again.")
@option("--interval", type=Duration(), default="2s", show_default=True, help="Pause between two looks.")
@json_option
@click.pass_obj
def command(place: Place, watch: bool, interval: float, as_json: bool) -> ExitCode:
    """Show how the daemon is.

    Its health, what comes and goes and waits, and each route. Rates are over about the last minute.
    """
    if watch:
        _watch(place, interval, as_json)
    document = _document(place)
    _show(document, as_json)
    # What a later version calls by another word is not known to be well.
    return _CODES.get(health_of(document), ExitCode.DEGRADED)


def _document(place: Place) -> dict[str, Any]:
    with place.connect(admin=True) as client:
        document: dict[str, Any] = client.status()
    return document


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    first, *rest = status_lines(document)
    if wants_colour(sys.stdout):
        first = click.style(first, fg=HEALTH_COLOURS.get(health_of(document)), bold=True)
    for line in (first, *rest):
        print_line(line)


def _watch(place: Place, interval: float, as_json: bool) -> NoReturn:
    if as_json or not is_terminal(sys.stdout):
        _watch_lines(place, interval, as_json)
    from .watch import watch_screen

    watch_screen(lambda: _document(place), interval)


def _watch_lines(place: Place, interval: float, as_json: bool) -> NoReturn:
    _show(_document(place), as_json)
    while True:
        time.sleep(interval)
        try:
            document = _document(place)
        except (ConnectionLost, NotRunning, TimedOut) as error:
            notice(str(error.args[0]))
            continue
        if not as_json:
            print_line("")
        _show(document, as_json)
