"""What a block is asked for, and how it is to be."""

from dataclasses import dataclass

DEFAULT_BUDGET = 8000  # characters; Claude Code cuts what a hook injects at 10 000
HOUR = 3_600_000  # ms


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """Who asks.

    Attributes:
        agent: Who remembers.
        session: Key of the session that begins, or goes on; None where it is not known.
        query: What it is about, say the user's first message: passages that matter are recalled.
    """

    agent: str
    session: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """How a block is made. All times count back from the newest event, not from now.

    Attributes:
        budget: Most characters (Unicode code points) of the block.
        hours: Events that count as recent: they are counted, named in topics and shown as conversation.
        earlier_hours: How far back older conversation is digested; never less than `hours`.
        max_events: Most of the newest events that are looked at.
        tools: Whether tool calls and their results are shown in the conversation.
        recent_messages: Most messages that are shown one by one.
        max_topics: Most topics.
        max_facts: Most facts, own and those of others.
        max_recalled: Most passages that are recalled for a query.
        max_pending: Most open items.
    """

    budget: int = DEFAULT_BUDGET
    hours: float = 24.0
    earlier_hours: float = 720.0
    max_events: int = 1000
    tools: bool = False
    recent_messages: int = 30
    max_topics: int = 8
    max_facts: int = 40
    max_recalled: int = 8
    max_pending: int = 12

    @property
    def window(self) -> int:
        """The span of recent events, ms."""
        return int(self.hours * HOUR)

    @property
    def horizon(self) -> int:
        """The span that is looked at all in all, ms."""
        return int(max(self.hours, self.earlier_hours) * HOUR)
