"""`eventd outbox`: what to do about a backlog that cannot go where it was accepted for."""

import sys

import click

from .exits import ExitCode
from .figures import count
from .options import json_option, option
from .output import is_terminal, notice, print_json
from .place import Place

GROUP_EPILOG = """\b
Examples:
  eventd outbox reroute tim --stream events-tim
"""

REROUTE_EPILOG = """\b
Examples:
  eventd outbox reroute tim
  eventd outbox reroute tim --stream events-tim --yes
"""


@click.group("outbox", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """Move what waits for a stream that is not configured.

    When an agent's entry is removed, or gets another stream or prefix, what was accepted before still goes to
    the old stream. `eventd status` shows it as a route of its own until it is done.
    """


@command.command("reroute", epilog=REROUTE_EPILOG)
@click.argument("route", metavar="ROUTE")
@option(
    "--stream",
    metavar="STREAM",
    help="Only what goes to this stream, where there are several.",
)
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def reroute(place: Place, route: str, stream: str | None, yes: bool, as_json: bool) -> ExitCode:
    """Send what a route has left to where its agents' events go now.

    For a backlog that can never reach its old stream: the server is gone, or takes its subjects no more. The
    events go behind those that wait there already. One that was sent just before, without an answer, may be
    in the old stream too. Asks first on a terminal.
    """
    if not yes:
        if not is_terminal(sys.stdin):
            raise click.UsageError("it cannot be undone: say --yes where nobody can be asked")
        if not click.confirm(f"Move what route {route} has left?", err=True):
            return ExitCode.FAILED
    with place.connect(admin=True) as client:
        moved = client.reroute(route, stream)["count"]
    if as_json:
        print_json({"route": route, "count": moved})
    else:
        notice(f"{count(moved, 'event')} moved to where {'it goes' if moved == 1 else 'they go'} now")
    return ExitCode.OK
