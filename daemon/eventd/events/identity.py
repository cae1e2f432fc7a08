"""Whose an event is when it does not say so itself."""

from functools import lru_cache

CACHED_SESSIONS = 4096  # keys
MAIN = "main"  # OpenClaw's main agent, and the whole session key of its main session


@lru_cache(CACHED_SESSIONS)
def agent_of_session(session: str) -> str | None:
    """Return the agent that a session key names, or None where it names none.

    `agent:<id>:…` names `<id>`; `<id>:…` names `<id>`; `main` alone is OpenClaw's main session. Any other
    key without a colon (most often a UUID) says which session it is, not whose.
    """
    first, colon, rest = session.partition(":")
    if not colon:
        return MAIN if session == MAIN else None
    if first == "agent":
        first = rest.partition(":")[0]
    return first or None
