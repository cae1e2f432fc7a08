"""Puts events in through the daemon: in frames, with patience where it is full or away."""

import time
from collections.abc import Iterator, Sequence

from eventd_ipc.blocking import Client
from eventd_ipc.errors import CODES, ClientAction, EventdClientError, Refused
from eventd_ipc.messages import MAX_KNOWN, RawEvent

from ..events.tombstones import TOMBSTONE
from ..transfer.incoming import Place
from ..transfer.tombstones import places_gone
from .source import Connect

FRAME_EVENTS = 500  # events of one frame
FRAME_BYTES = 512 * 1024  # bytes of their bodies, unless one event alone is larger
PAUSE = 0.2  # seconds before the next try, where the daemon says nothing about it
PATIENCE = 60.0  # seconds without progress after which it is given up


class Putter:
    """Hands events to the daemon. Every method blocks: call them in a worker thread, one at a time.

    Args:
        connect: Connects to the daemon, and again where that was lost; `close` ends it.
    """

    def __init__(self, connect: Connect) -> None:
        self._client = connect()
        self._connect = connect
        self._stuck_since: float | None = None

    @property
    def max_event(self) -> int:
        """Bytes that the daemon takes as one event."""
        return self._client.welcome.limits.max_event

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def known(self, agent: str, ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Return which ids of an agent the daemon has met before, and which are not to come back."""
        known: set[str] = set()
        forgotten: set[str] = set()
        for start in range(0, len(ids), MAX_KNOWN):
            answer = self._client.known(agent, ids[start : start + MAX_KNOWN])
            known |= set(answer["known"])
            forgotten |= set(answer["forgotten"])
        return known, forgotten

    def has_tombstones(self) -> bool:
        """Whether anything was ever forgotten here."""
        with self._client.query(agent="*", types=TOMBSTONE, limit=1) as found:
            return any(True for _ in found)

    def places_gone(self) -> set[Place]:
        """Return where other writers' messages were that are forgotten here."""
        return places_gone(self._client)

    def waiting(self) -> set[str]:
        """Return the `Nats-Msg-Id` of everything that the outbox is still to ship."""
        found: set[str] = set()
        page = self._client.backlog()
        while rows := page["rows"]:
            found |= {row["msgId"] for row in rows}
            page = self._client.backlog(**page["next"])
        return found

    def put(self, events: Sequence[RawEvent]) -> dict[str, list[RawEvent]]:
        """Store events, in their order; return those that were refused, by the code.

        Raises:
            EventdClientError: The daemon is away, or full, for longer than `PATIENCE`, or refuses all.
        """
        refused: dict[str, list[RawEvent]] = {}
        for frame in _frames(events, self._client):
            left = frame
            while left:
                try:
                    self._client.put(left)
                except Refused as error:
                    left = self._judge(left, error, refused)
                except EventdClientError as error:
                    self._rest(error, None)
                    self._reconnect()
                else:
                    break
            self._stuck_since = None
        return refused

    def _judge(
        self, events: list[RawEvent], error: Refused, refused: dict[str, list[RawEvent]]
    ) -> list[RawEvent]:
        """Return what is sent again after a refusal."""
        if error.retryable:
            self._rest(error, error.retry_after)
            if error.code not in CODES or CODES[error.code].action is not ClientAction.RETRY:
                self._reconnect()
            return events
        index = error.index if error.index is not None else 0 if len(events) == 1 else None
        if index is None:
            raise error
        refused.setdefault(error.code, []).append(events[index])
        return events[:index] + events[index + 1 :]

    def _rest(self, error: EventdClientError, asked: float | None) -> None:
        now = time.monotonic()
        self._stuck_since = self._stuck_since or now
        if now - self._stuck_since > PATIENCE:
            raise error
        time.sleep(asked or PAUSE)

    def _reconnect(self) -> None:
        self._client.close()
        while True:
            try:
                self._client = self._connect()
            except EventdClientError as error:
                self._rest(error, None)
            else:
                return


def _frames(events: Sequence[RawEvent], client: Client) -> Iterator[list[RawEvent]]:
    limits = client.welcome.limits
    most, room = min(FRAME_EVENTS, limits.max_events), min(FRAME_BYTES, limits.max_frame // 2)
    frame: list[RawEvent] = []
    size = 0
    for event in events:
        size += len(event.body)
        if frame and (len(frame) >= most or size > room):
            yield frame
            frame, size = [], len(event.body)
        frame.append(event)
    if frame:
        yield frame
