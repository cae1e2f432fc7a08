"""The settings of a stream of eventd's, in JetStream's words, as far as a server knows them."""

from collections.abc import Iterable
from typing import Any

from ..routes import Placement, Route, StreamSettings

ATOMIC_SINCE = (2, 12, 1)  # 2.12.0 does not refuse repeated ids inside a batch
TTL_SINCE = (2, 11, 0)
DIRECT_SINCE = (2, 9, 0)

NANOSECONDS = 1_000_000_000

Version = tuple[int, int, int]


def wanted_settings(version: Version, settings: StreamSettings) -> dict[str, Any]:
    """Return what follows from the configuration, and what shipping needs, on a server of this version."""
    window = settings.duplicate_window
    if settings.max_age:
        window = min(window, settings.max_age)  # JetStream refuses a longer one
    wanted: dict[str, Any] = {
        "max_age": int(settings.max_age * NANOSECONDS),
        "max_bytes": settings.max_bytes,
        "num_replicas": settings.replicas,
        "duplicate_window": int(window * NANOSECONDS),
    }
    if settings.placement is not None:
        wanted["placement"] = _placement(settings.placement)
    if version >= DIRECT_SINCE:
        wanted["allow_direct"] = True
    if version >= TTL_SINCE:
        wanted["allow_msg_ttl"] = True
    if version >= ATOMIC_SINCE:
        wanted["allow_atomic"] = True
    return wanted


def new_stream(version: Version, route: Route, subjects: Iterable[str]) -> dict[str, Any]:
    """Return the whole configuration of a route's stream that is made now."""
    return wanted_settings(version, route.settings) | {
        "name": route.stream,
        "subjects": list(subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "description": "Agent events, written by eventd",
    }


def _placement(placement: Placement) -> dict[str, Any]:
    """Return it as JetStream tells it, which leaves out what is not set."""
    whole = {"cluster": placement.cluster, "tags": list(placement.tags)}
    return {key: value for key, value in whole.items() if value}
