"""Answers `recall` and `context`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eventd_ipc.messages import Context, Recall, Result

from ..access.scopes import EVERYBODY, memory_of
from ..config.settings import ContextSettings
from ..context import memory
from ..context.builder import build
from ..context.request import ContextRequest
from ..events.normal import normalise
from ..index.index import Index
from ..index.model import Entry, Filter, Hit
from ..index.reads import Reads
from ..index.snippets import snippet
from ..index.words import parse_query
from ..server.operations import Responder
from .filters import bad, check_agent, short, types_of
from .freshness import Freshness
from .source import IndexSource

MAX_HITS = 200
MAX_AROUND = 10
SHOWN = 2000  # characters of what was said that a hit brings along
SNIPPET = 240  # characters
MAX_BUDGET = 1_000_000  # characters
MAX_EVENTS = 20_000
MAX_HOURS = 24 * 366 * 10


class Remembering:
    """What agents remember.

    Args:
        settings: Of the context block, for agents without their own.
        own_settings: By agent.
    """

    def __init__(
        self,
        index: Index,
        freshness: Freshness,
        settings: ContextSettings,
        own_settings: Mapping[str, ContextSettings],
    ) -> None:
        self._index = index
        self._freshness = freshness
        self.configure(settings, own_settings)

    def configure(self, settings: ContextSettings, own_settings: Mapping[str, ContextSettings]) -> None:
        """Make blocks by other settings from now on."""
        self._settings = settings
        self._own_settings = own_settings

    async def recall(self, request: Recall, responder: Responder) -> None:
        """Send the events that answer the text best."""
        check_agent(request.agent)
        if not 1 <= request.limit <= MAX_HITS:
            raise bad(f"limit is a number of events, from 1 to {MAX_HITS}")
        if not 0 <= request.around <= MAX_AROUND:
            raise bad(f"around is a number of events, from 0 to {MAX_AROUND}")
        wanted = Filter(
            scope=memory_of(responder.identity, request.agent),
            session=short("session", request.session),
            types=types_of(request.types),
            since=request.since,
            until=request.until,
        )
        complete = await self._freshness.wait()
        document = await self._index.read(lambda reads: _recall(reads, request, wanted))
        await responder.send(Result(request.id, {**document, "complete": complete}))

    async def context(self, request: Context, responder: Responder) -> None:
        """Send the block."""
        check_agent(request.agent)
        if request.agent == EVERYBODY:
            raise bad("a context is that of one agent")
        agent = request.agent or responder.identity.agent
        granted = memory_of(responder.identity, agent).granted
        session = short("session", request.session) or None
        asked = ContextRequest(agent, session, request.query or None, granted)
        settings = self._settings_for(request, agent)
        complete = await self._freshness.wait()
        block = await self._index.read(lambda reads: build(IndexSource(reads, granted), asked, settings))
        document = {"text": block.text, "complete": complete, **block.document}
        await responder.send(Result(request.id, document))

    def _settings_for(self, request: Context, agent: str) -> ContextSettings:
        settings = self._own_settings.get(agent, self._settings)
        if request.budget is not None:
            if not 1 <= request.budget <= MAX_BUDGET:
                raise bad(f"budget is a number of characters, from 1 to {MAX_BUDGET}")
            settings = replace(settings, budget=request.budget)
        if request.hours is not None:
            if not 0 < request.hours <= MAX_HOURS:
                raise bad(f"hours is a number, above 0 and up to {MAX_HOURS}")
            settings = replace(settings, look_back=request.hours * 3600)
        if request.events is not None:
            if not 1 <= request.events <= MAX_EVENTS:
                raise bad(f"events is a number, from 1 to {MAX_EVENTS}")
            settings = replace(settings, max_events=request.events)
        return settings if request.tools is None else replace(settings, tools=request.tools)


def _recall(reads: Reads, request: Recall, wanted: Filter) -> dict[str, Any]:
    found = reads.recall(request.text, wanted, limit=2 * request.limit, around=request.around)
    newest = reads.page(Filter(scope=wanted.scope), limit=1)
    query = parse_query(request.text)
    hits: list[dict[str, Any]] = []
    valid = [hit for hit in found if not memory.is_closed(hit.entry)]
    for hit, text in _distinct(valid)[: request.limit]:
        shown = _shown(hit.entry, text)
        shown |= {"score": round(hit.score, 4), "snippet": snippet(text, query, SNIPPET)}
        if request.around:
            shown["around"] = [_shown(entry, _text(entry)) for entry in hit.around]
        hits.append(shown)
    return {"hits": hits, "asOf": newest[0].time if newest else None}


def _distinct(hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
    """Return hits with their texts, without those that say what a better one says.

    Older writers store a message piece by piece, each piece with all that came before.
    """
    kept: list[tuple[Hit, str]] = []
    said: dict[tuple[str, str], list[str]] = {}
    for hit in hits:
        entry = hit.entry
        before = said.setdefault((entry.agent, entry.run or entry.session), [])
        text = _text(entry)
        if any(text.startswith(other) or (text and other.startswith(text)) for other in before):
            continue
        if text:
            before.append(text)
        kept.append((hit, text))
    return kept


def _text(entry: Entry) -> str:
    event = normalise(entry.body)
    return "" if event is None else event.text


def _shown(entry: Entry, text: str) -> dict[str, Any]:
    shown = {
        "id": entry.event_id or None,
        "agent": entry.agent,
        "session": entry.session,
        "type": entry.type,
        "time": entry.time,
        "stream": entry.stream,
        "seq": entry.seq,
        "text": text[:SHOWN],
    }
    return shown | dict(zip(("path", "heading"), memory.file_of(entry), strict=False))
