"""Whose a stored message is, by where it came from and by what it says."""

import json
from typing import Any

import pytest

from eventd.events.attribution import NOBODYS, Origin, attribute, is_answer
from eventd.events.normal import normalise

ANN = Origin("ann")


def whose(origin: Origin, event: Any) -> tuple[str, bool]:
    """The agent, and whether the message counts as an event."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    agent, found = attribute(origin, body, normalise(body))
    return agent, found is not None


def claiming(agent: str = "", session: str = "") -> dict[str, Any]:
    return {"type": "x", "agent": agent, "session": session}


@pytest.mark.parametrize(
    ("agent", "session", "counts"),
    [("ann", "", True), ("", "", True), ("", "agent:bob:x", True), ("bob", "", False),
     ("agent", "agent:ann:x", False)],
)  # fmt: skip
def test_the_subject_decides(agent: str, session: str, counts: bool) -> None:
    """Its session says nothing against it; a body that claims somebody else is kept as it is."""
    assert whose(ANN, claiming(agent, session)) == ("ann", counts)
    assert whose(NOBODYS, claiming(agent, session)) == ("", False)
    assert whose(ANN, b"no event") == ("ann", False)
    assert whose(NOBODYS, b"no event") == ("", False)


@pytest.mark.parametrize(
    ("agent", "session", "author", "counts"),
    [
        ("agent", "agent:ann:x", "ann", True),
        ("", "agent:ann:x", "ann", True),
        ("ann", "agent:ann:x", "ann", True),
        ("main", "main", "main", True),
        ("agent", "", "agent", True),
        ("agent", "0192f3c1", "agent", True),
        ("", "", "agent", True),
        ("bob", "agent:ann:x", "agent", False),
        ("bob", "", "agent", False),
        # Names that nobody could ask for are no names.
        ("agent", "agent:*:x", "agent", True),
        ("*", "agent:*:x", "agent", False),
        ("agent", f"agent:{'x' * 65}:x", "agent", True),
        ("agent", "agent: ann:x", "agent", True),
        ("agent", "agent:\0:x", "agent", True),
    ],
)
def test_under_the_one_token_of_older_writers_the_session_names_the_agent(
    agent: str, session: str, author: str, counts: bool
) -> None:
    """Only where the message may be an older writer's; an agent of that name writes as itself."""
    assert whose(Origin("agent", by_session=True), claiming(agent, session)) == (author, counts)
    assert whose(Origin("agent"), claiming(agent, session)) == ("agent", agent in ("", "agent"))


@pytest.mark.parametrize(
    "answer",
    [
        {"stream": "events-bob", "seq": 7},
        {"stream": "events-bob", "seq": 7, "domain": "hub", "duplicate": True},
        {"stream": "events-bob", "seq": 7, "batch": "b", "count": 3},
        {
            "error": {"code": 400, "err_code": 10060, "description": "no"},
            "stream": "s",
            "seq": 0,
        },
        {"type": "io.nats.jetstream.api.v1.stream_info_response", "total": 0},
        {"type": "io.nats.jetstream.advisory.v1.api_audit", "id": "x"},
    ],
)
def test_answers_of_nats_are_nobodys(answer: dict[str, Any]) -> None:
    """Whoever may ask the server for something may have it put the answer under any subject."""
    body = json.dumps(answer).encode()
    assert is_answer(body, normalise(body))
    assert whose(ANN, answer) == ("", False)
    assert whose(Origin("agent", by_session=True), answer) == ("", False)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "msg.out", "stream": "s", "seq": 7},
        {"stream": "s", "seq": 7, "text": "x"},
        {"stream": 7, "seq": 7},
        {"stream": "s", "seq": True},
        {"type": "io.natsy"},
        b'"stream""seq"',
        b'["stream", "seq"]',
        b'{"stream":' * 5000 + b'"seq"',
        b"",
    ],
)
def test_other_bodies_are_no_answers(other: Any) -> None:
    """Whatever they hold, and in whatever shape."""
    assert whose(ANN, other)[0] == "ann"
