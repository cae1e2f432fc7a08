"""Tombstones: the events that are left of events which were forgotten. Ids and places, never content.

A tombstone is an event of the same agent. It keeps what it names from coming back: into the outbox, into the
index, and into the stream.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

RESERVED = "eventd."
"""What the types of events begin with that only eventd itself writes."""

TOMBSTONE = "eventd.tombstone"
STUB = "eventd.forgotten"
"""Type of what takes the place of a forgotten event that is not in its stream yet."""


_NUMBERS = range(2**63)
"""What databases take."""


class Forgotten(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tombstone names: an id, a place, or an id with one of its places.

    Attributes:
        id: Within the agent; "" for an event of another writer that has none.
        stream: Where it stands; "" where that is not known.
        seq: Its sequence there; 0 where that is not known.
        time: When the stream took it, Unix ms: tells an event without `Nats-Msg-Id` from another one at its
            place. 0 where that is not known.
    """

    id: str = ""
    stream: str = ""
    seq: int = 0
    time: int = 0

    @property
    def named(self) -> bool:
        """Whether it names anything that there can be."""
        return bool(self.id or (self.stream and self.seq)) and self.seq in _NUMBERS and self.time in _NUMBERS


class _Payload(msgspec.Struct):
    forgotten: list[Forgotten]


class _Event(msgspec.Struct):
    payload: _Payload


_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


def payload(forgotten: Iterable[Forgotten]) -> dict[str, Any]:
    """Return the payload of a tombstone."""
    return {"forgotten": [msgspec.to_builtins(one) for one in forgotten]}


def forgotten_in(body: bytes) -> list[Forgotten]:
    """Return what the stored JSON of a tombstone names; nothing where it is none of eventd's."""
    try:
        return [one for one in _decode(body).payload.forgotten if one.named]
    except (ValueError, RecursionError):
        return []


def stub(agent: str, event_id: str) -> bytes:
    """Return the JSON that takes the place of a forgotten event."""
    return _encode({"id": event_id, "agent": agent, "type": STUB})
