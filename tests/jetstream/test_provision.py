"""The administrator makes streams: as wanted, again without a change, and around what is there."""

from collections.abc import AsyncIterator, Sequence

import pytest

from eventd.errors import NatsError
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.provision import make_streams
from eventd.jetstream.session import Session, open_session
from eventd.jetstream.streams import Subjects, ensure_stream, stream_info
from eventd.routes import DEFAULT_ROUTE, Route, Server, StreamSettings
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

DEFAULT = Route(DEFAULT_ROUTE, Server(("nats://unused",)), "events", "ev")
ANN = Route("ann", Server(("nats://unused",)), "events-ann", "ev.ann")
LISTED = ["ev.main.>"]
WANTED = [(DEFAULT, LISTED), (ANN, ["ev.ann.>"])]


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        yield session


async def make(session: Session, wanted: Sequence[tuple[Route, Sequence[str]]] = WANTED) -> dict[str, str]:
    return {name: done async for name, done in make_streams(session, wanted)}


async def test_missing_streams_are_made_for_shipping_and_left_unmarked(session: Session) -> None:
    """A mark would make the daemon change them, which it may not."""
    done = await make(session)
    assert all(what.startswith("made") for what in done.values())
    for route, subjects in WANTED:
        config = (await stream_info(session, route.stream))["config"]
        assert config["subjects"] == subjects
        assert (config["allow_atomic"], config["allow_msg_ttl"]) == (True, True)
        found = await ensure_stream(session, route, Subjects(f"{route.prefix}.>", tuple(subjects)))
        assert found is not None
        assert not found.changeable
        assert found.notes == []


async def test_a_second_time_nothing_is_done(session: Session) -> None:
    await make(session)
    assert set((await make(session)).values()) == {"is as it should be"}


async def test_a_new_agent_and_a_new_setting_are_added(session: Session) -> None:
    await make(session)
    changed = Route(DEFAULT_ROUTE, DEFAULT.server, "events", "ev", StreamSettings(max_age=3600.0))
    done = await make(session, [(changed, [*LISTED, "ev.tim.>"])])
    assert done == {"events": "changed: max_age, subjects"}
    assert (await stream_info(session, "events"))["config"]["subjects"] == [*LISTED, "ev.tim.>"]


async def test_a_wide_stream_that_eventd_made_makes_room_and_loses_its_mark(session: Session) -> None:
    """As on a server that was used without isolation before; what it holds stays."""
    await ensure_stream(session, DEFAULT, Subjects("ev.>"))
    await session.request("ev.ann.note", b"{}")
    done = await make(session)
    assert done["events"] == "changed: metadata, subjects"
    assert done["events-ann"].startswith("made")
    info = await stream_info(session, "events")
    assert (info["config"]["subjects"], info["state"]["messages"]) == (LISTED, 1)
    assert "eventd" not in info["config"]["metadata"]


async def test_subjects_that_nobody_of_ours_wants_are_kept(session: Session) -> None:
    await session.api("STREAM.CREATE.events", {"name": "events", "subjects": ["foreign.>"]})
    await make(session)
    assert (await stream_info(session, "events"))["config"]["subjects"] == ["foreign.>", *LISTED]


async def test_a_stranger_in_the_way_is_told(session: Session) -> None:
    await session.api("STREAM.CREATE.stranger", {"name": "stranger", "subjects": ["ev.ann.x.>"]})
    with pytest.raises(NatsError, match="events-ann cannot take") as caught:
        await make(session)
    assert "stream ls" in caught.value.hint
