"""What `eventd forget` is to remove: found by ids or by conditions, and counted for who is asked."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .filters import EVERYBODY, whose
from .output import neutral, notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventd_ipc.blocking import Client
    from eventd_ipc.messages import Selected, StoredEvent

SAMPLE = 5  # events that are shown

_words = re.compile(r"\w+").findall


@dataclass(slots=True)
class Selection:
    """What would go.

    Attributes:
        by_agent: What is asked for, by the agent whose it is.
        groups: How many events there are of each agent, type and stream.
        first, last: When the oldest and the newest of them happened, Unix ms.
    """

    by_agent: "dict[str, list[Selected]]" = field(default_factory=dict)
    groups: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sample: "list[StoredEvent]" = field(default_factory=list)
    bytes: int = 0
    first: int | None = None
    last: int | None = None

    @property
    def events(self) -> int:
        """How many there are."""
        return self.groups.total()

    def add(self, stored: "StoredEvent", agent: str | None) -> None:
        """Take an event in, unless it is a tombstone.

        Args:
            agent: Whose it is, where that is known.
        """
        from eventd_ipc.messages import Selected

        from ..events.identity import agent_of_session
        from ..events.normal import normalise
        from ..events.types import Kind

        event = normalise(stored.body)
        if event is not None and event.kind is Kind.TOMBSTONE:
            return
        named = (event.agent or agent_of_session(event.session)) if event is not None else ""
        owner = agent or named or stored.subject.split(".")[-2:][0]
        at = stored.time if event is None or event.time is None else event.time
        selected = Selected(
            event.id if event is not None else "", stored.stream if stored.seq else "", stored.seq
        )
        self.by_agent.setdefault(owner, []).append(selected)
        self.groups[owner, event.type if event is not None else "", stored.stream] += 1
        self.bytes += len(stored.body)
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        if len(self.sample) < SAMPLE:
            self.sample.append(stored)

    def document(self) -> dict[str, Any]:
        """Return what programs are shown."""
        groups = [
            {"agent": agent, "type": of_type, "stream": stream, "events": events}
            for (agent, of_type, stream), events in sorted(self.groups.items())
        ]
        return {
            "events": self.events, "bytes": self.bytes, "first": self.first, "last": self.last,
            "groups": groups,
        }  # fmt: skip


def selected(
    client: "Client", ids: tuple[str, ...], agent: str | None, conditions: dict[str, Any]
) -> "Iterator[tuple[StoredEvent, str | None]]":
    """Yield the events that are meant, with whose they are where that was said.

    Args:
        conditions: Those of a query; not looked at where there are ids.
    """
    from eventd_ipc.errors import NotFound

    asked = whose(client, agent) or client.welcome.agent
    owner = None if asked == EVERYBODY else asked
    for event_id in ids:
        try:
            yield client.get(event_id, agent=asked), owner
        except NotFound:
            notice(f"no event {neutral(event_id)} is stored")
    if ids:
        return
    found = _queried(client, conditions, asked)
    if conditions.get("text"):
        found = _with_unsearched(client, found, conditions, asked)
    for stored in found:
        yield stored, owner


def _queried(client: "Client", conditions: dict[str, Any], agent: str) -> "Iterator[StoredEvent]":
    with client.query(**conditions, agent=agent, order="oldest") as events:
        yield from events
        if events.incomplete:
            raise click.ClickException(
                "the index is being built, so not all that is meant can be found; try again when "
                "`eventd index status` says ready"
            )


def _with_unsearched(
    client: "Client", found: "Iterator[StoredEvent]", conditions: dict[str, Any], agent: str
) -> "Iterator[StoredEvent]":
    """Yield what full text finds, then what it does not look at and has all of the words nonetheless.

    That are secret events, files that are kept for programs, and the ends of long texts. Who wants words to
    be gone means these, too, so all events are looked through.
    """
    seen: set[tuple[str, int]] = set()
    for stored in found:
        seen.add(_mark(stored))
        yield stored
    words = frozenset(_words(conditions["text"].casefold()))
    rest = {name: value for name, value in conditions.items() if name != "text"}
    for stored in _queried(client, rest, agent):
        if words and _mark(stored) not in seen and words <= _words_in(stored.body, words):
            yield stored


def _mark(stored: "StoredEvent") -> tuple[str, int]:
    return stored.stream, hash(stored.body)  # without its sequence, which it may get meanwhile


def _words_in(body: bytes, wanted: frozenset[str]) -> set[str]:
    """Return the words of an event's texts; none of them where it plainly lacks one that is wanted."""
    lower = body.lower()
    if any(word.isascii() and word.encode() not in lower for word in wanted):
        return set()
    try:
        stack: list[object] = [msgspec.json.decode(body)]
    except (ValueError, RecursionError):
        stack = [body.decode("utf-8", "replace")]
    found: set[str] = set()
    while stack:
        match stack.pop():
            case str() as text:
                found.update(_words(text.casefold()))
            case dict() as held:
                stack.extend((*held.keys(), *held.values()))
            case list() as held:
                stack.extend(held)
    return found
