"""The shorter way to publish against nats-py's own, on a real nats-server."""

from collections.abc import AsyncIterator

import nats
import nats.aio.client
import pytest

from eventd.jetstream.client import Client
from support.nats import NatsServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def own(nats_server: NatsServer) -> AsyncIterator[nats.aio.client.Client]:
    """nats-py's own client."""
    client = await nats.connect(nats_server.url)
    yield client
    await client.close()


@pytest.fixture
async def ours(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = Client()
    await client.connect(nats_server.url)
    yield client
    await client.close()


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {"Nats-Msg-Id": "main:1"},
        {"Nats-Msg-Id": "märz 🐚:1", "Nats-Batch-Id": "b", "Nats-Batch-Sequence": "2"},
        {"Reason": "two\r\nlines"},
    ],
)
async def test_a_message_is_the_same_as_nats_pys(
    own: nats.aio.client.Client, ours: Client, headers: dict[str, str] | None
) -> None:
    """Headers, body and reply subject arrive alike, also where a value holds line ends."""
    inbox = await own.subscribe("there")
    await own.flush()
    for client in (own, ours):
        await client.publish("there", "ä body\r\n".encode(), "back", headers=headers)
        await client.flush()
    first, second = await inbox.next_msg(), await inbox.next_msg()
    assert (second.headers, second.data, second.reply) == (first.headers, first.data, first.reply)
    assert (second.headers or {}).keys() == (headers or {}).keys()


def test_nats_py_still_has_the_step_that_is_replaced() -> None:
    """Without it shipping would silently be slow again."""
    assert "_send_publish" in vars(nats.aio.client.Client)
