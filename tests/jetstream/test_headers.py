"""The proof of origin: what lies in a stream and names it was published to it, whatever a neighbour tries."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.headers import EXPECTED_STREAM, parse_headers
from eventd.jetstream.publishing import publish_atomic, publish_pipelined, publish_single
from eventd.jetstream.reading import Message, get_message, open_reader
from eventd.jetstream.session import ApiError, Session, decode_answer, open_session
from eventd.jetstream.streams import Subjects, ensure_stream
from eventd.outbox.model import Row
from eventd.routes import Route, Server
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

MISMATCH = 10060  # JetStream: expected stream does not match
NAMES_B = {EXPECTED_STREAM: "B"}

TRICKS = [
    b"Nats-Expected-Stream : B\r\n",
    b" Nats-Expected-Stream: B\r\n",
    b"X: 1\r\n Nats-Expected-Stream: B\r\n",
    b"X: 1\nNats-Expected-Stream: B\r\n",
    b"X: 1\rNats-Expected-Stream: B\r\n",
    b"Nats-Expected-Stream:\r\nNats-Expected-Stream: B\r\n",
    b"Nats-Expected-Stream: A\r\nNats-Expected-Stream: B\r\n",
    b"nats-expected-stream: B\r\n",
    b"X-Nats-Expected-Stream: A\r\nNats-Expected-Stream: B\r\n",
    b"X: Nats-Expected-Stream: A\r\nNats-Expected-Stream: B\r\n",
]
"""Headers that one reader takes for a stream's name, and another one does not."""


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    """A connection, and the streams A and B: whoever reads this test may write to A."""
    async with open_session(Endpoint((nats_server.url,)), "a") as session:
        for name in ("A", "B"):
            route = Route(name.lower(), Server(("nats://unused",)), name, "ev")
            assert await ensure_stream(session, route, Subjects(f"ev.{name.lower()}.>"))
        yield session


async def messages(session: Session, stream: str, count: int) -> list[Message]:
    """Return what a stream holds once that is so much: read one by one, and checked against a reader."""

    async def read() -> list[Message]:
        async with open_reader(session, stream) as reader:
            return await reader.page()

    await wait_until_async(lambda: _counts(read, count))
    page = await read()
    singly = [await get_message(session, stream, message.seq) for message in page]
    assert [m.expected_stream for m in singly if m] == [m.expected_stream for m in page]
    return page


async def _counts(read: Callable[[], Awaitable[list[Message]]], count: int) -> bool:
    return len(await read()) >= count


async def put(session: Session, lines: bytes, *, first_line: bytes = b"NATS/1.0\r\n") -> bool:
    """Publish to A with a header block as it is; return whether the server stored it."""
    inbox = session.new_inbox()
    answers = await session.subscribe(inbox, max_messages=1)
    head = first_line + lines + b"\r\n"
    command = f"HPUB ev.a.x {inbox} {len(head)} {len(head) + 4}\r\n".encode() + head + b"evil\r\n"
    await session._client._send_command(command)
    await session.probe()
    answer = json.loads((await answers.next_msg(timeout=5)).data)
    assert "error" not in answer or answer["error"]["err_code"] == MISMATCH, answer
    return "error" not in answer


async def pull_into(session: Session, reply: str, **pull: object) -> None:
    """Let the server deliver what A holds to a subject of B."""
    config = {"name": "spy", "ack_policy": "none", "deliver_policy": "all", "mem_storage": True}
    await session.api("CONSUMER.CREATE.A.spy", {"stream_name": "A", "config": config})
    ask = json.dumps({"batch": 100, "no_wait": True} | pull).encode()
    await session.publish("$JS.API.CONSUMER.MSG.NEXT.A.spy", ask, reply=reply)


@pytest.mark.parametrize("publish", [publish_atomic, publish_single, publish_pipelined])
async def test_every_message_names_its_stream_whichever_way_it_goes(
    session: Session, publish: Callable[..., object]
) -> None:
    """In a batch the server takes the header on every row, and keeps it."""
    route = Route("b", Server(("nats://unused",)), "B", "ev")
    stream = await ensure_stream(session, route, Subjects("ev.b.>"))
    await publish(session, stream, [Row(n, f"b:{n}", "ev.b.x", False, 0, b"{}") for n in range(3)])  # type: ignore[misc]
    assert [m.expected_stream for m in await messages(session, "B", 3)] == ["B"] * 3


@pytest.mark.parametrize("wrong", [1, 2, 3])
async def test_no_row_of_a_batch_can_name_another_stream(session: Session, wrong: int) -> None:
    for number in (1, 2):
        headers = {"Nats-Batch-Id": "batch", "Nats-Batch-Sequence": str(number)}
        await session.publish("ev.a.x", b"{}", headers | (NAMES_B if number == wrong else {}))
    last = {"Nats-Batch-Id": "batch", "Nats-Batch-Sequence": "3", "Nats-Batch-Commit": "1"}
    answer = await session.request("ev.a.x", b"{}", last | (NAMES_B if wrong == 3 else {}))
    with pytest.raises(ApiError) as caught:
        decode_answer(answer.data)
    assert caught.value.err_code == MISMATCH


async def test_a_message_that_names_another_stream_is_not_stored(session: Session) -> None:
    answer = await session.request("ev.a.x", b"{}", NAMES_B)
    with pytest.raises(ApiError) as caught:
        decode_answer(answer.data)
    assert caught.value.err_code == MISMATCH


@pytest.mark.parametrize("lines", TRICKS)
async def test_what_was_copied_from_another_stream_never_names_the_one_that_it_is_in(
    session: Session, lines: bytes
) -> None:
    """A reply subject is not a permission: A's messages do reach B, but without the proof."""
    if await put(session, lines):
        await pull_into(session, "ev.b.injected")
    await session.request("ev.b.x", b"{}", NAMES_B)  # B is read beyond whatever was copied
    found = await messages(session, "B", 1)
    assert [m.expected_stream == "B" for m in found] == [m.body == b"{}" for m in found]


async def test_a_status_line_does_not_smuggle_the_name_in(session: Session) -> None:
    """nats-py reads the headers behind a status more loosely."""
    lines = b"Nats-Expected-Stream : B\r\n"
    assert await put(session, lines, first_line=b"NATS/1.0 100 Idle\r\n")
    await pull_into(session, "ev.b.injected")
    copied = (await messages(session, "B", 1))[0]
    assert (copied.body, copied.expected_stream) == (b"evil", "")


async def test_a_message_that_names_its_own_stream_cannot_be_copied(session: Session) -> None:
    await session.request("ev.a.x", b"{}", {EXPECTED_STREAM: "A"})
    await pull_into(session, "ev.b.injected", batch=1)
    await session.request("ev.b.x", b"{}", NAMES_B)
    assert [m.subject for m in await messages(session, "B", 1)] == ["ev.b.x"]


async def test_a_push_consumer_delivers_without_the_proof_too(session: Session) -> None:
    """Into a stream whose subject is literal, or where somebody listens on the very subject."""
    await session.request("ev.a.x", b"evil")
    await session.subscribe("ev.b.injected", max_messages=10)
    config = {"name": "push", "deliver_subject": "ev.b.injected", "ack_policy": "none"}
    await session.api("CONSUMER.CREATE.A.push", {"stream_name": "A", "config": config})
    [copied] = await messages(session, "B", 1)
    assert (copied.body, copied.expected_stream) == (b"evil", "")


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("ev.a.x", b"{}"),
        ("$JS.API.STREAM.INFO.A", b""),
        ("$JS.API.STREAM.MSG.GET.A", b'{"seq": 1}'),
        ("$JS.API.DIRECT.GET.A", b'{"seq": 1}'),
        ("$JS.API.CONSUMER.MSG.NEXT.A.none", b""),
    ],
)
async def test_an_answer_that_is_stored_names_no_stream(session: Session, subject: str, body: bytes) -> None:
    """The ack of a publish, and answers of the API, to a reply subject among B's."""
    await session.request("ev.a.x", b"{}", {"X": "1"})
    await session.publish(subject, body, reply="ev.b.answer")
    await session.request("ev.b.x", b"{}", NAMES_B)
    found = await messages(session, "B", 1)
    assert [m.expected_stream for m in found if m.subject != "ev.b.x"] == [""] * (len(found) - 1)


def test_a_header_block_is_decoded_as_the_server_does() -> None:
    """The first of a name counts, and names are kept as they are."""
    block = b"NATS/1.0\r\nNats-Msg-Id: a:b\r\nX:  y \r\nX: z\r\n W: v\r\n\r\n"
    assert parse_headers(block) == {"Nats-Msg-Id": "a:b", "X": "y", " W": "v"}


@pytest.mark.parametrize("lines", TRICKS)
def test_a_name_that_can_be_read_in_two_ways_is_not_believed(lines: bytes) -> None:
    assert EXPECTED_STREAM not in parse_headers(b"NATS/1.0\r\n" + lines + b"\r\n")


def test_a_name_behind_a_status_is_not_believed() -> None:
    assert EXPECTED_STREAM not in parse_headers(b"NATS/1.0 100\r\nNats-Expected-Stream: B\r\n\r\n")
