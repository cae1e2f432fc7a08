"""How long the index rests, so that accepting goes first."""

import pytest

from eventd.indexing.pace import CROWDED, SHARE, Pace


def test_while_agents_get_their_acks_it_does_not_rest() -> None:
    """A few emits are always on their way to the disk."""
    assert Pace(lambda: CROWDED - 1).rest(0.5) == 0.0
    assert Pace().rest(0.5) == 0.0


def test_while_emits_pile_up_it_takes_its_share() -> None:
    """It never stops: what is accepted is read some time."""
    rest = Pace(lambda: CROWDED).rest(0.01)
    assert 0.01 / (0.01 + rest) == pytest.approx(1 / SHARE)


def test_each_look_is_a_new_one() -> None:
    """It goes on at full speed as soon as agents do."""
    waiting = [CROWDED]
    pace = Pace(lambda: waiting[0])
    assert pace.rest(0.01) > 0
    waiting[0] = 0
    assert pace.rest(0.01) == 0.0
