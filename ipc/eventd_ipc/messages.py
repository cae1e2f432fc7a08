"""The messages of the socket protocol, one Struct each; `op` on the wire names the Struct.

Unknown keys are ignored in both directions: that is how the protocol grows without a new number.
`PROTOCOL.md` describes when each message is sent and what the other side does.
"""

from typing import Annotated, Any, Literal

import msgspec

from .events import Event

PROTOCOL = 1
"""Version that hello and welcome carry; it changes only when an old client would misunderstand."""

MAX_EVENTS = 65_536
"""Events of an emit that any server takes at the most; what one allows is in its `limits`."""


class Limits(msgspec.Struct, rename="camel", frozen=True):
    """What the server accepts on this connection; sizes in bytes."""

    max_frame: int
    max_event: int
    """Largest event, as the JSON that is stored."""
    max_events: int
    """Most events in one emit."""
    max_in_flight: int
    """Bytes of emits without an ack after which the server stops reading this connection."""


# Requests: client to server.


class Hello(msgspec.Struct, tag="hello", tag_field="op", omit_defaults=True):
    """First message of every connection."""

    protocol: int
    agent: str
    client: str = ""
    token: str | None = None


class Emit(msgspec.Struct, tag="emit", tag_field="op"):
    """Store these events, all or none. `events` stay undecoded so that a bad one can be named."""

    id: int
    events: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EVENTS)]


class Get(msgspec.Struct, tag="get", tag_field="op", omit_defaults=True):
    """Fetch one stored event, by its id or by its sequence in a stream."""

    id: int
    event: str | None = None
    seq: int | None = None
    stream: str | None = None
    agent: str | None = None


class Tail(msgspec.Struct, tag="tail", tag_field="op", omit_defaults=True):
    """Send stored events in stream order, and new ones too with `follow`.

    Attributes:
        last: Begin this many events before the end.
        since: Begin at this Unix time in milliseconds.
        credit: How many `event` messages the server may send before it needs more credit.
    """

    id: int
    last: int | None = None
    since: int | None = None
    follow: bool = False
    stream: str | None = None
    agent: str | None = None
    credit: int = 256


class Credit(msgspec.Struct, tag="credit", tag_field="op"):
    """Allow `n` more `event` messages of the request `id`. Has no reply."""

    id: int
    n: int


class Cancel(msgspec.Struct, tag="cancel", tag_field="op"):
    """End the stream of `event` messages of the request `id`; the server answers it with `end`."""

    id: int


class Status(msgspec.Struct, tag="status", tag_field="op"):
    """Ask how the daemon is; answered with `result`."""

    id: int


class DeadLetters(msgspec.Struct, tag="deadletter", tag_field="op", omit_defaults=True):
    """List, retry or drop rows that could never be published; answered with `result`.

    Attributes:
        numbers: Dead letters to act on, by their outbox number; all of them when empty and `all` is set.
    """

    id: int
    action: Literal["list", "retry", "drop"] = "list"
    numbers: list[int] = []
    all: bool = False
    after: int = 0
    limit: int = 100


class Ping(msgspec.Struct, tag="ping", tag_field="op"):
    """Ask for a `pong`."""

    id: int


Request = Hello | Emit | Get | Tail | Credit | Cancel | Status | DeadLetters | Ping


# Replies: server to client.


class Welcome(msgspec.Struct, tag="welcome", tag_field="op"):
    """Answer to hello: the connection may be used."""

    protocol: int
    server: str
    limits: Limits
    agent: str
    can: list[str]
    """Names of the requests that this server answers."""


class Ack(msgspec.Struct, tag="ack", tag_field="op"):
    """The events of emit `id` are on disk; `ids` are theirs, in order."""

    id: int
    ids: list[str]


class Error(msgspec.Struct, tag="error", tag_field="op", omit_defaults=True):
    """Request `id` was refused (no `id`: the connection was).

    Attributes:
        code: One of `eventd_ipc.errors.CODES`.
        message: What happened, for a person.
        retryable: Whether the same request may succeed later, unchanged.
        hint: What to do about it.
        index: Which event of an emit spoiled it, from 0.
        retry_after_ms: Wait at least this long before the next try.
    """

    code: str
    message: str
    retryable: bool = False
    hint: str = ""
    id: int | None = None
    index: int | None = None
    retry_after_ms: int | None = msgspec.field(default=None, name="retryAfterMs")


class StoredEvent(msgspec.Struct, tag="event", tag_field="op", omit_defaults=True):
    """One stored event; answers `get`, and `tail` many times.

    Attributes:
        body: The stored JSON, byte for byte.
        time: When the stream took it, Unix milliseconds.
    """

    id: int
    stream: str
    seq: int
    subject: str
    time: int
    body: bytes


class End(msgspec.Struct, tag="end", tag_field="op", omit_defaults=True):
    """No more `event` messages for request `id`."""

    id: int
    cancelled: bool = False


class Result(msgspec.Struct, tag="result", tag_field="op"):
    """Answer that is a plain document."""

    id: int
    data: Any


class Pong(msgspec.Struct, tag="pong", tag_field="op"):
    """Answer to ping."""

    id: int


Reply = Welcome | Ack | Error | StoredEvent | End | Result | Pong


class Envelope(msgspec.Struct):
    """The two keys that tell what a message is even when the rest of it cannot be understood."""

    op: str
    id: int | None = None


__all__ = [
    "PROTOCOL", "Ack", "Cancel", "Credit", "DeadLetters", "Emit", "End", "Envelope", "Error", "Event",
    "Get", "Hello", "Limits", "Ping", "Pong", "Reply", "Request", "Result", "Status", "StoredEvent",
    "Tail", "Welcome",
]  # fmt: skip
