"""Publishes events past the daemon: those that it takes for done with, and that their stream has lost."""

from collections.abc import Sequence

from eventd_ipc.messages import RawEvent

from ..ingest.raw import subject_for
from ..jetstream.publishing import BATCH_ROWS, Published, fits_batch, publish_atomic, publish_single
from ..jetstream.session import Session
from ..jetstream.stream import Stream, describe
from ..jetstream.streams import stream_info
from ..outbox.model import Row
from ..routes import Route

UNPUBLISHED = "unpublished"
"""Why an event is refused that the server does not take."""


async def publish_events(session: Session, route: Route, events: Sequence[RawEvent]) -> dict[str, list[str]]:
    """Publish events of a route, in their order; return `Nats-Msg-Id`s of those that were refused, by why.

    Raises:
        NatsError: The server does not answer, or there is no stream; to do it once more is safe.
    """
    stream = describe(session.server_version, route, await stream_info(session, route.stream))
    refused: list[str] = []
    rows: list[Row] = []
    for number, event in enumerate(events):
        name = f"{event.agent}:{event.id}"
        subject = subject_for(route.prefix, event)
        if stream.covers(subject):
            rows.append(Row(number, name, subject, event.never_expires, 0, event.body))
        else:
            refused.append(name)
    while rows:
        page, rows = rows[:BATCH_ROWS], rows[BATCH_ROWS:]
        published = await _publish(session, stream, page)
        refused += [page[dead.index].msg_id for dead in published.dead]
        if published.verdict is not None:
            refused += [row.msg_id for row in page[published.done :]]
    return {UNPUBLISHED: refused} if refused else {}


async def _publish(session: Session, stream: Stream, rows: Sequence[Row]) -> Published:
    if stream.atomic and all(fits_batch(row, session, stream) for row in rows):
        published = await publish_atomic(session, stream, rows)
        if published.verdict is None:
            return published
    return await publish_single(session, stream, rows)
