"""The options that say which events are wanted; `query`, `tail`, `replay` and `recall` share them.

Their parameters have the names of the protocol's keys, so that a command hands them on as they are.
"""

from typing import TYPE_CHECKING, get_args

import click

from eventd_ipc.events import Visibility

from .options import Time, option

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

EVERYBODY = "*"
"""Stands for all agents."""

agent_option = option(
    "--agent",
    metavar="NAME",
    help="Only events of this agent; * for those of all.  [default: all that may be read]",
)
session_option = option(
    "--session", metavar="KEY", help="Only this session; agent:main:* for all that begin so."
)
type_option = option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Only this type; conversation.* for all below it. May be given several times.",
)
visibility_option = option(
    "--visibility",
    multiple=True,
    type=click.Choice(get_args(Visibility)),
    help="Only this visibility. May be given several times.",
)
since_option = option(
    "--since", type=Time(), metavar="TIME", help="Not before this time: 1h, yesterday, 2026-11-22T18:30."
)
until_option = option("--until", type=Time(), metavar="TIME", help="Before this time.")
run_option = option("--run", metavar="ID", help="Only this run.")
text_option = option("--text", metavar="WORDS", help="Only events with all of these words.")


def whose(client: "Client", agent: str | None) -> str | None:
    """Return what is asked for as `agent`: a person who looks at the store wants to see all that they may."""
    return EVERYBODY if agent is None and client.welcome.admin else agent
