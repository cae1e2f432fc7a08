"""From what a hook was given to events: what the tools have in common. Pure; nothing here does I/O.

An adapter of a tool says which hook is what (`claude_code`, `codex`). Fields that it does not know go into
the event's data under their own names, so nothing that a newer version tells is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from ..sources import ids
from .cleaning import clean, is_all_private, without_private

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

type Event = dict[str, Any]

PERSON, AGENT, TOOL, WEB = "person", "agent", "tool", "web"
"""`meta.origin`: who said it. The context is made of what the first two said."""

WEB_TOOLS = ("webfetch", "websearch", "web_fetch", "web_search", "browser", "fetch")
"""What a tool's name has in it whose answers come from the web."""

MAX_NAME = 100  # characters of names that the tool chooses


class Hook:
    """One call of a hook.

    Args:
        tool: The tool's name, e.g. `claude-code`.
        given: What the hook was given.
        agent: The agent whose memory it is.
        time: When, Unix ms.
        common: Fields that every hook of the tool has; they go into `meta`, not into the data.
        turn: The field that names the prompt, or the turn, that is being answered.
    """

    def __init__(
        self, tool: str, given: Mapping[str, Any], agent: str, time: int, common: tuple[str, ...], turn: str
    ) -> None:
        self.tool = tool
        self.given = given
        self.time = time
        self.name = name_of(given.get("hook_event_name")) or "unknown"
        self.session = name_of(given.get("session_id")) or "unknown"
        self.key = f"agent:{agent}:{self.session}"
        self.turn = name_of(given.get(turn)) or None
        self.subagent = name_of(given.get("agent_id")) or None
        self._common = common
        self._taken = {*common}

    def take(self, key: str) -> Any:
        """Return a field that goes into the data under another name."""
        self._taken.add(key)
        return self.given.get(key)

    def text(self, key: str) -> str:
        """Return such a field if it is a text, else ""."""
        return text_of(self.take(key))

    def rest(self) -> dict[str, Any]:
        """Return the fields that nobody has taken."""
        return {key: value for key, value in self.given.items() if key not in self._taken}

    def event(
        self, event_type: str, stream: str, event_id: str, data: dict[str, Any], origin: str, run: str = ""
    ) -> Event:
        """Return an event in the document's shape, cleaned.

        Args:
            stream: As the builders of `eventd_ipc` have it.
            data: What happened; the fields that are left go with it.
        """
        run = run or self.subagent or self.turn or self.session
        known = {key: value for key, value in data.items() if value is not None}
        source: dict[str, Any] = {"tool": self.tool, "via": "hook", "hook": self.name}
        for key, name in (("cwd", "cwd"), ("transcript_path", "transcript"), ("permission_mode", "mode")):
            if value := text_of(self.given.get(key)):
                source[name] = value
        meta: dict[str, Any] = {"runId": run, "origin": origin, "source": source}
        if model := text_of(self.given.get("model")):
            meta["model"] = model
        return {
            "id": event_id,
            "timestamp": self.time,
            "session": self.key,
            "type": event_type,
            "payload": {
                "runId": run,
                "stream": stream,
                "data": clean({**known, **self.rest()}),
                "sessionKey": self.key,
                "ts": self.time,
            },
            "meta": clean(meta, 16 * 1024),
        }


type Make = Callable[[Hook], list[Event]]


def session_start(hook: Hook) -> list[Event]:
    """A session begins, or goes on."""
    source = hook.text("source") or "startup"
    event_id = ids.start(hook.tool, hook.session, source, hook.time)
    return [hook.event("session.start", "lifecycle", event_id, {"source": source}, AGENT)]


def session_end(hook: Hook) -> list[Event]:
    """A session ends."""
    reason = hook.text("reason") or "other"
    event_id = ids.end(hook.tool, hook.session, reason, hook.time)
    return [hook.event("session.end", "lifecycle", event_id, {"reason": reason}, AGENT)]


def prompt(hook: Hook) -> list[Event]:
    """A person says something."""
    text = hook.text("prompt")
    if is_all_private(text):
        return []
    event_id = ids.said_in(hook.tool, hook.session, hook.turn, without_private(text), hook.time)
    return [hook.event("conversation.message.in", "user", event_id, {"role": "user", "text": text}, PERSON)]


def answer(hook: Hook) -> list[Event]:
    """The agent has answered, and waits for a person."""
    text = hook.text("last_assistant_message")
    if not text:
        return other(hook)
    if is_all_private(text):
        return []
    event_id = ids.said_out(hook.tool, hook.session, hook.turn, without_private(text), hook.time)
    data = {"role": "assistant", "text": text}
    return [hook.event("conversation.message.out", "assistant", event_id, data, AGENT)]


def tool_call(hook: Hook) -> list[Event]:
    """The agent is about to use a tool."""
    call = hook.text("tool_use_id")
    data = {"name": hook.text("tool_name"), "toolCallId": call or None, "args": hook.take("tool_input")}
    event_id = ids.call(hook.tool, hook.session, call) if call else _other_id(hook)
    return [hook.event("conversation.tool_call", "tool", event_id, data, AGENT)]


def tool_result(hook: Hook) -> list[Event]:
    """A tool has answered. Its arguments are not repeated: they came with the call."""
    return _result(hook, hook.take("tool_response"), is_error=False)


def tool_failure(hook: Hook) -> list[Event]:
    """A tool has failed."""
    return _result(hook, hook.take("error"), is_error=True)


def subagent_start(hook: Hook) -> list[Event]:
    """A subagent begins its work."""
    return [_run(hook, "lifecycle.start", "start")]


def subagent_stop(hook: Hook) -> list[Event]:
    """A subagent has done its work; what it said at last goes with that."""
    return [_run(hook, "lifecycle.end", "end", hook.text("last_assistant_message"))]


def failure(hook: Hook) -> list[Event]:
    """A turn ended in an error of the model's API, whose words `last_assistant_message` are."""
    error = hook.text("error") or "unknown"
    said = hook.text("last_assistant_message") or None
    data = {"phase": "error", "error": error, "details": hook.take("error_details"), "message": said}
    run = hook.turn or hook.session
    event_id = ids.run(hook.tool, hook.session, run, "error", f"{error} {hook.time // ids.MINUTE}")
    return [hook.event("lifecycle.error", "lifecycle", event_id, data, TOOL)]


def compaction_start(hook: Hook) -> list[Event]:
    """The conversation is about to be summed up."""
    event_id = ids.compaction_start(hook.tool, hook.session, hook.time)
    return [hook.event("session.compaction_start", "compaction", event_id, {}, AGENT)]


def compaction_end(hook: Hook) -> list[Event]:
    """The conversation was summed up."""
    summary = hook.text("compact_summary")
    event_id = ids.compaction_end(hook.tool, hook.session, summary, hook.time)
    data = {"summary": summary or None}
    return [hook.event("session.compaction_end", "compaction", event_id, data, AGENT)]


def nothing(_hook: Hook) -> list[Event]:
    """What is told elsewhere as a whole."""
    return []


def other(hook: Hook, data: dict[str, Any] | None = None) -> list[Event]:
    """Everything else, under the hook's own name.

    Args:
        data: What goes with the fields that nobody has taken.
    """
    return [hook.event(f"hook.{type_of(hook.name)}", "hook", _other_id(hook, data), data or {}, TOOL)]


def without(*keys: str) -> Make:
    """Return how to make an event of a hook as it is, but for some fields."""

    def make(hook: Hook) -> list[Event]:
        for key in keys:
            hook.take(key)
        return other(hook)

    return make


def text_of(value: object) -> str:
    """Return a value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def name_of(value: object) -> str:
    """Return a name that the tool chooses as one that the protocol takes; "" where there is none."""
    return "".join(char if char.isprintable() else "_" for char in text_of(value)[:MAX_NAME])


def type_of(name: str) -> str:
    """Return a hook's name as it stands in a type: `PreToolUse` is `pre_tool_use`."""
    words = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub("[^a-z0-9_]+", "_", words.lower())[:64].strip("_") or "unknown"


def _result(hook: Hook, result: Any, *, is_error: bool) -> list[Event]:
    hook.take("tool_input")
    name, call = hook.text("tool_name"), hook.text("tool_use_id")
    data = {"name": name, "toolCallId": call or None, "result": result, "isError": is_error}
    data["durationMs"] = hook.take("duration_ms")
    event_id = ids.result(hook.tool, hook.session, call) if call else _other_id(hook)
    origin = WEB if any(part in name.lower() for part in WEB_TOOLS) else TOOL
    return [hook.event("conversation.tool_result", "tool", event_id, data, origin)]


def _run(hook: Hook, event_type: str, phase: str, text: str = "") -> Event:
    run = hook.subagent or "unknown"
    data = {"phase": phase, "agentType": hook.text("agent_type") or None, "text": text or None}
    event_id = ids.run(hook.tool, hook.session, run, phase, text)
    return hook.event(event_type, "lifecycle", event_id, data, AGENT, run)


def _other_id(hook: Hook, data: dict[str, Any] | None = None) -> str:
    # Of what is stored, and nothing else: what a digest is of can be guessed.
    content = json.dumps(clean([hook.turn, data, hook.rest()]), sort_keys=True)
    return ids.other(hook.tool, hook.session, type_of(hook.name), content, hook.time)
