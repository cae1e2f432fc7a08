"""`EventLog`: how an agent writes events without ever waiting for eventd or failing because of it.

    log = EventLog(agent="main")
    log.message_in("Which day is it?")

`emit` puts the event into a bounded buffer and returns; a thread sends what is there, and sends again, with
the same ids, what was not acknowledged. What had to be dropped is counted by reason: see `stats`.
"""

import os
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from . import builders
from .buffer import Held
from .builders import Run
from .events import Event
from .sender import EventLogStats, Sender, Settings
from .session import TOKEN_VARIABLE
from .strict import agent_fault, decode_event

MAX_EVENTS = 10_000  # events held while eventd is away
MAX_BYTES = 16 * 1024 * 1024  # bytes of them
FLUSH_TIMEOUT = 5.0  # seconds
CLOSE_TIMEOUT = 5.0  # seconds

_encode = msgspec.msgpack.Encoder().encode


class EventLog:
    """Writes events to eventd in the background. Safe to use from several threads, and after a fork.

    Only the constructor raises, and only for a mistake in its arguments.

    Args:
        agent: Who acts, where an event does not say so.
        session: Session of `run`; `agent:<agent>:main` when absent.
        socket: Path of eventd's socket; found as `eventd_ipc.paths` says when absent.
        token: Proves the agent where eventd asks for it; `$EVENTD_TOKEN` when absent.
        client: Name and version of the program, for the daemon's log.
        max_events: Events that are held at a time; when they are reached, new events are dropped.
        max_bytes: Their size, likewise.

    Attributes:
        run: To which the helpers' events belong that name no other run. Replace it for each new run.

    Raises:
        ValueError: No agent can have such a name.
    """

    def __init__(
        self,
        agent: str,
        *,
        session: str | None = None,
        socket: str | os.PathLike[str] | None = None,
        token: str | None = None,
        client: str = "",
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if (fault := agent_fault(agent)) is not None:
            raise ValueError(fault)
        self.run = Run(session or f"agent:{agent}:main")
        token = token or os.environ.get(TOKEN_VARIABLE)
        self._use(Sender(Settings(agent, socket, token, client, max_events, max_bytes)))
        _logs.add(self)

    def __repr__(self) -> str:
        return f"<EventLog {self.stats()}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def emit(self, event: Event | Mapping[str, Any]) -> str | None:
        """Take an event and return at once: its id, or None when it had to be dropped.

        The event is copied as it is now; where it has no id or timestamp, the copy gets them.
        """
        try:
            event_id, held = _prepare(event)
        except Exception as error:  # whatever an agent hands in must not come back to it as an exception
            self._sender.note_dropped("malformed", 1, error)
            return None
        try:
            reason = self._sender.put(held)
        except RuntimeError as error:  # e.g. in the last moments of the program
            self._sender.note_dropped("no_thread", 1, error)
            return None
        if reason is not None:
            self._sender.note_dropped(reason, 1)
            return None
        return event_id

    def stats(self) -> EventLogStats:
        """Return what became of the events so far."""
        return self._sender.stats()

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until all events emitted so far are on eventd's disk or dropped; return whether they are."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Send what is held and stop; events that cannot be sent within `timeout` seconds are dropped.

        Where eventd is not there, one more attempt is made and no time is spent on waiting.
        """
        self._sender.close(timeout)

    # The document's events, made by `eventd_ipc.builders`; other keywords go into the event's `data`.

    def message_in(self, text: str, *, run: Run | None = None, **data: Any) -> str | None:
        """Emit a message to the agent."""
        return self._build(builders.message_in, run, text, **data)

    def message_out(self, text: str, *, run: Run | None = None, **data: Any) -> str | None:
        """Emit a message of the agent."""
        return self._build(builders.message_out, run, text, **data)

    def tool_call(
        self, name: str, args: Any = None, *, call_id: str | None = None, run: Run | None = None, **data: Any
    ) -> str | None:
        """Emit the use of a tool."""
        return self._build(builders.tool_call, run, name, args, call_id=call_id, **data)

    def tool_result(
        self,
        name: str,
        result: Any = None,
        *,
        call_id: str | None = None,
        is_error: bool = False,
        run: Run | None = None,
        **data: Any,
    ) -> str | None:
        """Emit a tool's answer."""
        return self._build(
            builders.tool_result, run, name, result, call_id=call_id, is_error=is_error, **data
        )

    def lifecycle_start(self, *, run: Run | None = None, **data: Any) -> str | None:
        """Emit the beginning of a run."""
        return self._build(builders.lifecycle_start, run, **data)

    def lifecycle_end(self, *, run: Run | None = None, **data: Any) -> str | None:
        """Emit the end of a run."""
        return self._build(builders.lifecycle_end, run, **data)

    def custom(
        self, event_type: str, data: Any = None, *, run: Run | None = None, stream: str = "custom"
    ) -> str | None:
        """Emit an event of any other type, a dotted lower-case name."""
        return self._build(builders.custom, run, event_type, data, stream=stream)

    def _build(self, build: Callable[..., Event], run: Run | None, *args: Any, **data: Any) -> str | None:
        try:
            event = build(run or self.run, *args, **data)
        except Exception as error:  # as in `emit`
            self._sender.note_dropped("malformed", 1, error)
            return None
        return self.emit(event)

    def _use(self, sender: Sender) -> None:
        self._sender = sender
        self._finalizer = weakref.finalize(
            self, sender.retire
        )  # a log that is lost still sends what it holds
        self._finalizer.atexit = False

    def _after_fork(self) -> None:
        self._finalizer.detach()
        self._use(self._sender.forget())


def _prepare(event: Event | Mapping[str, Any]) -> tuple[str, Held]:
    """Return an event's id and the form in which it is held.

    Raises:
        MalformedEvent: eventd would refuse it.
        Exception: Whatever msgspec says about objects that are no data.
    """
    event = event if isinstance(event, Event) else msgspec.convert(event, Event)
    raw = _encode(builders.stamp(event))
    event = decode_event(raw)  # as eventd will read it
    return event.id or "", Held(msgspec.Raw(raw), len(raw), (event.agent, event.session))


_logs: weakref.WeakSet[EventLog] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
