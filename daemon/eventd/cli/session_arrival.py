"""The sessions of agent tools on their way into the daemon: read, asked about, and sent if they are new."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec

from eventd_ipc.events import Event
from eventd_ipc.messages import MAX_KNOWN

from ..errors import EventdError
from ..hooks.cleaning import clean, is_all_private, without_private
from ..hooks.command import session_switch
from ..hooks.consent import IGNORE_FILE, SAY_OFF, SAY_ON, is_ignored, switch_in
from ..sources.model import Found, Options, Seen, Tool, Transcript
from ..sources.reading import Unreadable
from ..sources.transcripts import read
from .bulk import Item, Sender
from .known import ask_known
from .lines import Line
from .session_tally import SessionTally, SourceLine

MAX_BYTES = 4 * 2**20  # of events that are asked about together; a large one may come on top
MAX_RECENT = 20_000  # names of events that were sent lately, and may not be on disk yet
SETTLE = 5.0  # seconds for which a daemon that has just started may look for what is in the streams
INTERVAL = 0.1  # seconds between two movements of the bar

_encode = msgspec.msgpack.Encoder().encode


class Tidying:
    """Makes what was said fit to be stored, as the hooks do."""

    def said(self, text: str) -> str:
        """Return a text without its private parts; "" where nothing of it is left."""
        return "" if is_all_private(text) else without_private(text)

    def value(self, value: Any) -> Any:
        """Return it without secrets, and not too long."""
        return clean(value)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are imported.

    Attributes:
        since: Not those before this time, Unix ms.
        project: Only those of this folder, and of folders in it.
        agent: Only those of this agent.
    """

    since: int | None = None
    project: str | None = None
    agent: str | None = None


class SessionArrival:
    """Brings in transcripts, one after another.

    Args:
        sender: None where nothing is sent and nobody asked; then every event counts as new.
        wait: Seconds for which an index that is being built is waited for.
        dry_run: Send nothing.
        environ: Says where hooks keep what sessions are not to be recorded.
    """

    def __init__(
        self,
        sender: Sender[Line] | None,
        tally: SessionTally,
        wanted: Wanted,
        *,
        thinking: bool,
        wait: float,
        dry_run: bool,
        environ: Mapping[str, str],
    ) -> None:
        self._sender = sender
        self._tally = tally
        self._wanted = wanted
        self._options = Options(Tidying(), thinking)
        self._wait = wait
        self._dry_run = dry_run
        self._environ = environ
        self._seen = Seen()
        self._gathered: list[tuple[SourceLine, Event, msgspec.Raw]] = []
        self._bytes = 0
        self._number = 0
        self._recent: set[tuple[str, str]] = set()
        self._less_recent: set[tuple[str, str]] = set()
        self._folders: dict[str, str] = {}  # why a project's events are left out, "" where they are not
        self._sessions: dict[str, bool] = {}
        # By session, from `eventd off` to `eventd on`.
        self._silences: dict[str, list[tuple[int, float]]] = {}
        self._moved = 0.0
        self._settle = min(SETTLE, wait)

    def take(self, found: Found) -> None:
        """Bring in all transcripts of a tool. One that is broken does not stop the others.

        Raises:
            EventdClientError: The daemon was not there, or was away or full for too long.
            IndexIncomplete: Its index was not complete for too long.
        """
        for transcript in found.transcripts:
            self._tally.begin(transcript)
            if self._wanted.agent not in (None, transcript.agent):
                self._tally.passed_over(transcript, "of another agent")
            elif self._wanted.since is not None and 0 < transcript.modified < self._wanted.since:
                self._tally.passed_over(transcript, "before --since")
            elif self._is_off(transcript.tool, transcript.session):
                self._tally.passed_over(transcript, f"turned off (`{SAY_OFF}`)")
            else:
                self._take(transcript)
        self._bring()

    def finish(self) -> None:
        """Wait until all that was sent is on disk, or refused."""
        self._bring()
        if self._sender is not None:
            self._sender.flush()

    def _take(self, transcript: Transcript) -> None:
        missed = self._tally.missed(transcript.tool)
        try:
            for event, taken in read(transcript, self._options, self._seen, missed):
                if reason := self._silenced(event) or self._reason(event):
                    self._tally.leave_out(transcript.tool, reason)
                else:
                    self._gather(transcript.tool, event)
                self._advance(taken)
        except Unreadable as error:
            self._tally.fail(transcript, str(error))
        else:
            self._tally.end(transcript)

    def _silenced(self, event: Event) -> str:
        """Return why it is left out where its session was turned off: the hooks have left it out, too."""
        at = event.timestamp or 0
        silences = self._silences.setdefault(event.session or "", [])
        said = switch_in(_asked(event))
        if said == SAY_OFF:
            silences.append((at, inf))
        elif said == SAY_ON and silences:
            silences[-1] = (silences[-1][0], at)
        is_silent = bool(said) or any(begin <= at <= end for begin, end in silences)
        return f"turned off (`{SAY_OFF}`)" if is_silent else ""

    def _reason(self, event: Event) -> str:
        """Return why an event is left out; "" where it is not."""
        if self._wanted.since is not None and (event.timestamp or 0) < self._wanted.since:
            return "before --since"
        cwd = event.meta["source"].get("cwd", "")
        reason = self._folders.get(cwd)
        if reason is None:
            reason = self._folders[cwd] = self._judge(cwd)
        return reason

    def _judge(self, cwd: str) -> str:
        if cwd and is_ignored(cwd):
            return f"of a project with {IGNORE_FILE}"
        project = self._wanted.project
        if project is None:
            return ""
        real = os.path.realpath(cwd) if cwd else ""
        return "" if real == project or real.startswith(f"{project.rstrip('/')}/") else "of another project"

    def _is_off(self, tool: Tool, session: str) -> bool:
        name = f"{tool} {session}"
        if name not in self._sessions:
            self._sessions[name] = session_switch(tool, session, self._environ).is_off
        return self._sessions[name]

    def _gather(self, tool: Tool, event: Event) -> None:
        try:
            raw = msgspec.Raw(_encode(event))
        except (OverflowError, ValueError, TypeError) as error:
            self._tally.leave_out(tool, f"not to be written: {type(error).__name__}")
            return
        self._number += 1
        self._gathered.append((SourceLine(self._number, None, 0, tool), event, raw))
        self._bytes += len(raw)
        if len(self._gathered) >= MAX_KNOWN or self._bytes >= MAX_BYTES:
            self._bring()

    def _bring(self) -> None:
        """Send what was gathered and is not known yet."""
        gathered, self._gathered, self._bytes = self._gathered, [], 0
        known = self._known(event for _, event, _ in gathered)
        fresh: list[Item[Line]] = []
        for line, event, raw in gathered:
            name = _name(event)
            if name in self._recent or name in self._less_recent or known.get(name) is False:
                self._tally.knew(line.tool)
            elif known.get(name):
                self._tally.forgot(line.tool)
            else:
                fresh.append(Item(line, name[1], len(raw), raw))
                self._remember(name)
        if self._sender is None or self._dry_run:
            self._tally.store([(item.line, item.event_id) for item in fresh])
        else:
            self._sender.send(fresh)

    def _known(self, events: Iterable[Event]) -> dict[tuple[str, str], bool]:
        """Return the events that are not sent, by agent and id, and whether they were forgotten."""
        if self._sender is None:
            return {}
        by_agent: dict[str, list[str]] = {}
        for agent, event_id in map(_name, events):
            by_agent.setdefault(agent, []).append(event_id)
        found: dict[tuple[str, str], bool] = {}
        for agent, ids in by_agent.items():
            answer = self._ask(self._sender, agent, ids)
            found.update(((agent, event_id), False) for event_id in answer["known"])
            found.update(((agent, event_id), True) for event_id in answer["forgotten"])
        return found

    def _ask(self, sender: Sender[Line], agent: str, ids: Sequence[str]) -> dict[str, Any]:
        answer = ask_known(sender, agent, ids, self._wait, self._tally.say, self._settle)
        if not answer["complete"] and self._settle:
            self._tally.say("NATS is away: only what this daemon has seen itself counts as already there")
        self._settle = 0.0  # what comes from now on comes through this daemon, which knows it
        return answer

    def _remember(self, name: tuple[str, str]) -> None:
        self._recent.add(name)
        if len(self._recent) >= MAX_RECENT:
            self._less_recent, self._recent = self._recent, set()

    def _advance(self, taken: int) -> None:
        now = time.monotonic()
        if now - self._moved >= INTERVAL:
            self._moved = now
            self._tally.advance(taken)


class NothingFound(EventdError):
    """There is no session to import; the message says where it was looked."""


def _asked(event: Event) -> str:
    """Return what a person says in an event; "" where it is of another kind."""
    if event.type != "conversation.message.in":
        return ""
    text = event.payload.get("data", {}).get("text")
    return text if isinstance(text, str) else ""


def _name(event: Event) -> tuple[str, str]:
    return event.agent or "", event.id or ""
