"""The index as the context block asks for it."""

from collections.abc import Mapping, Sequence

from ..context.source import Mark
from ..events.types import Kind
from ..index.model import Entry, Filter, Hit, Scope
from ..index.reads import Reads


class IndexSource:
    """A `context.source.Source` over one read of the index.

    Args:
        granted: Other agents whose internal events may be read.
    """

    def __init__(self, reads: Reads, granted: frozenset[str] = frozenset()) -> None:
        self._reads = reads
        self._granted = granted

    def newest(
        self, agent: str, *, since: int | None, limit: int, kinds: Sequence[Kind] = ()
    ) -> Sequence[Mark]:
        """Return marks of an agent's own events, newest first."""
        return list(map(Mark._make, self._reads.marks(agent, since=since, limit=limit, kinds=kinds)))

    def bodies(self, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return the stored JSON of events by their numbers."""
        return self._reads.bodies(numbers)

    def memories(self, agent: str, *, others: bool, limit: int) -> Sequence[Entry]:
        """Return memories of the agent, or those of others that it may read, newest first."""
        if others:
            return self._reads.memories_of_others(agent, self._granted, limit=limit)
        return self._reads.memories(agent, limit=limit)

    def notes(self, agent: str, *, limit: int) -> Sequence[Entry]:
        """Return notes of the agent."""
        return self._reads.notes(agent, limit=limit)

    def recall(self, query: str, agent: str, *, limit: int) -> Sequence[Hit]:
        """Return the passages that match a text, best first."""
        scope = Scope(reader=agent, granted=self._granted)
        return self._reads.recall(query, Filter(scope=scope), limit=limit)
