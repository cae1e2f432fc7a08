"""Who may read what: the one place that decides it.

| visibility     | the agent itself | `canRead` it | other agents | administrators |
|----------------|------------------|--------------|--------------|----------------|
| `public`       | yes              | yes          | yes          | yes            |
| `internal`     | yes              | yes          | no           | yes            |
| `confidential` | yes              | no           | no           | yes            |
| `secret`       | yes, no search   | no           | no           | yes, no search |

`index.conditions.parts_of` says the same in SQL; a property test holds the two together.
"""

from collections.abc import Collection

from ..errors import EventdError
from ..index.model import Scope
from .identity import Identity

EVERYBODY = "*"
"""In place of an agent's name: the events of all agents. No agent can be called that."""

PUBLIC = "public"
INTERNAL = "internal"


class Forbidden(EventdError):
    """Somebody asks for what is not theirs; the request is refused and noted in the log."""


def readable(scope: Scope, author: str, visibility: str) -> bool:
    """Whether an event may be read within a scope, whose `author` is not looked at.

    Args:
        author: Whose event it is; "" for one that is nobody's, which only administrators may read.
    """
    if scope.reader is None:
        return True
    if author == "":
        return False
    if author == scope.reader or visibility == PUBLIC:
        return True
    return visibility == INTERNAL and author in scope.granted


def scope_of(identity: Identity, asked: str | None, visibility: Collection[str] = ()) -> Scope:
    """Return what a request reads.

    Args:
        asked: The request's `agent`: nobody means all that hello's agent may read, `*` the events of all
            agents, a name the events of that agent.
        visibility: Those that are asked for; all when empty.

    Raises:
        Forbidden: It asks for events that hello's agent may not read.
    """
    granted = identity.granted(identity.agent)
    if asked is None:
        return Scope(reader=identity.agent, granted=granted)
    if identity.admin:
        return Scope(author=None if asked == EVERYBODY else asked)
    if asked == identity.agent or asked in granted or (asked != EVERYBODY and _public(visibility)):
        return Scope(author=asked, reader=identity.agent, granted=granted)
    raise Forbidden(
        f"{identity.agent!r} may not read the events of {_named(asked)}",
        hint="ask without `agent` for all that may be read, or for visibility public; "
        f"`agents.{identity.agent}.canRead` in config.yml allows more",
    )


def memory_of(identity: Identity, asked: str | None) -> Scope:
    """Return what an agent remembers: all that it may read.

    Args:
        asked: The request's `agent`; nobody means hello's.

    Raises:
        Forbidden: It is the memory of another agent, which not even `canRead` opens.
    """
    if asked == EVERYBODY and identity.admin:
        return Scope()
    agent = asked or identity.agent
    if agent != identity.agent and not identity.admin:
        raise Forbidden(
            f"{identity.agent!r} may not remember as {_named(agent)}",
            hint="leave `agent` out: what others made public, or `canRead` allows, is in one's own memory",
        )
    return Scope(reader=agent, granted=identity.granted(agent))


def _public(visibility: Collection[str]) -> bool:
    return set(visibility) == {PUBLIC}


def _named(asked: str) -> str:
    return "all agents" if asked == EVERYBODY else repr(asked)
