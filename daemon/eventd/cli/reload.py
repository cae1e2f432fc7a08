"""`eventd reload`: let the daemon take over its configuration."""

from typing import Any

import click

from .exits import ExitCode
from .options import json_option
from .output import notice, print_json, print_line
from .place import Place

EPILOG = """\b
Examples:
  eventd reload
  eventd reload --json | jq -r '.changes[].text'
"""


@click.command("reload", epilog=EPILOG)
@json_option
@click.pass_obj
def command(place: Place, as_json: bool) -> ExitCode:
    """Let the daemon load its config file anew.

    It does so by itself when the file changes; this shows at once what has changed. A file that cannot be
    used changes nothing: its problems are shown, and the exit code is 1.
    """
    with place.connect(admin=True) as client:
        outcome: dict[str, Any] = client.reload()
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)
    return ExitCode.FAILED if outcome.get("error") else ExitCode.OK


def _show(outcome: dict[str, Any]) -> None:
    if error := outcome.get("error"):
        notice(f"the configuration cannot be used; the one before stays in force:\n{error['message']}")
        if error.get("hint"):
            notice(f"hint: {error['hint']}")
        return
    for warning in outcome.get("warnings", []):
        notice(f"warning: {warning}")
    for change in outcome.get("changes", []):
        print_line(change["text"])
    for file in outcome.get("files", []):
        print_line(f"{file}: holds something else; connected anew")
    for change in outcome.get("needs_restart", []):
        print_line(f"{change['text']} (needs a restart)")
    if not any(outcome.get(key) for key in ("changes", "files", "needs_restart")):
        _show_last(outcome)


def _show_last(outcome: dict[str, Any]) -> None:
    """Say what is in force: the daemon has mostly seen the file by itself, a moment before."""
    from .views import local_time

    at = local_time(outcome.get("loaded_at", 0))
    notice(f"nothing has changed since {at}, when configuration {outcome.get('generation')} took effect")
    for text in outcome.get("last_changes", []):
        print_line(text)
