"""`eventd emit --stdin`: many events, several frames of them under way at a time.

The events are stored in the order of their lines. Only where the daemon refuses some may those that were
under way behind them be stored first.
"""

import enum
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from eventd_ipc.errors import (
    CODES,
    UNKNOWN_CODE,
    ClientAction,
    ConnectionLost,
    EventdClientError,
    MalformedEvent,
    NotRunning,
    Refused,
    TimedOut,
)

from .defaults import Defaults, identified
from .exits import ExitCode
from .lines import MAX_LINE, Line, LineReader, decode_event
from .place import Place
from .results import Results

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client
    from eventd_ipc.session import Exchange

BATCH = 250  # events of one frame; more is hardly faster, and delays what a slow writer has written
BATCH_BYTES = 256 * 1024  # bytes of one frame, unless one event alone is larger
WINDOW = 8  # frames without an ack; few enough that their acks never fill the socket unread
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries

OVERSIZED = "frame_too_large"
LIMITED = "slow_down"

_encode = msgspec.msgpack.Encoder().encode


class _Course(enum.Enum):
    """What is done when a frame is not acknowledged."""

    DROP = "tell which event spoiled it, and send the others again"
    RETRY = "wait, and send it again"
    RECONNECT = "wait, connect again, and send it again"
    GIVE_UP = "a person has to see to it"


class Item(NamedTuple):
    """An event on its way.

    Attributes:
        size: Bytes of `raw`.
        raw: As it is sent; its id is in it, so that sending it again is a repeat.
    """

    line: Line
    event_id: str
    size: int
    raw: msgspec.Raw


def emit_lines(place: Place, fd: int, defaults: Defaults, *, wait: float, as_json: bool) -> ExitCode:
    """Store the events of a file descriptor's lines, and tell which were not taken.

    Args:
        wait: Seconds without progress after which a daemon that is full or away is given up.

    Raises:
        EventdClientError: The daemon was not there, or was away or full for longer than that.
    """
    reader = LineReader(fd)
    with place.connect(defaults.agent) as client, Results(reader.size, as_json=as_json) as results:
        sender = Sender(place, client, defaults.agent, results, wait)
        try:
            for lines in reader:
                sender.send(_items(lines, defaults, results))
                if not reader.has_more():
                    sender.flush()
            sender.flush()
        finally:
            sender.close()
    return ExitCode.REFUSED if results.refused else ExitCode.OK


def _items(lines: Iterable[Line], defaults: Defaults, results: Results) -> Iterable[Item]:
    for line in lines:
        if line.text is None:
            results.refuse(line, "too_large", f"a line has at most {MAX_LINE} bytes")
            continue
        try:
            event = identified(defaults.complete(decode_event(line.text)))
            data = _encode(event)
        except MalformedEvent as error:
            results.refuse(line, error.code, str(error.args[0]))
        except OverflowError:
            results.refuse(line, MalformedEvent.code, "an integer is larger than 64 bits")
        else:
            yield Item(line, event.id or "", len(data), msgspec.Raw(data))


class Listener(Protocol):
    """Hears what becomes of the lines."""

    def store(self, stored: Sequence[tuple[Line, str]]) -> None:
        """Note that events are on disk; each with its id."""

    def refuse(self, line: Line, code: str, message: str) -> None:
        """Note that a line was not taken."""

    def stopped_at(self, number: int) -> None:
        """Note where the input was left."""

    def say(self, text: str) -> None:
        """Tell a person something."""


Start = Callable[["Client", Sequence[msgspec.Raw]], "Exchange"]
"""Sends a frame with events, without waiting for its ack."""


def start_emit(client: "Client", events: Sequence[msgspec.Raw]) -> "Exchange":
    """Send an emit."""
    return client.start_emit(events)


class Sender:
    """Sends events in frames, takes their acks, and sends again what may be taken later.

    Args:
        client: Connected; closed by `close`, as are its successors.
        wait: Seconds without progress after which it gives up.
        admin: Whether it connects as an administrator, where it has to connect again.
        start: How a frame is sent.
    """

    def __init__(
        self,
        place: Place,
        client: "Client",
        agent: str | None,
        results: Listener,
        wait: float,
        *,
        admin: bool = False,
        start: Start = start_emit,
    ) -> None:
        self._admin = admin
        self._start = start
        self._place = place
        self._client = client
        self._agent = agent
        self._results = results
        self._wait = wait
        self._waiting: deque[Item] = deque()
        self._under_way: deque[tuple[list[Item], Exchange | EventdClientError]] = deque()
        self._batch = BATCH
        self._window = WINDOW
        self._stuck_since: float | None = None
        self._told_of_limit = False
        self._pause = FIRST_PAUSE

    def close(self) -> None:
        """Close the connection, and tell where the input was left when not all of it was sent."""
        self._client.close()
        left = [item.line.number for items, _ in self._under_way for item in items]
        left += [item.line.number for item in self._waiting]
        if left:
            self._results.stopped_at(min(left))

    def send(self, items: Iterable[Item]) -> None:
        """Send events; returns when all are sent, with the last frames still without their acks."""
        for item in items:
            self._waiting.append(item)
            if len(self._waiting) >= self._batch:
                self._send_waiting()
        self._send_waiting()

    def flush(self) -> None:
        """Wait until everything that was sent is stored or refused."""
        while self._under_way:
            self._settle_oldest()
            self._send_waiting()

    @property
    def client(self) -> "Client":
        """The connection that is used now."""
        return self._client

    def ask[R](self, question: Callable[["Client"], R]) -> R:
        """Ask the daemon something between two frames, again where it is away or busy.

        Raises:
            EventdClientError: It does not answer that, or was away or busy for too long.
        """
        while True:
            client = self._client
            try:
                return question(client)
            except EventdClientError as error:
                failure = error
            course = _course(failure)
            if course in (_Course.DROP, _Course.GIVE_UP):
                raise failure
            if course is _Course.RECONNECT:
                client.close()
                self.flush()
            if self._client is client:  # else it has connected again already
                self._recover([failure])

    def _send_waiting(self) -> None:
        while self._waiting:
            if len(self._under_way) >= self._window:
                self._settle_oldest()
                continue
            items = self._next_batch()
            sent: Exchange | EventdClientError
            try:
                sent = self._start(self._client, [item.raw for item in items])
            except EventdClientError as error:
                sent = error
            self._under_way.append((items, sent))
            if isinstance(sent, EventdClientError):
                self._settle_oldest()

    def _next_batch(self) -> list[Item]:
        limits = self._client.welcome.limits
        room = min(BATCH_BYTES, limits.max_frame // 2)
        most = min(self._batch, limits.max_events)
        items: list[Item] = []
        while self._waiting and len(items) < most:
            room -= self._waiting[0].size
            if items and room < 0:
                break
            items.append(self._waiting.popleft())
        return items

    def _settle_oldest(self) -> None:
        """Take the ack of the oldest frame.

        After a failure the others are settled as well before anything else is sent, and then one frame is
        under way at a time until things go well again: so as few events as possible overtake others.
        """
        failures: list[EventdClientError] = []
        again: list[Item] = []
        while self._under_way:
            items, sent = self._under_way.popleft()
            failure = self._failure(sent)
            if failure is None:
                self._take_as_stored(items)
                if not failures:
                    return
            else:
                failures.append(failure)
                again += self._judge(items, failure)
        self._waiting.extendleft(reversed(again))
        self._window = 1
        self._recover(failures)

    def _failure(self, sent: "Exchange | EventdClientError") -> EventdClientError | None:
        """Wait for the ack of a frame; return why there is none."""
        if isinstance(sent, EventdClientError):
            return sent
        try:
            self._client.acked(sent)
        except Refused as error:
            return error
        except EventdClientError as error:
            self._client.close()  # so that nobody waits for the other acks either
            return error
        return None

    def _take_as_stored(self, items: list[Item]) -> None:
        self._results.store([(item.line, item.event_id) for item in items])
        self._batch = min(BATCH, self._batch * 2)
        self._window = WINDOW if self._batch == BATCH else 1
        self._stuck_since = None
        self._pause = FIRST_PAUSE

    def _judge(self, items: list[Item], failure: EventdClientError) -> list[Item]:
        """Drop what spoiled a frame; return what is sent again."""
        if not isinstance(failure, Refused) or _course(failure) is not _Course.DROP:
            return items
        spoiler = failure.index if failure.index is not None else 0 if len(items) == 1 else None
        if spoiler is None or not 0 <= spoiler < len(items):
            self._batch = 1  # so that the next refusal names it
            return items
        # Where one event is bad others may be, and each costs a frame.
        self._batch = max(1, self._batch // 4)
        self._results.refuse(items[spoiler].line, failure.code, failure.message)
        return items[:spoiler] + items[spoiler + 1 :]

    def _recover(self, failures: list[EventdClientError]) -> None:
        """Wait, or connect again, as the failures ask for.

        Raises:
            EventdClientError: One that a person has to see to, or that has lasted too long.
        """
        by_course = {_course(failure): failure for failure in failures}
        if (failure := by_course.get(_Course.GIVE_UP)) is not None:
            raise failure
        if (failure := by_course.get(_Course.RECONNECT)) is not None:
            self._reconnect(failure)
        elif (failure := by_course.get(_Course.RETRY)) is not None:
            self._rest(failure)

    def _reconnect(self, failure: EventdClientError) -> None:
        while True:
            self._rest(failure)
            try:
                client = self._place.connect(self._agent, admin=self._admin)
            except (ConnectionLost, NotRunning, TimedOut, Refused) as error:
                if isinstance(error, Refused) and not error.retryable:
                    raise
                failure = error
            else:
                self._client.close()
                self._client = client
                return

    def _rest(self, failure: EventdClientError) -> None:
        """Wait a little before the next try.

        Raises:
            EventdClientError: The failure, when it has lasted too long.
        """
        asked = failure.retry_after if isinstance(failure, Refused) else None
        if isinstance(failure, Refused) and failure.code == LIMITED and asked is not None:
            # By appointment: the daemon is neither full nor away, so it costs no patience.
            if not self._told_of_limit:
                self._told_of_limit = True
                self._results.say(f"{failure.args[0]}; going on as fast as it allows")
            time.sleep(asked)
            return
        now = time.monotonic()
        is_news = self._stuck_since is None
        self._stuck_since = self._stuck_since or now
        left = self._stuck_since + self._wait - now
        if left <= 0:
            raise failure
        if is_news:
            self._results.say(f"{failure.args[0]}; trying again for up to {self._wait:g} s")
        time.sleep(min(left, max(self._pause, asked or 0.0)))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def _course(failure: EventdClientError) -> _Course:
    if not isinstance(failure, Refused):
        return _Course.RECONNECT
    known = CODES.get(failure.code, UNKNOWN_CODE)
    if failure.retryable:
        return _Course.RETRY if known.action is ClientAction.RETRY else _Course.RECONNECT
    if failure.code == OVERSIZED:  # found on our side, before it was sent
        return _Course.DROP
    return _Course.GIVE_UP if failure.code in CODES and known.closes_connection else _Course.DROP
