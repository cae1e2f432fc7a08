"""`eventd config`: checks the configuration, and shows what is in effect."""

from pathlib import Path

import click

from .options import file_type, json_option
from .output import notice, print_bytes, print_json
from .place import Place

GROUP_EPILOG = """\b
Examples:
  eventd config check
  eventd config show
"""

CHECK_EPILOG = """\b
Examples:
  eventd config check
  eventd config check ./config.yml && systemctl --user restart eventd
"""

SHOW_EPILOG = """\b
Examples:
  eventd config show
  eventd --config ./config.yml config show
  eventd config show --json | jq .gateway.eventStore.outbox
"""


@click.group("config", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """Check the config file, or show what is in effect."""


@command.command("check", epilog=CHECK_EPILOG)
@click.argument("file", type=file_type, required=False)
@click.pass_obj
def check(place: Place, file: Path | None) -> None:
    """Say whether a config file can be used.

    Every problem is told with its line; the exit code is 1 when there is one. Without FILE it is the file
    that `eventd run` would use.
    """
    config = Place(file or place.config).load_config()
    for warning in config.warnings:
        notice(f"warning: {warning}")
    if config.source is None:
        notice("there is no config file; the defaults are used")
    else:
        notice(f"{config.source} is fine")


@command.command("show", epilog=SHOW_EPILOG)
@json_option
@click.pass_obj
def show(place: Place, as_json: bool) -> None:
    """Show every setting as it takes effect, with defaults and without secrets."""
    from ..config.render import effective, render

    config = place.load_config()
    for warning in config.warnings:
        notice(f"warning: {warning}")
    notice(
        f"# from {config.source}" if config.source else "# there is no config file; these are the defaults"
    )
    if as_json:
        print_json(effective(config))
    else:
        print_bytes(render(config).encode())
