"""From a line of a file to the event that is put: whose it is, its id, and its bytes.

A line is a record of an export, or an event as any tool writes it. Whatever it is, the same line becomes the
same event each time, so that an import that is repeated adds nothing.
"""

import time
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from eventd_ipc.messages import RawEvent
from eventd_ipc.strict import agent_fault, id_fault, type_fault

from ..events.attribution import UPSTREAM_AGENT
from ..events.identity import IMPORTED, agent_of_session
from ..events.types import MEMORY
from ..subjects import decode_token, encode_token
from .record import Record, read_record

CACHED_SUBJECTS = 8192  # one per agent and type in use
KEY = 12  # bytes of a hash in an id; with a thousand million of them two are the same once in 10^11 times
MEMORY_TOKENS = tuple(prefix.replace(".", "_") for prefix in MEMORY)
VISIBILITY = "internal"  # where an event says nothing, as the daemon stamps it

_dict = msgspec.json.Decoder(dict[str, Any]).decode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class NotTaken(Exception):
    """A line is not taken.

    Attributes:
        code: Why, for programs: a code of the protocol where that has one.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Place(NamedTuple):
    """Where a message was that has no id of ours; `time` is the stream's, Unix ms."""

    stream: str
    seq: int
    time: int


class Taken(NamedTuple):
    """What a line becomes.

    Attributes:
        place: Of another writer's message: an import into the very store that it comes from finds it there.
    """

    event: RawEvent
    place: Place | None


class Reader:
    """Reads the lines of one input.

    Args:
        default: Whose events are that name nobody.
        agent: Whose all of them become, whoever they name; None leaves them to whom they name.
        max_event: Bytes that a body may have.
    """

    def __init__(self, default: str, agent: str | None, max_event: int) -> None:
        self._default = default
        self._agent = agent
        self._max_event = max_event
        self._seen: Counter[bytes] = Counter()  # events without an id of their own, by their hash

    def read(self, line: bytes) -> Taken:
        """Return the event of a line.

        Raises:
            NotTaken: It has none that can be stored.
        """
        line = line.strip()
        try:
            record = read_record(line)
        except ValueError as error:
            event, place = self._of_event(line, error), None
        else:
            event, place = self._of_record(record)
        if self._agent is not None:
            event = _given_to(self._agent, event)
        if len(event.body) > self._max_event:
            raise NotTaken(
                "too_large", f"the event takes {len(event.body)} bytes; at most {self._max_event} are allowed"
            )
        return Taken(event, place)

    def _of_record(self, record: Record) -> Taken:
        """Return a message as it was stored.

        What eventd has stored keeps its id. Any other message gets one made of the place where it was: ids of
        other writers are not always their events' own.
        """
        named, of_type = _tokens(record.subject)
        stored = record.stored
        owner = _owner(named, stored) if record.agent is None else record.agent
        if agent_fault(owner) is not None:
            owner = self._agent or ""
        if not owner:
            raise NotTaken("no_agent", "it is nobody's where it comes from; --agent says whose it becomes")
        writer, _, event_id = record.message_id.partition(":")
        place = None
        if writer != owner or id_fault(event_id) is not None:
            event_id, place = _place_id(record), Place(record.stream, record.seq, record.time)
        never_expires = record.never_expires or of_type.startswith(MEMORY_TOKENS)
        return Taken(RawEvent(owner, event_id, record.subject, stored, never_expires), place)

    def _of_event(self, line: bytes, not_record: ValueError) -> RawEvent:
        """Return an event that comes without its message: its bytes, with what they leave out added."""
        try:
            event = _dict(line)
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            raise NotTaken("malformed", reason) from error
        event_type = event.get("type")
        if not isinstance(event_type, str):
            is_record = "subject" in event and "stream" in event
            raise NotTaken("malformed", str(not_record) if is_record else "it is no event: it has no `type`")
        if (fault := type_fault(event_type)) is not None:
            raise NotTaken("malformed", fault)
        agent = self._agent_of(event)
        # Older writers have used one id for several events, so theirs do not count.
        older = "ts" in event or "canonicalType" in event
        event_id = event.get("id")
        if older or not isinstance(event_id, str) or id_fault(event_id) is not None:
            event_id = self._content_id(line)
        body = line if older else _completed(line, event, event_id, agent)
        subject = f"{encode_token(agent)}.{encode_token(event_type.replace('.', '_'))}"
        return RawEvent(agent, event_id, subject, body, never_expires=event_type.startswith(MEMORY))

    def _agent_of(self, event: dict[str, Any]) -> str:
        """Return whom an event names, itself or by its session."""
        named = event.get("agent")
        if named is None or named == UPSTREAM_AGENT:
            named = _agent_of_session(event) or named
        if named is None:
            return self._default
        fault = agent_fault(named) if isinstance(named, str) else "an agent's name is a text"
        if fault is None:
            return str(named)
        if self._agent is None:
            raise NotTaken("malformed", fault)
        return self._default

    def _content_id(self, line: bytes) -> str:
        """Return an id made of the line, and of how many like it came before."""
        key = blake2b(line, digest_size=KEY).digest()
        before = self._seen[key]
        self._seen[key] += 1
        return f"{IMPORTED}{key.hex()}{f'-{before}' if before else ''}"


@lru_cache(CACHED_SUBJECTS)
def _tokens(subject: str) -> tuple[str, str]:
    """Return the agent and the type in a subject, `…agent.type`; "" for what is none."""
    rest, _, of_type = subject.rpartition(".")
    try:
        agent = decode_token(rest.rpartition(".")[2])
    except ValueError:
        agent = ""
    return ("" if agent_fault(agent) else agent), of_type


def _owner(named: str, stored: bytes) -> str:
    """Return whose a message is by its subject, and that of older writers by its session."""
    found = _agent_of_session(_decoded(stored)) if named == UPSTREAM_AGENT else None
    return found or named


def _place_id(record: Record) -> str:
    """Return an id made of where a message was, and when it came there.

    The time tells it from that at the same place in another machine's stream, or in one that was made anew:
    these have the same names.
    """
    event_id = f"{IMPORTED}{record.stream}-{record.seq}-{record.time}"
    if id_fault(event_id) is None:
        return event_id
    return (
        f"{IMPORTED}{blake2b(record.stream.encode(), digest_size=KEY).hexdigest()}-{record.seq}-{record.time}"
    )


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return _dict(body)
    except (ValueError, RecursionError):
        return {}


def _agent_of_session(event: dict[str, Any]) -> str | None:
    """Return the agent in the session key of an event; None where there is none that can be meant."""
    payload = event.get("payload")
    session = event.get("session") or (payload.get("sessionKey") if isinstance(payload, dict) else None)
    if not isinstance(session, str) or (agent := agent_of_session(session)) is None:
        return None
    return None if agent_fault(agent) else agent


def _completed(line: bytes, event: dict[str, Any], event_id: str, agent: str) -> bytes:
    """Return the bytes of an event of today's shape; what stands there already stays as it is."""
    stamped = {"id": event_id, "timestamp": time.time_ns() // 1_000_000, "agent": agent}
    added = {key: value for key, value in stamped.items() if event.get(key) is None}
    if event.get("id") != event_id:
        added["id"] = event_id
    if event.get("visibility") is None:
        added["visibility"] = VISIBILITY
    return _with(line, added) if added else line


def _given_to(agent: str, event: RawEvent) -> RawEvent:
    """Return an event as an agent's. Its body names that one; all else in it stays as it is."""
    body, content = event.body, _decoded(event.body)
    if "type" in content and content.get("agent") != agent:
        body = _with(body, {"agent": agent})
    return RawEvent(agent, event.id, event.subject, body, never_expires=event.never_expires)


def _with(body: bytes, values: dict[str, Any]) -> bytes:
    """Return a JSON object with other values of some keys; the bytes of the others stay."""
    return _encode(_parts(body) | {key: msgspec.Raw(_encode(value)) for key, value in values.items()})
