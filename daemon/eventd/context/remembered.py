"""Rows of what is pending, of facts, and of passages that are recalled."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..events.normal import normalise
from ..events.types import MESSAGES, TOOLS, Kind
from ..index.model import Entry, Hit
from . import memory
from .block import Item
from .memory import Memory
from .reading import Past, is_noise, squeezed, stripped, text_of
from .request import ContextRequest
from .rows import Row, row
from .safe import label
from .source import Source
from .stopwords import STOP
from .times import day, moment
from .unfinished import Unfinished

ASIDE = 32  # characters of a subject, a category or a due date
SHORT_WORD = 2  # characters of a word of a query that is too short to cut a passage around it

# The order of what is pending: what a person waits for comes first.
_URGENCY = {"message": 0, "failed run": 1, "tool call": 2, "run": 3}
_WHAT = {"message": "message without an answer", "failed run": "failed run", "run": "run without an end"}
_ROLES = {
    Kind.MESSAGE_IN: "user",
    Kind.MESSAGE_OUT: "assistant",
    Kind.COMPACTION: "summary",
    Kind.MEMORY: "note",
    Kind.TOOL_CALL: "tool call",
    Kind.TOOL_RESULT: "tool result",
}


def pending_rows(
    source: Source, past: Past, agent: str, noted: Sequence[Memory], begun: Sequence[Unfinished], most: int
) -> tuple[list[Row], int]:
    """Return rows of open items: those noted as such, then what was begun and not finished.

    Returns:
        Rows, the most urgent first, and how many more there are.
    """
    rows = [_noted(item) for item in noted[:most]]
    urgent = sorted(begun, key=lambda item: _URGENCY[item.kind])
    texts = {message.mark.n: message.text for message in past.messages}
    wanted = [i.mark.n for i in urgent[:most] if i.kind == "tool call" or i.mark.n not in texts]
    bodies = source.bodies(wanted) if wanted else {}
    told: set[tuple[str, str, str]] = set()
    for item in urgent[: max(0, most - len(rows))]:
        text, tool = texts.get(item.mark.n, ""), ""
        body = bodies.get(item.mark.n)
        if item.kind == "message" and not text and body is not None:
            text = stripped(text_of(item.mark.kind, body))
        elif item.kind == "run":
            text = ""
        elif item.kind == "tool call":
            event = normalise(body) if body is not None else None
            text, tool = (event.text, event.tool) if event is not None else ("", "")
        elif item.kind == "failed run":
            text = _error(body) if body is not None else ""
        key = (item.kind, item.mark.session, squeezed(text) or str(item.mark.n))
        if key in told:
            continue
        told.add(key)
        rows.append(_unfinished(item, agent, text, tool))
    return rows, max(0, len(noted) + len(begun) - most)


def fact_rows(agent: str, facts: Iterable[Memory]) -> list[Row]:
    """Return rows of facts."""
    return [_fact(fact, agent) for fact in facts]


def recalled_rows(
    hits: Iterable[Hit], request: ContextRequest, shown: Iterable[str], tools: bool, left_out: Counter[str]
) -> list[Row]:
    """Return rows of passages, the best first.

    Args:
        shown: Texts that are in the block already.
        tools: Whether what tools said counts.
        left_out: Is told what is left out.
    """
    query = request.query or ""
    words = frozenset(w for w in re.findall(r"\w+", query.lower()) if len(w) > SHORT_WORD and w not in STOP)
    seen = {squeezed(text) for text in shown} | {squeezed(query)}
    rows: list[Row] = []
    for hit in hits:
        entry = hit.entry
        if entry.kind in TOOLS and not tools:
            left_out["tools_recalled"] += 1
            continue
        # What programs observed (`llm.input` holds this very block) is nothing that anybody said.
        if entry.kind not in (*MESSAGES, Kind.MEMORY, Kind.COMPACTION, *TOOLS):
            left_out["not_said"] += 1
            continue
        text = memory.passage(entry) if entry.kind is Kind.MEMORY else text_of(entry.kind, entry.body)
        text = stripped(text)
        key = squeezed(text)
        if not text or is_noise(text):
            continue
        # Also an earlier state of a message that grew: it is a part of what is shown.
        if key in seen or any(other.startswith(key) for other in seen):
            left_out["shown_already"] += 1
            continue
        seen.add(key)
        rows.append(_passage(hit, request.agent, text, words))
    return rows


def _noted(item: Memory) -> Row:
    entry = item.entry
    what = f"- {day(item.time)}, noted as open"
    if aside := _aside(*item.about, item.due and f"due {item.due}"):
        what += f" ({aside})"
    shown = Item(
        entry.event_id, entry.session, entry.agent, item.time, "pending", "noted and not resolved since"
    )
    return row(shown, what, item.text)


def _unfinished(item: Unfinished, agent: str, text: str, tool: str) -> Row:
    mark = item.mark
    what = _WHAT.get(item.kind) or f"call of {label(tool) or 'a tool'} without a result"
    what = "; ".join([what, *item.remarks])
    session = f", {label(mark.session)}" if mark.session else ""
    shown = Item(mark.event_id, mark.session, agent, mark.time, item.kind, what)
    return row(shown, f"- {moment(mark.time)}{session}, {what}", text)


def _fact(fact: Memory, agent: str) -> Row:
    entry = fact.entry
    own = entry.agent == agent
    head = f"- {day(fact.time)}" if own else f"- {day(fact.time)}, from agent {label(entry.agent)}"
    if aside := _aside(*fact.about):
        head += f" ({aside})"
    why = "a fact that was not replaced" if own else "a public fact of another agent"
    return row(Item(entry.event_id, entry.session, entry.agent, fact.time, "fact", why), head, fact.text)


def _passage(hit: Hit, agent: str, text: str, words: frozenset[str]) -> Row:
    entry = hit.entry
    time = _time(entry)
    session = f", {label(entry.session)}" if entry.session else ""
    by = f", agent {label(entry.agent)}" if entry.agent != agent else ""
    role = _ROLES[entry.kind]
    why = f"recalled for the query with score {hit.score:.3g}"
    shown = Item(entry.event_id, entry.session, entry.agent, time, role, why)
    return row(shown, f"- {moment(time)}{session}{by}, {role}", text, words)


def _time(entry: Entry) -> int:
    return min(entry.time, entry.stored) if entry.stored > 0 else entry.time


def _aside(*parts: str) -> str:
    """Return what stands in brackets in our part of a line: names of a few words, no sentences."""
    return ", ".join(label(part.strip(), ASIDE) for part in parts if part.strip())


def _error(body: bytes) -> str:
    event = normalise(body)
    if event is None:
        return ""
    error = event.data.get("error") or event.data.get("message")
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else ""
