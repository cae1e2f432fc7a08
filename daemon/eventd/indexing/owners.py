"""Whose subject a stream's message came on."""

from functools import lru_cache

from ..routes import Routes
from ..subjects import agent_of, agent_prefix

CACHED_SUBJECTS = 8192


class Owners:
    """Finds the agent of a subject, under any of the configured prefixes."""

    def __init__(self, routes: Routes) -> None:
        # The longest first: an agent's own prefix may lie below the default one.
        self._prefixes = sorted({route.prefix for route in routes.all()}, key=len, reverse=True)
        # Below these there are the subjects of one agent only: who may write there may not write as others.
        self._own = {
            route.prefix: agent
            for agent, route in routes.by_agent.items()
            if agent_prefix(route.prefix, agent) == route.prefix != routes.default.prefix
        }
        self.of = lru_cache(CACHED_SUBJECTS)(self._find)

    def _find(self, subject: str) -> str | None:
        """Return the agent, None for a subject that no agent of ours would have."""
        for prefix in self._prefixes:
            if (agent := agent_of(prefix, subject)) is not None:
                own = self._own.get(prefix, agent)
                return agent if agent == own else None
        return None
