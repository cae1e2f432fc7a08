"""Streams against a real nats-server: made, kept, narrowed, left alone."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import ApiError, Session, open_session
from eventd.jetstream.stream import matches
from eventd.jetstream.streams import (
    STREAM_NOT_FOUND,
    StreamUnfit,
    Subjects,
    ensure_stream,
    stream_info,
)
from eventd.routes import DEFAULT_ROUTE, Route, Server, StreamSettings
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

DEFAULT = Route(DEFAULT_ROUTE, Server(("nats://unused",)), "openclaw-events", "openclaw.events")
OWN = Route("my-agent", Server(("nats://unused",)), "events-my-agent", "openclaw.events.my-agent")
WIDE = Subjects("openclaw.events.>")
BELOW = Subjects("openclaw.events.my-agent.>")


@pytest.fixture
async def session(nats_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        yield session


async def subjects(session: Session, stream: str) -> list[str]:
    return sorted((await stream_info(session, stream))["config"]["subjects"])


@pytest.mark.parametrize(
    ("pattern", "subject", "taken"),
    [
        ("a.>", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*.c", "a.b.c", True),
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        (">", "a", True),
        ("a.>", "a.b.>", True),
        ("a.>", "a.>", True),
        ("a.b.>", "a.>", False),
        ("a.b", "a.>", False),
        ("a.*", "a.>", False),
    ],
)
def test_a_pattern_takes_a_subject_as_nats_says(pattern: str, subject: str, taken: bool) -> None:
    assert matches(pattern, subject) is taken


async def test_a_missing_stream_is_made_with_everything_shipping_needs(session: Session) -> None:
    """Atomic batches, direct gets, per-message TTL, 90 days, and our mark."""
    stream = await ensure_stream(session, DEFAULT, WIDE)
    assert stream is not None
    assert (stream.name, stream.subjects) == ("openclaw-events", ["openclaw.events.>"])
    assert (stream.ours, stream.atomic, stream.ttl) == (True, True, True)
    assert stream.config["max_age"] == 90 * 86400 * 10**9
    assert stream.config["allow_direct"]
    assert (stream.config["storage"], stream.config["retention"]) == ("file", "limits")
    assert stream.duplicate_window == 120.0


async def test_a_duplicate_window_longer_than_the_age_is_shortened_to_it(session: Session) -> None:
    """JetStream refuses it otherwise."""
    short = replace(DEFAULT, settings=StreamSettings(max_age=60.0))
    stream = await ensure_stream(session, short, WIDE)
    assert stream is not None
    assert stream.duplicate_window == 60.0


async def test_a_stream_of_ours_follows_the_configuration(session: Session) -> None:
    await ensure_stream(session, DEFAULT, WIDE)
    week = replace(DEFAULT, settings=StreamSettings(max_age=7 * 86400.0))
    stream = await ensure_stream(session, week, WIDE)
    assert stream is not None
    assert stream.config["max_age"] == 7 * 86400 * 10**9


async def test_a_stream_of_somebody_else_is_never_changed(session: Session) -> None:
    """It is used as it is, and what is missing is said."""
    made = {"name": "openclaw-events", "subjects": ["openclaw.events.>"], "max_age": 3600 * 10**9}
    await session.api("STREAM.CREATE.openclaw-events", made)
    before = (await stream_info(session, "openclaw-events"))["config"]
    stream = await ensure_stream(session, DEFAULT, WIDE)
    assert stream is not None
    assert not stream.ours
    assert not stream.atomic
    assert (await stream_info(session, "openclaw-events"))["config"] == before
    assert [word for note in stream.notes for word in ("batches", "TTL", "days") if word in note] == [
        "batches", "TTL", "days",
    ]  # fmt: skip


async def test_manage_stream_lets_us_change_it(session: Session) -> None:
    made = {"name": "openclaw-events", "subjects": ["openclaw.events.>"], "description": "kept"}
    await session.api("STREAM.CREATE.openclaw-events", made)
    managed = replace(DEFAULT, settings=StreamSettings(manage=True))
    stream = await ensure_stream(session, managed, WIDE)
    assert stream is not None
    assert (stream.atomic, stream.ttl) == (True, True)
    assert stream.config["description"] == "kept"


async def test_a_stream_of_somebody_else_without_our_subjects_is_named_with_the_remedy(
    session: Session,
) -> None:
    await session.api("STREAM.CREATE.openclaw-events", {"name": "openclaw-events", "subjects": ["other.>"]})
    with pytest.raises(StreamUnfit, match=r"does not take openclaw\.events\.main\.>") as caught:
        await ensure_stream(session, DEFAULT, replace(WIDE, needed=("openclaw.events.main.>",)))
    assert "manageStream" in caught.value.hint


async def test_what_a_stream_of_somebody_else_that_lists_agents_does_not_take_is_refused(
    session: Session,
) -> None:
    """The agents that it lists are not held up by one that it does not."""
    made = {"name": "openclaw-events", "subjects": ["openclaw.events.main.>"]}
    await session.api("STREAM.CREATE.openclaw-events", made)
    both = ("openclaw.events.main.>", "openclaw.events.tim.>")
    stream = await ensure_stream(session, DEFAULT, replace(WIDE, needed=both))
    assert stream is not None
    assert [bool(stream.refusal(f"openclaw.events.{agent}.x")) for agent in ("main", "tim", "ann")] == [
        False,
        True,
        False,
    ]
    assert await subjects(session, "openclaw-events") == ["openclaw.events.main.>"]


async def test_a_narrow_stream_is_made_with_its_first_agent_and_grows(session: Session) -> None:
    narrow = replace(WIDE, narrow=True)
    assert await ensure_stream(session, DEFAULT, narrow) is None
    with pytest.raises(ApiError) as caught:
        await stream_info(session, "openclaw-events")
    assert caught.value.err_code == STREAM_NOT_FOUND
    await ensure_stream(session, DEFAULT, replace(narrow, needed=("openclaw.events.main.>",)))
    await ensure_stream(session, DEFAULT, replace(narrow, needed=("openclaw.events.tim.>",)))
    assert await subjects(session, "openclaw-events") == ["openclaw.events.main.>", "openclaw.events.tim.>"]


@pytest.mark.parametrize("order", ["default first", "agent first"])
async def test_the_overlapping_full_options_come_to_work_in_either_order(
    session: Session, order: str
) -> None:
    """The document's "Full Options" in one account: both streams exist, and none takes the other's events."""
    main = replace(WIDE, needed=("openclaw.events.main.>",), narrow=True)
    steps = [(DEFAULT, main), (OWN, BELOW)]
    for route, wanted in steps if order == "default first" else reversed(steps):
        stream = await ensure_stream(session, route, wanted)
        assert stream is not None
        assert stream.name == route.stream
    assert await subjects(session, "openclaw-events") == ["openclaw.events.main.>"]
    assert await subjects(session, "events-my-agent") == ["openclaw.events.my-agent.>"]


async def test_a_wide_stream_of_ours_makes_room_and_keeps_its_agents(session: Session) -> None:
    await ensure_stream(session, DEFAULT, WIDE)
    for agent in ("main", "tim", "my-agent"):
        await session.request(f"openclaw.events.{agent}.lifecycle_start", b"{}")
    stream = await ensure_stream(session, OWN, BELOW)
    assert stream is not None
    assert stream.name == "events-my-agent"
    assert await subjects(session, "openclaw-events") == ["openclaw.events.main.>", "openclaw.events.tim.>"]


async def test_an_empty_wide_stream_of_ours_makes_room_too(session: Session) -> None:
    await ensure_stream(session, DEFAULT, WIDE)
    await ensure_stream(session, OWN, BELOW)
    assert await subjects(session, "events-my-agent") == ["openclaw.events.my-agent.>"]
    assert "openclaw.events.>" not in await subjects(session, "openclaw-events")


async def test_a_default_that_is_not_known_to_overlap_lists_agents_when_it_meets_another_stream(
    session: Session,
) -> None:
    """Left-over streams below the prefix, which no configuration mentions any more."""
    await session.api("STREAM.CREATE.old", {"name": "old", "subjects": ["openclaw.events.old.>"]})
    stream = await ensure_stream(session, DEFAULT, replace(WIDE, needed=("openclaw.events.main.>",)))
    assert stream is not None
    assert stream.subjects == ["openclaw.events.main.>"]


async def test_below_a_wide_stream_of_somebody_else_the_events_stay_in_it(session: Session) -> None:
    await session.api("STREAM.CREATE.theirs", {"name": "theirs", "subjects": ["openclaw.events.>"]})
    stream = await ensure_stream(session, OWN, BELOW)
    assert stream is not None
    assert (stream.name, stream.changeable) == ("theirs", False)
    assert "go to stream theirs" in stream.notes[0]
