"""`eventd get`: one stored event."""

import click

from .filters import whose
from .options import json_option, option
from .output import print_bytes, print_json, print_line
from .place import Place

EPILOG = """\b
Examples:
  eventd get 42
  eventd get 019ac0de-0000-7000-8000-000000000002 --json
  eventd get 7 --stream events-my-agent --raw | jq .payload
"""


@click.command("get", epilog=EPILOG)
@click.argument("target", metavar="SEQ|ID")
@option("--id", "is_id", is_flag=True, help="It is an id, although it is a number.")
@option(
    "--stream", metavar="NAME", help="Stream that holds it.  [default: the agent's, else the default one]"
)
@option(
    "--agent",
    metavar="NAME",
    help="Whose event it is; * for anybody's.  [default: anybody's that may be read]",
)
@json_option
@option("--raw", is_flag=True, help="Print the stored bytes and nothing else.")
@option("--text", is_flag=True, help="Print what it says; of a migrated file all of it, put together.")
@click.pass_obj
def command(
    place: Place,
    target: str,
    is_id: bool,
    stream: str | None,
    agent: str | None,
    as_json: bool,
    raw: bool,
    text: bool,
) -> None:
    """Show one stored event.

    By its sequence in the stream, or by its id, also before it is there; byte for byte as it was stored.
    """
    from . import views

    if as_json + raw + text > 1:
        raise click.UsageError("--json, --raw and --text exclude each other")
    is_seq = target.isascii() and target.isdigit() and not is_id
    with place.connect(admin=True) as client:
        stored = client.get(
            None if is_seq else target,
            seq=int(target) if is_seq else None,
            stream=stream,
            agent=whose(client, agent),
        )
        if text:
            from ..migration.stored import text_with

            print_bytes(text_with(client, stored.body).encode("utf-8", "replace"))
            return
    if raw:
        print_bytes(stored.body + b"\n")
    elif as_json:
        print_json(views.as_json(stored))
    else:
        print_line(views.as_page(stored))
