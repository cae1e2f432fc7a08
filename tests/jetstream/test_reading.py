"""Reading a real stream page by page."""

from collections.abc import AsyncIterator

import anyio
import pytest

from eventd.errors import EventdError
from eventd.jetstream import reading
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.reading import (
    PAGE_BYTES,
    ReaderGone,
    get_message,
    open_reader,
    parse_time,
)
from eventd.jetstream.session import Session, open_session
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        await session.api("STREAM.CREATE.events", {"name": "events", "subjects": ["ev.>"]})
        yield session


async def publish(session: Session, count: int, subject: str = "ev.main.custom") -> None:
    for n in range(count):
        await session.request(subject, f"body {n}".encode(), {"Nats-Msg-Id": f"{subject}:{n}"})


async def test_pages_give_everything_once_in_order_and_then_nothing(session: Session) -> None:
    await publish(session, 25)
    async with open_reader(session, "events") as reader:
        assert reader.pending == 25
        pages = [await reader.page(10) for _ in range(4)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    messages = [message for page in pages for message in page]
    assert [message.seq for message in messages] == list(range(1, 26))
    assert messages[3].body == b"body 3"
    assert messages[3].msg_id == "ev.main.custom:3"
    assert [message.pending for message in messages] == list(range(24, -1, -1))


async def test_headers_only_leaves_the_bodies_out(session: Session) -> None:
    await publish(session, 1)
    async with open_reader(session, "events", headers_only=True) as reader:
        [message] = await reader.page()
    assert (message.body, message.msg_id) == (b"", "ev.main.custom:0")


async def test_reading_begins_at_a_sequence_or_a_time_and_keeps_to_subjects(session: Session) -> None:
    await publish(session, 3)
    await publish(session, 2, "ev.other.custom")
    async with open_reader(session, "events", start_seq=3) as reader:
        assert [message.seq for message in await reader.page()] == [3, 4, 5]
    async with open_reader(session, "events", subjects=["ev.other.custom"]) as reader:
        assert [message.seq for message in await reader.page()] == [4, 5]
    fourth = await get_message(session, "events", 4)
    assert fourth is not None
    async with open_reader(session, "events", start_time=fourth.time + 86_400_000) as reader:
        assert await reader.page() == []


async def test_a_waiting_page_gets_what_is_stored_meanwhile(session: Session) -> None:
    async with open_reader(session, "events") as reader, anyio.create_task_group() as group:
        group.start_soon(publish, session, 1)
        [message] = await reader.page(1, wait=5.0)
    assert message.body == b"body 0"


async def test_a_waiting_page_gives_up_empty(session: Session) -> None:
    async with open_reader(session, "events") as reader:
        assert await reader.page(wait=0.2) == []


async def test_a_consumer_is_gone_when_its_reader_is_closed(session: Session) -> None:
    async with open_reader(session, "events"):
        assert (await session.api("CONSUMER.NAMES.events"))["total"] == 1

    async def gone() -> bool:
        return not (await session.api("CONSUMER.NAMES.events"))["total"]

    await wait_until_async(gone, 5.0)


async def test_pages_of_large_messages_are_small_and_nothing_is_left_out(session: Session) -> None:
    """The server's queue for us stays short, and so does ours."""
    body = b"x" * 900_000
    for n in range(12):
        await session.request("ev.main.custom", body, {"Nats-Msg-Id": str(n)})
    seen: list[str] = []
    async with open_reader(session, "events") as reader:
        while page := await reader.page():
            assert sum(len(message.body) for message in page) <= PAGE_BYTES
            seen += [message.msg_id for message in page]
    assert seen == [str(n) for n in range(12)]


async def test_a_message_larger_than_a_page_comes_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_BYTES", 1000)
    for size in (100, 5000, 100):
        await session.request("ev.main.custom", b"x" * size)
    async with open_reader(session, "events") as reader:
        sizes = [[len(message.body) for message in await reader.page()] for _ in range(4)]
    assert sizes == [[100], [5000], [100], []]


async def test_a_reader_whose_consumer_was_removed_says_so(session: Session) -> None:
    """The server removes it when nobody pulls for a while."""
    await publish(session, 3)
    async with open_reader(session, "events") as reader:
        await reader.page(1)
        [name] = (await session.api("CONSUMER.NAMES.events"))["consumers"]
        await session.api(f"CONSUMER.DELETE.events.{name}")
        with pytest.raises(ReaderGone):
            await reader.page(1)


async def test_a_dead_server_ends_the_reading_with_an_error(
    session: Session, nats_server: NatsServer
) -> None:
    async with open_reader(session, "events") as reader:
        nats_server.kill()
        with pytest.raises(EventdError):
            await reader.page(wait=5.0)


async def test_a_message_that_is_not_there_is_none(session: Session) -> None:
    await publish(session, 2)
    await session.api("STREAM.MSG.DELETE.events", {"seq": 1})
    assert await get_message(session, "events", 1) is None
    assert await get_message(session, "events", 9) is None


def test_jetstreams_nanoseconds_are_read_as_milliseconds() -> None:
    assert parse_time("2026-11-22T19:00:00.123456789Z") == 1795374000123
