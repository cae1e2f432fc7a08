"""`eventd mcp`: tools for agents that speak MCP."""

import os
import sys

import click

from .. import __version__
from ..errors import EventdError
from .options import AGENT_VARIABLE, option
from .output import is_terminal, notice
from .place import DEFAULT_AGENT, Place

EXTRA = "pip install 'openclaw-eventd[mcp]'"

EPILOG = """\b
Examples:
  eventd mcp
  eventd mcp --agent claude-code

It needs the extra `mcp`: pip install 'openclaw-eventd[mcp]'. While the daemon is away, the tools say so, and
answer again when it is back.
"""


class ExtraMissing(EventdError):
    """A library that only this command needs is not there."""


@click.command("mcp", epilog=EPILOG)
@option("--agent", envvar=AGENT_VARIABLE, metavar="NAME", help="Whose memory it is.  [default: main]")
@click.pass_obj
def command(place: Place, agent: str | None) -> None:
    """Offer recall, context, get and remember as tools (MCP).

    Speaks MCP on standard input and output, for a tool that starts it, until that leaves. The answers are
    those of the commands with the same names; what `remember` keeps is a fact (memory.fact) that each context
    shows. Where agents have rules it shows $EVENTD_TOKEN, and never the administrator's. To have it started:

    \b
    claude mcp add --scope user eventd -- eventd mcp --agent claude-code
    codex mcp add eventd -- eventd mcp --agent codex
    """
    try:
        from ..mcpserver.server import serve
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"`eventd mcp` needs the library {error.name}", hint=EXTRA) from error
    import anyio

    from eventd_ipc.session import TOKEN_VARIABLE

    from ..mcpserver.memory import Memory
    from .views import as_json

    if is_terminal(sys.stdin):
        notice("a tool is to start this, and to speak MCP with it; Ctrl-C ends it")
    # Said to be none where there is none, so that no model speaks as the administrator.
    token = os.environ.get(TOKEN_VARIABLE, "")
    memory = Memory(agent or DEFAULT_AGENT, lambda name: place.connect(name, token=token), as_json)
    anyio.run(serve, memory, __version__)
