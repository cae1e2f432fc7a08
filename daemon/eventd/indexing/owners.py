"""Whose subject a stream's message came on."""

from functools import lru_cache

from ..routes import Routes
from ..subjects import agent_of

CACHED_SUBJECTS = 8192


class Owners:
    """Finds the agent of a subject, under any of the configured prefixes."""

    def __init__(self, routes: Routes) -> None:
        # The longest first: an agent's own prefix may lie below the default one.
        self._prefixes = sorted({route.prefix for route in routes.all()}, key=len, reverse=True)
        self.of = lru_cache(CACHED_SUBJECTS)(self._find)

    def _find(self, subject: str) -> str | None:
        """Return the agent, None for a subject that no agent of ours would have."""
        for prefix in self._prefixes:
            if (agent := agent_of(prefix, subject)) is not None:
                return agent
        return None
