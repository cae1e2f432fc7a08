"""What an agent was told to keep: facts, and what is still to be done. The conventions of `memory.*` events.

The data of an event is `payload.data`, or `payload` itself where there is no such level.

**A fact** is an event of type `memory.fact` (also `memory.decision`, `memory.preference`, `memory.lesson`,
`memory.note`, and any `migration.*` event whose data has a `fact`):

- `text` (or `fact`, or `content`): the fact, one or a few sentences.
- `subject` (or `entity`, or the first of `relatedEntities`): what it is about. `category`: its sort.
- `factId` (or `id`): its own name. A later fact with the same name replaces the earlier one.
- `supersedes`: a name or id, or a list of them: facts that this one replaces.
- `status`: `active` (the default), or `superseded`; `supersededBy`: by which one. Either closes it.

**An open item** is an event of type `memory.pending`:

- `text` (or `item`, or `content`): what is to be done. `due`: until when, as text.
- `pendingId` (or `id`): its own name; a later event with the same name replaces it.
- `status`: `open` (the default), or `done`, also without a text.
- `resolves`: a name or id, or a list of them. A `memory.pending` that is `done`, or a `memory.resolved`,
  closes these; a `done` one without `resolves` closes the item of the same name, else that of the same text.

Names and ids count within one agent: nobody closes or replaces what another one keeps. "Later" is by the
events' own times, then by the order of their arrival. Ids are the events' own `id`s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..events.normal import Tree, normalise
from ..events.types import MEMORIES
from ..index.model import Entry
from .reading import first_plain

FACT_TYPES = ("memory.fact", "memory.decision", "memory.preference", "memory.lesson", "memory.note")
PENDING_TYPE = "memory.pending"
RESOLVED_TYPE = "memory.resolved"
CLOSED = frozenset(
    {"superseded", "retracted", "obsolete", "inactive", "archived", "deleted", "done", "closed", "resolved",
     "cancelled", "canceled", "completed"}
)  # fmt: skip
SHARED_PART = 4  # of the facts, one in so many may be another agent's while there are enough own ones
MAX_REFERENCES = 1000  # names that one event may close


@dataclass(slots=True)
class Memory:
    """A fact or an open item.

    Attributes:
        time: When it was noted, Unix ms.
        text: As it was stored.
        about: Subject and category, as they were stored, where there are such.
        due: Until when, "" without.
    """

    entry: Entry
    time: int
    text: str
    about: tuple[str, ...] = ()
    due: str = ""


def facts(own: Iterable[Entry], shared: Iterable[Entry], most: int) -> tuple[list[Memory], int]:
    """Return the newest facts that hold, newest first, and how many in between were replaced or closed.

    Facts that others share take a quarter of the room where there are enough of its own: who shares much must
    not drive out what an agent knows itself.

    Args:
        own, shared: Events of kind memory, in any order.
    """
    theirs, replaced = _newest_facts(shared, most)
    mine, replaced_of_mine = _newest_facts(own, most)
    mine = mine[: most - min(len(theirs), most // SHARED_PART)]
    found = [*mine, *theirs[: most - len(mine)]]
    found.sort(key=lambda memory: (memory.entry.time, memory.entry.n), reverse=True)
    return found, replaced + replaced_of_mine


def _newest_facts(entries: Iterable[Entry], most: int) -> tuple[list[Memory], int]:
    # What replaces a fact is newer than it; so nothing older has to be read once there are enough.
    found: list[Memory] = []
    closed: set[tuple[str, str]] = set()
    texts: set[tuple[str, str]] = set()
    replaced = 0
    for entry in _newest_first(entries):
        if len(found) >= most:
            break
        data = _data(entry) if entry.type in FACT_TYPES or entry.type.startswith("migration.") else None
        if data is None or not (entry.type in FACT_TYPES or _is_migrated_fact(entry, data)):
            continue
        names = {(entry.agent, name) for name in (entry.event_id, *_names(data, "factId", "id")) if name}
        closed_before = bool(names & closed)
        closed |= {(entry.agent, name) for name in _references(data.get("supersedes"))}
        closed |= {(entry.agent, name) for name in _names(data, "factId", "id")}
        text = first_plain(data, "text", "fact", "content")
        key = (entry.agent, " ".join(text.split()).lower())
        if closed_before or _is_closed(data) or key in texts:
            replaced += 1
            continue
        if text:
            texts.add(key)
            found.append(Memory(entry, _when(entry), text, _about(data)))
    return found, replaced


def pending(entries: Iterable[Entry]) -> tuple[list[Memory], int]:
    """Return the items that are open, newest first, and how many were closed or replaced."""
    found: list[Memory] = []
    closed: set[tuple[str, str]] = set()
    texts: set[tuple[str, str]] = set()
    done = 0
    for entry in _newest_first(entries):
        if entry.type not in (PENDING_TYPE, RESOLVED_TYPE):
            continue
        data = _data(entry)
        if data is None:
            continue
        own = _names(data, "pendingId", "id")
        text = first_plain(data, "text", "item", "content")
        key = (entry.agent, " ".join(text.split()).lower())
        if entry.type == RESOLVED_TYPE or _status(data) in CLOSED:
            resolved = _references(data.get("resolves"))
            closed |= {(entry.agent, name) for name in (*resolved, *own)}
            if not resolved and not own and text:
                texts.add(key)
            continue
        names = {(entry.agent, name) for name in (entry.event_id, *own) if name}
        if names & closed or key in texts:
            done += 1
            continue
        closed |= {(entry.agent, name) for name in own}
        if text:
            texts.add(key)
            due = data.get("due")
            found.append(Memory(entry, _when(entry), text, _about(data), due if isinstance(due, str) else ""))
    return found, done


def passage(entry: Entry) -> str:
    """Return what a memory says, also one that is no fact: a daily note, say."""
    data = _data(entry)
    return first_plain(data, "text", "fact", "content", "item", "summary") if data is not None else ""


def is_closed(entry: Entry) -> bool:
    """Whether an event is a fact that says itself that it holds no more."""
    if entry.type not in FACT_TYPES:
        return False
    data = _data(entry)
    return data is not None and _is_closed(data)


def _is_closed(data: Tree) -> bool:
    return bool(data.get("supersededBy")) or _status(data) in CLOSED


def file_of(entry: Entry) -> tuple[str, ...]:
    """Return the path of the file that a memory was taken from, and the heading there if it has one."""
    if entry.kind not in MEMORIES:
        return ()
    data = _data(entry) or {}
    path, heading = data.get("path"), data.get("heading")
    if not isinstance(path, str) or not path:
        return ()
    return (path, heading) if isinstance(heading, str) and heading else (path,)


def _newest_first(entries: Iterable[Entry]) -> Sequence[Entry]:
    return sorted(entries, key=lambda entry: (entry.time, entry.n), reverse=True)


def _when(entry: Entry) -> int:
    return min(entry.time, entry.stored) if entry.stored > 0 else entry.time


def _data(entry: Entry) -> Tree | None:
    event = normalise(entry.body)
    return event.data if event is not None else None


def _is_migrated_fact(entry: Entry, data: Tree) -> bool:
    return entry.type.startswith("migration.") and (
        entry.type.endswith(".fact") or isinstance(data.get("fact"), str)
    )


def _status(data: Tree) -> str:
    status = data.get("status")
    return status.strip().lower() if isinstance(status, str) else ""


def _names(data: Tree, *keys: str) -> list[str]:
    for key in keys:
        if references := _references(data.get(key)):
            return references[:1]
    return []


def _references(value: object) -> list[str]:
    """Return ids as writers give them: a text, a number, a list of these, or maps that have an `id`."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, dict):
        return _references(value.get("id") or value.get("factId"))
    if isinstance(value, list):
        return [
            name
            for held in value[:MAX_REFERENCES]
            if not isinstance(held, list)
            for name in _references(held)
        ]
    return []


def _about(data: Tree) -> tuple[str, ...]:
    subject = first_plain(data, "subject", "entity")
    if not subject:
        related = data.get("relatedEntities")
        subject = related[0] if isinstance(related, list) and related and isinstance(related[0], str) else ""
    category = first_plain(data, "category")
    return tuple(filter(None, (subject, category)))
