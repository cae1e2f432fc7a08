"""The closed set of error codes, and what a client raises. Both ends use this one table.

A class's docstring is its default message, so every error explains itself and names its remedy.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


class ClientAction(enum.Enum):
    """What a client that must not lose events does when an emit is answered with a code; mildest first."""

    DROP_EVENT = "drop the event at `index`, count it, send the others again"
    DROP_AGENT = (
        "drop the events with agent and session of the one at `index`, count them, send the others again"
    )
    DROP_EMIT = "drop all events of the emit and count them"
    RETRY = "keep the events, send the emit again on the same connection after a pause"
    RECONNECT = "keep the events, connect again after a pause, send them again"
    RECONNECT_LATER = "keep the events, connect again after the longest pause: a person has to act first"


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """What a code means to the one who receives it.

    Attributes:
        retryable: Whether the same request may succeed later, unchanged.
        closes_connection: Whether the server closes the connection after it.
        action: What `EventLog` does.
        hint: What a person can do; sent where the server has nothing better to say.
    """

    retryable: bool
    closes_connection: bool
    action: ClientAction
    hint: str


def _closing(action: ClientAction, hint: str, *, retryable: bool = False) -> CodeInfo:
    return CodeInfo(retryable, closes_connection=True, action=action, hint=hint)


def _refusal(action: ClientAction, hint: str) -> CodeInfo:
    return CodeInfo(retryable=False, closes_connection=False, action=action, hint=hint)


def _pause(hint: str, action: ClientAction = ClientAction.RETRY) -> CodeInfo:
    return CodeInfo(retryable=True, closes_connection=False, action=action, hint=hint)


CODES: Mapping[str, CodeInfo] = MappingProxyType(
    {
        # About the connection; the server closes it.
        "bad_frame": _closing(
            ClientAction.RECONNECT,
            "send a 4-byte big-endian length and one msgpack map with a text `op` and an integer `id`",
        ),
        "frame_too_large": _closing(
            ClientAction.RECONNECT, "keep frames within `limits.maxFrame` of the welcome"
        ),
        "hello_required": _closing(ClientAction.RECONNECT, "send `hello` first, and only once"),
        "hello_timeout": _closing(
            ClientAction.RECONNECT, "send `hello` as soon as the connection is made", retryable=True
        ),
        "unsupported_protocol": _closing(
            ClientAction.RECONNECT_LATER,
            "let client and daemon be of the same release: upgrade the older one",
        ),
        "too_many_connections": _closing(
            ClientAction.RECONNECT,
            "close connections that are not used, or share one",
            retryable=True,
        ),
        "unauthorised": _closing(
            ClientAction.RECONNECT_LATER, "check the agent's name and its token ($EVENTD_TOKEN)"
        ),
        # About events of an emit; `index` says which one.
        "malformed": _refusal(
            ClientAction.DROP_EVENT, "send only what JSON can hold; the message names the place"
        ),
        "too_large": _refusal(
            ClientAction.DROP_EVENT, "keep events within `limits.maxEvent`, or store a reference instead"
        ),
        "id_conflict": _refusal(
            ClientAction.DROP_EVENT,
            "give each event its own id; only the same event sent again keeps it",
        ),
        "forgotten": _refusal(
            ClientAction.DROP_EVENT, "the event was forgotten with `eventd forget`; it is not stored again"
        ),
        "forbidden": _refusal(ClientAction.DROP_EVENT, "write and read as the agent that the hello names"),
        "disabled": _refusal(
            ClientAction.DROP_AGENT, "set `gateway.eventStore.enabled: true` for this agent in config.yml"
        ),
        # About the moment: the same request is fine later.
        "outbox_full": _pause("let NATS take events again, or raise `outbox.maxBytes`; see `eventd status`"),
        "disk_full": _pause("free space on the disk that holds the outbox; see `eventd status`"),
        "slow_down": _pause("wait `retryAfterMs` before the next request"),
        "unavailable": _pause("NATS does not answer; see `eventd status`"),
        "shutting_down": _pause("connect again in a moment", ClientAction.RECONNECT),
        "internal": _pause("see the daemon's log, and report it", ClientAction.RECONNECT),
        # About the request itself: it never succeeds unchanged.
        "unknown_op": _refusal(
            ClientAction.DROP_EMIT, "use the requests that `can` of the welcome lists, or upgrade the daemon"
        ),
        "bad_request": _refusal(ClientAction.DROP_EMIT, "compare the request with PROTOCOL.md"),
        "not_found": _refusal(ClientAction.DROP_EMIT, "check the id, the sequence and the stream's name"),
    }
)
"""Every code that the daemon sends."""

UNKNOWN_CODE = _closing(ClientAction.RECONNECT, "upgrade the client: the daemon is newer", retryable=True)
"""How a client treats a code that it does not know: nothing is lost, nothing is hammered."""


class EventdClientError(Exception):
    """Something went wrong between this program and eventd.

    Attributes:
        hint: What a person can do about it.
    """

    default_hint: ClassVar[str] = ""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class NotRunning(EventdClientError):
    """eventd is not running."""

    default_hint = "start it with `eventd run` or `make run`"


class AccessDenied(EventdClientError):
    """This user may not use eventd's socket."""

    default_hint = "run as the user that eventd runs as"


class UnsafeSocket(EventdClientError):
    """The socket's folder is not safe: another user could put a false eventd there."""

    default_hint = "use a folder of your own with mode 0700, or set EVENTD_SOCKET"


class ConnectionLost(EventdClientError):
    """The connection to eventd was lost; requests without a reply may or may not have been carried out."""

    default_hint = "connect again; events that are sent again with the same ids are stored once"


class TimedOut(EventdClientError):
    """eventd did not answer in time; the request may or may not have been carried out."""

    default_hint = "see `eventd status`; events that are sent again with the same ids are stored once"


class ProtocolError(EventdClientError):
    """The peer sent something that is not the protocol.

    Attributes:
        code: The code that tells the peer.
    """

    code: ClassVar[str] = "bad_frame"


class BadFrame(ProtocolError):
    """A frame is not one msgpack map with a text `op` and an integer `id`."""


class FrameTooLarge(ProtocolError):
    """A frame is announced with more bytes than allowed."""

    code = "frame_too_large"


class RequestInvalid(EventdClientError):
    """A request that is understood well enough to be refused; the connection goes on.

    Attributes:
        id: Of the request; None only for a `hello`, which has none.
        code: `bad_request` or `unknown_op`.
    """

    def __init__(self, message: str, *, id: int | None, code: str) -> None:  # noqa: A002 - the wire's name
        super().__init__(message)
        self.id = id
        self.code = code


class MalformedEvent(EventdClientError):
    """An event holds what JSON cannot hold, or breaks the schema.

    Attributes:
        path: Where, e.g. `$.payload.data[3].x`.
        reason: What is wrong there.
    """

    code: ClassVar[str] = "malformed"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{reason} at {path}")
        self.path = path
        self.reason = reason


class Refused(EventdClientError):
    """eventd refused a request.

    Attributes:
        code: One of `CODES`.
        message: What happened, for a person.
        retryable: Whether the same request may succeed later, unchanged.
        index: Which event of an emit spoiled it, from 0.
        retry_after: Seconds to wait before the next try.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        hint: str = "",
        index: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}", hint=hint)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.index = index
        self.retry_after = retry_after


class NotFound(Refused):
    """There is no such event or stream."""


class Unauthorised(Refused):
    """eventd does not accept this agent with this token."""
