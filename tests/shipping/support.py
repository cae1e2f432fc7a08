"""What the tests of this folder do with an outbox and a stream."""

import anyio

from eventd.jetstream.publishing import publish_single
from eventd.jetstream.session import Session
from eventd.jetstream.stream import Stream
from eventd.jetstream.streams import Subjects, ensure_stream
from eventd.outbox.model import NewRow, Row, Run, Settlement, Submission
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Server

ROUTE = Route(DEFAULT_ROUTE, Server(("nats://unused",)), "openclaw-events", "openclaw.events")
WIDE = Subjects("openclaw.events.>")
ALL = 1_000_000  # more than any test has


def new_row(route: int, number: int, agent: str = "main", size: int = 20) -> NewRow:
    """The row of event `number` of an agent."""
    body = f'{{"id":"{number}","agent":"{agent}"}}'.encode().ljust(size)
    return NewRow(route, agent, str(number), f"openclaw.events.{agent}.custom", False, number + 1, body)


async def accept(outbox: Outbox, *rows: NewRow) -> None:
    """Put rows into the outbox, in one emit; return when they are on disk."""
    stored = anyio.Event()
    submission = Submission(rows)
    outbox.submit([submission], lambda _: stored.set())
    await stored.wait()
    assert submission.refusal is None


async def pending(outbox: Outbox, route: int) -> list[Row]:
    """Return all rows that are not settled."""
    position = await outbox.position(route)
    return await outbox.pending(route, after=position.settled, limit=ALL, max_bytes=ALL)


async def make_stream(session: Session, route: Route = ROUTE) -> Stream:
    """Return the route's stream as it is now; made when it is missing."""
    stream = await ensure_stream(session, route, WIDE)
    assert stream is not None
    return stream


async def publish(session: Session, rows: list[Row], route: Route = ROUTE) -> None:
    """Publish rows and tell the outbox nothing."""
    assert (await publish_single(session, await make_stream(session, route), rows)).verdict is None


async def settle(outbox: Outbox, route: int, rows: list[Row], stream_seq: int) -> None:
    """Tell the outbox that these rows were stored from a sequence on, true or not."""
    run = Run(rows[0].seq, rows[-1].seq, len(rows), stream_seq)
    await outbox.settle(Settlement(route, rows[-1].seq, (run,)))
