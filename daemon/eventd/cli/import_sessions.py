"""`eventd import sessions`: the past that agent tools have kept, as events."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from .exits import ExitCode
from .options import AGENT_VARIABLE, Duration, Time, json_option, option
from .place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventd_ipc.blocking import Client

    from ..sources.model import Found, Tool

ALL = "all"
TOOLS = ("claude-code", "codex", "openclaw")

EPILOG = """\b
Examples:
  eventd import sessions --dry-run
  eventd import sessions
  eventd import sessions --from codex --since 90d
  eventd import sessions --project ~/work/shop

Reads what Claude Code, Codex and OpenClaw have kept of their sessions, and changes nothing there: \
$CLAUDE_CONFIG_DIR (~/.claude), $CODEX_HOME (~/.codex), $OPENCLAW_STATE_DIR (~/.openclaw, ~/.clawdbot, \
~/.moltbot). Events keep their own time. Run it as often as you like, also after it was broken off: what is \
there already, by an earlier run or by hooks, is not stored again. Keys, tokens and passwords are replaced, \
what stands between <private> and </private> is left out, and so are projects with a file .eventd-ignore. \
Long answers of tools are cut, images are named but not stored.
"""


@click.command("sessions", epilog=EPILOG)
@option(
    "--from",
    "sources",
    type=click.Choice((*TOOLS, ALL)),
    multiple=True,
    default=(ALL,),
    show_default=True,
    help="Whose sessions. May be given several times.",
)
@option(
    "--project", type=click.Path(), metavar="DIR", help="Only those of this folder, and of folders in it."
)
@option("--agent", metavar="NAME", help="Only those of this agent: main, say, or codex.")
@option("--since", type=Time(), metavar="TIME", help="Not before this time: 90d, yesterday, 2026-11-22.")
@option(
    "--as",
    "named",
    envvar=AGENT_VARIABLE,
    metavar="NAME",
    help="Whose the sessions of Claude Code and Codex become.  [default: the tool's name]",
)
@option("--thinking", is_flag=True, help="Store what the model was thinking, too.")
@option("--dry-run", is_flag=True, help="Only say what would be added.")
@option(
    "--wait",
    type=Duration(),
    default="60s",
    show_default=True,
    help="How long to try again when the daemon is full, away, or builds its index.",
)
@json_option
@click.pass_obj
def command(
    place: Place,
    sources: tuple[str, ...],
    project: str | None,
    agent: str | None,
    since: int | None,
    named: str | None,
    thinking: bool,
    dry_run: bool,
    wait: float,
    as_json: bool,
) -> ExitCode:
    """Store the sessions that agent tools have kept, once.

    Prints a table by tool, with --json an object for each. Exits with 1 where nothing was found, and with 4
    where some sessions could not be read, or some events were not taken.
    """
    from eventd_ipc.strict import agent_fault

    from ..sources.finding import find
    from .bulk import Sender
    from .session_arrival import NothingFound, SessionArrival, Wanted
    from .session_tally import SessionTally

    if named is not None and (fault := agent_fault(named)) is not None:
        raise click.UsageError(f"--as: {fault}")
    tools = TOOLS if ALL in sources else tuple(tool for tool in TOOLS if tool in sources)
    found = [find(cast("Tool", tool), os.environ, named) for tool in tools]
    if not any(one.transcripts for one in found):
        raise NothingFound(_nothing(found), hint="--from names the tools, and their variables other folders")
    wanted = Wanted(since, str(Path(project).expanduser().resolve()) if project else None, agent)
    client = _connect(place, dry_run)
    with SessionTally(found, as_json=as_json, dry_run=dry_run) as tally:
        sender = Sender(place, client, None, tally, wait, admin=True) if client is not None else None
        if sender is None:
            tally.say("no daemon answers, so it cannot be told what is there already")
        arrival = SessionArrival(
            sender, tally, wanted, thinking=thinking, wait=wait, dry_run=dry_run, environ=os.environ
        )
        try:
            for one in found:
                arrival.take(one)
            arrival.finish()
        finally:
            if sender is not None:
                sender.close()
    if not tally.events:
        raise NothingFound("nothing of what was found is to be imported", hint="see what was left out, above")
    return ExitCode.REFUSED if tally.has_trouble else ExitCode.OK


def _connect(place: Place, dry_run: bool) -> "Client | None":
    """Connect; a dry run does without a daemon that is not there."""
    from eventd_ipc.errors import NotRunning

    try:
        return place.connect(admin=True)
    except NotRunning:
        if not dry_run:
            raise
    return None


def _nothing(found: "Sequence[Found]") -> str:
    """Say that there is nothing, and where it was looked for."""
    lines = ["0 sessions found"]
    for one in found:
        lines += [f"{one.tool}: looked in {place}" for place in one.places]
        lines += [f"{one.tool}: {passed.path}: {passed.reason}" for passed in one.passed if passed.trouble]
    return "\n".join(lines)
