"""From the keys of a request to a filter; what is wrong is refused."""

from collections.abc import Sequence
from typing import Protocol

from eventd_ipc.strict import agent_fault

from ..access.scopes import EVERYBODY
from ..events.normal import VISIBILITIES
from ..events.types import canonical
from ..index.model import Filter, Scope
from ..server.operations import RequestRefused

MAX_TYPES = 64  # types that one request names
MAX_TEXT = 512  # characters of a session, type or run that is asked for


class Filtering(Protocol):
    """The keys that requests for events have in common."""

    session: str | None
    types: list[str]
    visibility: list[str]
    run: str | None


def filter_of(
    request: Filtering,
    scope: Scope,
    *,
    since: int | None = None,
    until: int | None = None,
    text: str | None = None,
    stream: str | None = None,
) -> Filter:
    """Return what a request wants.

    Raises:
        RequestRefused: A key holds what cannot be meant.
    """
    for name in request.visibility:
        if name not in VISIBILITIES:
            raise bad(f"there is no visibility {name[:40]!r}; there are {', '.join(VISIBILITIES)}")
    return Filter(
        scope=scope,
        session=short("session", request.session),
        types=types_of(request.types),
        visibility=tuple(request.visibility),
        since=since,
        until=until,
        run=short("run", request.run),
        text=text,
        stream=stream,
    )


def types_of(types: Sequence[str]) -> tuple[str, ...]:
    """Return the types that are asked for, by the document's names."""
    if len(types) > MAX_TYPES:
        raise bad(f"at most {MAX_TYPES} types can be asked for at a time")
    return tuple(canonical(short("types", name) or "") for name in types)


def short(key: str, value: str | None) -> str | None:
    """Return a value that may be looked for.

    Raises:
        RequestRefused: It is too long to be one.
    """
    if value is not None and len(value) > MAX_TEXT:
        raise bad(f"{key} is longer than {MAX_TEXT} characters")
    return value


def check_agent(agent: str | None) -> None:
    """Refuse what can be no agent's name.

    Raises:
        RequestRefused: It is none, and not `*` either.
    """
    if agent is not None and agent != EVERYBODY and (fault := agent_fault(agent)) is not None:
        raise bad(f"agent: {fault}")


def bad(message: str) -> RequestRefused:
    """Return the refusal of a request that never succeeds as it is."""
    return RequestRefused("bad_request", message)
