"""The block itself: text for the prompt, and a document that says why each thing is in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = ("pending", "facts", "notes", "earlier", "recalled", "recent")
"""Sections in the order in which they are shown."""

TITLES = {
    "pending": "Pending",
    "facts": "Facts",
    "notes": "Notes",
    "earlier": "Earlier conversation",
    "recalled": "Recalled for this request",
    "recent": "Recent conversation",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A finished block.

    Attributes:
        text: Markdown between two lines of markup, at most the budget long; "" where there is nothing to say.
        document: The same as data that JSON can hold::

            {agent, session, query, asOf: ms | null, events, messages, from: ms | null, to: ms | null,
             budget, size, topics: [{text, messages, sessions}],
             sections: [{name, title, size, items: [
                {id, session, agent, time: ms, kind, why, chars, cut, text}]}],
             left_out: {reason: count}}

            `events` counts what is in the window; `id` is null where the writer gave none; `chars` is what
            the item takes of the block, and `text` what is shown of it, without our marks around it.
    """

    text: str
    document: dict[str, Any]


@dataclass(slots=True)
class Item:
    """One thing that is shown.

    Attributes:
        kind: `user`, `assistant`, `fact`, `message`, …: what it is.
        why: Why it was chosen, a phrase.
        lines: What it adds to the block; every line begins with something of ours.
        cut: Whether less is shown than was stored.
        shown: What is shown of the stored text.
    """

    id: str
    session: str
    agent: str
    time: int
    kind: str
    why: str
    lines: str = ""
    cut: bool = False
    shown: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return its part of the document."""
        return {
            "id": self.id or None,
            "session": self.session or None,
            "agent": self.agent,
            "time": self.time,
            "kind": self.kind,
            "why": self.why,
            "chars": len(self.lines),
            "cut": self.cut,
            "text": self.shown,
        }


@dataclass(slots=True)
class Section:
    """Items under one heading.

    Attributes:
        name: One of `NAMES`.
    """

    name: str
    items: list[Item] = field(default_factory=list)

    @property
    def heading(self) -> str:
        """The lines above its items."""
        return heading(self.name)

    @property
    def text(self) -> str:
        """All of it; "" without items."""
        return self.heading + "".join(item.lines for item in self.items) if self.items else ""

    def as_data(self) -> dict[str, Any]:
        """Return its part of the document."""
        return {
            "name": self.name,
            "title": TITLES[self.name],
            "size": len(self.text),
            "items": [item.as_data() for item in self.items],
        }


def heading(name: str) -> str:
    """Return the lines above the items of a section."""
    return f"\n## {TITLES[name]}\n"


def count(number: int, noun: str) -> str:
    """Return `1 event`, `2 events`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_of(sections: Sequence[Section]) -> int:
    """Return how many characters sections take."""
    return sum(len(section.text) for section in sections)
