"""Snapshots of a real server: taken, given up, restored, refused."""

import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.permissions import PermissionMissing
from eventd.jetstream.session import ApiError, Session, open_session
from eventd.jetstream.snapshots import (
    CHUNK,
    NAME_EXISTS,
    WINDOW,
    SnapshotFailed,
    StreamState,
    open_snapshot,
    restore_stream,
)
from eventd.routes import Credentials
from eventd.secret import Secret
from support.jetstream import STREAM
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

NatsFactory = Callable[..., NatsServer]

LARGE = 5 * CHUNK // 1000  # messages that are several chunks, as their bytes cannot be packed
BEYOND = WINDOW // 1000 + LARGE  # messages that are more than is sent without answers


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "*") as session:
        yield session


async def fill(session: Session, count: int, size: int = 1000) -> None:
    """Make a stream with messages that do not shrink."""
    await session.api(f"STREAM.CREATE.{STREAM}", {"name": STREAM, "subjects": ["e.>"]})
    for number in range(count):
        if number < count - 1:
            await session.publish("e.x", secrets.token_bytes(size))
        else:  # its ack is behind all others
            await session.request("e.x", secrets.token_bytes(size))


async def take(session: Session) -> tuple[dict[str, object], StreamState, list[bytes]]:
    async with open_snapshot(session, STREAM) as snapshot:
        return snapshot.config, snapshot.state, [chunk async for chunk in snapshot.chunks()]


@pytest.mark.parametrize("count", [0, 1, LARGE])
async def test_a_stream_is_the_same_on_another_server(
    session: Session, nats_server: NatsServer, nats_factory: NatsFactory, count: int
) -> None:
    """With sequences and times; an empty one keeps how far it has come."""
    await fill(session, count)
    await session.request("e.last", b"")
    await session.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": count + 1})
    config, state, chunks = await take(session)
    assert (state.messages, state.last_seq) == (count, count + 1)
    assert len(chunks) > 2 or count < LARGE
    there = nats_factory()
    async with open_session(Endpoint((there.url,)), "*") as other:
        info = await restore_stream(other, config, state, chunks)
        assert StreamState.of(info["state"]) == state
        again = await other.api(f"STREAM.INFO.{STREAM}")
    assert again["state"]["last_ts"] == info["state"]["last_ts"]


async def test_a_stream_that_is_there_is_left_alone(session: Session) -> None:
    await fill(session, 3)
    config, state, chunks = await take(session)
    with pytest.raises(ApiError) as caught:
        await restore_stream(session, config, state, chunks)
    assert caught.value.err_code in NAME_EXISTS
    assert (await session.api(f"STREAM.INFO.{STREAM}"))["state"]["messages"] == 3


async def test_bytes_that_are_no_snapshot_are_refused(session: Session) -> None:
    await fill(session, LARGE)
    config, state, chunks = await take(session)
    await session.api(f"STREAM.DELETE.{STREAM}")
    with pytest.raises(SnapshotFailed, match=f"snapshot of stream {STREAM}"):
        await restore_stream(session, config, state, [b"x" * len(chunk) for chunk in chunks])
    with pytest.raises(ApiError):
        await session.api(f"STREAM.INFO.{STREAM}")


@pytest.mark.parametrize("subject", ["$JS.API.STREAM.SNAPSHOT.>", "$JS.SNAPSHOT.ACK.>"])
async def test_a_right_that_is_missing_is_named_at_once(nats_factory: NatsFactory, subject: str) -> None:
    """Also that to answer its chunks: the server would wait for it in silence."""
    users = f'users: [{{user: a, password: b, permissions: {{publish: {{deny: "{subject}"}}}}}}]'
    server = nats_factory(config=f"authorization {{ {users} }}")
    login = Credentials(user="a", password=Secret("b"))
    async with open_session(Endpoint((server.url,), login), "*") as session:
        await fill(session, BEYOND)
        with pytest.raises(PermissionMissing, match=subject.removesuffix(">").replace("$", r"\$")):
            await take(session)
        assert (await session.api(f"STREAM.INFO.{STREAM}"))["state"]["messages"] == BEYOND
