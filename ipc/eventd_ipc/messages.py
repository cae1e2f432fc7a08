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

MAX_KNOWN = 1000
"""Ids that one `known` may ask about."""


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

    def __repr__(self) -> str:  # without the token: programs print what they hold when they fail
        return f"Hello(protocol={self.protocol}, agent={self.agent!r}, client={self.client!r})"


class Emit(msgspec.Struct, tag="emit", tag_field="op"):
    """Store these events, all or none. `events` stay undecoded so that a bad one can be named."""

    id: int
    events: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EVENTS)]


class RawEvent(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """An event as a stream holds it, which `put` stores again.

    Attributes:
        subject: Its subject in the stream that it comes from.
        body: Its bytes, which stay as they are.
        never_expires: Whether it outlives the age limit of its stream.
    """

    agent: str
    id: str
    subject: str
    body: bytes
    never_expires: bool = False


class Put(msgspec.Struct, tag="put", tag_field="op"):
    """Store these events as they are, all or none; each is a `RawEvent`, undecoded as in `Emit`."""

    id: int
    events: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EVENTS)]


class Known(msgspec.Struct, tag="known", tag_field="op"):
    """Ask which ids of an agent are taken already; answered with `result`."""

    id: int
    agent: str
    ids: Annotated[list[str], msgspec.Meta(max_length=MAX_KNOWN)]


class Get(msgspec.Struct, tag="get", tag_field="op", omit_defaults=True):
    """Fetch one stored event, by its id or by its sequence in a stream."""

    id: int
    event: str | None = None
    seq: int | None = None
    stream: str | None = None
    agent: str | None = None


class Tail(msgspec.Struct, tag="tail", tag_field="op", omit_defaults=True):
    """Send the last events in the order in which they came, and new ones too with `follow`.

    Attributes:
        last: Begin this many events before the end.
        since: Begin with the first event that was stored at this Unix time in milliseconds or later.
        stream: Read this stream of JetStream itself, in its order, rather than the index.
        credit: How many `event` messages the server may send before it needs more credit.
    """

    id: int
    last: int | None = None
    since: int | None = None
    follow: bool = False
    stream: str | None = None
    agent: str | None = None
    credit: int = 256
    session: str | None = None
    types: list[str] = []
    visibility: list[str] = []
    run: str | None = None
    text: str | None = None


class Query(msgspec.Struct, tag="query", tag_field="op", omit_defaults=True):
    """Send the events that meet all conditions; answered with `event`s, then `end` with a cursor.

    Attributes:
        agent: Only events of this agent; `*` for those of all agents. When absent: all that the agent of
            hello may read.
        session: A session key; one that ends in `*` stands for all that begin so.
        types: Names of types; `conversation.*` stands for all below it.
        since: Not before this Unix time in milliseconds, by the event's own time.
        until: Before this Unix time in milliseconds.
        text: All of these words are in the event.
        order: Which events come first.
        limit: Most events; without it all of them.
        cursor: Go on where the `end` with this cursor ended.
    """

    id: int
    agent: str | None = None
    session: str | None = None
    types: list[str] = []
    visibility: list[str] = []
    since: int | None = None
    until: int | None = None
    run: str | None = None
    text: str | None = None
    stream: str | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: int | None = None
    cursor: str | None = None
    credit: int = 256


class Replay(msgspec.Struct, tag="replay", tag_field="op", omit_defaults=True):
    """Send the events of a stream in its order, as fast as possible or at the speed of back then.

    Attributes:
        first: Begin at this sequence.
        last: End with this sequence; without an end it goes to the event that is the newest now.
        since: Begin at this Unix time in milliseconds, by the time of the stream.
        until: End before this Unix time in milliseconds.
        speed: How many times faster than they were stored; without it as fast as possible.
        to: A NATS subject to which the events are published as well; it must be of no stream of eventd.
        headers: Whether each event comes with the headers of its message, and with whose it is. Only
            JetStream has them.
        route: Of several accounts that have the stream, that of this agent's route; the agent's when absent.
    """

    id: int
    stream: str | None = None
    agent: str | None = None
    first: int | None = None
    last: int | None = None
    since: int | None = None
    until: int | None = None
    session: str | None = None
    types: list[str] = []
    visibility: list[str] = []
    run: str | None = None
    speed: float | None = None
    to: str | None = None
    credit: int = 256
    headers: bool = False
    route: str | None = None


class Recall(msgspec.Struct, tag="recall", tag_field="op", omit_defaults=True):
    """Find what was said and done by its words; answered with `result`.

    Attributes:
        text: What is looked for, in any words.
        agent: Who remembers: its own events and public ones of others; when absent the agent of hello.
        around: How many events of the session before and after each hit are shown with it.
    """

    id: int
    text: str
    agent: str | None = None
    session: str | None = None
    types: list[str] = []
    since: int | None = None
    until: int | None = None
    limit: int = 10
    around: int = 0


class Context(msgspec.Struct, tag="context", tag_field="op", omit_defaults=True):
    """Ask for the block that goes into an agent's system prompt; answered with `result`.

    Attributes:
        agent: Who remembers; when absent the agent of hello.
        session: The session that begins; its own start is left out of the block.
        query: What it is about, say the first message: passages that matter are recalled.
        budget: Most characters of the block.
        hours: How far recent events are looked back for, from the newest one.
        events: Most recent events that are looked at.
        tools: Whether tool calls and their results are shown.
    """

    id: int
    agent: str | None = None
    session: str | None = None
    query: str | None = None
    budget: int | None = None
    hours: float | None = None
    events: int | None = None
    tools: bool | None = None


class Index(msgspec.Struct, tag="index", tag_field="op", omit_defaults=True):
    """Ask about the index, or have it built anew; answered with `result`."""

    id: int
    action: Literal["status", "rebuild"] = "status"


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


class Metrics(msgspec.Struct, tag="metrics", tag_field="op"):
    """Ask for the daemon's metrics in the text format of Prometheus; answered with `result`."""

    id: int


class Reload(msgspec.Struct, tag="reload", tag_field="op"):
    """Let the daemon load its configuration anew; answered with `result`, also where it cannot be used."""

    id: int


class Reroute(msgspec.Struct, tag="reroute", tag_field="op", omit_defaults=True):
    """Move what a route has left, that is not configured any more, to where its agents' events go now.

    Answered with `result`.

    Attributes:
        route: Its name, as status shows it.
        stream: Its stream; None: all routes of the name that are left.
    """

    id: int
    route: str
    stream: str | None = None


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


Request = (
    Hello
    | Emit
    | Put
    | Known
    | Get
    | Query
    | Tail
    | Replay
    | Recall
    | Context
    | Credit
    | Cancel
    | Status
    | Metrics
    | Reload
    | Reroute
    | DeadLetters
    | Index
    | Ping
)


# Replies: server to client.


class Welcome(msgspec.Struct, tag="welcome", tag_field="op"):
    """Answer to hello: the connection may be used.

    Attributes:
        can: Names of the requests that are answered on this connection.
        admin: Whether it may read everything, write as everybody, and look after the daemon.
        proof: How the server knows who speaks: `open` (no rules, so it does not), `token`, `peer` (the user
            of the process), `unlisted` (an agent without a rule where others have one), `admin`.
    """

    protocol: int
    server: str
    limits: Limits
    agent: str
    can: list[str]
    admin: bool = True
    proof: str = "open"


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
    """One stored event; answers `get`, and `query`, `tail` and `replay` many times.

    Attributes:
        seq: Its sequence in the stream; 0 while it is not there yet.
        time: When the stream took it, Unix milliseconds; until then, when it was accepted.
        body: The stored JSON, byte for byte.
        headers: Those of the message, where a `replay` asked for them.
        agent: Whose it is, likewise; "" where it is nobody's.
    """

    id: int
    stream: str
    seq: int
    subject: str
    time: int
    body: bytes
    headers: dict[str, str] | None = None
    agent: str | None = None


class End(msgspec.Struct, tag="end", tag_field="op", omit_defaults=True):
    """No more `event` messages for request `id`.

    Attributes:
        cursor: Where the same `query` goes on; absent where there is nothing more.
        incomplete: Events may be missing from the answer to a `query`, since the index is being built.
    """

    id: int
    cancelled: bool = False
    cursor: str | None = None
    incomplete: bool = False


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
    "PROTOCOL",
    "Ack",
    "Cancel",
    "Context",
    "Credit",
    "DeadLetters",
    "Emit",
    "End",
    "Envelope",
    "Error",
    "Event",
    "Get",
    "Hello",
    "Index",
    "Known",
    "Limits",
    "Metrics",
    "Ping",
    "Pong",
    "Put",
    "Query",
    "RawEvent",
    "Recall",
    "Reload",
    "Replay",
    "Reply",
    "Request",
    "Reroute",
    "Result",
    "Status",
    "StoredEvent",
    "Tail",
    "Welcome",
]  # fmt: skip
