"""Codex: its hooks as events, and the context in the form that it takes.

After https://developers.openai.com/codex/hooks and codex-rs/hooks/schema/generated of openai/codex on GitHub.
Codex refuses an answer with a key that its schema does not have, so none but these are written.
"""

from __future__ import annotations

import json

from . import mapping
from .mapping import Event, Hook, Make

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TOOL = "codex"
LIMIT = 10_000  # bytes: Codex shows 2500 tokens of what a hook prints, and takes 4 bytes for one
BUDGET = 8000  # characters that are asked for
START, PROMPT = "SessionStart", "UserPromptSubmit"
COMPACTING = "PreCompact"

COMMON = (
    "session_id", "transcript_path", "cwd", "hook_event_name", "permission_mode", "turn_id", "model",
    "agent_id",
)  # fmt: skip

HOOKS: dict[str, Make] = {
    "SessionStart": mapping.session_start,
    "UserPromptSubmit": mapping.prompt,
    "Stop": mapping.answer,
    "StopFailure": mapping.failure,
    "PreToolUse": mapping.tool_call,
    "PostToolUse": mapping.tool_result,
    "SubagentStart": mapping.subagent_start,
    "SubagentStop": mapping.subagent_stop,
    "PreCompact": mapping.compaction_start,
    "PostCompact": mapping.compaction_end,
    "PermissionRequest": mapping.other,
    "Interrupt": mapping.other,
}


def events(given: Mapping[str, Any], agent: str, time: int) -> list[Event]:
    """Return the events of a call of a hook.

    Args:
        given: What the hook was given.
        time: Unix ms.
    """
    hook = Hook(TOOL, given, agent, time, COMMON, turn="turn_id")
    return HOOKS.get(hook.name, mapping.other)(hook)


def fits(text: str) -> bool:
    """Whether a context reaches the model as a whole."""
    return len(text.encode("utf-8", "replace")) <= LIMIT


def output(hook: str, text: str) -> str:
    """Return what a hook prints to hand over a context."""
    return json.dumps({"hookSpecificOutput": {"hookEventName": hook, "additionalContext": text}})
