"""Events that come with their bytes, as another stream has held them: what is checked, and where they go."""

import re
from functools import lru_cache

import msgspec

from eventd_ipc.errors import MalformedEvent
from eventd_ipc.messages import RawEvent
from eventd_ipc.strict import agent_fault, id_fault

from ..events.attribution import UPSTREAM_AGENT, Origin, attribute
from ..events.normal import normalise
from ..subjects import agent_of, agent_prefix

CACHED_SUBJECTS = 8192
MAX_SUBJECT = 1024  # characters; those of our own have at most about 700

_is_subject = re.compile(r"[^\s.*>\x00-\x20\x7f]+(?:\.[^\s.*>\x00-\x20\x7f]+)*").fullmatch
_decode = msgspec.msgpack.Decoder(RawEvent).decode


def decode_raw(raw: msgspec.Raw) -> RawEvent:
    """Return an event of a put. Its body may be anything.

    Raises:
        MalformedEvent: It has no agent, id and subject that can be meant.
    """
    try:
        event = _decode(raw)
    except (ValueError, RecursionError) as error:
        reason, _, path = str(error).partition(" - at ")
        raise MalformedEvent(path.strip("`") or "$", reason) from error
    if (fault := agent_fault(event.agent)) is not None:
        raise MalformedEvent("$.agent", fault)
    if (fault := id_fault(event.id)) is not None:
        raise MalformedEvent("$.id", fault)
    if len(event.subject) > MAX_SUBJECT or not _is_subject(event.subject):
        raise MalformedEvent("$.subject", "it is no subject that a message can have")
    return event


def subject_for(prefix: str, event: RawEvent) -> str:
    """Return the subject under which an event goes into a stream.

    It keeps its own where that is one of the agent's there. Older writers put all agents under one token; who
    reads these streams takes the agent from the session, so such a subject stays, too, where that gives the
    same one. Any other one belongs to another stream, or agent; of it the last token is kept, which is the
    type.

    Args:
        prefix: That of the route.
    """
    owner = _agent_of(prefix, event.subject)
    if owner == event.agent or (owner == UPSTREAM_AGENT and _read_as(event.body) == event.agent):
        return event.subject
    return f"{agent_prefix(prefix, event.agent)}.{event.subject.rpartition('.')[2]}"


def _read_as(body: bytes) -> str:
    """Return whose a body is under the token of older writers."""
    return attribute(Origin(UPSTREAM_AGENT, by_session=True), body, normalise(body))[0]


_agent_of = lru_cache(CACHED_SUBJECTS)(agent_of)
