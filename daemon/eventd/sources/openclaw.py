"""OpenClaw's transcripts: the same entries as lines of files, until 2026.7, and as rows of a database.

Built from Pi's session format, versions 1 to 3, as OpenClaw 2026.1 to 2026.9 write it: a `session` entry,
then `message`, `compaction` and others, which form a tree by `id` and `parentId`; all its branches were said.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from eventd_ipc.events import Event

from .events import Origin, SessionEvents, attachment, base64_size, decode, milliseconds
from .model import Options, Seen, Transcript

TOOL = "openclaw"

# Data about the channel that OpenClaw puts before a person's words.
_WRAPPED = re.compile(r"\A(?:\s*[\w ()-]{0,60}\(untrusted[^)\n]{0,40}\):?\s*```\w*\n.*?\n```\s*)+", re.DOTALL)
_MESSAGE_ID = re.compile(r'"message_?id"\s*:\s*"?([^"\s,}]{1,200})', re.IGNORECASE)
_PROGRAM = ("[cron:", "System:", "Read HEARTBEAT.md")


class _Entry(msgspec.Struct, rename="camel"):
    type: str = ""
    id: str | None = None
    timestamp: str | int | float | None = None
    cwd: str | None = None
    message: dict[str, Any] | None = None
    summary: str | None = None
    tokens_before: int | None = None


_entries = msgspec.json.Decoder(_Entry)


class OpenClaw:
    """Makes events of the entries of a transcript.

    Args:
        seen: Entries of the same agent: a session may be kept in several places.
    """

    def __init__(self, transcript: Transcript, options: Options, seen: Seen) -> None:
        self._transcript = transcript
        self._options = options
        self._seen = seen
        self._time = transcript.modified
        self._events = self._session(transcript.session)
        self._started = False
        self._run: str | None = None

    def read(self, data: bytes) -> Iterator[Event]:
        """Return the events of an entry."""
        entry = decode(_entries, data)
        self._time = milliseconds(entry.timestamp) or self._time
        if entry.type == "session":
            # The name of a file may be another one, as that of a thread of a chat.
            self._events = self._session(entry.id or self._transcript.session)
            self._events.cwd = entry.cwd or ""
            return
        if entry.id and not self._seen.add(f"{self._events.session} {entry.id}"):
            return
        if entry.type == "message" and entry.message is not None:
            if not self._started:
                self._started = True
                yield self._events.start(self._time)
            yield from filter(None, self._message(entry, entry.message))
        elif entry.type in ("compaction", "branch_summary") and entry.summary:
            more = {"tokensBefore": entry.tokens_before} if entry.tokens_before is not None else {}
            yield from filter(None, (self._events.compacted(entry.summary, self._time, **more),))

    def finish(self) -> Iterator[Event]:
        """Return nothing: each entry is complete."""
        yield from ()

    def _session(self, name: str) -> SessionEvents:
        agent = self._transcript.agent
        key = self._transcript.key or f"agent:{agent}:{name}"
        path = str(self._transcript.path)
        more = {"sessionId": name}
        return SessionEvents(TOOL, agent, name, key, path, self._options.tidy, more=more, digests_stored=True)

    def _message(self, entry: _Entry, message: dict[str, Any]) -> Iterator[Event | None]:
        self._time = milliseconds(message.get("timestamp")) or self._time
        content = message.get("content")
        match message.get("role"):
            case "user":
                yield self._user(entry, message, _said(content))
            case "assistant":
                yield from self._assistant(message, content)
            case "toolResult" | "tool":
                call, name = _text(message.get("toolCallId")), _text(message.get("toolName"))
                failed = message.get("isError") is True
                if call:
                    yield self._events.answered(
                        call, _said(content), self._time, self._run, failed=failed, name=name
                    )
            case "bashExecution":  # typed by a person, as `!ls`
                call, code = entry.id or str(self._time), message.get("exitCode")
                yield self._events.called(call, "bash", message.get("command"), self._time, self._run)
                failed = code not in (0, None)
                yield self._events.answered(call, message.get("output"), self._time, self._run, failed=failed)

    def _user(self, entry: _Entry, message: dict[str, Any], text: str) -> Event | None:
        found = _WRAPPED.match(text)
        words = text[found.end() :] if found else text
        self._run = entry.id or self._run
        given = _MESSAGE_ID.search(found[0]) if found else None
        held = message.get("provenance")
        kind = held.get("kind") if isinstance(held, dict) else None
        by_program = words.lstrip().startswith(_PROGRAM) or kind in ("inter_session", "internal_system")
        prompt = given[1] if given else None
        origin: Origin = "agent" if by_program else "person"
        scope = self._events.key if prompt else None  # a channel's message does not tell the session's id
        return self._events.said_in(words, self._time, prompt, run=self._run, origin=origin, scope=scope)

    def _assistant(self, message: dict[str, Any], content: object) -> Iterator[Event | None]:
        model = _text(message.get("model")) or None
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        parts = [part for part in parts if isinstance(part, dict)]
        if said := "\n".join(_text(part.get("text")) for part in parts if part.get("type") == "text").strip():
            yield self._events.said_out(said, self._time, None, model, run=self._run)
        for part in parts:
            if part.get("type") == "thinking" and self._options.thinking:
                yield self._events.thought(_text(part.get("thinking")), self._time, self._run, model)
            elif part.get("type") in ("toolCall", "toolUse") and (call := _text(part.get("id"))):
                args = part.get("arguments", part.get("input"))
                yield self._events.called(call, _text(part.get("name")), args, self._time, self._run, model)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _said(content: object) -> str:
    """Return the text of a message; images by their size."""
    if isinstance(content, str):
        return content
    said: list[str] = []
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if isinstance(text := part.get("text"), str):
            said.append(text)
        elif part.get("type") == "image":
            said.append(attachment("image", _text(part.get("mimeType")), base64_size(part.get("data"))))
    return "\n".join(said)
