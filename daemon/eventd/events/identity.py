"""Whose an event is when it does not say so itself."""

from functools import lru_cache

CACHED_SESSIONS = 4096  # keys
LONGEST_CACHED = 512  # characters of a key: other writers' may be as long as a message
IMPORTED = "import-"  # what an id begins with that `eventd import` gives to another writer's message
MAIN = "main"  # OpenClaw's main agent, and the whole session key of its main session


def agent_of_session(session: str) -> str | None:
    """Return the agent that a session key names, or None where it names none.

    `agent:<id>:…` names `<id>`; `<id>:…` names `<id>`; `main` alone is OpenClaw's main session. Any other
    key without a colon (most often a UUID) says which session it is, not whose.
    """
    return _cached(session) if len(session) <= LONGEST_CACHED else _agent_of(session)


def _agent_of(session: str) -> str | None:
    first, colon, rest = session.partition(":")
    if not colon:
        return MAIN if session == MAIN else None
    if first == "agent":
        first = rest.partition(":")[0]
    return first or None


_cached = lru_cache(CACHED_SESSIONS)(_agent_of)
