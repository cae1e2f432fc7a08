"""Events on their way out: the messages of the streams that the daemon's routes use, as records."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from eventd_ipc.blocking import Client
from eventd_ipc.errors import NotFound
from eventd_ipc.messages import StoredEvent

from ..errors import EventdError
from ..events.normal import normalise
from .record import Record

CREDIT = 2000  # events that may be under way; bounds memory


class IndexIncomplete(EventdError):
    """What is asked of the index cannot be answered in full."""


class Source(NamedTuple):
    """A stream to read.

    Attributes:
        route: Name of a route that goes there; tells streams of one name in several accounts apart.
        name: Of the stream; None for that of the agent who asks.
        last: Its last sequence when it was looked at, 0 before its first event; None where it was not.
    """

    route: str | None
    name: str | None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted; what is not set does not restrict. The names are those of the protocol.

    Attributes:
        first, last: Sequences in the stream, both included.
        since, until: Unix ms of the events' own time; `until` is not included.
        text: All of these words are in the event.
    """

    agent: str | None = None
    session: str | None = None
    types: Sequence[str] = ()
    visibility: Sequence[str] = ()
    run: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None
    first: int | None = None
    last: int | None = None


def sources(client: Client, stream: str | None = None) -> list[Source]:
    """Return the streams that the daemon's routes go to, each once, in the order of the routes.

    Who is no administrator is not told which there are: then it is the stream of their agent.

    Args:
        stream: Only streams of this name.
    """
    if "index" not in client.welcome.can:
        return [Source(client.welcome.agent, stream)]
    found: dict[tuple[str, str], Source] = {}
    for each in client.index()["streams"]:
        account, name = each["account"], each["name"]
        if name and stream in (None, name):
            found.setdefault((account, name), Source(each["route"], name, each["last"]))
    return list(found.values()) or [Source(None, stream)]


def records(client: Client, source: Source, wanted: Wanted) -> Iterator[Record]:
    """Yield the messages of a stream that are wanted, in its order, up to what is its end now.

    A stream that its route has not made yet has none.

    Raises:
        IndexIncomplete: Words are looked for, and the index is being built.
        NotFound: No route goes to the stream, or it is gone.
        Refused: NATS is away; or goes away, so that the stream cannot be read to its end.
    """
    chosen = None if wanted.text is None else _with_words(client, source, wanted)
    events = client.replay(
        stream=source.name,
        route=source.route,
        agent=wanted.agent,
        session=wanted.session,
        types=wanted.types,
        visibility=wanted.visibility,
        run=wanted.run,
        first=wanted.first,
        last=wanted.last,
        headers=True,
        credit=CREDIT,
    )
    with events, suppress(*((NotFound,) if source.last == 0 else ())):
        for event in events:
            if chosen is not None and event.seq not in chosen:
                continue
            if _in_time(event, wanted):
                yield Record.of(
                    event.stream,
                    event.seq,
                    event.time,
                    event.subject,
                    event.headers or {},
                    event.body,
                    event.agent,
                )


def _in_time(event: StoredEvent, wanted: Wanted) -> bool:
    if wanted.since is None and wanted.until is None:
        return True
    normal = normalise(event.body)
    time = event.time if normal is None or normal.time is None else normal.time
    return (wanted.since is None or time >= wanted.since) and (wanted.until is None or time < wanted.until)


def _with_words(client: Client, source: Source, wanted: Wanted) -> set[int]:
    """Return the sequences of events with the words that are looked for; only the index knows these."""
    found = client.query(
        agent=wanted.agent, stream=source.name, text=wanted.text, since=wanted.since, until=wanted.until
    )
    with found as events:
        sequences = {event.seq for event in events}
        if found.incomplete:
            raise IndexIncomplete(
                "the index is being built, so that words cannot be looked for",
                hint="see `eventd index status`, and try again when it is ready",
            )
    return sequences
