"""Answers the requests of the socket that are about stored events."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from eventd_ipc.messages import Context, Get, Index, Query, Recall, Replay, Result, StoredEvent, Tail

from ..access.scopes import EVERYBODY, Forbidden, scope_of
from ..errors import IndexUnusable, NatsError
from ..index.model import Filter, Scope
from ..indexing.indexer import Indexer
from ..indexing.owners import Owners, Ownership
from ..jetstream.reading import Message
from ..routes import StreamKey
from ..server.operations import Operations, RequestRefused, Responder, StreamResponder
from .filters import bad, check_agent
from .matching import matches
from .queries import Queries, stored
from .remembering import Remembering
from .replay import Replays
from .streams import NoSuchStream, StreamReads, made_at


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
        ownership: Ownership,
        can_rebuild: Callable[[], bool],
    ) -> None:
        self._streams = streams
        self._queries = queries
        self._replays = replays
        self._remembering = remembering
        self._indexer = indexer
        self._ownership = ownership
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
            found = None
            if session is not None and self._is_worth_a_search(request, responder):
                found = await self._from_stream(request, scope, agent, responder)
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error
        if found is None:
            raise RequestRefused("not_found", f"no event {request.event or request.seq} is stored")
        await responder.send(_stored(request.id, *found))

    def _is_worth_a_search(self, request: Get, responder: Responder) -> bool:
        """Whether the stream itself is looked through for what the index does not have.

        For an id that does not say when it was made that takes a reading of the whole stream, which one agent
        must not cause again and again; administrators may.
        """
        if request.event is None or responder.identity.admin or not self._indexer.complete:
            return True
        return made_at(request.event) is not None

    async def _from_stream(
        self, request: Get, scope: Scope, agent: str | None, responder: Responder
    ) -> tuple[StreamKey, Message] | None:
        """Return what may be read; of several with an id one of the reader's own, if there is one.

        Raises:
            Forbidden: What is there is not theirs.
        """
        owners = self._owners(request.stream, agent)
        own = Scope(author=scope.reader)
        readable: tuple[StreamKey, Message] | None = None
        hidden = False
        async with aclosing(self._meant(request, agent)) as found:
            async for event in found:
                if await self._is_forgotten(request, owners, event[1]):
                    continue  # it stands there until it is erased
                if not _may_read(scope, owners, event[1]):
                    hidden = True
                elif _may_read(own, owners, event[1]):
                    return event
                else:
                    readable = readable or event
        if readable is None and hidden and not responder.identity.admin:
            raise _not_theirs(request, responder)
        return readable

    async def _is_forgotten(self, request: Get, owners: Owners, message: Message) -> bool:
        event_id = request.event or message.msg_id.partition(":")[2]
        return bool(event_id) and await self._queries.is_forgotten(owners.origin(message).agent, event_id)

    async def _meant(self, request: Get, agent: str | None) -> AsyncGenerator[tuple[StreamKey, Message]]:
        """Yield what a stream has at the place, or with the id."""
        if request.seq is not None:
            if event := await self._streams.by_sequence(request.seq, request.stream, agent):
                yield event
            return
        async with aclosing(self._streams.by_id(request.event or "", request.stream, agent)) as found:
            async for event in found:
                yield event

    def _owners(self, stream: str | None, agent: str | None) -> Owners:
        return self._ownership.of(self._streams.locate(stream, agent)[0])

    async def _tail(self, request: Tail, responder: StreamResponder) -> None:
        check_agent(request.agent)
        if request.last is not None and request.last < 0:
            raise bad("last is a number of events, from 0")
        scope = scope_of(responder.identity, request.agent, request.visibility)
        filtered = request.session or request.types or request.visibility or request.run or request.text
        agent = None if request.agent == EVERYBODY else request.agent
        if request.stream is None or filtered:
            account = self._account(request.stream, agent)
            async with aclosing(self._queries.tail(request, responder.identity, account)) as entries:
                async for entry in entries:
                    await responder.send(stored(request.id, entry))
            return
        try:
            owners = self._owners(request.stream, agent)
            async with aclosing(
                self._streams.tail(
                    last=request.last,
                    since=request.since,
                    follow=request.follow,
                    stream=request.stream,
                    agent=agent,
                )
            ) as events:
                async for stream, message in events:
                    if _may_read(scope, owners, message):
                        await responder.send(_stored(request.id, stream, message))
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error

    def _account(self, stream: str | None, agent: str | None) -> str | None:
        """Return whose stream of a name is meant; None for all that the index knows under it."""
        if stream is None:
            return None
        try:
            return self._streams.locate(stream, agent)[0].account
        except NoSuchStream:  # the configuration has it no more
            return None

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


def _may_read(scope: Scope, owners: Owners, message: Message) -> bool:
    return matches(Filter(scope=scope), owners.origin(message), message.body, message.time)


def _not_theirs(request: Get, responder: Responder) -> Forbidden:
    what = f"event {request.event}" if request.event is not None else f"what is at {request.seq}"
    return Forbidden(
        f"{responder.identity.agent!r} may not read {what}",
        hint="it is another agent's and not public; `canRead` in config.yml allows more",
    )


def _stored(request: int, stream: StreamKey, message: Message) -> StoredEvent:
    return StoredEvent(request, stream.name, message.seq, message.subject, message.time, message.body)
