"""`get` and `tail` straight from a stream, for what the index does not have: by the rules of the index."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventd.access.identity import Identity
from eventd.access.scopes import Forbidden
from eventd.config.settings import ContextSettings, IndexSettings
from eventd.indexing.indexer import Indexer
from eventd.reading.freshness import Freshness
from eventd.reading.handlers import Reading
from eventd.reading.queries import Queries
from eventd.reading.remembering import Remembering
from eventd.reading.replay import Replays
from eventd.reading.streams import StreamReads
from eventd.server.operations import RequestRefused
from eventd_ipc.messages import Get, StoredEvent, Tail
from indexing.support import STREAM, Site, routes_to, site_at
from support.identities import agent, speaker
from support.nats import NatsServer

pytestmark = pytest.mark.anyio


class Asker:
    """Who asks, and what they were sent."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.taken: list[StoredEvent] = []

    async def send(self, reply: StoredEvent) -> None:
        self.taken.append(reply)


class Place:
    """A stream, an index that nobody fills, and who answers."""

    def __init__(self, site: Site, reading: Reading) -> None:
        self.site = site
        self.reading = reading

    async def write(self, agent: str, text: str, *, visibility: str = "internal") -> None:
        """Store an event with the id `same`."""
        event = {"id": "same", "agent": agent, "type": "x", "visibility": visibility, "text": text}
        await self.site.publish(f"openclaw.events.{agent}.x", json.dumps(event).encode())

    async def get(self, reader: str, agent: str | None = None, seq: int | None = None) -> str:
        """Return what the event that a reader gets says; "" where there is none for it."""
        asker = Asker(speaker(reader))
        request = Get(1, event=None if seq else "same", seq=seq, agent=agent)
        try:
            await self.reading._get(request, asker)  # type: ignore[arg-type]
        except RequestRefused:
            return ""
        [found] = asker.taken
        return str(json.loads(found.body)["text"])

    async def tail(self, reader: str, agent: str | None = None) -> list[int]:
        """Return the sequences that a reader sees in the stream."""
        asker = Asker(speaker(reader))
        await self.reading._tail(Tail(1, stream=STREAM, agent=agent), asker)  # type: ignore[arg-type]
        return [event.seq for event in asker.taken]


@pytest.fixture
async def place(nats_server: NatsServer, short_tmp: Path) -> AsyncIterator[Place]:
    routes = routes_to(nats_server.url)
    async with site_at(short_tmp, routes) as site:
        indexer = Indexer(site.index, site.outbox, site.fleet, IndexSettings(), lambda: 0)
        freshness = Freshness(site.outbox, site.index, indexer)
        streams = StreamReads(site.fleet)
        reading = Reading(
            streams,
            Queries(site.index, freshness),
            Replays(streams, site.index, indexer.ownership),
            Remembering(site.index, freshness, ContextSettings(), {}),
            indexer,
            indexer.ownership,
            site.fleet.all_connected,
        )
        yield Place(site, reading)


async def test_of_several_events_with_one_id_a_reader_gets_its_own(place: Place) -> None:
    """Others' do not hide it, whether they may be read or not; without one of its own, what is shared."""
    await place.write("bob", "bob's")
    await place.write("carol", "shared", visibility="public")
    await place.write("ann", "ann's")
    assert [await place.get(reader) for reader in ("ann", "bob", "dave")] == ["ann's", "bob's", "shared"]
    assert await place.get("dave", "ann") == "ann's"
    assert await place.get("dave", "dave") == ""


async def test_what_is_not_theirs_is_refused(place: Place) -> None:
    """To an agent that has proved its name; as long as there is nothing else with the id that it may read."""
    await place.write("bob", "bob's")
    ann = Asker(agent("ann"))
    for request in (Get(1, event="same"), Get(1, seq=1)):
        with pytest.raises(Forbidden):
            await place.reading._get(request, ann)  # type: ignore[arg-type]
    await place.write("ann", "ann's")
    await place.reading._get(Get(1, event="same"), ann)  # type: ignore[arg-type]
    assert [event.seq for event in ann.taken] == [2]


async def test_nobody_gets_what_is_not_theirs(place: Place) -> None:
    """By its sequence, or in a tail."""
    await place.write("bob", "bob's")
    await place.write("bob", "shared", visibility="public")
    await place.site.publish("openclaw.events.bob.x", b'{"stream": "s", "seq": 7, "text": "an ack"}')
    await place.site.publish("openclaw.events.bob.x", b'{"stream": "s", "seq": 7}')
    assert [await place.get("ann", seq=seq) for seq in (1, 2, 9)] == ["", "shared", ""]
    assert [await place.get("bob", seq=seq) for seq in (1, 2, 3)] == ["bob's", "shared", "an ack"]
    assert await place.get("bob", seq=4) == "", "an answer of NATS is nobody's"
    assert await place.tail("ann") == [2]
    assert await place.tail("bob") == [1, 2, 3]
    assert await place.tail("ann", "*") == [1, 2, 3, 4]


async def test_an_agent_does_not_cause_a_reading_of_the_whole_stream(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that says nothing of its time is looked for in the index alone, once that is complete."""
    await place.write("ann", "ann's")
    monkeypatch.setattr(Indexer, "complete", True)
    with pytest.raises(RequestRefused):
        await place.reading._get(Get(1, event="same"), Asker(agent("ann")))  # type: ignore[arg-type]
    assert await place.get("ann") == "ann's", "an administrator may"
    monkeypatch.setattr(Indexer, "complete", False)
    ann = Asker(agent("ann"))
    await place.reading._get(Get(1, event="same"), ann)  # type: ignore[arg-type]
    assert [event.seq for event in ann.taken] == [1]
