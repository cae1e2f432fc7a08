"""What the tools do. Each call has a connection of its own, so a daemon that was away is met again.

The answers are those of the command line: hits of `recall`, the block of `context`, an event of `get`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from eventd_ipc.blocking import Client
from eventd_ipc.builders import Run, custom
from eventd_ipc.errors import EventdClientError
from eventd_ipc.messages import StoredEvent

from ..errors import EventdError
from ..redaction import find, mask
from ..shapes import own_shapes
from ..units import parse_time

FACT = "memory.fact"
ORIGIN = "agent"  # who says it, as `meta.origin` has it
MAX_FACT = 4000  # characters; a fact is a sentence or two, and stands in every context
MAX_NAME = 200  # characters of its subject and its category; the protocol's ids are shorter
MOST_HITS = 50

_encode = msgspec.json.Encoder().encode


class CannotAnswer(EventdError):
    """A tool has no answer; the message is for the model."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one agent.

    Attributes:
        agent: Whose it is.
        connect: Connects to the daemon as an agent.
        render: Returns a stored event as the command line prints it.
    """

    agent: str
    connect: Callable[[str], Client]
    render: Callable[[StoredEvent], dict[str, Any]]

    def recall(self, text: str, limit: int, session: str | None, since: str | None, around: int) -> str:
        """Return the hits, each a JSON object on a line, best first."""
        if not text.strip():
            raise CannotAnswer("give some words to look for")
        from_time = _time(since)

        def ask(client: Client) -> dict[str, Any]:
            return client.recall(
                text, agent=self.agent, limit=limit, session=session, since=from_time, around=around
            )

        answer = self._ask(ask)
        lines = [_encode(hit).decode() for hit in answer.get("hits", ())]
        if not lines:
            lines.append("nothing was found")
        if not answer.get("complete", True):
            lines.append("the index is not complete yet: there may be more")
        return "\n".join(lines)

    def context(self, query: str | None, session: str | None, budget: int | None) -> str:
        """Return the block that a session begins with."""

        def ask(client: Client) -> dict[str, Any]:
            return client.context(agent=self.agent, query=query or None, session=session, budget=budget)

        return str(self._ask(ask).get("text") or "there is nothing to remember")

    def get(self, event_id: str) -> str:
        """Return one event as JSON."""
        return _encode(self.render(self._ask(lambda client: client.get(event_id)))).decode()

    def remember(
        self,
        text: str,
        subject: str | None,
        category: str | None,
        replaces: str | None,
        source: dict[str, Any],
    ) -> str:
        """Store a fact and return its id; secrets in it are not stored."""
        text = text.strip()
        if not text:
            raise CannotAnswer("there is nothing to remember in an empty text")
        if len(text) > MAX_FACT:
            raise CannotAnswer(
                f"a fact has at most {MAX_FACT:,} characters, this one {len(text):,}: say it in fewer"
            )
        data = {"text": text, "subject": subject, "category": category}
        fact = custom(
            Run(f"agent:{self.agent}:mcp"),
            FACT,
            {key: _redacted(value) for key, value in data.items() if value}
            | ({"supersedes": replaces} if replaces else {}),
            stream="memory",
        )
        fact.agent = self.agent
        fact.meta |= {"origin": ORIGIN, "source": source}
        (stored,) = self._ask(lambda client: client.emit(fact))
        return stored

    def _ask[R](self, question: Callable[[Client], R]) -> R:
        try:
            with self.connect(self.agent) as client:
                return question(client)
        except EventdClientError as error:
            raise CannotAnswer(str(error)) from error  # has the hint in it


def _redacted(text: str) -> str:
    return mask(text, find(text, own_shapes().known))


def _time(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return parse_time(text, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise CannotAnswer(f"since: {text!r}: {error}") from error
