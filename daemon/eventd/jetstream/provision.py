"""The administrator's part: makes the streams where the daemon's own logins may not.

These streams are not marked as made by eventd, so the daemon leaves them as they are.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from ..errors import NatsError
from ..routes import Route
from .replicas import REFUSALS, placing, placing_remedy
from .session import ApiError, Session
from .settings import new_stream, wanted_settings
from .stream import METADATA_KEY, matches
from .streams import STREAM_NOT_FOUND, SUBJECTS_OVERLAP, stream_info

Wanted = Sequence[tuple[Route, Sequence[str]]]
"""Routes with the patterns of subjects that their streams take."""


async def make_streams(session: Session, wanted: Wanted) -> AsyncIterator[tuple[str, str]]:
    """Make and change streams until all are as wanted; yield each one's name and what was done.

    Messages stay. A stream keeps subjects that nobody of `wanted` asks for, and gives up those that
    another one of `wanted` is to have.

    Raises:
        NatsError: A stream cannot be made; those before it are.
    """
    for route, subjects in wanted:
        where = placing(route.settings)
        others = [pattern for other, theirs in wanted if other.stream != route.stream for pattern in theirs]
        try:
            info = await stream_info(session, route.stream)
        except ApiError as error:
            if error.err_code != STREAM_NOT_FOUND:
                raise
            await _ask(session, "CREATE", new_stream(session.server_version, route, subjects), where)
            yield route.stream, f"made, takes {', '.join(subjects)}"
            continue
        change = _change(session, info["config"], route, subjects, others)
        if change:
            await _ask(session, "UPDATE", info["config"] | change, where)
        yield route.stream, f"changed: {', '.join(sorted(change))}" if change else "is as it should be"


def _change(
    session: Session, config: dict[str, Any], route: Route, subjects: Sequence[str], others: Iterable[str]
) -> dict[str, Any]:
    """Return what has to be another than it is."""
    settings = wanted_settings(session.server_version, route.settings)
    change = {key: value for key, value in settings.items() if config.get(key) != value}
    there: list[str] = config.get("subjects") or []
    others = list(others)
    kept = [p for p in there if not any(matches(p, other) or matches(other, p) for other in others)]
    missing = [p for p in subjects if not any(matches(taken, p) for taken in kept)]
    if kept != there or missing:
        change["subjects"] = [*kept, *missing]
    metadata: dict[str, str] = config.get("metadata") or {}
    if METADATA_KEY in metadata:  # the daemon would change it, and may not
        change["metadata"] = {key: value for key, value in metadata.items() if key != METADATA_KEY}
    return change


async def _ask(session: Session, verb: str, config: dict[str, Any], where: str) -> None:
    name = config["name"]
    try:
        await session.api(f"STREAM.{verb}.{name}", config)
    except ApiError as error:
        if error.err_code in REFUSALS:
            raise NatsError(
                f"stream {name} cannot have {where}: {error}", hint=placing_remedy(error.err_code)
            ) from error
        if error.err_code != SUBJECTS_OVERLAP:
            raise
        raise NatsError(
            f"stream {name} cannot take {', '.join(config['subjects'])}: another stream has part of it",
            hint="`nats stream ls --subjects` with the administrator's login shows which one",
        ) from error
