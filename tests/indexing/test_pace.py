"""How long the index rests, so that accepting goes first."""

import time

import pytest

from eventd.indexing.pace import SATURATED, SHARE, Pace


class Clocks:
    """The wall's and the process's clock, which the test moves."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall = self.cpu = 100.0
        patch.setattr(time, "monotonic", lambda: self.wall)
        patch.setattr(time, "process_time", lambda: self.cpu)

    def go(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_while_the_rest_is_idle_it_does_not_rest(clocks: Clocks) -> None:
    """Its own CPU does not count: it may use all that is left."""
    pace = Pace()
    clocks.go(wall=1.0, cpu=1.0)
    assert pace.rest(0.5, own=0.9) == 0.0
    clocks.go(wall=1.0, cpu=SATURATED)
    assert pace.rest(0.5, own=0.9) == 0.0


def test_while_accepting_is_at_its_limit_it_takes_its_share(clocks: Clocks) -> None:
    pace = Pace()
    clocks.go(wall=1.0, cpu=1.0)
    assert pace.rest(0.01, own=0.1) == pytest.approx(0.01 * (SHARE - 1))


def test_each_look_is_about_the_time_since_the_last_one(clocks: Clocks) -> None:
    """A busy past does not slow it down."""
    pace = Pace()
    clocks.go(wall=100.0, cpu=100.0)
    assert pace.rest(0.01, own=0.0) > 0
    clocks.go(wall=1.0, cpu=0.1)
    assert pace.rest(0.01, own=0.0) == 0.0
    clocks.go(wall=1.0, cpu=1.0)
    assert pace.rest(0.01, own=0.0) > 0


def test_no_time_at_all_is_no_load(clocks: Clocks) -> None:
    assert Pace().rest(0.01, own=0.0) == 0.0
