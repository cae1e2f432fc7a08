"""`eventd hook TOOL`: one call of a hook, from its input to its end, which is always a good one.

The tool waits for it and shows what it prints. So it says nothing but a context, ends with 0 whatever
happens, and is over after a fixed time even where a disk or a daemon hangs.
"""

from __future__ import annotations

import os
import signal
import time
from importlib import import_module

from ..shapes import own_shapes
from ..spool.files import Spool, tag_of
from ..spool.places import spool_folder, state_folder
from . import consent, given, injection
from .delivery import Delivery
from .notes import Notes

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

TOOLS = {"claude-code": "claude_code", "codex": "codex"}
"""The tools, with the module of each."""

AGENT_VARIABLE = "EVENTD_AGENT"
TRIAL_VARIABLE = "EVENTD_TRIAL"
"""Set, a session's start stores nothing and takes no right, but prints what it would hand over."""
PROJECT_VARIABLE = "CLAUDE_PROJECT_DIR"  # the folder in which Claude Code was started
HARD = 3.0  # seconds after which the process is over, whatever it does; without trouble 0.8 + 1.5 are enough
END, HARD_AT_END = "SessionEnd", 1.3  # seconds for this hook, to which Claude Code gives 1.5

STDIN, STDOUT = 0, 1


def run(tool: str, place: str | None = None) -> int:
    """Handle one call and return 0.

    Args:
        tool: One of `TOOLS`.
        place: The daemon's socket, where it was named.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the tool; what it did until then is still stored
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, HARD)
    environ = os.environ
    state = state_folder(environ)
    notes = Notes(state)
    notes.about = tool
    try:
        answer = _Call(tool, environ, state, notes, place).handle(given.read(STDIN))
        if answer:
            os.write(STDOUT, answer.encode())
    except Exception as error:  # the tool must not see it; without its message, which may hold anything
        notes.add(f"failed: {type(error).__name__} in {_where(error)}")
    return 0


class _Call:
    """One call of a hook of a tool."""

    def __init__(
        self, tool: str, environ: Mapping[str, str], state: str | None, notes: Notes, place: str | None
    ) -> None:
        self._tool = tool
        self._environ = environ
        self._state = state
        self._notes = notes
        self._place = place

    def handle(self, read: given.Given) -> str:
        """Store what there is to store; return what is to be printed."""
        if consent.is_off(self._environ):
            return ""
        data = given.parse(read)
        if data is None:
            if read.size:
                self._notes.add(f"{read.size} bytes of input are no JSON object")
            return ""
        hook = str(data.get("hook_event_name"))
        self._notes.about = f"{self._tool} {hook[:40]}"
        if hook == END:
            left, _ = signal.getitimer(signal.ITIMER_REAL)
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - HARD + HARD_AT_END))
        if consent.is_ignored(str(data.get("cwd")), self._environ.get(PROJECT_VARIABLE, "")):
            return ""
        adapter = _adapter(self._tool)
        name = _file_name(f"{self._tool}-{data.get('session_id')}")
        switch = consent.SessionSwitch(self._state, name)
        if (hook == adapter.PROMPT and switch.listen(str(data.get("prompt")))) or switch.is_off:
            return ""
        right = injection.Right(self._state, name)
        if hook == adapter.COMPACTING:
            right.give_back()
        return self._deliver(adapter, hook, data, right)

    def _deliver(self, adapter: ModuleType, hook: str, data: dict[str, Any], right: injection.Right) -> str:
        agent = self._environ.get(AGENT_VARIABLE) or self._tool
        now = time.time_ns() // 1_000_000
        events = adapter.events(data, agent, now)
        for fault in own_shapes().faults:
            self._notes.add(fault)
        at_start = hook == adapter.START
        if self._environ.get(TRIAL_VARIABLE):
            return self._try(adapter, hook, agent) if at_start else ""
        injects = (
            (at_start or hook == adapter.PROMPT)
            and injection.wanted(self._environ, at_start=at_start)
            and right.is_free
            and (at_start or right.take())  # a prompt has one try, whatever comes of it
        )
        folder = spool_folder(self._environ)
        spool = Spool(folder) if folder else None
        session = f"agent:{agent}:{data.get('session_id')}"
        if events:
            session = events[0]["session"]
        delivery = Delivery(agent, session, spool, self._notes, self._environ, self._place)
        try:
            delivery.send(events)
            if not injects:
                return ""
            query = None if at_start else _said(events)
            text = delivery.context(query, adapter.BUDGET, fits=adapter.fits)
            if text is None or (at_start and not right.take()):
                return ""
            return str(adapter.output(hook, text)) if text else ""
        finally:
            delivery.close()

    def _try(self, adapter: ModuleType, hook: str, agent: str) -> str:
        """Return what a new session would be handed, for `eventd doctor`."""
        session = f"agent:{agent}:eventd-trial"
        delivery = Delivery(agent, session, None, Notes(None), self._environ, self._place)
        try:
            delivery.send([])
            text = delivery.context(None, adapter.BUDGET, fits=adapter.fits)
            return str(adapter.output(hook, text)) if text else ""
        finally:
            delivery.close()


def session_switch(tool: str, session: str, environ: Mapping[str, str]) -> consent.SessionSwitch:
    """Return the switch that turns off a session of a tool."""
    return consent.SessionSwitch(state_folder(environ), _file_name(f"{tool}-{session}"))


def _adapter(tool: str) -> ModuleType:
    """Load the tool's module, and only that."""
    return import_module(f".{TOOLS[tool]}", __package__)


def _said(events: list[dict[str, Any]]) -> str | None:
    """Return what was said, as it is stored: eventd tells it from what was said before."""
    text = events[0]["payload"]["data"].get("text") if events else None
    return text if isinstance(text, str) else None


def _file_name(name: str) -> str:
    """Return a name for a session's files: as it is, where no file system minds that."""
    allowed = [char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name]
    plain = "".join(allowed[:100])
    return plain if plain == name else f"{plain}-{tag_of(name)}"


def _where(error: BaseException) -> str:
    """Return file and line of our code in which an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
