"""`eventd init`: writes a config file."""

from pathlib import Path

import click

from .options import file_type, option
from .output import notice, print_line
from .place import Place

EPILOG = """\b
Examples:
  eventd init
  eventd init --path ./config.yml
  eventd init --force                the old file is kept as config.yml.old
"""


@click.command("init", epilog=EPILOG)
@option(
    "--path", type=file_type, metavar="FILE", help="Where to write it.  [default: where `eventd run` looks]"
)
@option("--force", is_flag=True, help="Replace a file that is there; it is kept with `.old` behind its name.")
@click.pass_obj
def command(place: Place, path: Path | None, force: bool) -> None:
    """Write a config file with every setting explained.

    As it is written it changes nothing: eventd needs no config file. Prints the file's path.
    """
    from ..config.template import write_template
    from ..paths import find_config, new_config

    target = path or place.config or new_config()
    if force and target.is_file():
        old = target.with_name(f"{target.name}.old")
        target.replace(old)
        notice(f"the old file is now {old}")
    write_template(target)
    print_line(str(target))
    run = "eventd run" if find_config() == target else f"eventd --config {target} run"
    notice(f"edit it, check it with `{run.removesuffix('run')}config check`, and start with `{run}`")
