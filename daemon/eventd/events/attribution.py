"""Whose a stored message is: the one place that decides it, for the index and for who reads a stream itself.

The stream and the subject decide, because the server's permissions are about them; they make the `Origin`.
The body can only take away: what claims another agent, or is no event but an answer of NATS that somebody has
let the server store, does not count as that agent's.
"""

from typing import NamedTuple

import msgspec

from eventd_ipc.strict import agent_fault

from .identity import agent_of_session
from .normal import Normal

UPSTREAM_AGENT = "agent"
"""Token under which older writers put all agents: they took the first part of `agent:<id>:…`."""

ANSWER_TYPES = "io.nats."
"""What the types of NATS's own messages begin with, as `io.nats.jetstream.api.v1.stream_info_response`."""

ACK_KEYS = frozenset({"stream", "seq", "domain", "duplicate", "batch", "count", "val", "error"})
"""All that a publish ack can hold."""

_decode = msgspec.json.Decoder(dict[str, object]).decode


class Origin(NamedTuple):
    """What the place of a message says about whose it is, before anybody looks into its body.

    Attributes:
        agent: "" where it can be nobody's.
        by_session: Whether it may be an older writer's, whose agents all have one token: the session tells.
    """

    agent: str
    by_session: bool = False


NOBODYS = Origin("")


def attribute(origin: Origin, body: bytes, event: Normal | None) -> tuple[str, Normal | None]:
    """Return whose a message is, "" for nobody's, and the event in it as far as it is believed.

    Args:
        event: The normal form of the body; None where it is no event.
    """
    owner = origin.agent
    if not owner or is_answer(body, event):
        return "", None
    if event is None:
        return owner, None
    if origin.by_session:
        named = agent_of_session(event.session) if event.session else None
        if named is not None and agent_fault(named) is not None:
            named = None  # nobody could ask for it
        if event.agent in ("", owner, named):
            return named or owner, event
    return owner, event if event.agent in ("", owner) else None


def is_answer(body: bytes, event: Normal | None) -> bool:
    """Whether a body is what NATS itself answers: of the JetStream API, or a publish ack."""
    if event is not None:
        return event.type.startswith(ANSWER_TYPES)
    if b'"seq"' not in body or b'"stream"' not in body:
        return False
    try:
        ack = _decode(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(ack.get("stream"), str) and type(ack.get("seq")) is int and ack.keys() <= ACK_KEYS
