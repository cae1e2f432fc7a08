"""`eventd connect`: agent tools that people run are given a memory, and can be put back as they were."""

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, option
from .output import is_terminal, notice, print_json, print_line, printable, wants_colour
from .place import Place

if TYPE_CHECKING:
    from ..connecting.connector import Connection, Connector
    from ..connecting.model import Change, Scope, Wish

TOOLS = ("claude-code", "codex", "openclaw")
NONE = "/dev/null"  # as diff names a file that is not there
SHOWN = 2  # lines around a change that are shown with it

EPILOG = """\b
Examples:
  eventd connect claude-code --dry-run     what would be changed
  eventd connect codex
  eventd connect openclaw --grant
  eventd connect --list
  eventd connect --undo                    everything as it was
  eventd connect --undo codex --project

The tool's own file is edited in place, and a copy of it is kept. `--undo` brings that back, byte for byte;
where the file has been changed since, it takes out what is eventd's and nothing else. `eventd doctor` tells
whether events come in. Tools that speak MCP can also ask eventd: see `eventd mcp --help`.
"""


@click.command("connect", epilog=EPILOG)
@click.argument("tool", required=False, type=click.Choice(TOOLS))
@option("--user", "scope", flag_value="user", help="In all of this user's projects.  [default]")
@option("--project", "scope", flag_value="project", help="In the project of the current folder.")
@option(
    "--grant/--no-grant",
    default=None,
    help="OpenClaw: let the plugin see what is said (allowConversationAccess).  [default: ask]",
)
@option("--dry-run", is_flag=True, help="Only show what would be done.")
@option("--undo", is_flag=True, help="Take eventd out again: of TOOL, or of all.")
@option("--list", "listing", is_flag=True, help="Show which tools there are, and where eventd is in them.")
@json_option
@click.pass_obj
def command(
    place: Place,
    tool: str | None,
    scope: str | None,
    grant: bool | None,
    dry_run: bool,
    undo: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Connect an agent tool: its hooks record and recall.

    TOOL records what is said and done in it from then on, and is told at the start of a session what it
    should remember. Its agent has the tool's name, in OpenClaw that of OpenClaw's agent.
    """
    from ..connecting.connector import here
    from ..connecting.model import Scope

    if undo and listing:
        raise click.UsageError("--undo and --list exclude each other")
    if grant is not None and (tool != "openclaw" or undo or listing):
        raise click.UsageError("--grant belongs to `eventd connect openclaw`")
    connector, wanted = here(), Scope(scope) if scope else None
    if listing:
        if tool or dry_run or scope:
            raise click.UsageError("--list shows everything, and changes nothing")
        _list(connector, as_json=as_json)
    elif undo:
        _undo(connector, tool, wanted, dry_run=dry_run, as_json=as_json)
    elif tool is None:
        raise click.UsageError(f"which tool? {', '.join(TOOLS)}")
    else:
        asks = grant is None and tool == "openclaw" and not (dry_run or as_json) and is_terminal(sys.stdin)
        _connect(connector, tool, wanted or Scope.USER, _wish(place, grant), dry_run, as_json, asks=asks)
        if not as_json:
            _look_for_daemon(place)


def _look_for_daemon(place: Place) -> None:
    """Say so where there is no daemon: hooks never complain."""
    from eventd_ipc.errors import EventdClientError, NotRunning

    from ..errors import EventdError

    try:
        place.connect().close()
    except NotRunning:
        notice("eventd is not running: until it does (`eventd service install`), events wait in a spool")
    except (EventdClientError, EventdError) as error:
        notice(f"note: {printable(str(error))}")


def _wish(place: Place, grant: bool | None) -> "Wish":
    from ..connecting.model import Program, Wish
    from .program import program

    socket = place.socket.absolute() if place.socket else None
    return Wish(Program(program(), socket), bool(grant))


def _connect(
    connector: "Connector",
    tool: str,
    scope: "Scope",
    wish: "Wish",
    dry_run: bool,
    as_json: bool,
    *,
    asks: bool,
) -> None:
    change = connector.plan(tool, scope, wish)
    if asks and _is_to_be_granted(change):
        from dataclasses import replace

        wish = replace(wish, grant=True)
        change = connector.plan(tool, scope, wish)
    if not as_json:
        _show(change)
    backup = None if dry_run else connector.make(change, wish)
    if as_json:
        print_json(_document(change, done=not dry_run, backup=backup))
        return
    if not change.is_needed:
        notice(f"{change.tool.title} is connected already: {change.file}")
    elif dry_run:
        notice(f"nothing was changed; without --dry-run {change.file} is")
    else:
        notice(f"{change.tool.title} is connected: {change.file}")
        if backup is not None:
            notice(f"a copy from before: {backup}")
    for text in change.advice.notes:
        notice(f"note: {printable(text)}")
    for number, text in enumerate(change.advice.todo, 1):
        notice(f"still to do, {number}: {printable(text)}")


def _is_to_be_granted(change: "Change") -> bool:
    from ..connecting.openclaw import is_granted

    if change.after is None or is_granted(change.after.decode()):
        return False
    notice("OpenClaw tells a plugin what people and agents say only where its owner allows that.")
    return click.confirm("Allow it for eventd (allowConversationAccess)?", err=True)


def _undo(
    connector: "Connector", tool: str | None, scope: "Scope | None", *, dry_run: bool, as_json: bool
) -> None:
    changes = connector.plan_undo(tool, scope)
    for change in changes:
        if not as_json:
            _show(change)
        if not dry_run:
            connector.undo(change)
        if as_json:
            print_json(_document(change, done=not dry_run))
        else:
            notice(_undone(change, dry_run=dry_run))
    if not changes:
        notice(f"nothing to undo: {tool or 'no tool'} is not connected" if tool else "nothing is connected")


def _undone(change: "Change", *, dry_run: bool) -> str:
    what = "removed" if change.after is None and change.before is not None else "as it was without eventd"
    if not change.is_needed:
        what = "not there any more" if change.before is None else "without eventd already"
    return f"{change.tool.title}: {change.file} {'would be' if dry_run else 'is'} {what}"


def _list(connector: "Connector", *, as_json: bool) -> None:
    anything = False
    for connection in connector.connections():
        is_connected = bool(connection.commands)
        anything = anything or connection.found.is_there or is_connected
        if as_json:
            print_json(_listed(connection))
        elif is_connected or connection.problem is not None or connection.scope == "user":
            print_line(_line(connection))
    if not anything:
        notice(f"none of {', '.join(TOOLS)} was found on this machine")


def _line(connection: "Connection") -> str:
    if connection.problem is not None:
        state, more = "?", str(connection.problem)
    elif connection.commands:
        state, more = "connected", "; ".join(connection.commands)
    elif connection.found.is_there:
        state, more = "not connected", ""
    else:
        state, more = "not found", ""
    return printable(
        f"{connection.tool.name:<12} {connection.scope:<8} {state:<14} {connection.file}  {more}"
    ).rstrip()


def _listed(connection: "Connection") -> dict[str, Any]:
    return {
        "tool": connection.tool.name,
        "scope": connection.scope.value,
        "file": str(connection.file),
        "found": connection.found.is_there,
        "binary": connection.found.binary,
        "connected": bool(connection.commands),
        "commands": list(connection.commands),
        "since": connection.record.at if connection.record else None,
        "problem": str(connection.problem) if connection.problem else None,
    }


def _show(change: "Change") -> None:
    colour = wants_colour(sys.stdout)
    for line in _diff(change):
        shade = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1]) if colour else None
        print_line(click.style(printable(line), fg=shade) if shade else printable(line))


def _diff(change: "Change") -> Iterator[str]:
    """Yield the change as a diff, without line ends."""
    before, after = (_lines(data) for data in (change.before, change.after))
    old, new = (str(change.file) if data is not None else NONE for data in (change.before, change.after))
    yield from difflib.unified_diff(before, after, old, new, n=SHOWN, lineterm="")


def _lines(data: bytes | None) -> Sequence[str]:
    return (data or b"").decode("utf-8", "replace").splitlines()


def _document(change: "Change", *, done: bool, backup: Path | None = None) -> dict[str, Any]:
    return {
        "tool": change.tool.name,
        "scope": change.scope.value,
        "file": str(change.file),
        "changed": change.is_needed,
        "done": done,
        "diff": "\n".join(_diff(change)),
        "backup": str(backup) if backup else None,
        "notes": list(change.advice.notes),
        "todo": list(change.advice.todo),
    }
