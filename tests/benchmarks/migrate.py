"""Migrating a workspace: files and bytes a second, from the start of the command to its end."""

import subprocess
import sys
import time
from pathlib import Path

from support.daemon import Daemon
from support.workspace import write

from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = (
    "`eventd migrate` as a whole process, every event fsynced; small files are of three events each, large "
    "ones of 2 MB; broker and index take their part of the machine meanwhile"
)

SMALL = "small files"
AGAIN = "the same once more, nothing new"
LARGE = "large files"

FILES = 5000
NOTES, NOTE_BYTES = 20, 2_000_000  # large files, and bytes of each


def measure(sheet: Sheet, options: Options) -> None:
    """Measure many small files, once and again, and few large ones."""
    sheet.note = NOTE
    files = options.amount(FILES)
    notes = max(1, round(NOTES * options.scale))
    line = b"A line of a long note, about as long as people write them.\n"
    text = line * (NOTE_BYTES // len(line))
    for _ in range(options.rounds):
        with workspace(options, "migrate") as folder, shipping(folder) as (daemon, _server):
            small = write(
                folder / "small", {f"memory/{n}.md": b"# %d\n## A\ntext\n## B\n" % n for n in range(files)}
            )
            large = write(folder / "large", {f"memory/{n}.md": text for n in range(notes)})
            sheet.add(SMALL, files / _seconds(daemon, small), "files/s")
            sheet.add(AGAIN, files / _seconds(daemon, small), "files/s")
            sheet.add(LARGE, notes * len(text) / 1e6 / _seconds(daemon, large), "MB/s")


def _seconds(daemon: Daemon, folder: Path) -> float:
    command = [
        sys.executable,
        "-m",
        "eventd",
        "--socket",
        str(daemon.socket),
        "migrate",
        "--workspace",
        str(folder),
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
