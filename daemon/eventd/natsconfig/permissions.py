"""What the login of one route may do in an account that it shares: what the daemon does, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..jetstream.permissions import API
from ..jetstream.session import inbox_prefix

_STREAM_API = (
    "STREAM.INFO.{stream}",
    "STREAM.MSG.GET.{stream}",
    "STREAM.MSG.DELETE.{stream}",
    "CONSUMER.CREATE.{stream}.>",
    "CONSUMER.MSG.NEXT.{stream}.>",
    "CONSUMER.DELETE.{stream}.>",
)
"""Requests about a stream of one's own. Deleting single messages of it is what `eventd forget` needs.

STREAM.CREATE and STREAM.UPDATE are not among them: the request's body may name any stream as a source, which
the server copies whole. Nor are the direct gets, which the daemon does not use.

A jsDomain is not in them: the server maps its own domain into `$JS.API` before it looks at permissions.
"""

_SNAPSHOTS = (f"{API}.STREAM.SNAPSHOT.{{stream}}", "$JS.SNAPSHOT.ACK.{stream}.>")
"""Requests for a copy of one's own stream, which `eventd backup` asks for where it may.

STREAM.RESTORE is not among them, for the reason of STREAM.CREATE: a configuration comes with it.
"""

ADMIN_ROUTE = ":admin"
"""Stands for the administrator where a route's name is wanted; no agent's name has a colon."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that a user may publish and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def route_permissions(
    route: str, stream: str, subjects: Sequence[str], *, snapshots: bool = False
) -> Permissions:
    """Return what a route needs.

    Args:
        route: Its name; it chooses the inbox.
        stream: Its own stream.
        subjects: Patterns of its own events.
        snapshots: Whether it may copy its stream as a whole.
    """
    api = [f"{API}.{verb.format(stream=stream)}" for verb in _STREAM_API]
    if snapshots:
        api += [subject.format(stream=stream) for subject in _SNAPSHOTS]
    return Permissions((*subjects, *api), (f"{inbox_prefix(route)}.>", *subjects))


def admin_permissions() -> Permissions:
    """Return what making and changing streams needs: the whole API, and no events."""
    return Permissions((f"{API}.>",), (f"{inbox_prefix(ADMIN_ROUTE)}.>",))
