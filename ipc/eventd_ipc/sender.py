"""The thread behind `EventLog`: takes events from the buffer to eventd, in rounds of a few emits.

Between rounds it waits for new events, so there is one thing to wait for at a time: an event, an ack, or the
end of a pause. What was not acknowledged waits again, in its old place, and is sent again as it was.
"""

import atexit
import logging
import os
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakSet

from . import blocking
from .backoff import Backoff
from .buffer import Buffer, Held, action_for, judge
from .errors import ClientAction, EventdClientError, Refused

logger = logging.getLogger(__name__)

EMIT_EVENTS = 200  # events of one emit, at most
EMIT_BYTES = 256 * 1024  # bytes of them
ROUND = 8  # emits under way at a time
FRAME_ROOM = 64  # bytes of a frame that are not its events
TIMEOUT = 30.0  # seconds for a greeting or an ack; then the connection counts as dead
LATER = 30.0  # seconds before the next attempt where a person has to act first
EXIT_TIMEOUT = 2.0  # seconds that the end of the program may wait, for all senders together

_MILDEST_FIRST = list(ClientAction)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach eventd, and what to hold while that does not work; see `EventLog`."""

    agent: str
    socket: str | os.PathLike[str] | None
    token: str | None = field(repr=False)
    client: str
    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class EventLogStats:
    """What became of the events of an `EventLog`.

    Attributes:
        emitted: Taken into the buffer.
        acked: On eventd's disk.
        held: Waiting or under way.
        held_bytes: Their size.
        dropped: Never stored, by reason: a code of the protocol, `malformed`, `buffer_full`, `closed`,
            or `no_thread` where none could be started.
        connected: Whether eventd was there at the last attempt.
        last_error: The last thing that went wrong; "" when nothing did.
    """

    emitted: int
    acked: int
    held: int
    held_bytes: int
    dropped: dict[str, int]
    connected: bool
    last_error: str


class Sender:
    """Buffer, connection and thread of one `EventLog`. All methods are safe to call from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed = threading.Condition()  # guards all that follows
        self._buffer = Buffer(settings.max_events, settings.max_bytes)
        self._thread: threading.Thread | None = None
        self._client: blocking.Client | None = None
        self._backoff = Backoff()
        self._acked = 0
        self._dropped: Counter[str] = Counter()
        self._last_error = ""
        self._failures = 0
        self._away_since: float | None = None
        self._hurried = False
        self._stopping = False  # when the buffer is empty
        self._stopped = False
        _senders.add(self)

    # For the agent's threads.

    def put(self, event: Held) -> str | None:
        """Take an event; return why not, else None.

        Raises:
            RuntimeError: The thread cannot be started.
        """
        with self._changed:
            if self._stopping:
                return "closed"
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="eventd-log", daemon=True)
                thread.start()
                self._thread = thread
            if not self._buffer.put(event):
                return "buffer_full"
            self._changed.notify_all()
        return None

    def note_dropped(self, reason: str, number: int, why: object = "") -> None:
        """Count events that are lost; the first ones for each reason are reported in the log."""
        text = _text(why) or reason
        with self._changed:
            first = reason not in self._dropped
            self._dropped[reason] += number
            self._last_error = text
        if first:
            _report(
                logging.WARNING,
                "event_dropped",
                f"an event is dropped: {text}; further ones for this reason are only counted",
                reason=reason,
                agent=self._settings.agent,
            )

    def flush(self, timeout: float, *, give_up: bool = False) -> bool:
        """Wait until the events that are held now are stored or given up; return whether they are.

        Args:
            give_up: Wait no longer than to the next attempt that fails.
        """
        with self._changed:
            wanted = self._buffer.newest
            failures = self._failures
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    self._buffer.is_settled(wanted)
                    or self._stopped
                    or (give_up and self._failures > failures)
                ),
                timeout,
            )
            return self._buffer.is_settled(wanted)

    def retire(self) -> None:
        """Take no more events; the thread ends when it has sent what is held."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Take no more events, send what is held if eventd is there, and end the thread."""
        deadline = time.monotonic() + timeout
        self.retire()
        self.flush(timeout, give_up=True)
        with self._changed:
            self._stopped = True
            lost = self._buffer.clear()
            self._changed.notify_all()
            thread, client = self._thread, self._client
        if lost:
            self.note_dropped("closed", lost, f"{lost} events were still held when the log was closed")
        if client is not None:
            client.interrupt()
        if thread is not None:
            thread.join(max(0.1, deadline - time.monotonic()))

    def forget(self) -> "Sender":
        """In the child of a fork: let go of what is the parent's, and return a sender of one's own.

        Nothing is locked: the lock may be held by a thread that does not exist here.
        """
        _senders.discard(self)
        if self._client is not None:
            self._client.close()  # of the child's descriptor; the parent's connection does not notice
        return Sender(self._settings)

    def stats(self) -> EventLogStats:
        """Return the counters as they are now."""
        with self._changed:
            return EventLogStats(
                emitted=self._buffer.newest,
                acked=self._acked,
                held=self._buffer.held,
                held_bytes=self._buffer.held_bytes,
                dropped=dict(self._dropped),
                connected=self._client is not None,
                last_error=self._last_error,
            )

    # The thread.

    def _run(self) -> None:
        while self._wait_for_events():
            pause = LATER
            try:
                pause = self._converse()
            except EventdClientError as error:
                pause = self._note_failure(error)
            except Exception as error:
                _report(logging.ERROR, "eventd_log_failed", "cannot send events", error)
                self._note_failure(error)
            self._sleep(pause, hurried=True)

    def _wait_for_events(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._stopping)
            return bool(self._buffer) and not self._stopped

    def _sleep(self, seconds: float, *, hurried: bool) -> None:
        """Pause; a flush ends the pause if it may be `hurried`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or (hurried and self._hurried), seconds)
            self._hurried = False

    def _converse(self) -> float:
        """Connect and send until the connection is to be given up; return the pause before the next one."""
        settings = self._settings
        with blocking.connect(
            settings.agent,
            socket=settings.socket,
            token=settings.token,
            client=settings.client,
            timeout=TIMEOUT,
            patience=0,
        ) as client:
            self._note_connected(client)
            try:
                while self._wait_for_events():
                    action, retry_after = self._send_round(client)
                    if action is ClientAction.RECONNECT_LATER:
                        return LATER
                    if action is ClientAction.RECONNECT:
                        return max(self._backoff.pause(), retry_after)
                    if action is ClientAction.RETRY:
                        self._sleep(max(self._backoff.pause(), retry_after), hurried=False)
            finally:
                with self._changed:
                    self._client = None
        return 0.0

    def _send_round(self, client: blocking.Client) -> tuple[ClientAction | None, float]:
        """Send a few emits and wait for what becomes of them.

        Returns the gravest action that a refusal asks for, and the seconds to wait that it names.
        """
        unanswered = deque(self._take_round(client))
        kept: list[Held] = []
        actions: list[ClientAction] = []
        retry_after = 0.0
        try:
            for emit in [client.start_emit([event.raw for event in batch]) for batch in unanswered]:
                batch = unanswered[0]
                try:
                    client.acked(emit)
                except Refused as refusal:
                    verdict = judge(refusal, batch)
                    kept += verdict.kept
                    actions.append(verdict.action)
                    retry_after = max(retry_after, refusal.retry_after or 0.0)
                    self._give_up(refusal, verdict.dropped)
                else:
                    self._note_acked(batch)
                unanswered.popleft()
        finally:
            with self._changed:
                if not self._stopped:
                    self._buffer.put_back([*kept, *(event for batch in unanswered for event in batch)])
        return max(actions, key=_MILDEST_FIRST.index, default=None), retry_after

    def _take_round(self, client: blocking.Client) -> list[list[Held]]:
        limits = client.welcome.limits
        room = limits.max_frame - FRAME_ROOM
        batches: list[list[Held]] = []
        too_large: list[list[Held]] = []
        with self._changed:
            while len(batches) < ROUND:
                batch = self._buffer.take(min(EMIT_EVENTS, limits.max_events), min(EMIT_BYTES, room))
                if not batch:
                    break
                (too_large if batch[0].size > room else batches).append(batch)
        for batch in too_large:
            self._give_up(Refused("too_large", f"an event does not fit into {limits.max_frame} bytes"), batch)
        return batches

    def _note_acked(self, batch: list[Held]) -> None:
        with self._changed:
            self._backoff.reset()
            if not self._stopped:
                self._buffer.settle(batch)
                self._acked += len(batch)
                self._changed.notify_all()

    def _give_up(self, refusal: Refused, events: list[Held]) -> None:
        with self._changed:
            self._last_error = _text(refusal)
            if not events or self._stopped:
                return
            self._buffer.settle(events)
            self._changed.notify_all()
        self.note_dropped(refusal.code, len(events), refusal)

    def _note_connected(self, client: blocking.Client) -> None:
        with self._changed:
            self._client = client
            away_since, self._away_since = self._away_since, None
        if away_since is not None:
            seconds = time.monotonic() - away_since
            _report(logging.INFO, "eventd_reachable", "eventd is there again", seconds=seconds)

    def _note_failure(self, error: Exception) -> float:
        """Count a failed attempt; report the first of an outage; return the pause before the next."""
        text = _text(error)
        with self._changed:
            self._failures += 1
            self._last_error = text
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
            held = self._buffer.held
            self._changed.notify_all()
        if first:
            _report(
                logging.WARNING,
                "eventd_unreachable",
                f"events cannot be sent now, {held} are held: {text}",
                agent=self._settings.agent,
            )
        if isinstance(error, Refused) and action_for(error) is ClientAction.RECONNECT_LATER:
            return LATER
        return self._backoff.pause()


def _report(level: int, action: str, message: str, error: Exception | None = None, **fields: object) -> None:
    """Log what happened, in a program whose logging is not ours.

    Its filters, factories and handlers may raise: that must not come back to the agent, nor end the thread.
    The fields have names that nobody else gives to theirs, which logging would not forgive.
    """
    extra = {f"eventd_{name}": value for name, value in fields.items()}
    with suppress(Exception):
        logger.log(level, "%s", message, exc_info=error, extra={"eventd_action": action, **extra})


def _text(why: object) -> str:
    """Return what an object says of itself; an exception of the agent's own may fail at that too."""
    try:
        return str(why)
    except Exception:
        return type(why).__name__


_senders: WeakSet[Sender] = WeakSet()


def _close_all() -> None:
    deadline = time.monotonic() + EXIT_TIMEOUT
    for sender in list(_senders):
        sender.close(max(0.0, deadline - time.monotonic()))


atexit.register(_close_all)
