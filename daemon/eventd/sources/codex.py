"""Codex's rollouts: `sessions/YYYY/MM/DD/rollout-*.jsonl`, and those in `archived_sessions`.

Built from rollouts as Codex 0.20 to 0.149 write them: each line is `{timestamp, type, payload}`. Before 0.20
the payload stood alone, behind a first line with `id` and `timestamp`. What is said stands there twice, as
`response_item` (what the model gets) and as `event_msg` (what a person sees), in either order, and some
versions keep only one of the two: whichever comes second is passed over.

One file is one thread: its id is `payload.id`; that of a whole tree of forks is `session_id`. A fork begins
with a copy of the other thread's records; a copied turn or call keeps its id, and is told once.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from eventd_ipc.events import Event

from .events import SessionEvents, attachment, base64_size, decode, milliseconds
from .model import Options, Seen, Transcript

TOOL = "codex"
MAX_UNPAIRED = 1000  # sayings that wait for their second record

# What the program puts into the conversation as if a person had said it.
_INJECTED = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|INSTRUCTIONS|permissions|turn_aborted|skills?|user_action"
    r"|user_shell_command|subagent_notification|collaboration_mode|realtime_conversation|model_switch|apps"
    r"|plugins?|hook\w*|system\w*|environments_\w+|personality\w*|recommended_\w+)\b"
    r"|# AGENTS\.md instructions|Warning: (?:apply_patch|The maximum number))"
)
_IMAGE_TAG = re.compile(r"\s*</?image\b[^>]*>\s*\Z")
_IMAGE = re.compile(r"\[image [^\]]{0,80}, not stored\]")
_EXIT = re.compile(r"^(?:Process exited with code|Exit code:) ([1-9]\d*)", re.MULTILINE)
_CALLS = ("function_call", "custom_tool_call", "local_shell_call", "web_search_call", "tool_search_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "tool_search_output")
_ENVELOPES = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")


class _Line(msgspec.Struct):
    type: str | None = None
    timestamp: str | int | float | None = None
    payload: msgspec.Raw = msgspec.Raw()


_lines = msgspec.json.Decoder(_Line)
_payloads = msgspec.json.Decoder(dict[str, Any])


class Codex:
    """Makes events of the lines of a rollout.

    Args:
        seen: Turns and calls of other threads.
    """

    def __init__(self, transcript: Transcript, options: Options, seen: Seen) -> None:
        self._transcript = transcript
        self._options = options
        self._seen = seen
        self._time = transcript.modified
        self._events = self._session(transcript.session)
        self._named = False  # the file's own name is known; what comes later is a copy's
        self._started = False
        self._subagent = ""
        self._last = ("", 0)  # what a subagent said last, and when
        self._told = False  # what a subagent is to do
        self._turn: str | None = None
        self._copied = False
        self._model: str | None = None
        self._unpaired: Counter[tuple[str, str, str]] = Counter()

    def read(self, data: bytes) -> Iterator[Event]:
        """Return the events of a line."""
        line = decode(_lines, data)
        payload = decode(_payloads, bytes(line.payload) if line.type in _ENVELOPES else data)
        self._time = milliseconds(line.timestamp) or self._time
        if line.type not in _ENVELOPES:
            if isinstance(payload.get("payload"), dict):
                return  # a type of record that later versions have
            if "record_type" in payload or "type" not in payload:  # of the oldest form
                self._name(payload)
                return
            line.type = "response_item"
        yield from filter(None, self._of(line.type, payload))

    def finish(self) -> Iterator[Event]:
        """Return the end of a subagent."""
        text, time = self._last
        if self._subagent and text:
            yield self._events.run_ended(self._subagent, text, time)

    def _session(self, name: str) -> SessionEvents:
        agent = self._transcript.agent
        path = str(self._transcript.path)
        return SessionEvents(TOOL, agent, name, f"agent:{agent}:{name}", path, self._options.tidy)

    def _name(self, meta: dict[str, Any]) -> None:
        """Take in who the session is; a second time the words of the one that it is a copy of."""
        if self._named:
            return
        own = meta.get("id") or meta.get("session_id")
        if not isinstance(own, str) or not own:
            return
        self._named = True
        name = own
        source = meta.get("source")
        if isinstance(source, dict) and "subagent" in source:
            self._subagent = own
            name = _parent(source["subagent"]) or _text(meta.get("parent_thread_id")) or own
        self._events = self._session(name)
        self._events.cwd = _text(meta.get("cwd"))
        self._events.version = _text(meta.get("cli_version"))

    def _of(self, kind: str, payload: dict[str, Any]) -> Iterator[Event | None]:
        match kind:
            case "session_meta":
                self._name(payload)
            case "turn_context":
                self._events.cwd = _text(payload.get("cwd")) or self._events.cwd
                self._model = _text(payload.get("model")) or self._model
                self._begin_turn(payload)
            case "event_msg" if payload.get("type") in ("task_started", "turn_started"):
                self._begin_turn(payload)
            case "event_msg":
                yield from self._shown(payload)
            case "compacted":
                yield from self._opened()
                if not self._copied:
                    yield self._events.compacted(_text(payload.get("message")), self._time)
            case "response_item":
                yield from self._item(payload)

    def _begin_turn(self, payload: dict[str, Any]) -> None:
        turn = payload.get("turn_id")
        if isinstance(turn, str) and turn and turn != self._turn:
            self._turn = turn
            self._unpaired.clear()
            self._copied = not self._seen.add(f"turn {turn}")

    def _opened(self) -> Iterator[Event]:
        if not self._started:
            self._started = True
            if not self._subagent:
                yield self._events.start(self._time)

    def _shown(self, payload: dict[str, Any]) -> Iterator[Event | None]:
        match payload.get("type"):
            case "user_message":
                yield from self._said("user", _text(payload.get("message")), "event")
            case "agent_message":
                yield from self._said("assistant", _text(payload.get("message")), "event")

    def _item(self, payload: dict[str, Any]) -> Iterator[Event | None]:
        kind = payload.get("type") or ("message" if "role" in payload else "")
        if kind == "message":
            role = _text(payload.get("role"))
            if role in ("user", "assistant"):
                yield from self._said(role, _said(payload.get("content")), "item")
            return
        if kind == "reasoning":
            if self._options.thinking and not self._copied:
                yield self._events.thought(_reasoning(payload), self._time, self._run, self._model)
            return
        call = _text(payload.get("call_id")) or _text(payload.get("id"))
        if not call or (kind not in _CALLS and kind not in _OUTPUTS):
            return
        yield from self._opened()
        if self._copied or not self._seen.add(f"{kind in _CALLS} {call}"):
            return
        if kind in _CALLS:
            name, args = _call(str(kind), payload)
            yield self._events.called(call, name, args, self._time, self._run, self._model)
        else:
            result, failed = _output(payload.get("output"))
            yield self._events.answered(call, result, self._time, self._run, failed=failed)

    @property
    def _run(self) -> str | None:
        return self._subagent or self._turn

    def _said(self, role: str, text: str, record: str) -> Iterator[Event | None]:
        """Tell a saying when it comes for the first of two times."""
        text = text.strip()
        if not text or self._copied or (role == "user" and _INJECTED.match(text)):
            return
        plain = " ".join(_IMAGE.sub("", text).split())  # only one of the two names images
        other = (role, "item" if record == "event" else "event", plain)
        if self._unpaired[other] > 0:
            self._unpaired[other] -= 1
            return
        if len(self._unpaired) < MAX_UNPAIRED:
            self._unpaired[role, record, plain] += 1
        yield from self._opened()
        if self._subagent:
            if role == "assistant":
                self._last = (text, self._time)
            elif not self._told:
                self._told = True
                yield self._events.run_started(self._subagent, text, self._time)
        elif role == "user":
            yield self._events.said_in(text, self._time, self._turn)
        else:
            yield self._events.said_out(text, self._time, self._turn, self._model)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parent(source: object) -> str:
    spawn = source.get("thread_spawn") if isinstance(source, dict) else None
    return _text(spawn.get("parent_thread_id")) if isinstance(spawn, dict) else ""


def _said(content: object) -> str:
    """Return the text of a message; images by their size."""
    if isinstance(content, str):
        return content
    said: list[str] = []
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if isinstance(text := part.get("text"), str):
            if not _IMAGE_TAG.match(text):
                said.append(text)
        elif part.get("type") == "input_image":
            url = _text(part.get("image_url"))
            kind = url[5:40].partition(";")[0] if url.startswith("data:") else ""
            said.append(attachment("image", kind, base64_size(url) if kind else 0))
    return "\n".join(said)


def _reasoning(payload: dict[str, Any]) -> str:
    parts = [
        part for key in ("content", "summary") if isinstance(held := payload.get(key), list) for part in held
    ]
    return "\n".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _call(kind: str, payload: dict[str, Any]) -> tuple[str, Any]:
    name = _text(payload.get("name"))
    match kind:
        case "function_call":
            args = payload.get("arguments")
            try:
                return name, msgspec.json.decode(args) if isinstance(args, str) else args
            except (ValueError, RecursionError):
                return name, args
        case "custom_tool_call":
            return name, payload.get("input")
        case "local_shell_call":
            return name or "shell", payload.get("action")
        case "web_search_call":
            return name or "web_search", payload.get("action")
    return name or "tool_search", payload.get("arguments", payload.get("query"))


def _output(output: object) -> tuple[Any, bool]:
    """Return what a tool has answered, and whether it failed."""
    failed = False
    if isinstance(output, dict):
        failed = output.get("success") is False
        output = output.get("content", output)
    if isinstance(output, list):
        return _said(output), failed
    if isinstance(output, str) and output.startswith("{"):  # the older form: a JSON text
        try:
            held = msgspec.json.decode(output)
        except (ValueError, RecursionError):
            held = None
        if isinstance(held, dict) and isinstance(held.get("output"), str):
            code = held["metadata"].get("exit_code") if isinstance(held.get("metadata"), dict) else 0
            return held["output"], failed or code not in (0, None)
    if isinstance(output, str):
        failed = failed or _EXIT.search(output[:500]) is not None
    return output, failed
