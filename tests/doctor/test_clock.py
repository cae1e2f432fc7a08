"""Clocks: what counts is by how much they differ for sure."""

import pytest

from eventd.doctor.clock import Skew, clock_finding, future_finding, skew_of
from eventd.doctor.model import Level
from eventd_ipc.messages import StoredEvent

NOW = 1_790_000_000.0
AT = "2026-09-21T14:13:20.000000000Z"  # NOW


def test_the_servers_time_is_taken_as_that_of_the_middle() -> None:
    """The way there and the way back are doubt, not skew."""
    assert skew_of({"ts": AT}, NOW - 1, NOW + 1) == Skew(0.0, 1.0)
    assert skew_of({"ts": AT}, NOW - 60, NOW - 60) == Skew(60.0, 0.0)
    assert skew_of({}, NOW, NOW) is None
    assert skew_of({"ts": "soon"}, NOW, NOW) is None


@pytest.mark.parametrize(
    ("skew", "level"),
    [
        (Skew(0.01, 0.0), Level.OK),
        (Skew(-1.9, 0.0), Level.OK),
        (Skew(5.0, 4.0), Level.OK),  # it may all be the way
        (Skew(5.0, 0.1), Level.WARNING),
        (Skew(-5.0, 0.1), Level.WARNING),
        (Skew(3600.0, 0.1), Level.PROBLEM),
    ],
)
def test_a_clock_that_is_wrong(skew: Skew, level: Level) -> None:
    """Above two seconds it is told, and in which direction."""
    found = clock_finding(skew, "default")
    assert found.level is level
    if level > Level.OK:
        assert ("ahead of" if skew.seconds > 0 else "behind") in found.found


def test_a_server_that_does_not_tell_its_time() -> None:
    """Nothing is guessed."""
    assert not clock_finding(None, "default").made


def event(at: int, writer: str = "ann") -> StoredEvent:
    body = b'{"type":"note","agent":"%s","timestamp":%d}' % (writer.encode(), at)
    return StoredEvent(1, "s", 1, "openclaw.events.ann.note", 0, body)


def test_events_from_the_future_name_their_writer() -> None:
    """The one that is the furthest ahead; a moment is nothing."""
    now = int(NOW * 1000)
    assert future_finding([], now).level is Level.OK
    assert future_finding([event(now + 500)], now).level is Level.OK
    found = future_finding([event(now + 5000), event(now + 7_200_000, "eve")], now)
    assert (found.level, "of eve is 2 h in the future" in found.found) == (Level.WARNING, True), found
