"""`eventd import`: the events of files into the daemon, each of them once."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .exits import ExitCode
from .options import Duration, json_option, option
from .place import Place

if TYPE_CHECKING:
    from ..transfer.files import Unpacked

STANDARD_INPUT = "-"
SESSIONS = "sessions"  # means those of agent tools, and not a file of that name

EPILOG = """\b
Examples:
  eventd import events.ndjson.zst
  eventd import --dry-run old-events.ndjson
  eventd import --agent main notes.ndjson
  zcat *.gz | eventd import -

Lines are what `eventd export` has written, which are stored byte for byte under their ids, or events as any
tool writes them: JSON objects with a `type`. What these leave out is added; without an id of their own they
get one made of their content. So the same file can be imported again, also after it was broken off: only
what is not there yet is added. Lines that cannot be taken are told with their number, the rest is stored, and
the exit code is 4. A FILE may be packed with gzip or Zstandard.

`eventd import sessions` is about what Claude Code, Codex and OpenClaw have kept; a file of this name is
./sessions.
"""


class _Import(click.Command):
    """Has a command of its own for the sessions of agent tools."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Prepare what is to be run."""
        if args[:1] != [SESSIONS]:
            return super().make_context(info_name, args, parent, **extra)
        from .import_sessions import command as sessions

        within = click.Context(click.Command("import"), parent=parent, info_name=info_name)
        return sessions.make_context(SESSIONS, args[1:], within, **extra)


@click.command("import", cls=_Import, epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="FILE...")
@option(
    "--agent", metavar="NAME", help="Whose all events become.  [default: those whom they name, else main]"
)
@option("--dry-run", is_flag=True, help="Only say what would be added.")
@option(
    "--wait",
    type=Duration(),
    default="60s",
    show_default=True,
    help="How long to try again when the daemon is full, away, or builds its index.",
)
@json_option
@click.pass_obj
def command(
    place: Place, files: tuple[str, ...], agent: str | None, dry_run: bool, wait: float, as_json: bool
) -> ExitCode:
    """Store the events of files, each of them once.

    A FILE that is - is standard input, as it is without any. With --json an object for each line that was not
    taken, and one with the figures at the end.
    """
    from eventd_ipc.strict import agent_fault

    if SESSIONS in files:
        raise click.UsageError(f"{SESSIONS} stands first, and alone; a file of this name is ./{SESSIONS}")
    if agent is not None and (fault := agent_fault(agent)) is not None:
        raise click.UsageError(f"--agent: {fault}")
    if not files and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("give a FILE, or events on standard input")
    from .arrival import Arrival
    from .tally import Tally

    names = files or (STANDARD_INPUT,)
    for name in names:
        if name != STANDARD_INPUT and not Path(name).exists():
            raise click.UsageError(f"there is no file {name}")
    with (
        place.connect(admin=True) as client,
        Tally(_size(names), as_json=as_json, dry_run=dry_run) as tally,
    ):
        arrival = Arrival(place, client, tally, agent=agent, wait=wait, dry_run=dry_run)
        try:
            for name in names:
                with _opened(name) as file:
                    tally.begin("standard input" if name == STANDARD_INPUT else name, several=len(names) > 1)
                    arrival.take(file)
        finally:
            arrival.close()
    return ExitCode.REFUSED if tally.refused else ExitCode.OK


@contextmanager
def _opened(name: str) -> "Iterator[Unpacked]":
    from ..transfer.files import Unpacked

    if name == STANDARD_INPUT:
        yield Unpacked(sys.stdin.buffer)
        return
    file: BinaryIO
    with Path(name).open("rb") as file:
        yield Unpacked(file)


def _size(names: Sequence[str]) -> int | None:
    """Return the bytes of all files together, where that is known."""
    sizes = [0 if name == STANDARD_INPUT else Path(name).stat().st_size for name in names]
    return None if 0 in sizes else sum(sizes)
