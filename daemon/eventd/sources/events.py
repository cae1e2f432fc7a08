"""The events of a session, in the document's shape, whichever tool it was recorded by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from eventd_ipc.events import Event

from ..events.normal import with_whole_characters
from . import ids
from .model import NotUnderstood, Tidy

Origin = Literal["person", "agent", "tool", "web"]
"""Who said it; a context leaves out what tools and the web say, unless it is asked for."""

MAX_PENDING = 10_000  # calls whose name is kept until their result comes
_EARLIEST = 10**11  # a smaller number is a time in seconds

_WEB = ("webfetch", "websearch", "web_fetch", "web_search", "browser", "fetch")
"""What the name of a tool has in it whose answers come from the web; hooks say the same."""


@dataclass(slots=True)
class SessionEvents:
    """Makes the events of one session.

    Ids are those of the tool's hooks: what these have told is not told again.

    Attributes:
        session: The tool's own id of the session.
        key: Session key of the events.
        cwd: The project's folder, as far as it was told.
        version: Of the tool.
        more: What else is known about the source.
        digests_stored: Whether the tool's hooks digest a text as it is stored, rather than as it was said.
    """

    tool: str
    agent: str
    session: str
    key: str
    transcript: str
    tidy: Tidy
    cwd: str = ""
    version: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    digests_stored: bool = False
    _names: dict[str, str] = field(default_factory=dict)

    def start(self, time: int) -> Event:
        """The session begins."""
        event_id = ids.start(self.tool, self.session, "startup", time)
        return self._event("session.start", event_id, time, "lifecycle", {"source": "startup"}, "agent")

    def said_in(
        self,
        text: str,
        time: int,
        prompt: str | None,
        *,
        run: str | None = None,
        origin: Origin = "person",
        scope: str | None = None,
    ) -> Event | None:
        """A message to the agent; None where nothing of it may be stored.

        Args:
            prompt: The tool's own id of the prompt, or of its turn.
            run: What the prompt begins, where that has another id.
            scope: Within what the prompt's id is one, where that is not the session.
        """
        if not (text := self.tidy.said(text)):
            return None
        stored = self.tidy.value(text)
        event_id = ids.said_in(
            self.tool, scope or self.session, prompt, stored if self.digests_stored else text, time
        )
        data = {"role": "user", "text": stored}
        return self._event("conversation.message.in", event_id, time, "user", data, origin, run or prompt)

    def said_out(
        self, text: str, time: int, prompt: str | None, model: str | None = None, *, run: str | None = None
    ) -> Event | None:
        """A message of the agent; see `said_in`."""
        if not (text := self.tidy.said(text)):
            return None
        stored = self.tidy.value(text)
        event_id = ids.said_out(
            self.tool, self.session, prompt, stored if self.digests_stored else text, time
        )
        data = {"role": "assistant", "text": stored}
        return self._event(
            "conversation.message.out", event_id, time, "assistant", data, "agent", run or prompt, model
        )

    def thought(self, text: str, time: int, prompt: str | None, model: str | None = None) -> Event | None:
        """What the model thinks before it says something."""
        if not (text := self.tidy.value(self.tidy.said(text))):
            return None
        event_id = ids.other(self.tool, self.session, "thinking", text, time)
        return self._event(
            "conversation.thinking", event_id, time, "thinking", {"text": text}, "agent", prompt, model
        )

    def called(
        self, call: str, name: str, args: Any, time: int, run: str | None, model: str | None = None
    ) -> Event:
        """The agent uses a tool."""
        if len(self._names) < MAX_PENDING:
            self._names[call] = name
        data = {"name": name, "toolCallId": call, "args": self.tidy.value(args)}
        event_id = ids.call(self.tool, self.session, call)
        return self._event("conversation.tool_call", event_id, time, "tool", data, "agent", run, model)

    def answered(
        self, call: str, result: Any, time: int, run: str | None, *, failed: bool = False, name: str = ""
    ) -> Event:
        """A tool has answered, or failed."""
        name = self._names.pop(call, "") or name
        data = {"name": name, "toolCallId": call, "result": self.tidy.value(result), "isError": failed}
        event_id = ids.result(self.tool, self.session, call)
        origin: Origin = "web" if any(word in name.lower() for word in _WEB) else "tool"
        return self._event("conversation.tool_result", event_id, time, "tool", data, origin, run)

    def compacted(self, summary: str, time: int, **more: Any) -> Event | None:
        """What was said so far was summed up."""
        if not summary.strip():
            return None
        stored = self.tidy.value(summary)
        event_id = ids.compaction_end(
            self.tool, self.session, stored if self.digests_stored else summary, time
        )
        data = {"summary": stored, **more}
        return self._event("session.compaction_end", event_id, time, "compaction", data, "agent")

    def run_started(self, agent: str, text: str, time: int) -> Event:
        """A subagent begins, with what it was told."""
        event_id = ids.run(self.tool, self.session, agent, "start")
        data = {"phase": "start", "prompt": self.tidy.value(text)}
        return self._event("lifecycle.start", event_id, time, "lifecycle", data, "agent", agent)

    def run_ended(self, agent: str, text: str, time: int) -> Event:
        """A subagent ends, with what it said last."""
        event_id = ids.run(self.tool, self.session, agent, "end", text)
        data = {"phase": "end", "text": self.tidy.value(text)}
        return self._event("lifecycle.end", event_id, time, "lifecycle", data, "agent", agent)

    def _event(
        self,
        event_type: str,
        event_id: str,
        time: int,
        stream: str,
        data: dict[str, Any],
        origin: Origin,
        run: str | None = None,
        model: str | None = None,
    ) -> Event:
        run = run or self.session
        source: dict[str, Any] = {
            "tool": self.tool,
            "via": "import",
            "transcript": self.transcript,
            **self.more,
        }
        if self.cwd:
            source["cwd"] = self.cwd
        if self.version:
            source["version"] = self.version
        meta: dict[str, Any] = {"runId": run, "origin": origin, "source": source}
        if model:
            meta["model"] = model
        return Event(
            type=event_type,
            id=event_id,
            timestamp=time,
            agent=self.agent,
            session=self.key,
            payload={"runId": run, "stream": stream, "data": data, "sessionKey": self.key, "ts": time},
            meta=meta,
        )


def decode[T](decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Return what a record holds, also where half a character was left in it by cutting a text.

    Raises:
        NotUnderstood: It is no JSON, or of another form.
    """
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError) as error:
        failure = error
    if (whole := with_whole_characters(data)) != data:
        try:
            return decoder.decode(whole)
        except (ValueError, RecursionError) as error:
            failure = error
    raise NotUnderstood(str(failure)) from failure


def milliseconds(value: object) -> int | None:
    """Return the Unix ms of a time: ISO 8601, seconds or milliseconds; None for anything else."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        try:
            number = moment.timestamp() * 1000
        except (OverflowError, ValueError):
            return None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value * 1000.0 if abs(value) < _EARLIEST else float(value)
    else:
        return None
    return round(number) if 0 < number < 2**53 else None


def attachment(kind: str, name: str, size: int) -> str:
    """Return what stands for something that is not stored: `[image image/png, 48211 bytes, not stored]`."""
    return f"[{' '.join(filter(None, (kind, name)))}, {size} bytes, not stored]"


def base64_size(text: object) -> int:
    """Return how many bytes a base64 text stands for; that of a data URL behind its comma."""
    if not isinstance(text, str):
        return 0
    start = text.find(",") + 1 if text.startswith("data:") else 0
    return max(0, (len(text) - start) * 3 // 4 - text[-2:].count("="))
