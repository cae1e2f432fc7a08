"""Claude Code: its hooks as events, and the context in the form that it takes.

After https://code.claude.com/docs/en/hooks (Claude Code 2.1.2xx). Every hook that the page names is here; one
that it does not name is stored as it is.
"""

from __future__ import annotations

import json

from . import mapping
from .mapping import Event, Hook, Make

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TOOL = "claude-code"
LIMIT = 10_000  # UTF-16 units of `additionalContext`; of a longer one the model sees the beginning
BUDGET = 8000  # characters that are asked for
START, PROMPT = "SessionStart", "UserPromptSubmit"
"""Hooks whose answer reaches the model at the beginning of a session, and beside a prompt."""
COMPACTING = "PreCompact"

COMMON = (
    "session_id", "transcript_path", "cwd", "hook_event_name", "permission_mode", "prompt_id", "model",
    "agent_id",
)  # fmt: skip


def _batch(hook: Hook) -> list[Event]:
    """Calls that ran together; what they were and what came of them has been told by the hooks of each."""
    calls = hook.take("tool_calls")
    known = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    ids = [mapping.text_of(call.get("tool_use_id")) for call in known]
    return mapping.other(hook, {"toolCallIds": ids})


HOOKS: dict[str, Make] = {
    "SessionStart": mapping.session_start,
    "SessionEnd": mapping.session_end,
    "UserPromptSubmit": mapping.prompt,
    "Stop": mapping.answer,
    "StopFailure": mapping.failure,
    "PreToolUse": mapping.tool_call,
    "PostToolUse": mapping.tool_result,
    "PostToolUseFailure": mapping.tool_failure,
    "SubagentStart": mapping.subagent_start,
    "SubagentStop": mapping.subagent_stop,
    "PreCompact": mapping.compaction_start,
    "PostCompact": mapping.compaction_end,
    "PostToolBatch": _batch,
    # Pieces of what `Stop` tells as a whole.
    "MessageDisplay": mapping.nothing,
    # What a person puts into a form of a server may be a password.
    "ElicitationResult": mapping.without("content"),
    **dict.fromkeys(
        (
            "Setup", "InstructionsLoaded", "UserPromptExpansion", "PermissionRequest", "PermissionDenied",
            "Notification", "TaskCreated", "TaskCompleted", "TeammateIdle", "ConfigChange", "CwdChanged",
            "DirectoryAdded", "FileChanged", "WorktreeCreate", "WorktreeRemove", "Elicitation",
        ),
        mapping.other,
    ),
}  # fmt: skip


def events(given: Mapping[str, Any], agent: str, time: int) -> list[Event]:
    """Return the events of a call of a hook.

    Args:
        given: What the hook was given.
        time: Unix ms.
    """
    hook = Hook(TOOL, given, agent, time, COMMON, turn="prompt_id")
    return HOOKS.get(hook.name, mapping.other)(hook)


def fits(text: str) -> bool:
    """Whether a context reaches the model as a whole."""
    return len(text.encode("utf-16-le", "replace")) // 2 <= LIMIT


def output(hook: str, text: str) -> str:
    """Return what a hook prints to hand over a context."""
    return json.dumps({"hookSpecificOutput": {"hookEventName": hook, "additionalContext": text}})
