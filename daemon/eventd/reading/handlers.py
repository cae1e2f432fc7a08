"""Answers the requests `get` and `tail` of the socket."""

from contextlib import aclosing

from eventd_ipc.messages import Get, StoredEvent, Tail

from ..jetstream.reading import Message
from ..server.operations import Operations, RequestRefused, Responder, StreamResponder
from .streams import NoSuchStream, StreamReads


def add_handlers(operations: Operations, reads: StreamReads) -> None:
    """Let `reads` answer `get` and `tail`."""

    async def get(request: Get, responder: Responder) -> None:
        if (request.seq is None) == (request.event is None):
            raise RequestRefused("bad_request", "get takes either an event id or a sequence")
        try:
            if request.seq is not None:
                found = await reads.by_sequence(request.seq, request.stream, request.agent)
            else:
                found = await reads.by_id(request.event or "", request.stream, request.agent)
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error
        if found is None:
            raise RequestRefused("not_found", f"no event {request.event or request.seq} is stored")
        await responder.send(_stored(request.id, *found))

    async def tail(request: Tail, responder: StreamResponder) -> None:
        if request.last is not None and request.last < 0:
            raise RequestRefused("bad_request", "last is a number of events, from 0")
        try:
            async with aclosing(
                reads.tail(
                    last=request.last,
                    since=request.since,
                    follow=request.follow,
                    stream=request.stream,
                    agent=request.agent,
                )
            ) as events:
                async for found in events:
                    await responder.send(_stored(request.id, *found))
        except NoSuchStream as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error

    operations.add(Get, get)
    operations.add(Tail, tail, stream=True)


def _stored(request: int, stream: str, message: Message) -> StoredEvent:
    return StoredEvent(request, stream, message.seq, message.subject, message.time, message.body)
