"""Answers `query`, and `get` and `tail` as far as the index has what they want."""

import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from xxhash import xxh32_hexdigest

from eventd_ipc.messages import Get, Query, StoredEvent, Tail

from ..access.identity import Identity
from ..access.scopes import scope_of
from ..index.conditions import LAST_INTEGER, bound
from ..index.forgetting import forgotten
from ..index.index import Index
from ..index.model import Entry, Filter, Scope, Seen, Shown
from ..index.reads import Key, is_cut, place
from ..routes import StreamKey
from ..server.operations import StreamResponder
from .filters import bad, check_agent, filter_of
from .freshness import Freshness

BEGIN: Key = (-LAST_INTEGER - 1, 0)
END: Key = (LAST_INTEGER, LAST_INTEGER)
OTHERS_LATE = 3000  # ms after which what others have stored is in the index, as a rule
PAGE = 500  # events read at a time, about 1 ms of a reading thread; fewer where they are large


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
        scope = scope_of(responder.identity, request.agent, request.visibility)
        wanted = filter_of(
            request,
            scope,
            since=request.since,
            until=request.until,
            text=request.text,
            stream=request.stream,
        )
        newest = request.order == "newest"
        after = None if request.cursor is None else read_cursor(request.cursor, scope, newest=newest)
        responder.incomplete = not await self._freshness.wait_for_own()
        left = request.limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = await self._page(wanted, newest, size + 1, after)
            more = len(page) > size or is_cut(page)
            if more:
                del page[-1]  # it only tells that there is more
            await responder.send_events([stored(request.id, entry) for entry in page])
            if not more:
                return
            after = place(page[-1])
            left = None if left is None else left - len(page)
        if after is not None:
            responder.cursor = write_cursor(after, scope, newest=newest)

    async def _page(self, wanted: Filter, newest: bool, limit: int, after: Key | None) -> list[Shown]:
        return await self._index.read(
            lambda reads: reads.shown(wanted, newest=newest, limit=limit, after=after)
        )

    async def find(self, request: Get, scope: Scope, stream: StreamKey) -> Entry | None:
        """Return the event that is meant, if it is in the index and in scope.

        Args:
            stream: The one whose sequence is meant.
        """
        await self._freshness.wait()
        if request.event is not None:
            return await self._index.read(lambda reads: reads.by_id(request.event or "", scope))
        return await self._index.read(lambda reads: reads.by_place(stream, request.seq or 0, scope))

    async def is_forgotten(self, agent: str, event_id: str) -> bool:
        """Whether a tombstone of an agent names an id."""
        return bool(await self._index.read(lambda reads: forgotten(reads, agent, [event_id])))

    async def tail(
        self, request: Tail, identity: Identity, account: str | None = None
    ) -> AsyncGenerator[Entry]:
        """Yield the last events in the order in which they were stored, and with `follow` new ones too.

        When the index begins anew meanwhile, what fills it again was shown before and is not shown again,
        save what others stored in the last moments before.

        Args:
            account: Whose stream of that name is meant; None for all of them.
        """
        scope = scope_of(identity, request.agent, request.visibility)
        wanted = replace(filter_of(request, scope, text=request.text, stream=request.stream), account=account)
        await self._freshness.wait()
        index = self._index
        upto, generation = index.newest, index.generation
        looked = Seen(index.taken, _now())
        if request.last is not None:
            after = await self._start_of_last(wanted, request.last, upto)
        else:
            after = BEGIN if request.since is None else (bound(request.since) - 1, LAST_INTEGER)
        while page := await self._kept(wanted, after, upto):
            for entry in page:
                yield entry
            after = page[-1].stored, page[-1].n
        seen: Seen | None = None
        while request.follow:
            changed = index.watch()
            if generation != index.generation:
                seen = Seen(looked.outbox, looked.stored - OTHERS_LATE)
                upto, generation = 0, index.generation
            newest = index.newest
            now = Seen(max(looked.outbox, index.taken), _now())
            while upto < newest:
                page = await self._arrived(wanted, upto, newest, seen)
                for entry in page:
                    yield entry
                upto = page[-1].n if len(page) == PAGE or is_cut(page) else newest
            looked = now
            await changed.wait()

    async def _arrived(self, wanted: Filter, after: int, upto: int, seen: Seen | None) -> list[Entry]:
        return await self._index.read(
            lambda reads: reads.arrived(wanted, after=after, upto=upto, limit=PAGE, seen=seen)
        )

    async def _kept(self, wanted: Filter, after: Key, upto: int) -> list[Entry]:
        return await self._index.read(lambda reads: reads.kept(wanted, after=after, upto=upto, limit=PAGE))

    async def _start_of_last(self, wanted: Filter, last: int, upto: int) -> Key:
        """Return the place behind which there are as many events as are wanted, up to `upto`."""
        before = END
        while last > 0:
            size = min(PAGE, last)
            page = await self._index.read(
                lambda reads, before=before, size=size: reads.kept_before(  # type: ignore[misc]
                    wanted, before=before, upto=upto, limit=size
                )
            )
            if len(page) < size:
                return BEGIN
            before, last = page[-1], last - size
        return before[0], before[1] - 1


def stored(request: int, entry: Entry | Shown) -> StoredEvent:
    """Return the reply that shows an event of the index."""
    return StoredEvent(request, entry.stream, entry.seq, entry.subject, entry.stored, entry.body)


def write_cursor(key: Key, scope: Scope, *, newest: bool) -> str:
    """Return a place in the order of time as text, good for queries of the same scope."""
    return f"{'n' if newest else 'o'}{key[0]}.{key[1]}.{_mark(scope)}"


def read_cursor(text: str, scope: Scope, *, newest: bool) -> Key:
    """Return the place that `write_cursor` wrote.

    Raises:
        RequestRefused: It is no cursor, or one of another order, or of another agent.
    """
    order, numbers = text[:1], text[1:].split(".")
    if order != ("n" if newest else "o") or len(numbers) != 3:
        raise bad("the cursor is of no query with this order")
    try:
        key = int(numbers[0]), int(numbers[1])
    except ValueError:
        raise bad("the cursor is none that a query has ended with") from None
    if max(map(abs, key)) >= 2**63:
        raise bad("the cursor is none that a query has ended with")
    if numbers[2] != _mark(scope):
        raise bad("the cursor is of a query about other agents")
    return key


def _mark(scope: Scope) -> str:
    """Return what tells scopes apart. A cursor opens nothing, so this need not be secret."""
    return xxh32_hexdigest(repr((scope.author, scope.reader)).encode())


def _now() -> int:
    return time.time_ns() // 1_000_000
