"""Sessions as the tools keep them, made by hand: lines of each kind, and homes with some of each."""

import json
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventd_ipc.events import Event

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Json = dict[str, Any]

START = 1_780_000_000  # seconds; 2026-05-28, before any test runs


def at(seconds: int) -> str:
    """Return a time as transcripts have it."""

    return (
        datetime.fromtimestamp(START + seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


class Plain:
    """Keeps what was said as it is."""

    def said(self, text: str) -> str:
        return text if text.strip() else ""

    def value(self, value: Any) -> Any:
        return value


def jsonl(lines: Sequence[Json]) -> bytes:
    """Return lines of JSON."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def write(path: Path, lines: Sequence[Json], *, packed: bool = False) -> Path:
    """Write a transcript."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = jsonl(lines)
    path.write_bytes(zstd.compress(data) if packed else data)
    return path


def packed(entry: Json) -> bytes:
    """Return an entry as a packed row has it."""
    return zstd.compress(json.dumps(entry).encode())


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Return what events say: their types without the first word, and their texts."""
    return [(event.type.partition(".")[2], text_of(event)) for event in events]


def text_of(event: Event) -> str:
    """Return what an event says, in a word."""
    data = event.payload["data"]
    for key in ("text", "summary", "args", "result", "prompt", "source"):
        if key in data:
            return data[key] if isinstance(data[key], str) else json.dumps(data[key])
    return ""


class ClaudeCode:
    """Writes the lines of one session of Claude Code."""

    def __init__(self, session: str = "s-1", cwd: str = "/work/shop") -> None:
        self.session, self.cwd = session, cwd
        self.lines: list[Json] = []
        self.prompt = ""

    def line(self, kind: str, content: Any = None, **more: Any) -> Json:
        """A line, one second after the last."""
        n = len(self.lines)
        line: Json = {
            "parentUuid": f"{self.session}-u{n - 1}" if n else None,
            "isSidechain": False,
            "userType": "external",
            "cwd": self.cwd,
            "sessionId": self.session,
            "version": "2.1.252",
            "gitBranch": "main",
            "type": kind,
            "uuid": f"{self.session}-u{n}",
            "timestamp": at(n),
        }
        if content is not None:
            line["message"] = {"role": kind, "content": content}
            if kind == "assistant":
                line["message"] |= {"id": f"msg_{n}", "model": "claude-opus-5", "type": "message"}
        self.lines.append(line | more)
        return self.lines[-1]

    def ask(self, text: str, **more: Any) -> "ClaudeCode":
        self.prompt = f"p-{len(self.lines)}"
        self.line("user", text, promptId=self.prompt, promptSource="typed", origin={"kind": "human"}, **more)
        return self

    def say(self, text: str, **more: Any) -> "ClaudeCode":
        self.line("assistant", [{"type": "text", "text": text}], **more)
        return self

    def use(
        self, call: str, name: str, args: Json, result: Any, *, error: bool = False, **more: Any
    ) -> "ClaudeCode":
        """A tool call and its result."""
        self.line("assistant", [{"type": "tool_use", "id": call, "name": name, "input": args}], **more)
        block = {"type": "tool_result", "tool_use_id": call, "content": result, "is_error": error}
        self.line("user", [block], promptId=self.prompt, toolUseResult={"stdout": "x" * 9}, **more)
        return self

    def compact(self, summary: str) -> "ClaudeCode":
        meta = {"trigger": "auto", "preTokens": 155_000}
        self.line(
            "system", subtype="compact_boundary", content="Conversation compacted", compactMetadata=meta
        )
        self.line("user", summary, isCompactSummary=True, isVisibleInTranscriptOnly=True)
        return self

    def write(self, home: Path, project: str = "-work-shop") -> Path:
        return write(home / ".claude" / "projects" / project / f"{self.session}.jsonl", self.lines)


class Codex:
    """Writes the lines of one thread of Codex."""

    def __init__(self, session: str = "01a038a1-c2ee-7642-98e4-c94d7a479e0c", **meta: Any) -> None:
        self.session = session
        self.lines: list[Json] = []
        self.turns = 0
        payload = {"id": session, "session_id": session, "cwd": "/work/api", "originator": "codex-tui",
                   "cli_version": "0.149.1", "source": "cli"}  # fmt: skip
        self.record("session_meta", payload | meta)

    def record(self, kind: str, payload: Json) -> "Codex":
        """A line, one second after the last."""
        self.lines.append({"timestamp": at(len(self.lines)), "type": kind, "payload": payload})
        return self

    def item(self, **payload: Any) -> "Codex":
        return self.record("response_item", payload)

    def message(self, role: str, text: str) -> "Codex":
        kind = "output_text" if role == "assistant" else "input_text"
        return self.item(type="message", role=role, content=[{"type": kind, "text": text}])

    def ask(self, text: str) -> "Codex":
        """A turn begins with what a person says, which stands there twice."""
        self.turns += 1
        turn = f"{self.session[:8]}-turn-{self.turns}"
        self.record("event_msg", {"type": "task_started", "turn_id": turn})
        self.record("turn_context", {"turn_id": turn, "cwd": "/work/api", "model": "gpt-6"})
        self.message("user", text)
        return self.record("event_msg", {"type": "user_message", "message": text, "images": []})

    def say(self, text: str) -> "Codex":
        self.record("event_msg", {"type": "agent_message", "message": text})
        return self.message("assistant", text)

    def use(self, call: str, name: str, args: Json, output: Any) -> "Codex":
        self.item(type="function_call", name=name, arguments=json.dumps(args), call_id=call)
        return self.item(type="function_call_output", call_id=call, output=output)

    def write(self, home: Path, *, archived: bool = False, packed: bool = False) -> Path:
        folder = home / ".codex" / ("archived_sessions" if archived else "sessions/2026/05/28")
        name = f"rollout-2026-05-28T20-26-40-{self.session}.jsonl{'.zst' if packed else ''}"
        return write(folder / name, self.lines, packed=packed)


class OpenClaw:
    """Writes the entries of one session of OpenClaw."""

    def __init__(
        self, session: str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d", cwd: str = "/workspace"
    ) -> None:
        self.session = session
        self.entries: list[Json] = [
            {"type": "session", "version": 3, "id": session, "timestamp": at(0), "cwd": cwd}
        ]

    def entry(self, kind: str, **more: Any) -> "OpenClaw":
        n = len(self.entries)
        place = {"id": f"e{n}", "parentId": f"e{n - 1}" if n > 1 else None, "timestamp": at(n)}
        self.entries.append({"type": kind, **place, **more})
        return self

    def message(self, role: str, content: Any, **more: Any) -> "OpenClaw":
        time = (START + len(self.entries)) * 1000
        return self.entry("message", message={"role": role, "content": content, "timestamp": time, **more})

    def ask(self, text: str) -> "OpenClaw":
        return self.message("user", [{"type": "text", "text": text}])

    def say(self, text: str) -> "OpenClaw":
        return self.message("assistant", [{"type": "text", "text": text}], model="claude-sonnet-5")

    def use(self, call: str, name: str, args: Json, result: str, *, error: bool = False) -> "OpenClaw":
        self.message("assistant", [{"type": "toolCall", "id": call, "name": name, "arguments": args}])
        content = [{"type": "text", "text": result}]
        return self.message("toolResult", content, toolCallId=call, toolName=name, isError=error)

    def write(self, home: Path, *, agent: str = "main", key: str = "", suffix: str = ".jsonl") -> Path:
        """Write a file of the first era."""
        folder = home / ".openclaw" / "agents" / agent / "sessions"
        path = write(folder / f"{self.session}{suffix}", self.entries)
        if key:
            index = folder / "sessions.json"
            known = json.loads(index.read_text()) if index.exists() else {}
            known[key] = {"sessionId": self.session, "updatedAt": START * 1000, "sessionFile": path.name}
            index.write_text(json.dumps(known))
        return path


SCHEMA = """
CREATE TABLE session_nodes (session_key TEXT NOT NULL PRIMARY KEY, current_session_id TEXT NOT NULL,
  entry_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE session_windows (session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT,
  created_at INTEGER NOT NULL, event_zstd BLOB, event_utf8_bytes INTEGER,
  PRIMARY KEY (session_id, seq)) STRICT;
CREATE TABLE session_transcript_archives (session_id TEXT NOT NULL, generation TEXT NOT NULL,
  session_key TEXT NOT NULL, reason TEXT NOT NULL, encoding TEXT NOT NULL, archive_blob BLOB NOT NULL,
  PRIMARY KEY (session_id, generation)) STRICT;
CREATE TABLE session_transcript_cold_archives (session_id TEXT NOT NULL PRIMARY KEY,
  archive_name TEXT NOT NULL, storage TEXT NOT NULL, archive_blob BLOB) STRICT;
"""
"""The tables of OpenClaw's agent database that matter, as its schema 24 has them."""


def database(home: Path, agent: str = "main") -> sqlite3.Connection:
    """Make an agent's database of the second era, or open it."""
    path = home / ".openclaw" / "agents" / agent / "agent" / "openclaw-agent.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    db = sqlite3.connect(path, isolation_level=None)
    if is_new:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
    return db


def insert(db: sqlite3.Connection, session: OpenClaw, key: str, *, packed_from: int = 10**9) -> None:
    """Put a session's entries into rows, out of their order; from one of them on they are packed."""
    db.execute("INSERT OR IGNORE INTO session_windows VALUES (?, ?, 0, 0)", (session.session, key))
    numbered = list(enumerate(session.entries))
    for seq, entry in numbered[::2] + numbered[1::2]:
        text = json.dumps(entry) if seq < packed_from else None
        blob = packed(entry) if text is None else None
        row = (session.session, seq, text, (START + seq) * 1000, blob, len(json.dumps(entry)))
        db.execute("INSERT INTO transcript_events VALUES (?, ?, ?, ?, ?, ?)", row)


def entries_as_blob(session: OpenClaw) -> bytes:
    """Return a session as a packed file."""
    return zstd.compress(jsonl(session.entries))
