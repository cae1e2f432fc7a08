"""`eventd whoami`: as whom the daemon knows us."""

import click

from .columns import columns
from .options import AGENT_VARIABLE, json_option, option
from .output import neutral, print_json, print_line
from .place import Place

PROOFS = {
    "open": "nothing: there are no rules, whoever may use the socket is let in",
    "token": "the token in EVENTD_TOKEN",
    "peer": "the user or group of this process",
    "unlisted": "nothing: agents without a rule are let in (allowUnlisted)",
    "admin": "the administrator's token, or a user of admin.allowUids",
}

EPILOG = """\b
Examples:
  eventd whoami
  EVENTD_TOKEN=evt_… eventd whoami --agent assistant-one
"""


@click.command("whoami", epilog=EPILOG)
@option("--agent", envvar=AGENT_VARIABLE, metavar="NAME", help="Who speaks.  [default: main]")
@json_option
@click.pass_obj
def command(place: Place, agent: str | None, as_json: bool) -> None:
    """Show as whom the daemon knows us, and by what."""
    with place.connect(agent) as client:
        welcome = client.welcome
    if as_json:
        print_json(
            {"agent": welcome.agent, "proof": welcome.proof, "admin": welcome.admin, "can": welcome.can}
        )
        return
    facts = [
        ("agent", neutral(welcome.agent)),
        ("proved by", PROOFS.get(welcome.proof, neutral(welcome.proof))),
        ("rights", "administrator: all agents' events" if welcome.admin else "those of the agent"),
        ("may ask", neutral(" ".join(welcome.can))),
    ]
    for line in columns(facts):
        print_line(line)
