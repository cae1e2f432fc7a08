"""Whether a stream gives way to a snapshot: only one of ours that never held anything."""

from collections.abc import AsyncIterator

import pytest

from eventd.backup import plan
from eventd.backup.plan import make_room, put_back
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import ApiError, Session, open_session
from eventd.jetstream.snapshots import SnapshotFailed
from eventd.jetstream.streams import stream_info
from support.jetstream import STREAM
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

OURS = {"eventd": "made by eventd"}


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "*") as session:
        yield session


async def make(session: Session, metadata: dict[str, str] | None = None) -> None:
    config = {"name": STREAM, "subjects": ["openclaw.events.>"], "metadata": metadata or {}}
    await session.api(f"STREAM.CREATE.{STREAM}", config)


async def test_an_unused_one_goes_and_can_be_made_again(session: Session) -> None:
    assert await make_room(session, STREAM) is None  # there is none
    await make(session, OURS)
    config = await make_room(session, STREAM)
    assert config is not None
    with pytest.raises(ApiError):
        await stream_info(session, STREAM)
    await put_back(session, config)
    assert (await stream_info(session, STREAM))["config"]["subjects"] == ["openclaw.events.>"]


@pytest.mark.parametrize("purged", [False, True])
async def test_one_that_is_or_was_in_use_stays(session: Session, purged: bool) -> None:
    await make(session, OURS)
    await session.request("openclaw.events.main.x", b"1")
    if purged:
        await session.api(f"STREAM.PURGE.{STREAM}")
    with pytest.raises(SnapshotFailed, match="in use"):
        await make_room(session, STREAM)
    info = await stream_info(session, STREAM)
    assert info["config"]["subjects"] == ["openclaw.events.>"]
    assert info["state"]["messages"] == (0 if purged else 1)


async def test_one_that_is_not_ours_stays(session: Session) -> None:
    await make(session)
    with pytest.raises(SnapshotFailed, match="not made by eventd"):
        await make_room(session, STREAM)
    assert (await stream_info(session, STREAM))["config"]["subjects"] == ["openclaw.events.>"]


async def test_what_comes_in_at_the_last_moment_is_not_deleted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look nothing can come: by then the stream takes no subject of anybody's."""
    await make(session, OURS)
    decide = plan.refusal_of

    async def too_late(session: Session, stream: str) -> str:
        why = await decide(session, stream)
        with pytest.raises(Exception, match="nobody answers"):
            await session.request("openclaw.events.main.x", b"1")
        return why

    monkeypatch.setattr(plan, "refusal_of", too_late)
    assert await make_room(session, STREAM) is not None
