"""Events that say which others were forgotten: those must not come back, also from a backup of before."""

import msgspec

from ..transfer.record import Record

SUFFIX = ".eventd_tombstone"
"""Ends the subject of a tombstone."""


class _Gone(msgspec.Struct):
    id: str


class _Payload(msgspec.Struct):
    forgotten: list[_Gone]


class _Tombstone(msgspec.Struct):
    payload: _Payload


_decode = msgspec.json.Decoder(_Tombstone).decode


def forgotten_by(record: Record) -> set[str]:
    """Return the `Nats-Msg-Id`s that a message says are forgotten; none for any other message."""
    if not record.subject.endswith(SUFFIX):
        return set()
    agent = record.message_id.partition(":")[0]
    try:
        return {f"{agent}:{gone.id}" for gone in _decode(record.stored).payload.forgotten}
    except ValueError:
        return set()
