"""`eventd query`: the events that meet conditions."""

import shlex
from typing import Any

import click

from .filters import (
    agent_option,
    run_option,
    session_option,
    since_option,
    text_option,
    type_option,
    until_option,
    visibility_option,
    whose,
)
from .options import json_option, option
from .output import notice, printable
from .place import Place
from .printing import event_printer, raw_option

LIMIT = 50  # events that are shown where nothing else is asked for

EPILOG = """\b
Examples:
  eventd query --since yesterday
  eventd query --type "conversation.*" --session "agent:main:*" --text "deadline Vienna"
  eventd query --agent main --type memory.fact --oldest --all
  eventd query --since 7d --json --all | jq -r .event.type | sort | uniq -c

Times are spans back from now (30m, 2d), today, yesterday, or dates and times (2026-11-22T18:30), and mean the
events' own time. Types have the names of the document: conversation.message.in finds the msg.in of older
writers too. Where there is more, standard error says with which --cursor to go on.
"""


@click.command("query", epilog=EPILOG)
@agent_option
@session_option
@type_option
@visibility_option
@since_option
@until_option
@run_option
@text_option
@option("--stream", metavar="NAME", help="Only events of this stream.")
@option("--newest/--oldest", default=True, show_default=True, help="Which events come first.")
@option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Most events that are shown.  [default: {LIMIT}]",
)
@option("--all", "everything", is_flag=True, help="Show all of them.")
@option("--cursor", metavar="TEXT", help="Go on where a query with the same conditions ended.")
@json_option
@raw_option
@click.pass_obj
def command(
    place: Place,
    /,
    newest: bool,
    limit: int | None,
    everything: bool,
    cursor: str | None,
    agent: str | None,
    as_json: bool,
    raw: bool,
    **conditions: Any,
) -> None:
    """Show the events that meet conditions.

    They come from the index, the newest first: also events that are not in their stream yet.
    """
    show = event_printer(as_json=as_json, raw=raw)
    if everything and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")
    most = None if everything else limit or LIMIT
    with (
        place.connect(admin=True) as client,
        client.query(
            **conditions,
            agent=whose(client, agent),
            order="newest" if newest else "oldest",
            limit=most,
            cursor=cursor,
        ) as found,
    ):
        for stored in found:
            show(stored)
        if found.incomplete:
            notice("some events may be missing: the index is being built, see `eventd index status`")
        if found.cursor is not None:
            notice(f"more: --cursor {shlex.quote(printable(found.cursor))}")
