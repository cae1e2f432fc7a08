"""From the items of a list to drafts of `memory.fact`, as `eventd.context.memory` reads them."""

import math
from typing import Any

import msgspec

from . import dating
from .events import Draft, digest, path_data
from .factfile import Item, text_of
from .kinds import name_of
from .walk import Found

FACT = "memory.fact"
UNSTABLE = frozenset({"lastAccessed", "accessCount", "last_accessed", "access_count"})
"""Keys that reading a fact changes; they make it no other fact."""
IDS = ("id", "factId", "fact_id")
TIMES = ("timestamp", "created", "ts", "createdAt", "created_at", "date", "updated")
KEPT = ("category", "source", "relatedEntities", "confidence", "tags", "abstractionLevel")
MAX_DEPTH = 40  # levels of an item that are kept; events have 64
OWN_ROOM = 4096  # bytes of an event beside the fact and its item

_encode = msgspec.json.Encoder().encode


def drafts(items: list[Item], found: Found, dated: dating.Dated, now: int, max_event: int) -> list[Draft]:
    """Return a draft for each fact of a file; what stands there twice, once."""
    made: dict[str, Draft] = {}
    own_ids = {name for item in items if (name := _first(item, *IDS))}
    for item in items:
        draft = _draft(item, found, dated, now, own_ids, max_event)
        made.setdefault(draft.content, draft)
    return list(made.values())


def _draft(
    item: Item, found: Found, dated: dating.Dated, now: int, own_ids: set[str], max_event: int
) -> Draft:
    entity = found.kind.entity
    where = entity or path_data(found.path)["path"]

    def named(value: Any) -> Any:
        """Names count within an agent, and many lists begin with `fact-001`."""
        if isinstance(value, list):
            return [named(held) for held in value if isinstance(held, str | int | dict)]
        if isinstance(value, dict):
            value = _first(value, *IDS)
        value = str(value)
        return f"{where}/{value}" if value in own_ids else value

    core = {key: value for key, value in item.items() if key not in UNSTABLE}
    text = text_of(item)
    data: dict[str, Any] = {"text": text, **path_data(found.path)}
    if entity:
        data |= {"subject": name_of(entity), "entity": entity, "name": name_of(entity)}
    fact_id = _first(item, *IDS)
    if fact_id:
        data |= {"factId": named(fact_id), "itemId": fact_id}
    status = item.get("status")
    data["status"] = status if isinstance(status, str) and status.strip() else "active"
    if by := item.get("supersededBy") or item.get("superseded_by"):
        data["supersededBy"] = named(by)
    data |= {key: item[key] for key in KEPT if item.get(key) is not None}
    time = next((time for key in TIMES if (time := dating.of_value(item.get(key), now)) is not None), None)
    data["dateSource"] = dated.source if time is None else "item"
    said = digest(text, fact_id)
    if _fits(item, max_event - OWN_ROOM - 2 * len(_encode(text))):
        data["raw"] = item
        content = digest(core)
    else:  # the file itself is kept as well
        data = {key: value for key, value in data.items() if key not in KEPT}
        content = digest(said, data["status"], data.get("supersededBy"))
    draft = Draft("fact", FACT, fact_id, content, dated.time if time is None else time, data, said=said)
    if closes := item.get("supersedes"):
        names = named(closes)
        draft.data["supersedes"] = names if isinstance(names, list) else [names]
    return draft


def _first(item: Item, *keys: str) -> str:
    for key in keys:
        value = item.get(key)
        if (isinstance(value, str) and value) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
    return ""


def _fits(item: Item, room: int) -> bool:
    """Whether an event can hold an item as it is."""
    return _is_json(item, MAX_DEPTH) and len(_encode(item)) <= room


def _is_json(value: Any, depth: int) -> bool:
    """Whether a value is one of JSON, as events have it; YAML has others."""
    match value:
        case None | bool() | str():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return math.isfinite(value)
        case list():
            return depth > 0 and all(_is_json(held, depth - 1) for held in value)
        case dict():
            return depth > 0 and all(
                isinstance(key, str) and _is_json(held, depth - 1) for key, held in value.items()
            )
    return False
