"""`eventd backup`: everything in a folder, from which it can be brought back."""

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import ExitCode
from .figures import count, size
from .options import json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line
from .place import Place

if TYPE_CHECKING:
    from ..backup.source import LoadConfig
    from ..backup.taking import Report, Taken, Wish
    from .progress import Bar

EPILOG = """\b
Examples:
  eventd backup /var/backups/eventd
  eventd backup /var/backups/eventd --verify
  eventd backup /var/backups/eventd --full

\b
What is in the folder:
  MANIFEST.yml  what was taken, when and from where, with a checksum for every file
  streams       a snapshot of each stream where the login may take one, else its messages, and what came since
  outbox-N      what was accepted and is in no stream yet, and dead letters
  config-N.yml  the configuration in effect, without secrets

A second backup into the same folder adds what came since. Where a stream was made anew, rolled back or
purged, all of it is taken again; what the folder had of it before stays until that happens once more.
"""


@click.command("backup", epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@option("--full", is_flag=True, help="Take everything anew, rather than add what came since.")
@option("--records", is_flag=True, help="Take no snapshots, but every message as a line of JSON.")
@option("--with-secrets", "secrets", is_flag=True, help="Put passwords, keys and tokens in, too.")
@option("--verify", is_flag=True, help="Take nothing; compare what is there with its checksums.")
@json_option
@click.pass_obj
def command(
    place: Place, folder: Path, full: bool, records: bool, secrets: bool, verify: bool, as_json: bool
) -> ExitCode:
    """Put streams, outbox and configuration into a folder.

    With a running daemon, which goes on taking events, or a stopped one. The folder is for its owner alone.
    """
    import anyio

    from ..backup.taking import Wish

    if verify:
        if full or records or secrets:
            raise click.UsageError("--verify takes nothing; leave the other options out")
        return verify_folder(folder, as_json=as_json)
    logging.getLogger().addHandler(logging.NullHandler())  # what our parts log is in the report
    end_in_order()
    report = anyio.run(_take, place, folder, Wish(full, records, secrets))
    failed = [taken for taken in report.taken if taken.problem]
    if as_json:
        print_json(_document(report, folder))
    else:
        for taken in report.taken:
            print_line(_line(taken))
        waiting = count(report.pending, "event") + " in the outbox"
        dead = f", {count(report.dead_letters, 'dead letter')}" if report.dead_letters else ""
        print_line(f"{waiting}{dead}")
    for taken in report.taken:
        if taken.note:
            notice(f"note: {taken.stream}: {neutral(taken.note)}")
        if taken.problem:
            notice(f"error: {taken.stream}: {neutral(taken.problem)}")
    if failed:
        notice("the backup is not complete; what an earlier one has of these streams is kept")
        return ExitCode.FAILED
    notice(f"backup {report.manifest.number} is in {folder}")
    return ExitCode.OK


def end_in_order() -> None:
    """Let SIGTERM end the command as Ctrl-C does: no file and no server stays behind that holds events."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def verify_folder(path: Path, *, as_json: bool) -> ExitCode:
    """Compare a backup with its checksums, and say what is in it.

    Raises:
        BackupError: It is damaged, or none.
    """
    from ..backup.folder import Folder
    from ..backup.manifest import Total

    with progress() as shown:
        folder = Folder(path, shown.advance)
        manifest = folder.existing()
        total = Total.of(manifest)
        shown.expect(total.bytes)
        folder.verify(manifest.files())
    if as_json:
        print_json(
            {"backup": manifest.number, "taken": manifest.taken, "files": total.files, "bytes": total.bytes}
        )
    else:
        print_line(
            f"{count(total.files, 'file')}, {size(total.bytes)}: all as they were written {manifest.taken}"
        )
    return ExitCode.OK


class Progress:
    """Shows how many bytes are done, on a terminal."""

    def __init__(self, bar: "Bar | None") -> None:
        self._bar = bar
        self._done = self._total = 0

    def expect(self, more: int) -> None:
        """Note that there is more to do."""
        self._total += more

    def say(self, text: str) -> None:
        """Tell a person something, above the bar."""
        if self._bar is not None:
            self._bar.say(text)
        else:
            notice(text)

    def advance(self, done: int) -> None:
        """Note that bytes are done."""
        self._done += done
        if self._bar is not None:
            self._bar.advance(self._done, size(self._done), total=max(self._total, self._done) or None)


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Draw a bar meanwhile, where somebody looks at one."""
    if not is_terminal(sys.stderr):
        yield Progress(None)
        return
    from .progress import Bar

    bar = Bar(None)
    try:
        yield Progress(bar)
    finally:
        bar.close()


async def _take(place: Place, path: Path, wish: "Wish") -> "Report":
    from ..backup.folder import Folder
    from ..backup.source import open_source
    from ..backup.taking import Taking

    with progress() as shown:
        folder = Folder(path, shown.advance)
        with folder.writing():
            async with open_source(lambda: place.connect(admin=True), config_loader(place)) as found:
                taking = Taking(folder, found.config, found.servers, found.ask, wish, shown.expect)
                return await taking.run()


def config_loader(place: Place) -> "LoadConfig":
    """Return what loads the configuration that was named, else the one that the daemon uses."""
    return lambda used: place.load_config(None if place.config else used)


def _line(taken: "Taken") -> str:
    if taken.problem:
        return f"{taken.stream}: not taken"
    if taken.kind == "unchanged":
        return f"{taken.stream}: nothing new"
    how = "as a snapshot" if taken.kind == "snapshot" else "as records"
    why = f", all of it: {taken.why}" if taken.why else ""
    return f"{taken.stream}: {count(taken.events, 'event')}, {size(taken.bytes)} {how}{why}"


def _document(report: "Report", folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "backup": report.manifest.number,
        "streams": [asdict(taken) for taken in report.taken],
        "pending": report.pending,
        "deadLetters": report.dead_letters,
        "without": report.manifest.without,
    }
