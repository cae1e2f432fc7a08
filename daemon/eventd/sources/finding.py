"""Finds the transcripts of the tools of this user."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import openclaw_files
from .model import Found, Passed, Tool, Transcript

MAX_DEPTH = 8  # folders within folders
_LINES = (".jsonl", ".jsonl.zst")


def find(tool: Tool, environ: Mapping[str, str], agent: str | None = None) -> Found:
    """Return what there is of a tool.

    Args:
        environ: Says where the tools keep their files, and where the home is.
        agent: Whose the sessions of Claude Code and Codex are; by default the tool's.
    """
    found = Found(tool)
    home = Path(environ.get("HOME") or Path.home())
    match tool:
        case "claude-code":
            _find_claude_code(found, home, environ.get("CLAUDE_CONFIG_DIR"), agent or tool)
        case "codex":
            _find_codex(found, Path(environ.get("CODEX_HOME") or home / ".codex"), agent or tool)
        case "openclaw":
            openclaw_files.find(found, home, environ.get("OPENCLAW_STATE_DIR"))
    return found


def _find_claude_code(found: Found, home: Path, named: str | None, agent: str) -> None:
    roots = [Path(named)] if named else [home / ".claude", home / ".config" / "claude"]
    for root in roots:
        found.places.append(projects := root / "projects")
        for path, size, modified in walk(projects, found.passed):
            below = path.relative_to(projects).parts
            if len(below) < 2 or (len(below) > 2 and "subagents" not in below):
                continue  # results of tools that were too long for the transcript
            session = below[1] if len(below) > 2 else path.name.removesuffix(".jsonl")
            group = f"{projects}/{below[0]}"
            transcript = Transcript("claude-code", agent, path, size, modified, session, group=group)
            found.transcripts.append(transcript)
    # An older session comes before one that begins with a copy of it.
    found.transcripts.sort(key=lambda one: (one.group, one.modified, one.path))


def _find_codex(found: Found, root: Path, agent: str) -> None:
    for name in ("sessions", "archived_sessions"):
        found.places.append(folder := root / name)
        for path, size, modified in walk(folder, found.passed):
            if path.name.startswith("rollout-"):
                session = path.name.partition(".")[0][-36:]  # behind the time in the name
                transcript = Transcript("codex", agent, path, size, modified, session, group="codex")
                found.transcripts.append(transcript)
    found.transcripts.sort(key=lambda one: (one.path.name, one.path))
    if (history := root / "history.jsonl").exists():
        found.passed.append(Passed(history, "holds the prompts of the rollouts once more"))


def walk(folder: Path, passed: list[Passed]) -> Iterator[tuple[Path, int, int]]:
    """Yield the files of lines below a folder, with their sizes and when they were written last, Unix ms.

    Links are followed; what they lead to is read once, whatever its names are.
    """
    yield from _walk(folder, passed, set(), 0)


def _walk(
    folder: Path, passed: list[Passed], met: set[tuple[int, int]], depth: int
) -> Iterator[tuple[Path, int, int]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        passed.append(Passed(folder, f"cannot be read: {os.strerror(error.errno or 0)}", trouble=True))
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            status = entry.stat()
        except OSError as error:
            if entry.name.endswith(_LINES):
                passed.append(Passed(path, os.strerror(error.errno or 0), trouble=True))
            continue
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and not entry.name.endswith(_LINES):
            continue
        if (status.st_dev, status.st_ino) in met:
            continue
        met.add((status.st_dev, status.st_ino))
        if is_folder:
            if depth < MAX_DEPTH:
                yield from _walk(path, passed, met, depth + 1)
        elif stat.S_ISREG(status.st_mode):
            yield path, status.st_size, round(status.st_mtime * 1000)
        else:
            passed.append(Passed(path, "no plain file", trouble=True))
