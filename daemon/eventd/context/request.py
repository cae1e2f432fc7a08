"""What a block is asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """Who asks.

    Attributes:
        agent: Who remembers.
        session: Key of the session that begins, or goes on; None where it is not known.
        query: What it is about, say the user's first message: passages that matter are recalled.
        granted: Other agents whose internal events it may read.
    """

    agent: str
    session: str | None = None
    query: str | None = None
    granted: frozenset[str] = frozenset()
