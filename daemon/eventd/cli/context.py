"""`eventd context`: the block for an agent's system prompt."""

import sys
from typing import Any

import click

from .options import AGENT_VARIABLE, json_option, option
from .output import is_terminal, notice, print_bytes, print_json, print_line
from .place import Place

MAX_QUERY = 64 * 1024  # bytes of a query on standard input that are looked at; it only says what it is about

EPILOG = """\b
Examples:
  eventd context --session agent:main:main
  eventd context --agent ci --query "the failed deployment" --budget 4000
  echo "Is the offer out?" | eventd context --query -
  eventd context --explain

Standard output has the block and nothing else, so that a hook can hand it on; it is empty where there is
nothing to remember. --explain shows what is in the block and why, and what was left out.
"""


@click.command("context", epilog=EPILOG)
@option("--agent", envvar=AGENT_VARIABLE, metavar="NAME", help="Who remembers.  [default: main]")
@option("--session", metavar="KEY", help="Session that begins; its own start is left out.")
@option("--query", metavar="TEXT", help="What it is about, say the first message; - reads standard input.")
@option(
    "--budget", type=click.IntRange(min=1), metavar="N", help="Most characters.  [default: as configured]"
)
@option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="How far back events are recent, from the newest one.  [default: as configured]",
)
@option(
    "--events",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most recent events that are looked at.  [default: as configured]",
)
@option("--tools/--no-tools", default=None, help="Whether tool calls are shown.  [default: as configured]")
@option("--explain", is_flag=True, help="Show why each item was chosen, and its size, instead of the block.")
@json_option
@click.pass_obj
def command(
    place: Place, /, agent: str | None, query: str | None, explain: bool, as_json: bool, **wanted: Any
) -> None:
    """Print the block for an agent's system prompt.

    What is open, facts, earlier and recent conversation, and what matters for --query, within a budget. With
    --json the whole document that it was made from.
    """
    if explain and as_json:
        raise click.UsageError("--explain and --json exclude each other")
    if query == "-":
        query = _read_query()
    with place.connect(agent) as client:
        document = client.context(agent=agent, query=query, **wanted)
    if as_json:
        print_json(document)
    elif explain:
        from .explanation import lines

        for line in lines(document):
            print_line(line)
    elif text := str(document.get("text", "")):
        print_bytes(text.encode("utf-8", "replace") + (b"" if text.endswith("\n") else b"\n"))
    if is_terminal(sys.stderr):  # a hook's standard error is shown to people as a failure
        if not document.get("text"):
            notice("there is nothing to remember")
        if not document.get("complete", True):
            notice("the index is not complete yet: there may be more; see `eventd index status`")


def _read_query() -> str | None:
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    text = sys.stdin.buffer.read(MAX_QUERY).decode("utf-8", "ignore")
    return text.strip() or None
