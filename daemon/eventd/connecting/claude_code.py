"""Claude Code: hooks in its settings. After https://code.claude.com/docs/en/hooks and /settings.

Claude Code waits for each hook (none is `async`): a call takes milliseconds, `claude -p` kills hooks that it
does not wait for when it ends, and a result could overtake its call.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import hooks, jsonedit
from .model import Advice, CannotConnect, Found, Scope, Surroundings, Tree, Wish

NAME: Final = "claude-code"
TITLE: Final = "Claude Code"
FOLDER_VARIABLE: Final = "CLAUDE_CONFIG_DIR"
FOLDER: Final = ".claude"
BINARY: Final = "claude"

TIMEOUT: Final = 5  # seconds; a hook ends by itself before, and Claude Code would wait for 600
EVENTS: Final = dict.fromkeys(
    (
        "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop",
        "StopFailure", "SubagentStart", "SubagentStop", "PreCompact", "PostCompact", "SessionEnd",
    ),
    TIMEOUT,
)  # fmt: skip


class ClaudeCode:
    """Claude Code's settings: of the user, or those of a project that are for oneself."""

    name = NAME
    title = TITLE
    scopes: Sequence[Scope] = (Scope.USER, Scope.PROJECT)

    def find(self, around: Surroundings) -> Found:
        """Return where it is: `$CLAUDE_CONFIG_DIR`, else ~/.claude."""
        usual = around.home / FOLDER
        named = around.environ.get(FOLDER_VARIABLE)
        folder = Path(named).expanduser() if named else usual
        others = [usual] if folder != usual and (usual / "settings.json").exists() else []
        return Found(folder, shutil.which(BINARY, path=around.environ.get("PATH")), others)

    def file(self, around: Surroundings, scope: Scope) -> Path:
        """Return its settings; in a project the local ones, since our path is one of this machine."""
        if scope is Scope.PROJECT:
            return around.project / FOLDER / "settings.local.json"
        return self.find(around).folder / "settings.json"

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
        """Sessions that run already have the hooks of when they began."""
        settings: Tree = jsonedit.read(text)
        todo = ["start a new session of Claude Code: those that run know nothing of the hooks"]
        notes = strictness(text, TITLE)
        if settings.get("disableAllHooks"):
            todo.insert(0, "take disableAllHooks out of the settings: no hook runs with it")
        if scope is Scope.PROJECT:
            notes.append("the file names a path of this machine: keep it out of version control")
        notes += beside(hooks.others(settings, NAME))
        return Advice(todo, notes)

    def install(self, wish: Wish) -> None:
        """There is nothing else."""

    def uninstall(self) -> None:
        """There is nothing else."""


def check_object(text: str) -> Tree:
    """Return what settings say.

    Raises:
        NotJson: They are no JSON.
        CannotConnect: They are no object, or their hooks have another form.
    """
    document = jsonedit.read(text)
    if not isinstance(document, dict):
        raise CannotConnect("it holds no object, but some other value")
    events = document.get(hooks.HOOKS, {})
    if not isinstance(events, dict):
        raise CannotConnect("its `hooks` is not an object")
    for event, groups in events.items():
        if not isinstance(groups, list):
            raise CannotConnect(f"its `hooks.{event}` is not a list")
    return document


def commands_of(text: str, tool: str) -> Sequence[str]:
    """Return the command lines of our hooks for a tool, each once."""
    return list(dict.fromkeys(handler.command for handler in hooks.ours(jsonedit.read(text), tool)))


def strictness(text: str, title: str) -> list[str]:
    """Return what there is to say where the file is JSON for us, but not for the tool."""
    try:
        json.loads(text)
    except ValueError:
        return [f"the file has comments or other things that JSON has not: {title} may read none of it"]
    return []


def beside(many: int) -> list[str]:
    """Return what there is to say about hooks of somebody else."""
    if not many:
        return []
    return [f"{many} other hook{'s' if many > 1 else ''} for the same events stay{'' if many > 1 else 's'}"]
