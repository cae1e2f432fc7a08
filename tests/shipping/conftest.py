"""A real outbox, a real nats-server, and a session between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import Session, open_session
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import OutboxSettings
from support.jetstream import JetStream
from support.nats import NatsServer


@pytest.fixture
async def outbox(short_tmp: Path) -> AsyncIterator[Outbox]:
    """An empty outbox."""
    async with Outbox.open(short_tmp / "outbox.db", OutboxSettings(min_free=0)) as outbox:
        yield outbox


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    """A live connection."""
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        yield session


@pytest.fixture
def jetstream(nats_server: NatsServer) -> JetStream:
    """The operator; blocks, so it is called by `to_thread`."""
    return JetStream(nats_server.url)
