"""Admission: what an agent sent becomes rows for the outbox, or one refusal that names the reason.

Synchronous, without I/O, and on the path of every event; the figure to keep is 2 µs an event in batches of
20. So all events of an emit are decoded together, and what labels have in common is found once (`_Plan`).
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from eventd_ipc.errors import MalformedEvent
from eventd_ipc.events import Event
from eventd_ipc.messages import Emit, Error, Limits, Put
from eventd_ipc.strict import SoundEvent, agent_fault, check_labels, decode_event, decode_together

from ..access.identity import Identity
from ..config.settings import RateSettings
from ..events.attribution import UPSTREAM_AGENT
from ..events.identity import agent_of_session
from ..events.normal import normalise
from ..events.tombstones import RESERVED, TOMBSTONE, Forgotten, payload
from ..outbox.model import NewRow, Submission
from ..routes import Route, Routes
from ..subjects import subject_of
from .rates import Rates
from .raw import decode_raw, subject_for
from .refusal import refusal

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

CACHED_PLANS = 8192  # one per type, agent and session in use
MAX_SHRINKING = 3  # times its limit as JSON that an event's msgpack may have: a float's nine bytes can be 0.0
HEADER_ROOM = 1024  # bytes of a NATS message that its headers may take: ids, batch and expiry headers
NEVER_EXPIRE = ("memory.", "migration.")  # types that outlive the stream's max_age
UNLIMITED = RateSettings()
VISIBILITY = "internal"  # where the agent says nothing

Clock = Callable[[], int]
"""Now, as Unix milliseconds."""


def unix_ms() -> int:
    """Return the time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Admission:
    """Decides about every event that an agent hands in.

    Args:
        routes: Where agents' events go.
        route_numbers: The outbox's number of each route, by the route's name.
        limits: What one emit may hold.
        rates: How much agents may send.
        clock: Gives the timestamps that are stamped.
    """

    def __init__(
        self,
        routes: Routes,
        route_numbers: Mapping[str, int],
        limits: Limits,
        rates: RateSettings = UNLIMITED,
        clock: Clock = unix_ms,
    ) -> None:
        self._limits = limits
        self._rates = Rates(rates)
        self._max_raw = MAX_SHRINKING * limits.max_event
        self._clock = clock
        self._gates = {
            route.name: _Gate(route, route_numbers[route.name], limits.max_event) for route in routes.all()
        }
        self._routes = routes
        self._plan = lru_cache(CACHED_PLANS)(self._make_plan)
        self._encode = msgspec.json.Encoder().encode

    def successor(
        self, routes: Routes, route_numbers: Mapping[str, int], limits: Limits, rates: RateSettings
    ) -> "Admission":
        """Return who decides by another configuration; what agents have sent lately still counts."""
        new = Admission(routes, route_numbers, limits, clock=self._clock)
        self._rates.configure(rates)
        new._rates = self._rates
        return new

    def set_max_payload(self, route: int, size: int) -> None:
        """Refuse from now on what the server of a route (its outbox number) would not take.

        Args:
            size: Bytes of a whole message, headers and body.
        """
        for gate in self._gates.values():
            if gate.number == route:
                gate.room = min(self._limits.max_event, max(0, size - HEADER_ROOM))

    def admit(self, emit: Emit, identity: Identity) -> Submission | Error:
        """Turn an emit into rows, or into the reply that refuses it; never a part of it.

        Args:
            identity: Who sends it; owns the events that name nobody.
        """
        if (too_much := self._too_much(emit, identity)) is not None:
            return too_much
        rows: list[NewRow] = []
        try:
            for event in self._decode(emit.events):
                rows.append(self._row(event, identity))  # noqa: PERF401 - its length is the spoiler's index
        except (MalformedEvent, _NotAdmitted) as error:
            return _spoilt(emit, error, len(rows))
        return Submission(rows)

    def admit_put(self, put: Put, identity: Identity) -> Submission | Error:
        """Turn a put into rows whose bodies are what was sent, or into the reply that refuses it.

        Args:
            identity: Who sends it; nobody but administrators may say what a stream has held.
        """
        if not identity.admin:
            return refusal(
                "forbidden",
                "'put' is for administrators",
                hint="show the token in dataDir/admin.token, or see `admin.allowUids` in config.yml",
                request=put.id,
            )
        if (too_much := self._too_much(put, identity)) is not None:
            return too_much
        rows: list[NewRow] = []
        try:
            for event in put.events:
                rows.append(self._raw_row(event))  # noqa: PERF401 - as above
        except (MalformedEvent, _NotAdmitted) as error:
            return _spoilt(put, error, len(rows))
        return Submission(rows)

    def _too_much(self, request: Emit | Put, identity: Identity) -> Error | None:
        """Return how a request is refused that has more events than may come now, or at all."""
        if len(request.events) > self._limits.max_events:
            return refusal(
                "bad_request",
                f"a request with {len(request.events)} events; at most {self._limits.max_events} are allowed",
                hint="send them in several requests",
                request=request.id,
            )
        wait = self._rates.take(identity.agent, len(request.events), time.monotonic())
        if not wait:
            return None
        return refusal(
            "slow_down",
            f"agent {identity.agent!r} sends more events than its limit allows",
            hint=f"wait {wait:.3f} s, or raise maxEventsPerSecond in config.yml",
            request=request.id,
            retry_after_ms=math.ceil(wait * 1000),
        )

    def _decode(self, raws: Sequence[msgspec.Raw]) -> Iterable[Event | SoundEvent]:
        """Return the events, in one go if they are sound; else one by one, each when it is its turn."""
        if max(map(len, raws), default=0) <= self._max_raw:  # before it takes memory and time
            events = decode_together(raws)
            if events is not None:
                return events
        return map(self._decode_one, raws)

    def _decode_one(self, raw: msgspec.Raw) -> Event:
        if len(raw) > self._max_raw:
            raise _NotAdmitted(
                "too_large", f"the event takes {len(raw)} bytes; at most {self._max_raw} are looked at"
            )
        return decode_event(raw)

    def _row(self, event: Event | SoundEvent, identity: Identity) -> NewRow:
        gate, agent, subject, never_expires = self._plan(event.type, event.agent, event.session, identity)
        event_id = event.id or str(uuid7())
        timestamp = event.timestamp
        content = body = self._encode(
            _Stored(
                event_id,
                self._clock() if timestamp is None else timestamp,
                agent,
                event.session or "",
                event.type,
                event.visibility or VISIBILITY,
                event.payload,
                event.meta,
            )
        )
        gate.check_room(body)
        if timestamp is None:
            # A stamp differs each time the same event is sent again. JSON escapes the quotes inside texts,
            # so the first match is the key itself.
            content = body[body.index(b',"agent":') :]
        # No cryptographic digest (BLAKE2b takes 0.4 µs, this one 0.04): it only tells one agent whether two
        # events to which it gave the same id are the same. Who makes two that collide fools nobody else.
        digest = xxh3_64_intdigest(content) >> 1  # SQLite's integers have a sign
        return NewRow(gate.number, agent, event_id, subject, never_expires, digest, body)

    def _raw_row(self, raw: msgspec.Raw) -> NewRow:
        event = decode_raw(raw)
        gate = self._gates[self._routes.of(event.agent).name]
        gate.check_enabled(event.agent)
        gate.check_room(event.body)
        tombstone = RESERVED.encode() in event.body and _is_tombstone(event.body)
        subject = subject_for(gate.prefix, event)
        digest = xxh3_64_intdigest(event.body) >> 1  # as `_row`
        return NewRow(
            gate.number, event.agent, event.id, subject, event.never_expires or tombstone, digest, event.body,
            tombstone,
        )  # fmt: skip

    def tombstones(self, agent: str, forgotten: Sequence[Forgotten]) -> list[NewRow]:
        """Return the tombstones of an agent that name all of this: several where one would be too large.

        They are made whether events are taken from the agent now or not: old ones may be forgotten anyway.
        """
        gate = self._gates[self._routes.of(agent).name]
        event_id = str(uuid7())
        named = payload(forgotten)
        body = self._encode(_Stored(event_id, self._clock(), agent, "", TOMBSTONE, VISIBILITY, named, {}))
        if len(body) > gate.room and len(forgotten) > 1:
            half = len(forgotten) // 2
            return [*self.tombstones(agent, forgotten[:half]), *self.tombstones(agent, forgotten[half:])]
        subject = subject_of(gate.prefix, agent, TOMBSTONE)
        return [NewRow(gate.number, agent, event_id, subject, True, xxh3_64_intdigest(body) >> 1, body)]

    def _make_plan(
        self, event_type: str, named: str | None, session: str | None, identity: Identity
    ) -> "_Plan":
        """Decide what depends on labels only. A refusal is not kept, so it is found again each time.

        Args:
            named: The agent that the event names.
        """
        check_labels(event_type, named, session)
        if event_type.startswith(RESERVED):
            raise _reserved(event_type)
        agent = named
        if agent is None:
            agent = (agent_of_session(session) if session else None) or identity.agent
            # The event's own agent was checked with the event, hello's with hello; a session's was not.
            if (fault := agent_fault(agent)) is not None:
                raise MalformedEvent("$.session", fault)
        # Older writers sent all agents' events on the subject of that name: readers take what is there for an
        # event of the agent in its session key.
        read_as = (agent_of_session(session) if session and agent == UPSTREAM_AGENT else None) or agent
        for name in (agent, read_as):
            if not identity.may_write_as(name):
                raise _NotAdmitted(
                    "forbidden",
                    f"{identity.agent!r} may not write as {name!r}",
                    hint=f"`agents.{identity.agent}.canWriteAs` in config.yml allows it; "
                    "an event that names no agent belongs to the one in its session key",
                )
        gate = self._gates[self._routes.of(agent).name]
        gate.check_enabled(agent)
        subject = subject_of(gate.prefix, agent, event_type)
        return _Plan(gate, agent, subject, event_type.startswith(NEVER_EXPIRE))


class _Stored(msgspec.Struct, gc=False):
    """The event as it stands in the stream; the order of the fields is the order of the keys."""

    id: str
    timestamp: int
    agent: str
    session: str
    type: str
    visibility: str
    payload: dict[str, Any]
    meta: dict[str, Any]


class _Gate:
    """What admission must know of a route.

    Attributes:
        room: Bytes that an event's JSON may take.
    """

    __slots__ = ("enabled", "number", "prefix", "room")

    def __init__(self, route: Route, number: int, room: int) -> None:
        self.number = number
        self.prefix = route.prefix
        self.enabled = route.enabled
        self.room = room

    def check_room(self, body: bytes) -> None:
        if len(body) > self.room:
            raise _NotAdmitted(
                "too_large", f"the event takes {len(body)} bytes as JSON; at most {self.room} are allowed"
            )

    def check_enabled(self, agent: str) -> None:
        if not self.enabled:
            raise _NotAdmitted("disabled", f"the event store is not enabled for agent {agent!r}")


class _Plan(NamedTuple):
    """What is the same for all events of one type, agent and session.

    Attributes:
        agent: Whose they are.
    """

    gate: _Gate
    agent: str
    subject: str
    never_expires: bool


def _spoilt(request: Emit | Put, error: "MalformedEvent | _NotAdmitted", index: int) -> Error:
    """Return how an event that is not admitted refuses all of its request."""
    if isinstance(error, _NotAdmitted):
        return refusal(error.code, str(error), hint=error.hint, request=request.id, index=index)
    return refusal("malformed", str(error), request=request.id, index=index)


def _is_tombstone(body: bytes) -> bool:
    """Whether the body of a put is a tombstone; nothing else that only eventd writes is brought back."""
    event = normalise(body)
    if event is not None and event.type.startswith(RESERVED) and event.type != TOMBSTONE:
        raise _reserved(event.type)
    return event is not None and event.type == TOMBSTONE


def _reserved(event_type: str) -> "_NotAdmitted":
    return _NotAdmitted(
        "forbidden",
        f"events of type {event_type!r} are written by eventd itself",
        hint=f"types that begin with {RESERVED!r} are reserved; `eventd forget` makes tombstones",
    )


class _NotAdmitted(Exception):
    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
