"""What the context block asks of the index: four synchronous queries inside one snapshot of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ..events.types import Kind
from ..index.model import Entry, Hit


class Mark(NamedTuple):
    """An event without its body: its columns are enough to decide whether the body is read at all.

    Attributes:
        n: Its number in the index: the order in which the index took events.
        session: Session key, "" without one.
        type: The document's name of its type.
        time: When it happened, by its writer's clock, Unix ms.
        stored: When it was accepted, or when the stream took it, Unix ms; 0 where that is not known.
        run: Id of its run, "" without one.
        call: Id of the tool call that it is, or answers; "" without one.
        event_id: "" where the writer gave none.
        size: Length of its body, bytes.
    """

    n: int
    session: str
    type: str
    kind: Kind
    time: int
    stored: int
    run: str
    call: str
    event_id: str
    size: int


class Source(Protocol):
    """The index as one agent may see it. Called on one thread; all calls of a build see the same snapshot."""

    def newest(
        self, agent: str, *, since: int | None, limit: int, kinds: Sequence[Kind] = ()
    ) -> Sequence[Mark]:
        """Return marks of an agent's own events, newest first by (time, n).

        Index: `events_by_agent (agent, time)` backwards. With `kinds` (the two of messages): the same, or
        `events_by_type (type, time)` of `conversation.message.in` and `.out` where the agent has far more
        events of other kinds. `length(body)` reads no body.

        Args:
            since: Not before this time of the event, Unix ms; None for all.
            limit: Most marks.
            kinds: Only these kinds; all when empty.
        """
        ...

    def bodies(self, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return the stored JSON of events by their number `n`; one that is gone is left out.

        Index: the primary key. At most `reading.MAX_BODIES` numbers and about `reading.MAX_BYTES` a build.
        """
        ...

    def memories(self, agent: str, *, others: bool, limit: int) -> Sequence[Entry]:
        """Return events of kind `MEMORY` (types `memory.*`, and of `migration.*` those that are no `NOTE`),
        newest first by (time, n), without those that a later one replaces by its id.

        Own events are those of `agent`. With `others`: the public ones of all other agents instead, and the
        internal ones of those that the agent may read.
        """
        ...

    def notes(self, agent: str, *, limit: int) -> Sequence[Entry]:
        """Return events of kind `NOTE` of the agent that were not replaced: those of its long-term memory,
        then others, newest first; at most `limit` of either.
        """
        ...

    def recall(self, query: str, agent: str, *, limit: int) -> Sequence[Hit]:
        """Return the passages that match a text, best first: of all events that the agent may read.

        The same as the `recall` request, without neighbours.
        """
        ...
