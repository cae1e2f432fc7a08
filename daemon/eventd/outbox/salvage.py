"""Opens the outbox whatever state it is in: a damaged one goes to the quarantine, and what can be read
of it becomes the new one.

The steps can be interrupted at any point. The new file is built beside the damaged one; once it is
complete it gets its final-but-one name, and from then on it *is* the outbox: whoever starts next only
has to finish the renames.
"""

import contextlib
import json
import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from ..errors import OutboxError
from .checks import seal
from .connection import SCHEMA, DamagedOutbox, opening, schema_crc, set_fact
from .disk import sync_file, sync_folder
from .files import Files
from .losses import Losses, find_losses
from .mark import MarkFile
from .pages import PageReader
from .remains import Remains
from .settings import OutboxSettings, Tuning
from .store import Store, now_ms

logger = logging.getLogger(__name__)

KEPT = 3  # damaged outboxes that stay in the quarantine; of older ones only the report does

REPORT = "report.json"


def open_or_salvage(files: Files, settings: OutboxSettings, tuning: Tuning) -> Store:
    """Open the outbox; salvage it first if it is damaged.

    Raises:
        OutboxError: It cannot be opened, for reasons other than damage.
        DiskFailure: The disk does not answer.
    """
    try:
        _finish_swap(files)
        mark = MarkFile.open(files.mark)
        try:
            return _open(files, settings, tuning, mark)
        except BaseException:
            mark.close()
            raise
    except OSError as error:
        raise OutboxError(
            f"cannot open the outbox {files.db}: {error}",
            hint="see that the disk has room and that the daemon's user can write there",
        ) from error


def _open(files: Files, settings: OutboxSettings, tuning: Tuning, mark: MarkFile) -> Store:
    try:
        if files.damaged.exists():
            raise DamagedOutbox(files.damaged.read_text(encoding="utf-8", errors="replace"))
        return Store.open(files, settings, tuning, mark)
    except DamagedOutbox as damage:
        _salvage(files, tuning, mark, str(damage))
    return Store.open(files, settings, tuning, mark)


def _salvage(files: Files, tuning: Tuning, mark: MarkFile, reason: str) -> None:
    logger.error(
        "the outbox is damaged (%s); salvaging it",
        reason,
        extra={"action": "outbox_damaged", "reason": reason},
    )
    folder = _quarantine_folder(files)
    with opening(files):
        losses, saved = _rebuild(files, tuning, mark)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
        "saved": saved,
        "lost": losses.document(),
    }
    _write(folder / REPORT, json.dumps(report, indent=1).encode())
    with contextlib.suppress(OSError):
        shutil.copy2(files.mark, folder)
    files.part.rename(files.rebuilt)
    sync_folder(files.db.parent)
    _finish_swap(files)
    _thin_out(files)
    logger.error(
        "salvaged the outbox: %d pending, %d retained, %d dead rows were saved, %d events are lost; see %s",
        saved["pending"],
        saved["retained"],
        saved["dead"],
        losses.count,
        folder / REPORT,
        extra={"action": "outbox_salvaged", "lost": losses.count, "quarantine": str(folder), **saved},
    )


def _rebuild(files: Files, tuning: Tuning, mark: MarkFile) -> tuple[Losses, dict[str, int]]:
    """Fill the new file from what can be read of the old one."""
    files.part.unlink(missing_ok=True)
    os.close(os.open(files.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = apsw.Connection(str(files.part), vfs=tuning.vfs or None)
    try:
        remains = Remains(db)
        with PageReader(files.db, files.wal) as reader:
            for rowid, record in reader.records():
                remains.take(rowid, record)
            # Behind damage in the log may also be what was never committed: look there only if need be.
            if mark.found is None or remains.newest() < mark.found.last_seq:
                for rowid, record in reader.read_on():
                    remains.take(rowid, record)
        last_seq = max(
            mark.found.last_seq if mark.found else 0,
            remains.facts.get("last_seq", 0),
            remains.newest(),
            remains.value("newest_seen"),
        )
        remains.sort_out(mark.found, mark.routes)
        losses = find_losses(remains, mark.found, last_seq)
        _write_facts(remains, losses, last_seq, _lost_before(files, remains))
        saved = {"pending": remains.value("pending_rows"), "dead": remains.value("dead_rows")}
        saved["retained"] = remains.value("all_rows") - saved["pending"]
        db.execute("COMMIT")
    finally:
        db.close()
    with files.part.open("rb") as file:
        sync_file(file.fileno())
    return losses, saved


def _write_facts(remains: Remains, losses: Losses, last_seq: int, lost_before: int) -> None:
    for first, last in losses.rows:
        remains.run("add_lost", (first, last, seal("lost", first, last)))
    remains.run(
        "add_mark", (now_ms(), last_seq)
    )  # the ledger's age begins anew: rather too long than too short
    facts = {
        "schema": SCHEMA,
        "schema_sql": schema_crc(remains.db),
        "last_seq": last_seq,
        "lost_events": lost_before + losses.count,
        "quarantines": remains.facts.get("quarantines", 0) + 1,
    }
    for key, value in facts.items():
        set_fact(remains.db, key, value)


def _lost_before(files: Files, remains: Remains) -> int:
    """Return how many events were lost earlier, from older reports if the file does not tell any more."""
    if (known := remains.facts.get("lost_events")) is not None or "schema" in remains.facts:
        return known or 0
    lost = 0
    for report in files.quarantine.glob(f"*/{REPORT}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            document: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
            lost += int(document["lost"]["count"])
    return lost


def _quarantine_folder(files: Files) -> Path:
    """Make a folder for the damaged outbox, named by the time."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    try:
        files.quarantine.mkdir(mode=0o700, exist_ok=True)
        folder = files.quarantine / name
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise OutboxError(
            f"the outbox is damaged, and {files.quarantine} cannot be made: {error.strerror}",
            hint="let the daemon's user write there, and see that there is room",
        ) from error
    return folder


def _finish_swap(files: Files) -> None:
    """If there is a complete new file, put it in the place of the damaged one."""
    if files.rebuilt.exists():
        folders = sorted(files.quarantine.glob("*/"))
        folder = folders[-1] if folders else _quarantine_folder(files)
        # The log first: SQLite would apply it to any database that it finds beside it.
        for path in files.set:
            with contextlib.suppress(FileNotFoundError):
                path.rename(folder / path.name)
        files.rebuilt.rename(files.db)
        sync_folder(folder)
        sync_folder(files.db.parent)
        files.damaged.unlink(missing_ok=True)


def _thin_out(files: Files) -> None:
    """Bound the quarantine: of older damaged outboxes keep only the report."""
    folders = sorted(files.quarantine.glob("*/"))
    for folder in folders[:-KEPT]:
        for path in folder.iterdir():
            if path.name != REPORT:
                path.unlink()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        sync_file(file.fileno())
