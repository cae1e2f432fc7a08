"""The event: what agents hand over and what ends up, as JSON, in the stream.

The schema is the one of OpenClaw's event-store document. An agent may leave out everything but
`type`; the daemon stamps the rest (see `eventd.ingest.admission`).
"""

from typing import Any, Literal

import msgspec

Visibility = Literal["internal", "public", "confidential", "secret"]


class Event(msgspec.Struct, omit_defaults=True):
    """One event as an agent sends it.

    Attributes:
        type: Dotted lower-case name, e.g. `conversation.message.out`.
        id: Unique within the agent; a UUIDv7 is stamped when absent.
        timestamp: Unix milliseconds; the daemon's clock is stamped when absent.
        agent: Who acts; taken from `session`, then from hello, when absent.
        session: Session key, e.g. `agent:main:main`.
        visibility: `internal` when absent.
        payload: What happened. Anything that JSON can hold.
        meta: What is known about it (run, sequence in the run, model, channel, source).
    """

    type: str
    id: str | None = None
    timestamp: int | None = None
    agent: str | None = None
    session: str | None = None
    visibility: Visibility | None = None
    payload: dict[str, Any] = {}
    meta: dict[str, Any] = {}
