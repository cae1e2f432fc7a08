"""The events that `EventLog` holds until eventd has them on disk, and what becomes of refused ones.

Pure bookkeeping: no lock, no thread, no I/O. Full means that the newest event is refused: those before it may
be under way already, a story is told from its beginning, and the agent can be told at once.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from .errors import CODES, UNKNOWN_CODE, ClientAction, Refused

_DROPS = {ClientAction.DROP_EVENT, ClientAction.DROP_AGENT, ClientAction.DROP_EMIT}


class Held(NamedTuple):
    """An event in the buffer.

    Attributes:
        raw: Its msgpack form, made once, so that sending it again is the same.
        size: Bytes of that form.
        owner: Agent and session that it names; what is refused for one agent is so for all of these.
        number: Its place among all that were ever put, from 1; the buffer gives it.
    """

    raw: msgspec.Raw
    size: int
    owner: tuple[str | None, str | None]
    number: int = 0


class Buffer:
    """A bounded queue. What was taken still counts until it is settled.

    Attributes:
        newest: Number of the event that was put last; 0 before the first.
        held_bytes: Size of the events that are waiting or under way.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self.newest = 0
        self.held_bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[Held] = deque()
        self._unsettled: dict[int, None] = {}  # numbers of all that are held, in their order

    def __bool__(self) -> bool:
        """Whether an event waits to be taken."""
        return bool(self._waiting)

    @property
    def held(self) -> int:
        """Events that are waiting or under way."""
        return len(self._unsettled)

    def is_settled(self, number: int) -> bool:
        """Whether the event with this number and all before it are settled."""
        return next(iter(self._unsettled), number + 1) > number

    def put(self, event: Held) -> bool:
        """Add the newest event, if there is room."""
        if self.held >= self._max_events or self.held_bytes + event.size > self._max_bytes:
            return False
        self.newest += 1
        self._waiting.append(event._replace(number=self.newest))
        self._unsettled[self.newest] = None
        self.held_bytes += event.size
        return True

    def take(self, max_events: int, max_bytes: int) -> list[Held]:
        """Take the oldest events for one emit; at least one if any waits."""
        batch: list[Held] = []
        size = 0
        while self._waiting and len(batch) < max_events:
            size += self._waiting[0].size
            if batch and size > max_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    def put_back(self, events: Iterable[Held]) -> None:
        """Let events that were taken wait again, before all others, in their order."""
        self._waiting.extendleft(reversed(list(events)))

    def settle(self, events: Iterable[Held]) -> None:
        """Forget events that were taken: stored, or given up."""
        for event in events:
            del self._unsettled[event.number]
            self.held_bytes -= event.size

    def clear(self) -> int:
        """Give up all events, also those under way; return how many they were."""
        given_up = self.held
        self._waiting.clear()
        self._unsettled.clear()
        self.held_bytes = 0
        return given_up


class Verdict(NamedTuple):
    """What a refusal means for the events of an emit.

    Attributes:
        dropped: To be counted and forgotten.
        kept: To be sent again.
        action: What else to do; of the connection and of time.
    """

    dropped: list[Held]
    kept: list[Held]
    action: ClientAction


def action_for(refusal: Refused) -> ClientAction:
    """Return what a code asks a client to do."""
    return CODES.get(refusal.code, UNKNOWN_CODE).action


def judge(refusal: Refused, batch: list[Held]) -> Verdict:
    """Decide about the events of a refused emit."""
    action = action_for(refusal)
    if action not in _DROPS:
        return Verdict([], batch, action)
    index = refusal.index
    if action is ClientAction.DROP_EMIT or index is None or not 0 <= index < len(batch):
        return Verdict(batch, [], action)
    spoiler = batch[index]
    alone = action is ClientAction.DROP_EVENT
    dropped: list[Held] = []
    kept: list[Held] = []
    for event in batch:
        spoiled = event is spoiler if alone else event.owner == spoiler.owner
        (dropped if spoiled else kept).append(event)
    return Verdict(dropped, kept, action)
