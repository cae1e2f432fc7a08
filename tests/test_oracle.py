"""The oracle of the fault tests sees each kind of fault, and nothing where there is none."""

import json

import pytest

from support.jetstream import Stored
from support.oracle import Findings, check, examine


def stored(*ids: str) -> list[Stored]:
    """Messages of the agent that each id begins with, in stream order."""
    bodies = [json.dumps({"id": i, "agent": i.partition("-")[0]}).encode() for i in ids]
    return [Stored(seq, "s", "", {}, body) for seq, body in enumerate(bodies, start=1)]


ACKED = {"a": ["a-1", "a-2", "a-3"], "b": ["b-1"]}


def test_each_once_and_in_order_per_agent_is_fine() -> None:
    """The order between agents is free."""
    check(ACKED, stored("a-1", "b-1", "a-2", "a-3"))


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (["a-1", "a-3", "b-1"], Findings(missing=["a-2"])),
        (["a-1", "a-2", "a-3", "a-1", "b-1"], Findings(repeated=["a-1"])),
        (["a-1", "a-3", "a-2", "b-1"], Findings(disordered=["a-2"])),
        (["a-1", "a-2", "a-3", "a-4", "b-1"], Findings(strange=["a-4"])),
        (["c-1", "a-1", "a-2", "a-3", "b-1"], Findings(strange=["c-1"])),
    ],
)
def test_each_kind_of_fault_is_seen(ids: list[str], found: Findings) -> None:
    assert examine(ACKED, stored(*ids)) == found
    with pytest.raises(AssertionError, match="1 "):
        check(ACKED, stored(*ids))


def test_an_event_whose_ack_was_lost_may_be_there_once() -> None:
    """Where an agent gave up before it knew."""
    check(ACKED, stored("a-1", "a-2", "a-3", "b-1", "b-2"), also_allowed=True)
    assert examine(ACKED, stored("a-1", "a-2", "a-3", "b-1", "b-2", "b-2"), also_allowed=True).repeated == [
        "b-2"
    ]
