"""`eventd status`: how the daemon is."""

import sys
import time
from typing import Any

import click

from eventd_ipc.errors import ConnectionLost, NotRunning, TimedOut

from .options import Duration, json_option, option
from .output import is_terminal, notice, print_json, print_line, wants_colour
from .place import Place
from .status_view import HEALTH_COLOURS, status_lines

EPILOG = """\b
Examples:
  eventd status
  eventd status --watch --interval 10s
  eventd status --json | jq -e '.health.state == "ok"'

\b
The first line says it in a word:
  ok        everything accepted is stored, or on its way
  degraded  events are safe, but something needs a look
  failing   new events are refused
"""


@click.command("status", epilog=EPILOG)
@option("-w", "--watch", is_flag=True, help="Show it again and again.")
@option("--interval", type=Duration(), default="2s", show_default=True, help="Pause between two looks.")
@json_option
@click.pass_obj
def command(place: Place, watch: bool, interval: float, as_json: bool) -> None:
    """Show how the daemon is.

    Its health, what waits for NATS, and each route. The exit code says whether it answered; the health is in
    the first line, and in `health.state` of --json.
    """
    if not watch:
        with place.connect(admin=True) as client:
            _show(client.status(), as_json)
    elif as_json or not is_terminal(sys.stdout):
        _watch_lines(place, interval, as_json)
    else:
        from .watch import watch_screen

        watch_screen(lambda: _document(place), interval)


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
        state = document.get("health", {}).get("state")
        first = click.style(first, fg=HEALTH_COLOURS.get(state), bold=True)
    for line in (first, *rest):
        print_line(line)


def _watch_lines(place: Place, interval: float, as_json: bool) -> None:
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
