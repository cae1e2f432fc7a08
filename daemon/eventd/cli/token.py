"""`eventd token`: the tokens by which agents prove who they are."""

import sys

import click

from eventd_ipc.errors import EventdClientError, NotRunning, Unauthorised
from eventd_ipc.strict import agent_fault

from ..access.tokens import TokenFolder
from ..paths import token_folder
from .columns import columns
from .exits import ExitCode
from .figures import count
from .options import json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line
from .place import Place

GROUP_EPILOG = """\b
Examples:
  eventd token new assistant-one
  eventd token list
  eventd token revoke assistant-one

As soon as any agent has a token, agents without a rule are refused; see `allowUnlisted` in config.yml. Only
the daemon's user and root can use these commands: they work on files in the data folder, with or without a
daemon.
"""

NEW_EPILOG = """\b
Examples:
  export EVENTD_TOKEN=$(eventd token new assistant-one)
  eventd token new assistant-one --keep      the old one stays good until it is revoked
"""


LIST_EPILOG = """\b
Examples:
  eventd token list
  eventd token list --json | jq -r .agent
"""

REVOKE_EPILOG = """\b
Examples:
  eventd token revoke assistant-one
"""

DROP_EPILOG = """\b
Examples:
  eventd token drop assistant-one
  eventd token drop assistant-one --yes
"""


@click.group("token", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """Make, list and revoke the tokens of agents.

    An agent with a token has to show it in its hello, as proof that it is who it says.
    """


@command.command("new", epilog=NEW_EPILOG)
@click.argument("agent")
@option("--keep", is_flag=True, help="Let the tokens that it has stay good.")
@json_option
@click.pass_obj
def new(place: Place, agent: str, keep: bool, as_json: bool) -> None:
    """Make a token for an agent and print it: once, for only its hash is kept."""
    tokens = _tokens(place, agent)
    is_first = not tokens.agents()
    token = tokens.make(agent, keep=keep)
    if as_json:
        print_json({"agent": agent, "token": token})
    else:
        print_line(token)
    notice(f"this is the only time that it is shown; {neutral(agent)} takes it from EVENTD_TOKEN")
    if is_first:
        notice("from now on agents without a rule are refused, unless allowUnlisted: true in config.yml")
    _try_out(place, agent, token)


@command.command("list", epilog=LIST_EPILOG)
@json_option
@click.pass_obj
def list_tokens(place: Place, as_json: bool) -> None:
    """List the agents that need a token from here. Those in config.yml are shown by `eventd config show`."""
    from .views import local_time

    entries = _tokens(place).entries()
    if as_json:
        for entry in entries:
            changed = int(entry.changed * 1000)
            print_json({"agent": entry.agent, "tokens": entry.tokens, "changed": changed})
        return
    rows = [
        (
            neutral(entry.agent),
            count(entry.tokens, "token") if entry.tokens else "revoked, locked out",
            local_time(int(entry.changed * 1000)),
        )
        for entry in entries
    ]
    for line in columns([("agent", "tokens", "changed"), *rows]) if rows else ():
        print_line(line)
    if not rows:
        notice("no agent has a token from here")


@command.command("revoke", epilog=REVOKE_EPILOG)
@click.argument("agent")
@click.pass_obj
def revoke(place: Place, agent: str) -> ExitCode:
    """Take all tokens of an agent away. It is locked out until it gets a new one; its connections end.

    A token in config.yml is not among them.
    """
    tokens = _tokens(place, agent)
    if agent not in tokens.agents():
        notice(f"{neutral(agent)} has no token from here; see `eventd token list` and config.yml")
        return ExitCode.FAILED
    tokens.revoke(agent)
    rule = place.load_config().access.agents.get(agent)
    if rule is not None and rule.token is not None:
        notice(f"the tokens of {neutral(agent)} from here are gone; the one in config.yml stays good")
        return ExitCode.OK
    notice(f"{neutral(agent)} is locked out; `eventd token new` makes a new one, `token drop` ends the rule")
    return ExitCode.OK


@command.command("drop", epilog=DROP_EPILOG)
@click.argument("agent")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(place: Place, agent: str, yes: bool) -> ExitCode:
    """Forget that an agent needs a token.

    Asks first on a terminal: when the last rule goes, whoever may use the socket is let in.
    """
    tokens = _tokens(place, agent)
    if not yes:
        if not is_terminal(sys.stdin):
            raise click.UsageError("it may let others in: say --yes where nobody can be asked")
        if not click.confirm(f"Let {neutral(agent)} do without a token?", err=True):
            return ExitCode.FAILED
    if not tokens.drop(agent):
        notice(f"{neutral(agent)} has no token from here; see `eventd token list` and config.yml")
        return ExitCode.FAILED
    notice(f"{neutral(agent)} needs no token from here any more")
    if not tokens.agents():
        notice("it was the last one: without a rule in config.yml whoever may use the socket is let in")
    return ExitCode.OK


def _tokens(place: Place, agent: str | None = None) -> TokenFolder:
    if agent is not None and (fault := agent_fault(agent)) is not None:
        raise click.UsageError(fault)
    data = place.load_config().data_dir
    if not data.is_dir():
        raise click.ClickException(f"eventd has not run here yet: there is no folder {data}; start it first")
    return TokenFolder(token_folder(data))


def _try_out(place: Place, agent: str, token: str) -> None:
    """Say whether the daemon takes a token: it may be another one than the config file is of."""
    try:
        with place.connect(agent, token=token) as client:
            proof = client.welcome.proof
    except Unauthorised as error:
        notice(f"the daemon that runs does not let it in: {neutral(error.message)}")
    except NotRunning:
        notice("no daemon answers now; it will know the token when it starts")
    except EventdClientError as error:
        notice(f"it could not be tried out: {neutral(str(error))}")
    else:
        if proof == "open":
            notice(
                f"the daemon that answers has other files than {token_folder(place.load_config().data_dir)}; "
                "give the --config that it was started with"
            )
