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
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from ..errors import OutboxError
from .checks import seal
from .connection import SCHEMA, DamagedOutbox, is_damage, opening, schema_crc, set_fact
from .disk import sync_file, sync_folder
from .files import Files
from .losses import Losses, find_losses
from .mark import MarkFile
from .pages import PageReader
from .remains import Remains, Trust
from .settings import OutboxSettings, Tuning
from .store import Store, now_ms

logger = logging.getLogger(__name__)

KEPT = 3  # damaged outboxes that stay in the quarantine; of older ones only the report does

REPORT = "report.json"

_FOLDER_NAME = "%Y%m%dT%H%M%S.%fZ"
_is_ours = re.compile(r"\d{8}T\d{6}\.\d{6}Z").fullmatch

# Not the records' fault: trying with fewer of them would only lose them.
_OUTSIDE = (
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.InterruptError,
)


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
    try:
        with opening(files):
            losses, saved, trust = _rebuild(files, tuning, mark)
        report = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
            "believed": trust.name.lower(),
            "saved": saved,
            "lost": losses.document(),
        }
        folder = _quarantine_folder(files)
        _write(folder / REPORT, json.dumps(report, indent=1).encode())
        with contextlib.suppress(OSError):
            shutil.copy2(files.mark, folder)
        sync_folder(folder)
        files.part.rename(files.rebuilt)
    except BaseException:
        _abandon(files)
        raise
    sync_folder(files.db.parent)
    _finish_swap(files)
    _thin_out(files, folder)
    logger.error(
        "salvaged the outbox: %d pending, %d retained, %d dead rows were saved, %d events are lost; see %s",
        saved["pending"],
        saved["retained"],
        saved["dead"],
        losses.count,
        folder / REPORT,
        extra={"action": "outbox_salvaged", "lost": losses.count, "quarantine": str(folder), **saved},
    )


def _rebuild(files: Files, tuning: Tuning, mark: MarkFile) -> tuple[Losses, dict[str, int], Trust]:
    """Fill the new file from what can be read of the old one.

    Damage can make records that do not fit together in a way that nobody thought of. That must not keep the
    daemon from starting for ever, so it is tried again with fewer of them, at last with none: the outbox is
    then empty, all of it is in the quarantine, and the mark tells how much is lost.
    """
    for trust in (Trust.ALL, Trust.SEALED):
        try:
            return *_fill(files, tuning, mark, trust), trust
        except (apsw.Error, ValueError, ArithmeticError, LookupError, TypeError) as error:
            if isinstance(error, _OUTSIDE) and not is_damage(error):
                raise
            logger.exception(
                "cannot salvage the outbox from %s records; trying with fewer",
                trust.name.lower(),
                extra={"action": "outbox_salvage_failed", "believed": trust.name.lower()},
            )
    return *_fill(files, tuning, mark, Trust.FACTS), Trust.FACTS


def _fill(files: Files, tuning: Tuning, mark: MarkFile, trust: Trust) -> tuple[Losses, dict[str, int]]:
    """Fill the new file from those records of the old one that are believed."""
    files.part.unlink(missing_ok=True)
    os.close(os.open(files.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = apsw.Connection(str(files.part), vfs=tuning.vfs or None)
    try:
        remains = Remains(db, trust)
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
    """Make a folder for the damaged outbox, named by the time, and note which one it is."""
    folder = files.quarantine / datetime.now(UTC).strftime(_FOLDER_NAME)
    try:
        _write(files.quarantining, folder.name.encode())
        files.quarantine.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        sync_folder(files.quarantine)
        sync_folder(files.db.parent)
    except OSError as error:
        raise OutboxError(
            f"the outbox is damaged, and {folder} cannot be made: {error.strerror}",
            hint="let the daemon's user write there, and see that there is room",
        ) from error
    return folder


def _noted_folder(files: Files) -> Path | None:
    """Return the folder that `_quarantine_folder` made, if it is still there.

    It is noted, because a clock that was set back makes it any of the folders.
    """
    try:
        name = files.quarantining.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return next((folder for folder in _folders(files) if folder.name == name), None)


def _folders(files: Files) -> list[Path]:
    """Return the folders in the quarantine that are ours, oldest first by name."""
    folders = (path for path in files.quarantine.glob("*/") if not path.is_symlink())
    return sorted(path for path in folders if _is_ours(path.name))


def _finish_swap(files: Files) -> None:
    """If there is a complete new file, put it in the place of the damaged one; else clear away a salvage
    that did not come to its end.
    """
    if not files.rebuilt.exists():
        _abandon(files)
        return
    folder = _noted_folder(files) or _quarantine_folder(files)
    # The log first: SQLite would apply it to any database that it finds beside it.
    for path in files.set:
        with contextlib.suppress(FileNotFoundError):
            path.rename(folder / path.name)
    files.rebuilt.rename(files.db)
    sync_folder(folder)
    sync_folder(files.db.parent)
    files.damaged.unlink(missing_ok=True)
    files.quarantining.unlink(missing_ok=True)


def _abandon(files: Files) -> None:
    """Remove what a salvage that failed has left: the next one begins anew."""
    with contextlib.suppress(OSError):
        files.part.unlink(missing_ok=True)
        folder = _noted_folder(files)
        if folder is not None and not any((folder / path.name).exists() for path in files.set):
            for name in (REPORT, files.mark.name):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
        files.quarantining.unlink(missing_ok=True)


def _thin_out(files: Files, newest: Path) -> None:
    """Bound the quarantine: of older damaged outboxes keep only the report.

    Args:
        newest: The folder that was just filled, whatever its name says about its age.
    """
    older = [folder for folder in _folders(files) if folder != newest]
    for folder in older[: max(0, len(older) + 1 - KEPT)]:
        for path in (*files.set, files.mark):
            with contextlib.suppress(OSError):
                (folder / path.name).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        sync_file(file.fileno())
