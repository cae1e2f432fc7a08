"""An index in memory for tests of the context block, filled from JSON bodies as streams hold them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eventd.context.source import Mark
from eventd.events.normal import normalise, searchable
from eventd.events.types import Kind
from eventd.index.model import Entry, Hit

Json = dict[str, Any]

START = 1_795_374_000_000  # 2026-11-22 19:00 UTC
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class MemorySource:
    """Implements `eventd.context.source.Source` over a list, in the order of arrival.

    Args:
        events: Bodies as maps or as JSON.
        owner: The agent whose subject they came on, where the body names nobody.
    """

    def __init__(self, events: Iterable[Json | bytes] = (), owner: str = "main") -> None:
        self.entries: list[Entry] = []
        self.read: list[int] = []  # numbers of the bodies that were asked for
        for event in events:
            self.add(event, owner)

    def add(self, event: Json | bytes, owner: str = "main", stored: int | None = None) -> Entry:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        normal = normalise(body)
        n = len(self.entries) + 1
        if normal is None:
            entry = Entry(n, "s", n, "x", owner, "", "?", Kind.RAW, "internal", 1, 1, "", "", "", 0, body)
        else:
            time = normal.time or stored or START
            entry = Entry(
                n, "s", n, "x", normal.agent or owner, normal.session,
                normal.type, normal.kind, normal.visibility, time, max(time, stored or time), normal.run,
                normal.call, normal.id, len(searchable(normal).split()), body,
            )  # fmt: skip
            if stored is not None:
                entry = entry._replace(stored=stored)
        self.entries.append(entry)
        return entry

    def newest(
        self, agent: str, *, since: int | None, limit: int, kinds: Sequence[Kind] = ()
    ) -> Sequence[Mark]:
        found = [
            entry
            for entry in self.entries
            if entry.agent == agent
            and (since is None or entry.time >= since)
            and (not kinds or entry.kind in kinds)
        ]
        found.sort(key=lambda entry: (entry.time, entry.n), reverse=True)
        return [
            Mark(e.n, e.session, e.type, e.kind, e.time, e.stored, e.run, e.call, e.event_id, len(e.body))
            for e in found[:limit]
        ]

    def bodies(self, numbers: Sequence[int]) -> Mapping[int, bytes]:
        self.read += numbers
        return {n: self.entries[n - 1].body for n in numbers if 0 < n <= len(self.entries)}

    def memories(self, agent: str, *, others: bool, limit: int) -> Sequence[Entry]:
        found = [
            entry
            for entry in self.entries
            if entry.kind is Kind.MEMORY
            and (entry.agent != agent and entry.visibility == "public" if others else entry.agent == agent)
        ]
        found.sort(key=lambda entry: (entry.time, entry.n), reverse=True)
        return found[:limit]

    def notes(self, agent: str, *, limit: int) -> Sequence[Entry]:
        found = [entry for entry in self.entries if entry.kind is Kind.NOTE and entry.agent == agent]
        found.sort(key=lambda entry: (entry.time, entry.n), reverse=True)
        return found[:limit]

    def recall(self, query: str, agent: str, *, limit: int) -> Sequence[Hit]:
        """Rank by the number of common words of more than three letters."""
        wanted = _words(query)
        hits: list[Hit] = []
        for entry in self.entries:
            if entry.agent != agent and entry.visibility != "public":
                continue
            normal = normalise(entry.body)
            common = wanted & _words(searchable(normal)) if normal is not None else set()
            if common:
                hits.append(Hit(entry, float(len(common))))
        return sorted(hits, key=lambda hit: (-hit.score, -hit.entry.time, -hit.entry.n))[:limit]


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w{4,}", text)}
