"""Session keys and the agents that they name."""

import pytest

from eventd.events.identity import agent_of_session


@pytest.mark.parametrize(
    ("session", "agent"),
    [
        ("agent:main:main", "main"),
        ("agent:my-agent:telegram:group:7", "my-agent"),
        ("agent:solo", "solo"),
        ("main:matrix:room", "main"),
        ("helper:", "helper"),
        ("main", "main"),
        # Keys that say which session it is, not whose.
        ("", None),
        ("0192f3c1-7c5a-7000-8000-123456789abc", None),
        ("mainly", None),
        ("agent", None),
        ("agent:", None),
        ("agent::main", None),
        (":main", None),
    ],
)
def test_agent_of_session(session: str, agent: str | None) -> None:
    """`agent:<id>:…` is `<id>` and never "agent"; otherwise what stands before the first colon."""
    assert agent_of_session(session) == agent
