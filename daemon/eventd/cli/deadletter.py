"""`eventd deadletter`: events that NATS will never take as they are."""

import sys
from typing import Any, Literal

import click

from .exits import ExitCode
from .figures import count, size
from .options import json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line, shorten
from .place import Place

REASON = 60  # characters of a reason in the table
PAGE = 1000  # dead letters asked for at once

GROUP_EPILOG = """\b
Examples:
  eventd deadletter list
  eventd deadletter retry --all
  eventd deadletter drop 17 18
"""

LIST_EPILOG = """\b
Examples:
  eventd deadletter list
  eventd deadletter list --limit 5
  eventd deadletter list --json | jq -r .body
"""

RETRY_EPILOG = """\b
Examples:
  eventd deadletter retry 17 18
  eventd deadletter retry --all
"""

DROP_EPILOG = """\b
Examples:
  eventd deadletter drop 17 18
  eventd deadletter drop --all --yes
"""


@click.group("deadletter", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """List, retry or drop events that could not be published.

    NATS refused them for good: they are too large for the server, or their subject is not allowed there. They
    are kept until they are retried or dropped.
    """


@command.command("list", epilog=LIST_EPILOG)
@option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most that are listed.")
@json_option
@click.pass_obj
def list_letters(place: Place, limit: int, as_json: bool) -> None:
    """List dead letters, the oldest first. With --json also the events themselves."""
    shown = 0
    with place.connect(admin=True) as client:
        after = 0
        while shown < limit:
            letters = client.dead_letters(after=after, limit=min(PAGE, limit - shown)).get("letters", [])
            for letter in letters:
                if as_json:
                    print_json(letter)
                else:
                    print_line(_as_line(letter))
            if not letters:
                break
            shown += len(letters)
            after = letters[-1]["number"]
    if not shown:
        notice("there are no dead letters")


@command.command("retry", epilog=RETRY_EPILOG)
@click.argument("numbers", type=int, nargs=-1, metavar="NUMBERS...")
@option("--all", "everything", is_flag=True, help="All of them.")
@json_option
@click.pass_obj
def retry(place: Place, numbers: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Publish dead letters again, behind everything that waits.

    Do it when the cause is gone: the server takes larger messages now, or the subject is allowed.
    """
    _act(place, "retry", numbers, everything, as_json)


@command.command("drop", epilog=DROP_EPILOG)
@click.argument("numbers", type=int, nargs=-1, metavar="NUMBERS...")
@option("--all", "everything", is_flag=True, help="All of them.")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def drop(place: Place, numbers: tuple[int, ...], everything: bool, yes: bool, as_json: bool) -> ExitCode:
    """Delete dead letters for good. Asks first on a terminal."""
    _check(numbers, everything)
    if not yes:
        if not is_terminal(sys.stdin):
            raise click.UsageError("it is for good: say --yes where nobody can be asked")
        what = "all dead letters" if everything else count(len(numbers), "dead letter")
        if not click.confirm(f"Delete {what} for good?", err=True):
            return ExitCode.FAILED
    _act(place, "drop", numbers, everything, as_json)
    return ExitCode.OK


def _act(
    place: Place, action: Literal["retry", "drop"], numbers: tuple[int, ...], everything: bool, as_json: bool
) -> None:
    _check(numbers, everything)
    with place.connect(admin=True) as client:
        done = client.dead_letters(action, numbers, all_of_them=everything)["count"]
    if as_json:
        print_json({"action": action, "count": done})
    else:
        past = {"retry": "to be published again", "drop": "deleted"}[action]
        notice(f"{count(done, 'dead letter')} {past}")
    missing = 0 if everything else len(set(numbers)) - done
    if missing > 0:
        notice(f"{count(missing, 'number')} named no dead letter")


def _check(numbers: tuple[int, ...], everything: bool) -> None:
    if bool(numbers) == everything:
        raise click.UsageError("give the numbers that `eventd deadletter list` shows, or --all")


def _as_line(letter: dict[str, Any]) -> str:
    """Return one line: number, when, size, whose and why."""
    from .views import local_time

    return "  ".join(
        (
            f"{letter['number']:>8}",
            local_time(letter.get("diedAt", 0)),
            f"{size(letter.get('bytes', 0)):>9}",
            neutral(str(letter.get("id", ""))),
            neutral(str(letter.get("subject", ""))),
            shorten(neutral(str(letter.get("reason", ""))), REASON),
        )
    )
