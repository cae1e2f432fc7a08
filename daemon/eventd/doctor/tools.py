"""Agent tools: whether eventd stands in their configuration, may run, and is the one that is installed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..connecting import claude_code, codex, hooks, jsonedit, openclaw
from ..connecting.connector import Connection, Connector
from ..connecting.model import Program, Scope
from ..errors import EventdError
from ..shapes import read_shapes, shapes_file
from .firing import examine_firing
from .handing import examine_handing
from .model import Finding, Findings, Level, unmade
from .spool import examine_spool
from .visit import Connect, Visit, text_of

HOOKED = (claude_code.NAME, codex.NAME)
"""Tools that call a command of ours; OpenClaw loads a plugin."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of this user.

    Attributes:
        connector: Who connects them.
        program: This eventd, as they would call it.
    """

    connector: Connector
    program: Program


def examine_tools(tools: Tools, visited: Visit, connect: Connect) -> Findings:
    """Look at every tool that is there or was connected, and at what waits in the spool. Blocks."""
    try:
        connections = list(tools.connector.connections())
    except (EventdError, OSError) as error:
        return [unmade("tools.installed", "connected tools", text_of(error))]
    found: Findings = []
    for name in tools.connector.tools:
        found += _tool(tools, [one for one in connections if one.tool.name == name], visited, connect)
    used = any(one.commands for one in connections if one.tool.name in HOOKED)
    environ = tools.connector.around.environ
    return [*found, *_shapes(environ), *examine_spool(visited, environ, used=used)]


def _shapes(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether the secrets that a person has told of are looked for."""
    check, title = "tools.redaction", "secrets of one's own"
    shapes = read_shapes(shapes_file(environ))
    for fault in shapes.faults:
        yield Finding(check, Level.PROBLEM, title, f"not looked for: {fault}", "mend that line")
    if shapes.known and not shapes.faults:
        yield Finding(check, Level.OK, title, "looked for: " + ", ".join(kind for kind, _ in shapes.known))


def _tool(tools: Tools, places: Sequence[Connection], visited: Visit, connect: Connect) -> Iterator[Finding]:
    """Yield what there is to say of one tool, in the places in which it may be connected."""
    connected = [place for place in places if place.commands]
    for place in places:
        yield from _installed(tools, place, is_elsewhere=bool(connected))
    for place in connected:
        yield from _trusted(tools, place)
    if connected:
        yield from examine_firing(connected, visited, connect)
        yield from examine_handing(connected[0], tools.program, visited, connect)


def _installed(tools: Tools, place: Connection, *, is_elsewhere: bool) -> Iterator[Finding]:
    check, title = "tools.installed", f"{place.tool.title} {_what(place)}"
    again = f"`eventd connect {place.tool.name} --{place.scope}`"
    if place.problem is not None:
        if place.found.is_there or place.record is not None:
            level = Level.PROBLEM if place.record is not None else Level.NOTE
            yield Finding(check, level, title, f"{place.file}: {text_of(place.problem)}", "mend the file")
    elif place.commands:
        yield from _sound(tools, place, check, title, again)
    elif place.record is not None:
        yield Finding(
            check, Level.PROBLEM, title, f"somebody has taken eventd out of {place.file}",
            f"{again} puts it back; `eventd connect --undo {place.tool.name}` lets it go",
        )  # fmt: skip
    elif place.found.is_there and place.scope is Scope.USER and not is_elsewhere:
        yield Finding(
            check, Level.NOTE, title, "not connected", f"`eventd connect {place.tool.name}` if it shall be"
        )


def _what(place: Connection) -> str:
    return "hooks" if place.tool.name in HOOKED else "plugin"


def _sound(tools: Tools, place: Connection, check: str, title: str, again: str) -> Iterator[Finding]:
    """Yield whether what stands in a file can work: the worst of it, or that it is well."""
    if place.tool.name in HOOKED:
        gone = [command for command in place.commands if not hooks.is_startable(command)]
    else:
        gone = [folder for folder in place.commands if not openclaw.is_there(folder)]
    if gone:
        text = f"{place.file} names {gone[0]}, which cannot be used: it is not there, or may not be run"
        yield Finding(check, Level.PROBLEM, title, text, again)
    elif off := _switched_off(place):
        yield Finding(check, Level.PROBLEM, title, f"{place.file}: {off}", "turn it on there")
    elif claude_code.strictness(place.text, place.tool.title) and place.tool.name in HOOKED:
        text = f"{place.file} is no plain JSON, with its comments or its last commas"
        remedy = f"{place.tool.title} may read none of it: take these out"
        yield Finding(check, Level.WARNING, title, text, remedy)
    elif place.tool.name in HOOKED and not _is_this(place.commands[0], tools.program):
        text = f"{place.file} calls another eventd: {place.commands[0]}"
        yield Finding(check, Level.WARNING, title, text, f"{again} has this one called")
    elif _is_older(place):
        yield Finding(
            check, Level.WARNING, title, f"{place.file}: not all that this eventd would have", again
        )
    else:
        yield Finding(check, Level.OK, title, str(place.file))


def _is_this(command: str, program: Program) -> bool:
    return hooks.is_same_program(hooks.program_words(command)[:-2], program.words)


def _switched_off(place: Connection) -> str:
    """Return which switch of the tool's keeps everything of ours from running; "" where none does."""
    document: Any = jsonedit.read(place.text)
    if place.tool.name == claude_code.NAME:
        return "disableAllHooks is set" if document.get("disableAllHooks") else ""
    if place.tool.name == openclaw.NAME:
        return "" if openclaw.is_on(place.text) else "plugins, or this one, are turned off"
    try:
        config = codex.config_of(place.found.folder)
    except ValueError:
        return ""
    return (
        f"[features] hooks is false in {place.found.folder / codex.CONFIG}" if codex.are_off(config) else ""
    )


def _is_older(place: Connection) -> bool:
    """Whether this eventd would have more in the file, or another plugin beside it."""
    if place.tool.name == openclaw.NAME:
        return not openclaw.is_current(place.commands[0])
    events = claude_code.EVENTS if place.tool.name == claude_code.NAME else codex.EVENTS
    there = {handler.event for handler in hooks.ours(jsonedit.read(place.text), place.tool.name)}
    return not set(events) <= there


def _trusted(tools: Tools, place: Connection) -> Iterator[Finding]:
    """Yield whether the tool's owner lets it run, as far as that can be seen from outside."""
    if place.tool.name == openclaw.NAME:
        yield _granted(place)
        return
    if place.tool.name != codex.NAME:
        return  # Claude Code asks nobody
    check, title = "tools.trusted", "Codex approval"
    try:
        config = codex.config_of(place.found.folder)
    except ValueError as error:
        yield unmade(check, title, f"{place.found.folder / codex.CONFIG} cannot be read: {error}")
        return
    states = codex.trust(place.file, place.text, config)
    waiting = [event for event, state in states.items() if state is codex.Trust.UNKNOWN]
    stopped = [event for event, state in states.items() if state is codex.Trust.DISABLED]
    changed = [event for event, state in states.items() if state is codex.Trust.CHANGED]
    remedy = "start Codex and look at /hooks"
    if waiting:
        text = f"Codex passes over {_named(waiting, len(states))} silently: nobody has approved them"
        yield Finding(check, Level.PROBLEM, title, text, remedy)
    elif stopped:
        text = f"{_named(stopped, len(states))} are turned off in Codex"
        yield Finding(check, Level.WARNING, title, text, remedy)
    elif changed:
        text = (
            f"{_named(changed, len(states))} are approved as something else than what is there now, or by a "
            "Codex that reckons otherwise than this eventd knows"
        )
        yield Finding(check, Level.WARNING, title, text, remedy)
    else:
        yield Finding(check, Level.OK, title, f"all {len(states)} hooks are approved")


def _named(events: Sequence[str], of: int) -> str:
    return f"all {of} hooks" if len(events) == of else f"{len(events)} of {of} hooks ({', '.join(events)})"


def _granted(place: Connection) -> Finding:
    check, title = "tools.trusted", "OpenClaw grants"
    if not openclaw.is_granted(place.text):
        return Finding(
            check, Level.PROBLEM, title,
            f"{'.'.join(openclaw.GRANT)} is not set: the plugin hears no answers, and reminds nobody",
            "`eventd connect openclaw --grant`, then restart OpenClaw",
        )  # fmt: skip
    if openclaw.may_not_inject(place.text):
        text = "allowPromptInjection is false: everything is recorded, and no agent is reminded"
        return Finding(check, Level.WARNING, title, text, "take it out, then restart OpenClaw")
    return Finding(check, Level.OK, title, "the plugin may see what is said, and remind agents")
