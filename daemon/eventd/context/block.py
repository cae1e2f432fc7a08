"""The block itself: text for the prompt, and a document that says why each thing is in it."""

from dataclasses import dataclass, field
from typing import Any


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
            the item takes of the block, and `text` what is shown of it.
    """

    text: str
    document: dict[str, Any]


@dataclass(slots=True)
class Item:
    """One thing that is shown.

    Attributes:
        lines: What it adds to the block; every line begins with something of ours.
        kind: `user`, `assistant`, `tool call`, `fact`, …
        why: Why it was chosen, a phrase.
        cut: Whether text was left out of its middle or end.
        shown: What is shown of the stored text.
    """

    id: str
    session: str
    agent: str
    time: int
    kind: str
    why: str
    lines: str
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
        name: Stable name, for programs.
        title: The heading, for whoever reads it.
    """

    name: str
    title: str
    items: list[Item] = field(default_factory=list)
