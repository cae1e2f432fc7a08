"""Where OpenClaw and its forerunners keep transcripts: files of a first era, databases of a second."""

import os
import re
from pathlib import Path

import msgspec

from .model import Found, Passed, Transcript
from .openclaw_sqlite import Store
from .reading import Unreadable

ROOTS = (".openclaw", ".clawdbot", ".moltbot", ".moldbot")
"""In the home; the older ones are often links to the first."""

DATABASE = Path("agent", "openclaw-agent.sqlite")
MOVED = "session-sqlite-import-archive"
"""Folder of the files that OpenClaw has moved into the database."""

MAX_INDEX = 64 * 2**20  # bytes of `sessions.json`

_CHECKPOINT = re.compile(r"\.checkpoint\.[0-9a-f-]{36}\.jsonl", re.IGNORECASE)
_KEPT = re.compile(r"\.jsonl(?:\.reset\.[^/]+?)?(?:\.zst)?\Z")
# Why other files with such a name are not read.
_OTHERS = (
    (_CHECKPOINT, "a checkpoint, which repeats its session"),
    (re.compile(r"\.trajectory\.jsonl"), "a trajectory, which repeats its session"),
    (re.compile(r"\.jsonl\.deleted\."), "deleted by its owner"),
    (re.compile(r"\.jsonl.*\.bak"), "a backup"),
    (re.compile(r"\.jsonl\.(?:imported|migrated)"), "moved into the database"),
)


class _Session(msgspec.Struct, rename="camel"):
    session_id: str = ""
    session_file: str | None = None


_index = msgspec.json.Decoder(dict[str, _Session])


def find(found: Found, home: Path, named: str | None) -> None:
    """Find the transcripts of all agents."""
    roots = [Path(named)] if named else [home / name for name in ROOTS]
    met: set[str] = set()
    for root in roots:
        found.places.append(folder := root / "agents")
        if (real := os.path.realpath(folder)) in met:
            continue
        met.add(real)
        for agent in _names(folder, found):
            if (folder / agent).is_dir():
                _find_agent(found, folder / agent, agent)


def _find_agent(found: Found, folder: Path, agent: str) -> None:
    group = f"openclaw {folder}"
    _find_rows(found, folder / DATABASE, agent, group)
    sessions = folder / "sessions"
    keys = _keys(sessions / "sessions.json", found)
    for place in (sessions, sessions / "cold"):
        for name in _names(place, found):
            path = place / name
            if ".jsonl" not in name:
                continue
            reason = next((reason for form, reason in _OTHERS if form.search(name)), "")
            if reason or not _KEPT.search(name):
                found.passed.append(Passed(path, reason or "of a name that is not known"))
                continue
            try:
                status = path.stat()
            except OSError as error:
                found.passed.append(Passed(path, os.strerror(error.errno or 0), trouble=True))
                continue
            session = name.partition(".jsonl")[0]
            key = keys.get(name) or keys.get(session, "")
            modified = round(status.st_mtime * 1000)
            transcript = Transcript(
                "openclaw", agent, path, status.st_size, modified, session, key, group=group
            )
            found.transcripts.append(transcript)
    for moved in (folder / MOVED, sessions / MOVED):
        if count := len(_names(moved, found)):
            found.passed.append(Passed(moved, f"{count} files that were moved into the database"))


def _find_rows(found: Found, path: Path, agent: str, group: str) -> None:
    if not path.exists():
        return
    try:
        with Store(path) as store:
            for one in store.transcripts(agent, group):
                (found.transcripts if isinstance(one, Transcript) else found.passed).append(one)  # type: ignore[arg-type]
    except Unreadable as error:
        found.passed.append(Passed(path, str(error), trouble=True))


def _keys(path: Path, found: Found) -> dict[str, str]:
    """Return session keys by the ids of sessions, and by the names of their files."""
    try:
        if path.stat().st_size > MAX_INDEX:
            raise ValueError(f"longer than {MAX_INDEX} bytes")
        index = _index.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        # Sessions are named by their ids, then.
        found.passed.append(Passed(path, f"the session keys cannot be read: {error}", trouble=True))
        return {}
    keys: dict[str, str] = {}
    for key, session in index.items():
        keys[session.session_id] = key
        if session.session_file:
            keys[Path(session.session_file).name] = key
    return keys


def _names(folder: Path, found: Found) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        found.passed.append(Passed(folder, f"cannot be read: {os.strerror(error.errno or 0)}", trouble=True))
        return []
