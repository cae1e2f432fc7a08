"""Answers `query`, and `get` and `tail` as far as the index has what they want."""

from collections.abc import AsyncGenerator

from eventd_ipc.messages import Get, Query, StoredEvent, Tail

from ..access import scope_of
from ..index.index import Index
from ..index.model import Entry, Filter, Shown
from ..index.reads import Key, place
from ..server.operations import StreamResponder
from .filters import bad, check_agent, filter_of
from .freshness import Freshness

PAGE = 500  # events read at a time: about 1 ms of a reading thread, and as much memory as they take


class Queries:
    """Reads events from the index."""

    def __init__(self, index: Index, freshness: Freshness) -> None:
        self._index = index
        self._freshness = freshness

    async def query(self, request: Query, responder: StreamResponder) -> None:
        """Send the events that are wanted, and where it goes on when there are more than that."""
        check_agent(request.agent)
        if request.limit is not None and request.limit < 1:
            raise bad("limit is a number of events, from 1")
        wanted = filter_of(
            request,
            scope_of(responder.agent, request.agent),
            since=request.since,
            until=request.until,
            text=request.text,
            stream=request.stream,
        )
        newest = request.order == "newest"
        after = None if request.cursor is None else read_cursor(request.cursor, newest=newest)
        await self._freshness.wait()
        left = request.limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = await self._page(wanted, newest, size + 1, after)
            more = len(page) > size
            await responder.send_events([stored(request.id, entry) for entry in page[:size]])
            after = place(page[size - 1]) if more else None
            if not more:
                return
            left = None if left is None else left - size
        if after is not None:
            responder.cursor = write_cursor(after, newest=newest)

    async def _page(self, wanted: Filter, newest: bool, limit: int, after: Key | None) -> list[Shown]:
        return await self._index.read(
            lambda reads: reads.shown(wanted, newest=newest, limit=limit, after=after)
        )

    async def find(self, request: Get, hello_agent: str, stream: str | None) -> Entry | None:
        """Return the event that is meant, if it is in the index.

        Args:
            stream: Name of the stream whose sequence is meant.
        """
        await self._freshness.wait()
        scope = scope_of(hello_agent, request.agent)
        if request.event is not None:
            return await self._index.read(lambda reads: reads.by_id(request.event or "", scope))
        return await self._index.read(lambda reads: reads.by_place(stream or "", request.seq or 0, scope))

    async def tail(self, request: Tail, hello_agent: str) -> AsyncGenerator[Entry]:
        """Yield the last events in the order in which they arrived, and with `follow` new ones too."""
        wanted = filter_of(
            request, scope_of(hello_agent, request.agent), text=request.text, stream=request.stream
        )
        await self._freshness.wait()
        upto, generation = self._index.newest, self._index.generation
        after, since = 0, request.since if request.last is None else None
        if request.last is not None:
            after = await self._start_of_last(wanted, request.last, upto)
        while page := await self._arrived(wanted, after, upto, stored=since):
            for entry in page:
                yield entry
            after = page[-1].n
        while request.follow:
            changed = self._index.watch()
            if generation != self._index.generation:  # it begins anew: what fills it was shown before
                upto, generation = self._index.newest, self._index.generation
            newest = self._index.newest
            while upto < newest:
                page = await self._arrived(wanted, upto, newest)
                for entry in page:
                    yield entry
                upto = page[-1].n if len(page) == PAGE else newest
            await changed.wait()

    async def _arrived(
        self, wanted: Filter, after: int, upto: int, *, stored: int | None = None
    ) -> list[Entry]:
        return await self._index.read(
            lambda reads: reads.arrived(wanted, after=after, upto=upto, limit=PAGE, stored=stored)
        )

    async def _start_of_last(self, wanted: Filter, last: int, upto: int) -> int:
        """Return the number of an event behind which are as many as are wanted, up to `upto`."""
        while last > 0:
            size = min(PAGE, last)
            page = await self._index.read(
                lambda reads, upto=upto, size=size: reads.arrived(  # type: ignore[misc]
                    wanted, after=0, upto=upto, limit=size, newest=True
                )
            )
            if len(page) < size:
                return 0
            upto, last = page[-1].n - 1, last - size
        return upto


def stored(request: int, entry: Entry | Shown) -> StoredEvent:
    """Return the reply that shows an event of the index."""
    return StoredEvent(request, entry.stream, entry.seq, entry.subject, entry.stored, entry.body)


def write_cursor(key: Key, *, newest: bool) -> str:
    """Return a place in the order of time as text."""
    return f"{'n' if newest else 'o'}{key[0]}.{key[1]}"


def read_cursor(text: str, *, newest: bool) -> Key:
    """Return the place that `write_cursor` wrote.

    Raises:
        RequestRefused: It is no cursor, or one of the other order.
    """
    order, (time, _, number) = text[:1], text[1:].partition(".")
    if order != ("n" if newest else "o"):
        raise bad("the cursor is of no query with this order")
    try:
        key = int(time), int(number)
    except ValueError:
        raise bad("the cursor is none that a query has ended with") from None
    if max(map(abs, key)) >= 2**63:
        raise bad("the cursor is none that a query has ended with")
    return key
