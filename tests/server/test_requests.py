"""Requests that handlers answer: one reply each, streams under credit, and what their failures become."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from eventd.errors import LinkLost
from eventd.server.operations import Operations, RequestRefused, Responder, StreamResponder
from eventd_ipc.messages import (
    Ack,
    Cancel,
    Credit,
    End,
    Error,
    Get,
    Ping,
    Pong,
    Request,
    Result,
    Status,
    StoredEvent,
    Tail,
)
from server.support import Client, emit, ids_of, serving, settled
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


def stored(request: int, seq: int, body: bytes = b"{}") -> StoredEvent:
    return StoredEvent(request, "openclaw-events", seq, "openclaw.events.main.custom", 1, body)


class Tails:
    """Answers `tail` with numbered events: `last` of them, and for ever with `follow`."""

    def __init__(self) -> None:
        self.sent: dict[int, int] = {}
        self.cancelled: list[int] = []

    async def __call__(self, request: Tail, stream: StreamResponder) -> None:
        self.sent[request.id] = 0
        try:
            while request.follow or self.sent[request.id] < (request.last or 0):
                await stream.send(stored(request.id, self.sent[request.id] + 1))
                self.sent[request.id] += 1
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(request.id)
            raise


class Pages:
    """Answers `tail` with `last` numbered events handed over together, each of `size` bytes, and a cursor."""

    def __init__(self, size: int = 2) -> None:
        self.handed = 0
        self._body = b"x" * size

    async def __call__(self, request: Tail, stream: StreamResponder) -> None:
        numbers = range(1, (request.last or 0) + 1)
        await stream.send_events([stored(request.id, number, self._body) for number in numbers])
        self.handed = len(numbers)
        stream.cursor = "here"


def operations(**handlers: Any) -> Operations:
    table = Operations()
    for name, handler in handlers.items():
        requests: dict[str, type[Request]] = {"status": Status, "get": Get, "tail": Tail}
        table.add(requests[name], handler, stream=name == "tail")
    return table


async def echo(request: Status, responder: Responder) -> None:
    await responder.send(Result(request.id, {"agent": responder.identity.agent}))


async def test_a_handler_answers_by_the_request_s_id(short_tmp: Path) -> None:
    """It learns who asks; welcome says that the request is answered here."""
    async with (
        serving(short_tmp, operations(status=echo)) as running,
        await Client.connect(running.path) as client,
    ):
        assert (await client.greet("helper")).can == ["emit", "ping", "put", "status"]
        await client.send(Status(7))
        assert await client.reply() == Result(7, {"agent": "helper"})


async def test_a_slow_handler_keeps_nobody_waiting(short_tmp: Path) -> None:
    """Requests overtake each other; acks wait only for the disk."""
    release = anyio.Event()

    async def slow(request: Get, responder: Responder) -> None:
        await release.wait()
        await responder.send(stored(request.id, 1))

    async with (
        serving(short_tmp, operations(status=echo, get=slow)) as running,
        await running.client() as client,
    ):
        await client.send(Get(1, seq=1), Status(2), emit(3), Ping(4))
        assert {number for _, number in ids_of(await client.replies(3))} == {2, 3, 4}
        release.set()
        assert await client.reply() == stored(1, 1)


async def test_too_many_requests_under_way_stop_the_reading(short_tmp: Path) -> None:
    """No more handlers run than allowed; the others wait and are all answered."""
    running_now = most = 0
    release = anyio.Event()

    async def slow(request: Status, responder: Responder) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await release.wait()
        running_now -= 1
        await responder.send(Result(request.id, None))

    async with (
        serving(short_tmp, operations(status=slow), max_requests=4) as running,
        await running.client() as client,
    ):
        await client.send(*(Status(number) for number in range(100)))
        await wait_until_async(lambda: running_now == 4)
        release.set()
        assert sorted(ids_of(await client.replies(100))) == [("result", number) for number in range(100)]
        assert most == 4


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (RequestRefused("not_found", "no such event", hint="look there"), "not_found", "no such event"),
        (LinkLost("NATS is away", hint="wait"), "unavailable", "NATS is away"),
        (ExceptionGroup("tasks", [RequestRefused("not_found", "in a group")]), "not_found", "in a group"),
        (ZeroDivisionError("secret detail"), "internal", "eventd failed"),
    ],
)
@pytest.mark.parametrize("request_type", [Status, Tail])
async def test_what_a_handler_raises_is_a_typed_error(
    short_tmp: Path,
    request_type: type[Status | Tail],
    failure: Exception,
    code: str,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refusal is told, a bug is logged with its traceback and told as `internal`; the connection lives."""

    async def fail(request: Any, responder: Responder) -> None:
        raise failure

    async with (
        serving(short_tmp, operations(status=fail, tail=fail)) as running,
        await running.client() as client,
    ):
        await client.send(request_type(1))
        error = await client.reply()
        assert isinstance(error, Error)
        assert (error.id, error.code) == (1, code)
        assert error.message.startswith(message)
        assert bool(error.hint)
        assert ("secret detail" in caplog.text) == isinstance(failure, ZeroDivisionError)
        await client.send(Ping(2))
        assert await client.reply() == Pong(2)
        assert running.stats.streams == 0


async def test_a_handler_that_says_nothing_is_a_bug(short_tmp: Path) -> None:
    """Its client is not left waiting."""

    async def silent(request: Status, responder: Responder) -> None:
        pass

    async with serving(short_tmp, operations(status=silent)) as running, await running.client() as client:
        await client.send(Status(1))
        error = await client.reply()
        assert isinstance(error, Error)
        assert (error.id, error.code) == (1, "internal")


async def test_how_long_to_wait_is_told(short_tmp: Path) -> None:
    """Seconds in the daemon, milliseconds on the wire."""

    async def busy(request: Status, responder: Responder) -> None:
        raise RequestRefused("slow_down", "later", retry_after=1.5)

    async with serving(short_tmp, operations(status=busy)) as running, await running.client() as client:
        await client.send(Status(1))
        error = await client.reply()
        assert isinstance(error, Error)
        assert error.retry_after_ms == 1500


async def test_a_stream_ends_by_itself(short_tmp: Path) -> None:
    """Its events in order, then `end`."""
    async with (
        serving(short_tmp, operations(tail=Tails())) as running,
        await Client.connect(running.path) as client,
    ):
        assert (await client.greet()).can == ["cancel", "credit", "emit", "ping", "put", "tail"]
        await client.send(Tail(1, last=3))
        assert await client.replies(4) == [stored(1, 1), stored(1, 2), stored(1, 3), End(1)]
        assert running.stats.streams == 0


async def test_no_event_without_credit(short_tmp: Path) -> None:
    """The server sends as many events as it was allowed, then waits for more credit."""
    tails = Tails()
    async with serving(short_tmp, operations(tail=tails)) as running, await running.client() as client:
        await client.send(Tail(1, last=10, credit=3))
        assert await client.replies(3) == [stored(1, number) for number in (1, 2, 3)]
        assert await settled(lambda: tails.sent[1]) == 3
        await client.send(Credit(1, 2), Credit(1, -5), Credit(99, 5))
        assert await client.replies(2) == [stored(1, number) for number in (4, 5)]
        assert await settled(lambda: tails.sent[1]) == 5
        await client.send(Credit(1, 100))
        assert (await client.replies(6))[-1] == End(1)


async def test_a_stream_needs_no_credit_to_end(short_tmp: Path) -> None:
    """Credit counts events only."""
    async with serving(short_tmp, operations(tail=Tails())) as running, await running.client() as client:
        await client.send(Tail(1, last=2, credit=2))
        assert (await client.replies(3))[-1] == End(1)


@pytest.mark.parametrize("credit", [0, 10_000_000])
async def test_a_cancelled_stream_says_so_and_stops(short_tmp: Path, credit: int) -> None:
    """Whether it waits for credit or is in full flow; its id can then be used again."""
    tails = Tails()
    async with serving(short_tmp, operations(tail=tails)) as running, await running.client() as client:
        await client.send(Tail(1, follow=True, credit=credit))
        await wait_until_async(lambda: 1 in tails.sent)
        await client.send(Cancel(1), Cancel(1), Cancel(99))
        while isinstance(last := await client.reply(), StoredEvent):
            pass
        assert last == End(1, cancelled=True)
        assert tails.cancelled == [1]
        await client.send(Tail(1, last=1))
        assert await client.replies(2) == [stored(1, 1), End(1)]


async def test_streams_and_acks_share_a_connection(short_tmp: Path) -> None:
    """A stream in full flow does not keep acks back."""
    async with serving(short_tmp, operations(tail=Tails())) as running, await running.client() as client:
        await client.send(Tail(1, follow=True, credit=10_000_000))
        assert await client.reply() == stored(1, 1)
        await client.send(emit(2))
        while isinstance(reply := await client.reply(), StoredEvent):
            pass
        assert reply == Ack(2, ["e2"])


async def test_a_stream_waits_for_a_client_that_does_not_read(short_tmp: Path) -> None:
    """However much credit it gave: the daemon's memory stays bounded."""
    tails = Tails()
    async with (
        serving(short_tmp, operations(tail=tails), max_outgoing=4096) as running,
        await running.client() as client,
    ):
        await client.send(Tail(1, last=100_000, credit=10_000_000))
        assert 100 < await settled(lambda: tails.sent.get(1, 0)) < 50_000
        (connection,) = running.server.connections
        assert connection.outgoing_bytes < 4096 + 256


async def test_only_so_many_streams(short_tmp: Path) -> None:
    """One more is told to come again later, one of the same id that it is there; the others go on."""
    tails = Tails()
    async with (
        serving(short_tmp, operations(tail=tails), max_streams=2) as running,
        await running.client() as client,
    ):
        await client.send(*(Tail(number, follow=True, credit=0) for number in (1, 1, 2, 3)))
        errors = await client.replies(2)
        assert [(error.id, error.code) for error in errors if isinstance(error, Error)] == [
            (1, "bad_request"),
            (3, "slow_down"),
        ]
        assert isinstance(errors[1], Error)
        assert errors[1].retry_after_ms
        await client.send(Cancel(1))
        assert await client.reply() == End(1, cancelled=True)
        await client.send(Tail(3, last=1))
        assert await client.replies(2) == [stored(3, 1), End(3)]
        assert running.stats.streams == 1


async def test_a_client_that_leaves_ends_its_streams(short_tmp: Path) -> None:
    """Nothing goes on for somebody who is not there."""
    tails = Tails()
    async with serving(short_tmp, operations(tail=tails)) as running:
        async with await running.client() as client:
            await client.send(Tail(1, follow=True, credit=1))
            assert await client.reply() == stored(1, 1)
        await wait_until_async(lambda: tails.cancelled == [1] and running.stats.connections == 0)


async def test_a_request_has_one_handler() -> None:
    """Two parts of the daemon that claim the same request are a bug that shows at the start."""
    table = operations(status=echo)
    with pytest.raises(ValueError, match="status"):
        table.add(Status, echo)


async def test_events_that_are_sent_together_keep_to_the_credit(short_tmp: Path) -> None:
    """No more of them come than the client has allowed; the end says where it goes on."""
    pages = Pages()
    async with (
        serving(short_tmp, operations(tail=pages)) as running,
        await running.client() as client,
    ):
        await client.send(Tail(1, last=10, credit=4))
        assert [reply.seq for reply in await client.replies(4) if isinstance(reply, StoredEvent)] == [
            1,
            2,
            3,
            4,
        ]
        await client.send(Ping(2))
        assert await client.reply() == Pong(2)  # and no event before it
        assert pages.handed == 0
        await client.send(Credit(1, 100))
        rest = await client.replies(7)
        assert [reply.seq for reply in rest[:-1] if isinstance(reply, StoredEvent)] == [5, 6, 7, 8, 9, 10]
        assert rest[-1] == End(1, cursor="here")


async def test_large_events_are_handed_over_in_several_pieces(short_tmp: Path) -> None:
    """A client that reads nothing does not make the server hold them all."""
    pages = Pages(size=200_000)
    async with (
        serving(short_tmp, operations(tail=pages)) as running,
        await running.client() as client,
    ):
        await client.send(Tail(1, last=100, credit=1000))
        assert await client.reply() == stored(1, 1, b"x" * 200_000)
        assert pages.handed == 0
        seqs = [reply.seq for reply in await client.replies(99) if isinstance(reply, StoredEvent)]
        assert seqs == list(range(2, 101))
        assert await client.reply() == End(1, cursor="here")
