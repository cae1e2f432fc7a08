"""Compares a file with what is stored of it, and says which events are to be sent."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from eventd_ipc.events import Event

from .events import Draft, Origin, event_of, id_of, run_of
from .note import Note
from .state import Stored, StoredFile


@dataclass(slots=True)
class Plan:
    """What is to be done about a file.

    Attributes:
        events: To be sent, in this order: the lead, which names the others, comes last.
        kept: How many events are stored already.
        gone: Headings of sections, and facts, that are stored and are not in the file any more.
        bases: By the id of each event, those under which the same content was stored before.
    """

    note: Note
    events: list[Event] = field(default_factory=list)
    kept: int = 0
    gone: list[str] = field(default_factory=list)
    bases: dict[str, list[str]] = field(default_factory=dict)


def plan(note: Note, origin: Origin, stored: StoredFile | None) -> Plan:
    """Return what is to be sent so that a file is stored as it is now."""
    return _Planner(note, origin, stored).plan()


class _Planner:
    def __init__(self, note: Note, origin: Origin, stored: StoredFile | None) -> None:
        self._origin = origin
        self._run = run_of(origin, note.path)
        self._stored = stored or StoredFile(note.path, self._run)
        self._plan = Plan(note)

    def plan(self) -> Plan:
        note = self._plan.note
        left_facts = self._send_facts(note.facts, self._match("fact", note.facts))
        sections = self._match("section", note.sections)
        left = self._send_sections(note.sections, sections)
        self._send_lead(note.lead, sections, left, left_facts)
        return self._plan

    def _match(self, role: str, drafts: list[Draft]) -> list[str]:
        """Return the id of each draft that is stored, and "" for the others."""
        known: dict[str, list[str]] = defaultdict(list)
        for event in self._stored.current(role):
            known[event.content].append(event.id)
        return [known[draft.content].pop(0) if known[draft.content] else "" for draft in drafts]

    def _replaced(
        self, role: str, drafts: list[Draft], ids: list[str]
    ) -> tuple[list[list[str]], list[Stored]]:
        """Return which stored events each new draft replaces, by its name, and what is left of them."""
        kept = set(ids)
        rest: dict[str, list[Stored]] = defaultdict(list)
        for event in self._stored.current(role):
            if event.id not in kept:
                rest[event.name].append(event)
        replaces = [
            [rest[draft.name].pop(0).id] if not event_id and draft.name and rest[draft.name] else []
            for draft, event_id in zip(drafts, ids, strict=True)
        ]
        return replaces, [event for events in rest.values() for event in events]

    def _send_sections(self, drafts: list[Draft], ids: list[str]) -> list[Stored]:
        """Send the sections that have no id yet, and give them theirs; return what is stored beside."""
        self._plan.kept += sum(map(bool, ids))
        replaces, left = self._replaced("section", drafts, ids)
        for n, draft in enumerate(drafts):
            ids[n] = ids[n] or self._add(draft, replaces[n])
        return left

    def _send_facts(self, drafts: list[Draft], ids: list[str]) -> list[Stored]:
        """Send the facts that have no id yet; return what is stored beside.

        One that replaces another of the file, by its name, closes that one's event, too.
        """
        self._plan.kept += sum(map(bool, ids))
        self._name(drafts)
        replaces, left = self._replaced("fact", drafts, ids)
        closed = [dict.fromkeys(draft.data.pop("supersedes", ())) for draft in drafts]
        names = [draft.data.get("factId", "") for draft in drafts]
        is_new = [not event_id for event_id in ids]
        ids[:] = [event_id or self._new_id(draft) for event_id, draft in zip(ids, drafts, strict=True)]
        last = {name: n for n, name in enumerate(names)}
        before: dict[str, str] = {}
        for n, draft in enumerate(drafts):
            closes = [*closed[n]]
            for name in dict.fromkeys((*closed[n], names[n])):
                if name in before:
                    closes.append(before[name])
                elif name != names[n] and name in last and names[n] not in closed[last[name]]:
                    closes.append(ids[last[name]])  # some lists begin with the newest
            if is_new[n]:
                self._send(draft, ids[n], replaces[n], closes)
            if names[n]:
                before[names[n]] = ids[n]
        return left

    def _name(self, drafts: list[Draft]) -> None:
        """A later item with the same id is an update beside the first, not another version of it."""
        seen: dict[str, int] = {}
        for draft in drafts:
            if draft.name:
                seen[draft.name] = number = seen.get(draft.name, 0) + 1
                draft.name = draft.name if number == 1 else f"{draft.name}\n{number}"

    def _send_lead(
        self, lead: Draft, sections: list[str], left: list[Stored], left_facts: list[Stored]
    ) -> None:
        lead.data["sections"] = sections
        leads = self._stored.current("lead")
        if any(event.content == lead.content for event in leads):
            self._plan.kept += 1
            return
        before = {name for event in leads for name in event.sections}
        # The rest of a section that has fewer parts now; the parts that stay say what it says.
        headings = {draft.name.partition("\n")[0] for draft in self._plan.note.sections}
        cut = [e.id for e in left if not e.name.endswith("\n1") and _heading(e) in headings | {""}]
        self._plan.gone = [_heading(e) for e in left if e.id in before and e.id not in cut]
        self._plan.gone += [f"fact {_heading(event)}".strip() for event in left_facts]
        self._add(lead, [*(event.id for event in leads), *cut])

    def _add(self, draft: Draft, replaces: list[str]) -> str:
        event_id = self._new_id(draft)
        self._send(draft, event_id, replaces)
        return event_id

    def _new_id(self, draft: Draft) -> str:
        before: list[str] = []
        for number in itertools.count(1):
            event_id = id_of(self._run, draft, number)
            if event_id not in self._stored.events and event_id not in self._plan.bases:
                break
            before.append(event_id)
        self._plan.bases[event_id] = before
        return event_id

    def _send(self, draft: Draft, event_id: str, replaces: list[str], closes: Sequence[str] = ()) -> None:
        self._plan.events.append(event_of(self._origin, self._run, draft, event_id, replaces, closes))


def _heading(event: Stored) -> str:
    return event.name.partition("\n")[0]
