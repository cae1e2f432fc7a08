"""Whether an event that comes from a stream is one that is wanted: the same as the index's SQL, in Python."""

from ..access.scopes import readable
from ..events.attribution import Origin, attribute
from ..events.normal import normalise
from ..index.entries import id_of
from ..index.model import Filter

ANY = "*"
BELOW = ".*"


def matches(wanted: Filter, origin: Origin, body: bytes, stored: int) -> bool:
    """Whether an event meets a filter. Its `text` and `stream` are not looked at.

    Args:
        stored: When the stream took it, Unix ms; stands for the time of an event without one.
    """
    agent, event = attribute(origin, body, normalise(body))
    scope = wanted.scope
    visibility = event.visibility if event else "internal"
    if scope.author is not None and scope.author != agent:
        return False
    if not readable(scope, agent, visibility):
        return False
    if wanted.visibility and visibility not in wanted.visibility:
        return False
    if wanted.session is not None and not _fits(wanted.session, event.session if event else ""):
        return False
    if wanted.types and not any(_is_type(name, event.type if event else "") for name in wanted.types):
        return False
    if wanted.run is not None and (event is None or not event.run or id_of(event.run) != id_of(wanted.run)):
        return False
    time = stored if event is None or event.time is None else event.time
    return not (
        (wanted.since is not None and time < wanted.since)
        or (wanted.until is not None and time >= wanted.until)
    )


def _fits(pattern: str, text: str) -> bool:
    return text.startswith(pattern.removesuffix(ANY)) if pattern.endswith(ANY) else text == pattern


def _is_type(name: str, event_type: str) -> bool:
    return event_type.startswith(name.removesuffix(ANY)) if name.endswith(BELOW) else event_type == name
