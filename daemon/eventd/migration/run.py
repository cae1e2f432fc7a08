"""One run over a workspace: reads files, compares them with what is stored, and says what is to be sent."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from eventd_ipc.events import Event
from eventd_ipc.messages import MAX_KNOWN

from . import note
from .events import Origin
from .files import Unreadable, read
from .plan import Plan, plan
from .state import StoredWorkspace
from .walk import Found, Skipped, Walk, shown

STEP_EVENTS = 400  # new events that are asked about together
STEP_BYTES = 8 * 2**20  # bytes of files that are held at a time


class Taken(NamedTuple):
    """Which ids are taken.

    Attributes:
        known: Those of stored events.
        forgotten: Those of events that were removed for good.
    """

    known: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()


Ask = Callable[[Sequence[str]], Taken]
"""Asks about ids, at most `MAX_KNOWN`."""


class Outgoing(NamedTuple):
    """An event that is to be sent.

    Attributes:
        number: Of the event, from 1.
        end: Bytes of the workspace's files up to and with the one that it is of.
    """

    event: Event
    path: str
    number: int
    end: int


@dataclass(slots=True)
class Step:
    """Some files.

    Attributes:
        plans: What was found out about each.
        present: Events of theirs that are stored already.
        forgotten: Events of theirs that were removed for good, and are not sent again.
        end: Bytes of the workspace's files up to and with these.
    """

    plans: list[Plan] = field(default_factory=list)
    unread: list[Skipped] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    present: int = 0
    forgotten: int = 0
    end: int = 0


class Migration:
    """One run over a workspace.

    Args:
        stored: What is stored of it.
        now: Unix ms.
        max_event: Bytes of an event's JSON that are taken.
        redact: Put markers in place of what looks like a secret.
    """

    def __init__(
        self, walk: Walk, origin: Origin, stored: StoredWorkspace, now: int, *, max_event: int, redact: bool
    ) -> None:
        self._walk = walk
        self._origin = origin
        self._stored = stored
        self._now = now
        self._max_event = max_event
        self._redact = redact
        self._sent = 0

    def steps(self, ask: Ask) -> Iterator[Step]:
        """Yield what is to be done about the files, in their order, some at a time."""
        step, new, held, end = Step(), 0, 0, 0
        for found in self._walk.files:
            end += found.size
            if (made := self._planned(found, step)) is not None:
                step.plans.append(made)
                new += len(made.events)
                held += found.size
            step.end = end
            if new >= STEP_EVENTS or held >= STEP_BYTES or len(step.plans) >= STEP_EVENTS:
                yield self._finished(step, ask)
                step, new, held = Step(), 0, 0
        yield self._finished(step, ask)

    def gone(self) -> list[str]:
        """Return the files that are stored and are not in the workspace any more."""
        there = {found.path for found in self._walk.files} | {skipped.path for skipped in self._walk.skipped}
        return [shown(path) for path, file in self._stored.files.items() if file.lead and path not in there]

    def _planned(self, found: Found, step: Step) -> Plan | None:
        try:
            content = read(found.place)
        except Unreadable as error:
            step.unread.append(Skipped(found.path, str(error), told=True, lost=True))
            return None
        stored = self._stored.files.get(found.path)
        if not content.data and (stored is None or stored.lead is None):
            step.unread.append(Skipped(found.path, "empty"))
            return None
        made = note.read(found, content, self._now, max_event=self._max_event, redact=self._redact)
        return plan(made, self._origin, stored)

    def _finished(self, step: Step, ask: Ask) -> Step:
        ids = [
            event_id
            for plan in step.plans
            for new, before in plan.bases.items()
            for event_id in (new, *before)
        ]
        known: set[str] = set()
        forgotten: set[str] = set()
        for start in range(0, len(ids), MAX_KNOWN):
            taken = ask(ids[start : start + MAX_KNOWN])
            known |= taken.known
            forgotten |= taken.forgotten
        for made in step.plans:
            step.present += made.kept
            for event in made.events:
                event_id = event.id or ""
                if not forgotten.isdisjoint((event_id, *made.bases[event_id])):
                    step.forgotten += 1
                elif event_id in known:
                    step.present += 1
                else:
                    self._sent += 1
                    step.outgoing.append(Outgoing(event, shown(made.note.path), self._sent, step.end))
        return step


def hashes(walk: Walk) -> Iterator[tuple[bytes, str]]:
    """Yield path and SHA-256 of the files that can be read."""
    for found in walk.files:
        try:
            yield found.path, sha256(read(found.place).data).hexdigest()
        except Unreadable:
            continue
