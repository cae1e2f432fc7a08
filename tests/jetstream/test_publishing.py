"""The three ways to publish, against real streams."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.publishing import (
    PIPELINE_ROWS,
    Published,
    Stored,
    fits_batch,
    publish_atomic,
    publish_pipelined,
    publish_single,
    unpublishable,
)
from eventd.jetstream.reading import get_message, open_reader
from eventd.jetstream.refusals import VERDICTS, Verdict, verdict
from eventd.jetstream.session import NoResponders, RequestTimeout, Session, open_session
from eventd.jetstream.stream import Stream
from eventd.jetstream.streams import Subjects, ensure_stream
from eventd.outbox.model import Row
from eventd.routes import DEFAULT_ROUTE, Route, Server, StreamSettings
from support.nats import NatsServer
from support.proxy import Proxy
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

ROUTE = Route(DEFAULT_ROUTE, Server(("nats://unused",)), "events", "ev", StreamSettings(manage=True))
Way = Callable[..., Any]
WAYS = [publish_atomic, publish_single, publish_pipelined]


def rows(*numbers: int, body: bytes = b'{"n":1}', never_expires: bool = False) -> list[Row]:
    return [Row(n, f"main:{n}", "ev.main.custom", never_expires, 0, body) for n in numbers]


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        yield session


async def make(session: Session, **config: Any) -> Stream:
    """Make the stream by hand, with settings that eventd would not choose."""
    plain = {"name": "events", "subjects": ["ev.>"], "allow_atomic": True, "allow_msg_ttl": True}
    await session.api("STREAM.CREATE.events", plain | config)
    unmanaged = Route(DEFAULT_ROUTE, ROUTE.server, ROUTE.stream, ROUTE.prefix)
    stream = await ensure_stream(session, unmanaged, Subjects("ev.>"))
    assert stream is not None
    return stream


async def stored(session: Session, stream: Stream) -> list[str]:
    """Message ids in stream order."""
    ids = []
    async with open_reader(session, stream.name, headers_only=True) as reader:
        while page := await reader.page():
            ids += [message.msg_id for message in page]
    return ids


@pytest.mark.parametrize("way", WAYS)
async def test_rows_are_stored_in_order_and_accounted_for(session: Session, way: Way) -> None:
    stream = await make(session)
    result = await way(session, stream, rows(*range(1, 101)))
    assert (result.done, result.verdict) == (100, None)
    assert result.stored == [Stored(0, 100, 1)]
    assert await stored(session, stream) == [f"main:{n}" for n in range(1, 101)]


@pytest.mark.parametrize("way", WAYS)
async def test_memory_never_expires_where_the_stream_allows_it(session: Session, way: Way) -> None:
    stream = await make(session)
    await way(session, stream, rows(1, 2, never_expires=True))
    message = await get_message(session, "events", 2)
    assert message is not None
    assert message.headers["Nats-TTL"] == "never"


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_without_ttl_still_takes_memory(session: Session, way: Way) -> None:
    stream = await make(session, allow_msg_ttl=False)
    result = await way(session, stream, rows(1, never_expires=True))
    assert result.done == 1


async def test_a_batch_with_a_repeated_id_is_refused_whole_and_its_rows_go_one_by_one(
    session: Session,
) -> None:
    stream = await make(session)
    await publish_single(session, stream, rows(2))
    refused = await publish_atomic(session, stream, rows(1, 2, 3))
    assert (refused.done, refused.verdict) == (0, Verdict.SPLIT)
    result = await publish_single(session, stream, rows(1, 2, 3))
    assert result.stored == [Stored(0, 1, 2), Stored(1, 1, 1, repeated=True), Stored(2, 1, 3)]
    assert await stored(session, stream) == ["main:2", "main:1", "main:3"]


async def test_a_row_that_the_stream_finds_too_large_is_named_by_the_single_way(session: Session) -> None:
    """The check against the stream's limit is the server's: the limit may have changed since we looked."""
    stream = await make(session, max_msg_size=1000)
    stream.max_message = -1
    bad = [*rows(1), *rows(2, body=b"x" * 1000), *rows(3)]
    refused = await publish_atomic(session, stream, bad)
    assert refused.verdict is Verdict.SPLIT
    result = await publish_single(session, stream, bad)
    assert [(dead.index, dead.code) for dead in result.dead] == [(1, 10054)]
    assert await stored(session, stream) == ["main:1", "main:3"]


@pytest.mark.parametrize("way", [publish_single, publish_pipelined])
async def test_a_row_too_large_for_the_server_dies_without_being_sent(session: Session, way: Way) -> None:
    """Sending it would end the connection."""
    stream = await make(session)
    big = Row(1, "main:1", "ev.main.custom", False, 0, b"x" * session.max_payload)
    assert "server takes" in unpublishable(big, session, stream)
    result = await way(session, stream, [big])
    assert (result.done, len(result.dead)) == (1, 1)
    assert not session.lost.is_set()


async def test_the_largest_row_that_the_stream_takes_is_stored(session: Session) -> None:
    """What does not fit into a batch, with its headers, is not dead yet."""
    stream = await make(session, max_msg_size=1024)
    row = Row(1, "main:1", "ev.main.custom", False, 0, b"x" * 900)
    assert not fits_batch(row, session, stream)
    assert (await publish_single(session, stream, [row], 0)).stored == [Stored(0, 1, 1)]


async def test_the_largest_row_that_the_server_takes_is_stored(session: Session) -> None:
    """One byte more would end the connection; one byte less would lose an event for nothing."""
    stream = await make(session)
    size = session.max_payload
    while unpublishable(row := Row(1, "main:1", "ev.main.custom", False, 0, b"x" * size), session, stream):
        size -= 1
    assert session.max_payload - size < 200
    assert (await publish_single(session, stream, [row], 0)).done == 1
    assert not session.lost.is_set()


async def test_the_pipeline_stops_before_a_row_that_is_unpublishable(session: Session) -> None:
    stream = await make(session)
    big = Row(3, "main:3", "ev.main.custom", False, 0, b"x" * session.max_payload)
    result = await publish_pipelined(session, stream, [*rows(1, 2), big])
    assert (result.done, result.dead) == (2, [])


async def test_the_pipeline_sends_one_window(session: Session) -> None:
    stream = await make(session)
    result = await publish_pipelined(session, stream, rows(*range(1, PIPELINE_ROWS + 50)))
    assert result.done == PIPELINE_ROWS


async def test_in_the_pipeline_nothing_overtakes_a_row_that_fails(session: Session) -> None:
    stream = await make(session, max_msg_size=1000)
    stream.max_message = -1
    result = await publish_pipelined(session, stream, [*rows(1), *rows(2, body=b"x" * 1000), *rows(3, 4)])
    assert (result.done, result.verdict) == (2, Verdict.RETRY)
    assert [dead.index for dead in result.dead] == [1]
    assert await stored(session, stream) == ["main:1"]


async def test_another_writer_in_the_pipeline_ends_the_round_and_no_order(session: Session) -> None:
    """Repeats are not the stream's last message, so what follows them is left for the next round."""
    stream = await make(session)
    await publish_single(session, stream, rows(1))
    await session.request("ev.other.custom", b"{}", {"Nats-Msg-Id": "other:1"})
    result = await publish_pipelined(session, stream, rows(1, 2, 3))
    assert (result.done, result.verdict) == (1, Verdict.RETRY)
    assert result.stored == [Stored(0, 1, 1, repeated=True)]


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_stored_behind_another_end_than_the_one_that_is_known(
    session: Session, way: Way
) -> None:
    """A stream that went back, or that somebody else writes to: it is looked at before it gets anything."""
    stream = await make(session)
    assert (await way(session, stream, rows(1, 2), 0)).done == 2
    assert (await way(session, stream, rows(3, 4), 2)).done == 2
    for wrong in (0, 3, 9):
        result = await way(session, stream, rows(5, 6), wrong)
        assert (result.done, result.verdict) == (0, Verdict.MOVED)
    assert await stored(session, stream) == [f"main:{n}" for n in range(1, 5)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_full_stream_stalls_the_route(session: Session, way: Way) -> None:
    stream = await make(session, max_msgs=3, discard="new")
    await publish_single(session, stream, rows(1, 2, 3))
    result = await way(session, stream, rows(4, 5))
    assert (result.done, result.verdict) == (0, Verdict.STALL)
    assert "maximum messages exceeded" in result.reason


@pytest.mark.parametrize("way", WAYS)
async def test_a_deleted_stream_is_looked_at_again(session: Session, way: Way) -> None:
    stream = await make(session)
    await session.api("STREAM.DELETE.events")
    result = await way(session, stream, rows(1, 2))
    assert (result.done, result.verdict) == (0, Verdict.RECONCILE)


async def test_batches_that_are_switched_off_are_noticed(session: Session) -> None:
    stream = await make(session, allow_atomic=False)
    result = await publish_atomic(session, stream, rows(1, 2))
    assert result.verdict is Verdict.RECONCILE
    assert await stored(session, stream) == []


@pytest.mark.parametrize("way", WAYS)
async def test_an_ack_that_does_not_come_leaves_the_rows_in_doubt(
    nats_server: NatsServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventd.jetstream.publishing.ACK_TIMEOUT", 0.5)
    with Proxy(nats_server.port) as proxy:
        async with open_session(Endpoint((proxy.url,)), "test") as session:
            stream = await make(session)
            proxy.drop_replies()
            with pytest.raises(RequestTimeout):
                await way(session, stream, rows(1, 2))


@pytest.mark.parametrize("subject", ["ev..x", "ev.*", "ev.>", "ev. x", "", "ev." + "x" * 3000])
async def test_a_bad_subject_dies_without_being_sent(session: Session, subject: str) -> None:
    """A row of an older configuration, say; the server would end the connection."""
    stream = await make(session)
    result = await publish_single(session, stream, [Row(1, "main:1", subject, False, 0, b"{}"), *rows(2)])
    assert [dead.index for dead in result.dead] == [0]
    assert await stored(session, stream) == ["main:2"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [b"", b"ok", b"[]", b'{"error":"no"}', b'{"seq":null}', b'{"seq":5}'])
async def test_an_answer_of_somebody_else_is_no_ack(
    session: Session, way: Way, answer: bytes, nats_server: NatsServer
) -> None:
    """Any service that listens on the subject can answer a publish, and faster than the stream."""
    stream = await make(session, subjects=["elsewhere.>"])  # so that nobody else answers
    async with open_session(Endpoint((nats_server.url,)), "other") as other:

        async def reply(message: Any) -> None:
            if message.reply:
                await message.respond(answer)

        async def heard() -> bool:
            try:
                return (await session.request("ev.ready")).data == answer
            except NoResponders:
                return False

        await other._client.subscribe("ev.>", cb=reply)
        await wait_until_async(heard)
        result = await way(session, stream, rows(1, 2))
        assert (result.done, result.verdict) == (0, Verdict.STALL)


def test_what_the_table_does_not_name_is_a_stall() -> None:
    """Nothing is dropped on a guess."""
    assert verdict(99999) is Verdict.STALL
    assert {code for code, v in VERDICTS.items() if v is Verdict.DEAD} == {10054, 10097, 10165}


def test_contiguous_rows_become_one_entry_and_a_dead_row_splits_it() -> None:
    result = Published()
    result.store(5)
    result.store(6)
    result.bury("too large", 10054)
    result.store(7)
    assert result.stored == [Stored(0, 2, 5), Stored(3, 1, 7)]
