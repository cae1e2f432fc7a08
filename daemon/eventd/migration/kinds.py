"""What a file of a workspace is, by its place."""

import re
from typing import NamedTuple

from ..events.types import (
    AREA,
    COMPANY,
    DAILY_NOTE,
    FACT_FILE,
    LONG_TERM_MEMORY,
    NOTE,
    PERSON,
    PROJECT,
)  # fmt: skip

FACT_FILES = frozenset({"items.json", "items.yaml", "items.yml", "facts.json", "facts.jsonl", "facts.yaml"})
INDEX_FILES = frozenset({"entities.json"})
"""Lists of what there is: kept as they are, for they say no facts."""
LONG_TERM = frozenset({"MEMORY.md", "memory.md"})
MARKDOWN = (".md", ".markdown")
INSTRUCTIONS = frozenset(
    {"AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "BOOT.md", "BOOTSTRAP.md", "HEARTBEAT.md"}
)
"""Beside `MEMORY.md`: what an agent is told, no memory of its own."""
_dated = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
_SUMMARIES = {"people": PERSON, "companies": COMPANY, "projects": PROJECT}


class Kind(NamedTuple):
    """What a file is.

    Attributes:
        type: Of its first event.
        entity: Whom or what it is about, as `people/jane-doe`; "" where it is about nothing in particular.
        has_facts: Whether it is a list of facts.
        data: Whether it is for programs, so that its text is no passage to recall.
    """

    type: str
    entity: str = ""
    has_facts: bool = False
    data: bool = False


def kind_of(path: str) -> Kind | None:
    """Return what a file is; None where it is nothing that is migrated.

    Args:
        path: Below the workspace.
    """
    *folders, name = path.split("/")
    if not folders:
        return Kind(LONG_TERM_MEMORY) if name in LONG_TERM else None
    is_markdown = name.lower().endswith(MARKDOWN)
    if folders[0] == "memory":
        if not is_markdown:
            return None
        return Kind(DAILY_NOTE if _dated.search(name) else NOTE)
    entity = _entity(folders[1:])
    if name in FACT_FILES or name in INDEX_FILES:
        return Kind(FACT_FILE, entity, name in FACT_FILES, data=True)
    if not is_markdown:
        return None
    if name.lower() != "summary.md" or not entity:
        return Kind(NOTE, entity)
    return Kind(_type_of(folders[1:]), entity)


def _entity(folders: list[str]) -> str:
    """Return the area and the name of what a folder below `life` is about."""
    if folders[:1] == ["areas"] and len(folders) > 2:
        return "/".join(folders[1:3])
    if len(folders) > 1:
        return "/".join(folders[:2]) if folders[0] != "archives" else "/".join(folders[-2:])
    return ""


def _type_of(folders: list[str]) -> str:
    if folders[0] == "areas":
        return _SUMMARIES.get(folders[1], AREA)
    return PROJECT if folders[0] == "projects" else NOTE


def name_of(entity: str) -> str:
    """Return an entity's name as people write it: `Jane Doe` for `people/jane-doe`."""
    slug = entity.rpartition("/")[2]
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[-_\s]+", slug) if word)
