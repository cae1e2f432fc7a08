"""Answers the requests of the socket that are about stored events."""

from collections.abc import Callable
from contextlib import aclosing

from eventd_ipc.messages import Context, Get, Index, Query, Recall, Replay, Result, StoredEvent, Tail

from ..access.scopes import EVERYBODY, Forbidden, scope_of
from ..errors import IndexUnusable, NatsError
from ..index.model import Filter, Scope
from ..indexing.indexer import Indexer
from ..indexing.owners import Owners
from ..jetstream.reading import Message
from ..server.operations import Operations, RequestRefused, Responder, StreamResponder
from .filters import bad, check_agent
from .matching import matches
from .queries import Queries, stored
from .remembering import Remembering
from .replay import Replays
from .streams import NoSuchStream, StreamReads


class Reading:
    """Who answers which request.

    Args:
        streams: Reads JetStream itself.
        queries: Reads the index.
        can_rebuild: Whether the streams can be read now, so that the index can be filled again.
    """

    def __init__(
        self,
        streams: StreamReads,
        queries: Queries,
        replays: Replays,
        remembering: Remembering,
        indexer: Indexer,
        owners: Owners,
        can_rebuild: Callable[[], bool],
    ) -> None:
        self._streams = streams
        self._queries = queries
        self._replays = replays
        self._remembering = remembering
        self._indexer = indexer
        self._owners = owners
        self._can_rebuild = can_rebuild

    def add_to(self, operations: Operations) -> None:
        """Let these answer."""
        operations.add(Get, self._get)
        operations.add(Query, self._queries.query, stream=True)
        operations.add(Tail, self._tail, stream=True)
        operations.add(Replay, self._replay, stream=True)
        operations.add(Recall, self._remembering.recall)
        operations.add(Context, self._remembering.context)
        operations.add(Index, self._index, admin=True)

    async def _get(self, request: Get, responder: Responder) -> None:
        check_agent(request.agent)
        if (request.seq is None) == (request.event is None):
            raise bad("get takes either an event id or a sequence")
        scope = scope_of(responder.identity, request.agent)
        agent = None if request.agent == EVERYBODY else request.agent
        try:
            stream, session = self._streams.locate(request.stream, agent)
            entry = await self._queries.find(request, scope, stream)
            if entry is not None:
                await responder.send(stored(request.id, entry))
                return
            if not responder.identity.admin and await self._queries.find(request, Scope(), stream):
                raise _not_theirs(request, responder)
            if session is None and not self._indexer.complete:
                raise NatsError(
                    "the event is not in the index, which is not complete, and NATS cannot be asked",
                    hint="see `eventd status`",
                )
            found = await self._from_stream(request, agent) if session is not None else None
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error
        if found is not None and not self._matches(scope, found[1]):
            if not responder.identity.admin:
                raise _not_theirs(request, responder)
            found = None
        if found is None:
            raise RequestRefused("not_found", f"no event {request.event or request.seq} is stored")
        await responder.send(_stored(request.id, *found))

    async def _from_stream(self, request: Get, agent: str | None) -> tuple[str, Message] | None:
        if request.seq is not None:
            return await self._streams.by_sequence(request.seq, request.stream, agent)
        return await self._streams.by_id(request.event or "", request.stream, agent)

    def _matches(self, scope: Scope, message: Message) -> bool:
        return matches(Filter(scope=scope), self._owners.of(message.subject), message.body, message.time)

    async def _tail(self, request: Tail, responder: StreamResponder) -> None:
        check_agent(request.agent)
        if request.last is not None and request.last < 0:
            raise bad("last is a number of events, from 0")
        scope = scope_of(responder.identity, request.agent, request.visibility)
        filtered = request.session or request.types or request.visibility or request.run or request.text
        if request.stream is None or filtered:
            async with aclosing(self._queries.tail(request, responder.identity)) as entries:
                async for entry in entries:
                    await responder.send(stored(request.id, entry))
            return
        try:
            async with aclosing(
                self._streams.tail(
                    last=request.last,
                    since=request.since,
                    follow=request.follow,
                    stream=request.stream,
                    agent=None if request.agent == EVERYBODY else request.agent,
                )
            ) as events:
                async for stream, message in events:
                    if self._matches(scope, message):
                        await responder.send(_stored(request.id, stream, message))
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error

    async def _replay(self, request: Replay, responder: StreamResponder) -> None:
        try:
            await self._replays.replay(request, responder)
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error

    async def _index(self, request: Index, responder: Responder) -> None:
        if request.action == "rebuild":
            if not self._can_rebuild():
                raise IndexUnusable(
                    "the index cannot be built anew now: NATS, which has the events, cannot be reached",
                    hint="see `eventd status`, and try again when it is back",
                )
            await self._indexer.rebuild()
        await responder.send(Result(request.id, await self._indexer.document()))


def _not_theirs(request: Get, responder: Responder) -> Forbidden:
    what = f"event {request.event}" if request.event is not None else f"what is at {request.seq}"
    return Forbidden(
        f"{responder.identity.agent!r} may not read {what}",
        hint="it is another agent's and not public; `canRead` in config.yml allows more",
    )


def _stored(request: int, stream: str, message: Message) -> StoredEvent:
    return StoredEvent(request, stream, message.seq, message.subject, message.time, message.body)
