"""`eventd restore`: brings back what `eventd backup` has put into a folder."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .backup import config_loader, end_in_order, progress, verify_folder
from .exits import ExitCode
from .figures import count, size
from .options import json_option, option
from .output import neutral, notice, print_json, print_line
from .place import Place

if TYPE_CHECKING:
    from ..backup.folder import Folder
    from ..backup.manifest import Manifest
    from ..backup.plan import Step
    from ..backup.restoring import Restored, Wish

EPILOG = """\b
Examples:
  eventd restore /var/backups/eventd --dry-run
  eventd restore /var/backups/eventd
  eventd restore /var/backups/eventd --stream openclaw-events=events-old

\b
Where events go is what the configuration here says:
  a stream that is missing, or is of eventd's own making and unused, is made from its snapshot, with its
  sequences and times; into any other one the events that are missing are put by the daemon, each under its id

To restore twice adds nothing. Nothing that is there is deleted or written over.
"""


class Renamed(click.ParamType[tuple[str, str]]):
    """`OLD=NEW`."""

    name = "old=new"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read the text."""
        if isinstance(value, tuple):
            return value
        old, separator, new = value.partition("=")
        if not (old and separator and new):
            self.fail(f"{value!r}: the name in the backup, then the name here, like old=new", param, ctx)
        return old, new


@click.command("restore", epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@option("--dry-run", is_flag=True, help="Verify, say what would be done, and do nothing.")
@option("--verify-only", is_flag=True, help="Compare what is in the folder with its checksums, and no more.")
@option(
    "--stream",
    "renamed",
    type=Renamed(),
    multiple=True,
    metavar="OLD=NEW",
    help="A stream has another name here. Can be repeated.",
)
@option("--dead-letters", is_flag=True, help="Try dead letters again, too.")
@option("--earlier", is_flag=True, help="Of streams that were taken anew, restore what was there before.")
@option("--no-verify", is_flag=True, help="Do not compare all events by id and bytes afterwards.")
@json_option
@click.pass_obj
def command(
    place: Place,
    folder: Path,
    dry_run: bool,
    verify_only: bool,
    renamed: Sequence[tuple[str, str]],
    dead_letters: bool,
    earlier: bool,
    no_verify: bool,
    as_json: bool,
) -> ExitCode:
    """Bring back what `eventd backup` has put into a folder.

    First every file is compared with its checksum. Needs the daemon, which goes on meanwhile.
    """
    import anyio

    from ..backup.restoring import Wish

    if verify_only:
        return verify_folder(folder, as_json=as_json)
    logging.getLogger().addHandler(logging.NullHandler())  # what our parts log is in the report
    end_in_order()
    wish = Wish(dict(renamed), dead_letters, not no_verify)
    return anyio.run(_restore, place, folder, wish, earlier, dry_run, as_json)


async def _restore(
    place: Place, path: Path, wish: "Wish", earlier: bool, dry_run: bool, as_json: bool
) -> ExitCode:
    import anyio.to_thread

    from ..backup.folder import Folder
    from ..backup.plan import make_plan
    from ..backup.putting import Putter
    from ..backup.restoring import Restoring
    from ..backup.source import open_daemon

    def connect() -> Any:
        return place.connect(admin=True)

    with progress() as shown:
        folder = Folder(path, shown.advance)
        manifest = await anyio.to_thread.run_sync(folder.existing)
        shown.expect(sum(file.bytes for file in manifest.files()))
        await anyio.to_thread.run_sync(folder.verify, list(manifest.files()))
        async with open_daemon(connect, config_loader(place)) as source:
            steps = await make_plan(manifest, source.config, source.servers, wish.renamed, earlier=earlier)
            if not as_json or dry_run:
                for step in steps:
                    _print_step(step, shown.say, as_json=as_json)
            if dry_run:
                return ExitCode.FAILED if any(step.how == "none" for step in steps) else ExitCode.OK
            putter = await anyio.to_thread.run_sync(Putter, connect)
            try:
                done = await Restoring(folder, manifest, source, putter, wish).run(steps)
            finally:
                putter.close()
            told = await anyio.to_thread.run_sync(_restore_config, folder, manifest, source.config.source)
    for restored in done:
        if as_json:
            print_json(asdict(restored))
        else:
            print_line(_line(restored))
    for restored in done:
        if restored.note:
            notice(f"note: {restored.name}: {neutral(restored.note)}")
        if restored.problem:
            notice(f"error: {restored.name}: {neutral(restored.problem)}")
    notice(told)
    return ExitCode.OK if all(restored.complete for restored in done) else ExitCode.FAILED


def _print_step(step: "Step", say: Any, *, as_json: bool) -> None:
    """Say what is going to be done about a stream: as data where that is all that was asked for."""
    name = step.place.label if step.place else step.entry.name
    if as_json:
        document = {"stream": step.entry.name, "to": name if step.place else None, "how": step.how}
        print_json(document | {"events": step.events, "bytes": step.bytes, "why": step.why})
        return
    how = {
        "snapshot": "is made from its snapshot",
        "events": "gets the events that it lacks",
        "none": "cannot be restored",
    }[step.how]
    why = f": {step.why}" if step.why else ""
    say(f"{name} {how} ({count(step.events, 'event')}, {size(step.bytes)}){why}")


def _line(restored: "Restored") -> str:
    parts = [f"{count(restored.restored, 'event')} restored"]
    for number, what in (
        (restored.there, "already there"),
        (restored.forgotten, "forgotten"),
        (restored.dead_letters, "dead letters left out (--dead-letters)"),
        (restored.missing, "not in the stream yet"),
        (restored.different, "there with other bytes, and left so"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    parts += [f"{number:,} refused: {code}" for code, number in restored.refused.items()]
    if restored.compared and restored.complete:
        parts.append("all compared by id and bytes")
    return f"{restored.name}: {', '.join(parts)}"


def _restore_config(folder: "Folder", manifest: "Manifest", used: Path | None) -> str:
    """Write the config file where there is none and no secret is missing in it; say where it is. Blocks."""
    from ..paths import new_config
    from ..secret import MASK

    if manifest.config is None:
        return "there is no configuration in the backup"
    path = folder.path / manifest.config.name
    target = used or new_config()
    if used is None and not target.exists() and MASK not in path.read_text(encoding="utf-8"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(0o600)
        target.write_bytes(path.read_bytes())
        return f"the configuration is in {target} now; the daemon takes over what it can, see `eventd reload`"
    return f"the configuration of the backup is {path}; what is here stays as it is"
