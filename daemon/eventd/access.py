"""Who may read what: the one place that decides it.

An agent reads its own events, and those of others that are `public`. As long as the socket belongs to a
single user, whoever speaks on it may ask as any of their agents, and for all agents together.
"""

from .index.model import Scope

EVERYBODY = "*"
"""In place of an agent's name: the events of all agents. No agent can be called that."""

PUBLIC = "public"


def readable(reader: str | None, author: str, visibility: str) -> bool:
    """Whether a reader may read an event.

    Args:
        reader: An agent; None for the operator, who may read everything.
        author: Whose event it is; "" for one that is nobody's, which only the operator may read.
    """
    return reader is None or (author != "" and (author == reader or visibility == PUBLIC))


def scope_of(hello_agent: str, asked: str | None) -> Scope:
    """Return what a request reads.

    Args:
        hello_agent: The name that the connection gave.
        asked: The request's `agent`: nobody means all that hello's agent may read, `*` the events of all
            agents, a name the events of that agent.
    """
    if asked is None:
        return Scope(reader=hello_agent)
    return Scope(author=None if asked == EVERYBODY else asked)


def memory_of(hello_agent: str, asked: str | None) -> Scope:
    """Return what an agent remembers: all that it may read.

    Args:
        asked: The request's `agent`; nobody means hello's.
    """
    return Scope() if asked == EVERYBODY else Scope(reader=asked or hello_agent)
