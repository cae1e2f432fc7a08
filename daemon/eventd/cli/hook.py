"""`eventd hook`: what the hooks of agent tools call. `eventd.entry` goes past all this where it can."""

import click

from ..errors import EventdError
from ..hooks.command import TOOLS, run
from .place import Place


class UnknownTool(EventdError):
    """There is no such tool; a tool that calls us with a mistake is not to be stopped by exit code 2."""


EPILOG = """\b
Examples:
  eventd hook claude-code < a-hook-s-input.json
  eventd hook codex < a-hook-s-input.json
"""


@click.command("hook", epilog=EPILOG, context_settings={"ignore_unknown_options": True})
@click.argument("tool", nargs=-1, metavar=f"[{'|'.join(TOOLS)}]")
@click.pass_obj
def command(place: Place, tool: tuple[str, ...]) -> int:
    """Store what a hook of an agent tool is given.

    Reads the hook's JSON from standard input. When a session begins, prints the context in the form that the
    tool takes. Whatever happens, it ends with 0, prints no errors, and is over after a moment: what no daemon
    takes waits in a spool folder, and what went wrong stands in hook.log beside it.

    \b
    EVENTD_OFF=1           records nothing, and hands nothing over
    .eventd-ignore         the same, as a file in the project, or above it
    eventd off, eventd on  the same for a session, as a prompt
    <private>...</private> keeps a part of a message out
    EVENTD_INJECT          start (the default), prompt: with the first prompt, or off
    EVENTD_AGENT           whose memory it is  [default: the tool's name]
    EVENTD_SPOOL           folder for what waits  [default: in the user's state folder]
    """
    if len(tool) != 1 or tool[0] not in TOOLS:
        raise UnknownTool(
            f"there are hooks for {' and '.join(TOOLS)}, not for {' '.join(tool) or 'nothing'}",
            hint="eventd hook claude-code",
        )
    return run(tool[0], str(place.socket) if place.socket else None)
