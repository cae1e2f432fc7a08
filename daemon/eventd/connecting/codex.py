"""Codex: hooks in its hooks.json. After https://developers.openai.com/codex/hooks and codex-rs/hooks.

Codex runs no hook that its user has not approved. What was approved stands in config.toml, by the hook's
place and a hash of what it is; that file is read here, and never written: the approval is the person's.
"""

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

from . import hooks, jsonedit
from .claude_code import beside, check_object, commands_of, strictness
from .model import Advice, Found, Scope, Surroundings, Tree, Wish

NAME: Final = "codex"
TITLE: Final = "Codex"
FOLDER_VARIABLE: Final = "CODEX_HOME"
FOLDER: Final = ".codex"
FILE: Final = "hooks.json"
CONFIG: Final = "config.toml"
BINARY: Final = "codex"

TIMEOUT: Final = 5  # seconds; a hook ends by itself before, and Codex would wait for 600
AT_THE_END: Final = 3  # seconds; the most that Codex gives SessionEnd
EVENTS: Final = {
    **dict.fromkeys(
        (
            "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SubagentStart",
            "SubagentStop", "PreCompact", "PostCompact",
        ),
        TIMEOUT,
    ),
    "SessionEnd": AT_THE_END,
}  # fmt: skip
"""An older Codex passes over events that it does not know."""

NO_MATCHER: Final = frozenset({"UserPromptSubmit", "Stop"})  # Codex takes none there, and hashes none

_capital = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Trust(Enum):
    """What Codex has noted about a hook of ours."""

    TRUSTED = "approved"
    CHANGED = "approved as something else"
    UNKNOWN = "not approved"
    DISABLED = "turned off"


class Codex:
    """Codex's hooks: of the user, or of a project."""

    name = NAME
    title = TITLE
    scopes: Sequence[Scope] = (Scope.USER, Scope.PROJECT)

    def find(self, around: Surroundings) -> Found:
        """Return where it is: `$CODEX_HOME`, else ~/.codex."""
        usual = around.home / FOLDER
        named = around.environ.get(FOLDER_VARIABLE)
        folder = Path(named).expanduser() if named else usual
        others = [usual] if folder != usual and usual.is_dir() else []
        return Found(folder, shutil.which(BINARY, path=around.environ.get("PATH")), others)

    def file(self, around: Surroundings, scope: Scope) -> Path:
        """Return its hooks.json."""
        folder = around.project / FOLDER if scope is Scope.PROJECT else self.find(around).folder
        return folder / FILE

    def connected(self, text: str, wish: Wish) -> str:
        """Add our hooks."""
        check_object(text)
        return hooks.connect(text, NAME, wish.program.hook(NAME), EVENTS)

    def disconnected(self, text: str, original: str) -> str:
        """Remove our hooks."""
        return hooks.disconnect(text, NAME, original)

    def commands(self, text: str) -> Sequence[str]:
        """Return the command lines of our hooks."""
        return commands_of(text, NAME)

    def advice(self, around: Surroundings, scope: Scope, text: str, wish: Wish) -> Advice:
        """The hooks have to be approved; in a project the project, too."""
        todo, notes = [], strictness(text, TITLE)
        file, folder = self.file(around, scope), self.find(around).folder
        try:
            config = config_of(folder)
        except ValueError as error:
            config = {}
            notes.append(f"{folder / CONFIG} cannot be read: {error}")
        if are_off(config):
            todo.append(f"set hooks = true under [features] in {folder / CONFIG}: hooks are turned off")
        if any(state is not Trust.TRUSTED for state in trust(file, text, config).values()):
            todo.append("start Codex and approve the hooks (/hooks): until then it passes over them silently")
            notes.append("`codex exec` does not ask: approve them in Codex itself first")
        if scope is Scope.PROJECT:
            todo.append("trust the project in Codex: it reads hooks of no other one")
            notes.append("the file names a path of this machine: keep it out of version control")
        if set(config.get("hooks") or {}) - {"state"}:
            notes.append(f"{CONFIG} has hooks as well: Codex takes both, and mentions it at its start")
        notes += beside(hooks.others(jsonedit.read(text), NAME))
        return Advice(todo, notes)

    def install(self, wish: Wish) -> None:
        """There is nothing else."""

    def uninstall(self) -> None:
        """There is nothing else; approvals stay in config.toml, and are for nothing."""


def config_of(folder: Path) -> Tree:
    """Return what Codex's config.toml says; empty where there is none.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return tomllib.loads((folder / CONFIG).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(error.strerror) from error


def are_off(config: Tree) -> bool:
    """Whether hooks are turned off in config.toml."""
    features = config.get("features")
    if not isinstance(features, dict):
        return False
    return features.get("hooks", features.get("codex_hooks", True)) is False


def trust(file: Path, text: str, config: Tree) -> dict[str, Trust]:
    """Return what Codex has noted about each hook of ours in a file, by its event.

    Args:
        file: The hooks.json, as Codex names it.
        text: What is in it.
        config: The user's config.toml, where approvals are kept.
    """
    section = config.get("hooks")
    notes = section.get("state") if isinstance(section, dict) else None
    places = dict.fromkeys((str(file), str(file.parent.resolve() / file.name)))
    found = {}
    for handler in hooks.ours(jsonedit.read(text), NAME):
        keys = [_key(place, handler) for place in places]
        note = next((notes[key] for key in keys if key in notes), None) if isinstance(notes, dict) else None
        found[handler.event] = _judge(note, handler)
    return found


def _judge(note: object, handler: hooks.Handler) -> Trust:
    if not isinstance(note, dict):
        return Trust.UNKNOWN
    if note.get("enabled") is False:
        return Trust.DISABLED
    if note.get("trusted_hash") is None:
        return Trust.UNKNOWN
    return Trust.TRUSTED if note["trusted_hash"] == identity(handler) else Trust.CHANGED


def _key(place: str, handler: hooks.Handler) -> str:
    return f"{place}:{_label(handler.event)}:{handler.group}:{handler.number}"


def _label(event: str) -> str:
    return _capital.sub("_", event).lower()


def identity(handler: hooks.Handler) -> str:
    """Return the hash by which Codex knows a hook again (`hook_hash` in codex-rs/hooks, rust-v0.160)."""
    entry = handler.entry
    is_end = handler.event == "SessionEnd"
    timeout = int(entry.get("timeout", 1 if is_end else 600))
    known: dict[str, Any] = {
        "type": "command",
        "command": handler.command,
        "timeout": max(1, min(timeout, AT_THE_END) if is_end else timeout),
        "async": bool(entry.get("async", False)) and not is_end,
    }
    if isinstance(message := entry.get("statusMessage"), str):
        known["statusMessage"] = message
    group: dict[str, Any] = {"event_name": _label(handler.event), "hooks": [known]}
    if handler.matcher is not None and handler.event not in NO_MATCHER:
        group["matcher"] = handler.matcher
    text = json.dumps(group, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
