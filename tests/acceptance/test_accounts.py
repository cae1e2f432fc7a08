"""Agents with NATS logins of their own: each writes and reads as itself, whatever it stores where."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from msgspec.structs import replace

from eventd_ipc.blocking import Client, connect
from eventd_ipc.errors import EventdClientError
from eventd_ipc.events import Event, Visibility
from support.daemon import Daemon
from support.foreign import Foreign, write
from support.indexed import examine, indexed
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer
from support.waiting import wait_until

SOON = 30.0  # seconds; a bound against hanging
KEEP_ALL = {"maxAge": 0}
AGENTS = ("main", "ann", "bob")
NOW = 1_790_000_000_000

NatsFactory = Callable[..., NatsServer]
DaemonMaker = Callable[..., Daemon]


def login(user: str) -> dict[str, str]:
    return {"user": user, "password": f"{user}-pw"}


def accounts(*users: str) -> str:
    """The server's configuration: an account of its own for each user."""
    made = {user.upper(): {"jetstream": "enabled", "users": [login(user)]} for user in users}
    return f"accounts: {json.dumps(made)}"


@pytest.fixture
def daemons(short_tmp: Path) -> Iterator[DaemonMaker]:
    """Make started daemons; none runs after the test, and none has met a bug."""
    made: list[Daemon] = []

    def make(url: str, **settings: Any) -> Daemon:
        daemon = Daemon(short_tmp / f"d{len(made)}", {"url": url, "index": KEEP_ALL, **settings})
        made.append(daemon)
        return daemon.start()

    yield make
    for daemon in made:
        daemon.kill()
        assert "Traceback" not in daemon.log_text, daemon.complaint()


def said(text: str, agent: str, visibility: Visibility = "internal") -> Event:
    """An event of a kind that is shown in a context."""
    return Event(
        type="memory.fact",
        agent=agent,
        session=f"agent:{agent}:s",
        visibility=visibility,
        payload={"data": {"fact": text}},
    )


def foreign(agent: str, text: str, **more: Any) -> bytes:
    """An event of an agent as another writer puts it."""
    event = {"id": text, "ts": NOW, "agent": agent, "session": f"agent:{agent}:s", "type": "memory.fact",
             "payload": {"fact": text}}  # fmt: skip
    return json.dumps(event | more).encode()


def on(agent: str, body: bytes, headers: dict[str, str] | None = None) -> Foreign:
    return f"openclaw.events.{agent}.memory_fact", body, headers


def facts(client: Client, **wanted: Any) -> list[str]:
    """What is said in the events of a query, in the order of the alphabet."""
    return sorted(fact_of(event.body) for event in client.query(**wanted))


def fact_of(body: bytes) -> str:
    payload = json.loads(body)["payload"]
    return str(payload["fact"] if "fact" in payload else payload["data"]["fact"])


def rebuild(daemon: Daemon) -> None:
    with connect("main", socket=daemon.socket) as client:
        client.index("rebuild")
    wait_ready(daemon)


def wait_ready(daemon: Daemon) -> None:
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index has all")


def wait_all_indexed(daemon: Daemon, *streams: JetStream) -> None:
    """Wait until the index holds what streams of one name in several accounts hold, each message once."""

    def same() -> bool:
        stored = [message for stream in streams for message in stream.read()]
        return not examine(indexed(daemon), stored)

    wait_until(same, SOON, what=lambda: f"the index is the streams\n{daemon.complaint()}")


def found_by(client: Client, word: str, **wanted: Any) -> bool:
    """Whether anything that an agent is shown holds a word."""
    shown = [event.body for event in client.query(**wanted)]
    shown += [event.body for event in client.tail(**wanted)]
    shown += [json.dumps(client.recall(word, **wanted)).encode()]
    if wanted.get("agent") != "*":
        shown += [client.context(query=word, **wanted)["text"].encode()]
    return any(word.encode() in body for body in shown)


class Place:
    """A server on which the daemon and two agents have an account each, all with a stream of one name."""

    def __init__(self, server: NatsServer, daemon: Daemon) -> None:
        self.server = server
        self.daemon = daemon
        self.streams = {user: JetStream(server.url, **login(user)) for user in ("eventd", "ann", "bob")}

    def write(self, user: str, *messages: Foreign) -> list[int]:
        return write(self.server.url, *messages, **login(user))

    def stream_of(self, agent: str) -> JetStream:
        return self.streams["eventd" if agent == "main" else agent]


@pytest.fixture
def place(nats_factory: NatsFactory, daemons: DaemonMaker) -> Place:
    server = nats_factory(config=accounts("eventd", "ann", "bob"))
    agents = {agent: login(agent) for agent in ("ann", "bob")}
    place = Place(server, daemons(server.url, **login("eventd"), agents=agents, outbox={"retain": "1s"}))
    for agent in AGENTS:
        with connect(agent, socket=place.daemon.socket) as client:
            client.emit([said(f"{agent} {n}", agent) for n in range(5)])
    place.daemon.wait_shipped()
    return place


def test_streams_of_one_name_in_several_accounts(place: Place) -> None:
    """Each event is there once, at its own sequence; also when all is read from the streams again."""
    for agent in AGENTS:
        user = "eventd" if agent == "main" else agent
        assert place.write(user, on(agent, foreign(agent, f"{agent} of another host"))) == [6]
    wait_all_indexed(place.daemon, *place.streams.values())
    place.daemon.wait_for(lambda status: not status["outbox"]["retained_rows"], what="nothing is retained")
    for _ in range(2):
        for agent in AGENTS:
            with connect(agent, socket=place.daemon.socket) as client:
                own = [f"{agent} {n}" for n in range(5)] + [f"{agent} of another host"]
                assert facts(client) == own
                stored = [message.body for message in place.stream_of(agent).read()]
                tail = client.tail(stream=STREAM, agent=agent)
                assert [event.body for event in tail] == stored
                filtered = client.tail(stream=STREAM, agent=agent, types="memory.*")
                assert [event.body for event in filtered] == stored
                replay = client.replay(stream=STREAM, agent=agent)
                assert [event.body for event in replay] == stored
                for seq, body in enumerate(stored, 1):
                    assert client.get(seq=seq, stream=STREAM, agent=agent).body == body
                    assert client.get(seq=seq, agent=agent).body == body
        with connect("operator", socket=place.daemon.socket) as client:
            assert client.get(seq=6, stream=STREAM, agent="*").body == foreign("main", "main of another host")
        rebuild(place.daemon)
        wait_all_indexed(place.daemon, *place.streams.values())
    place.server.kill()
    place.daemon.wait_for(
        lambda status: not any(route["connected"] for route in status["routes"]), what="NATS is away"
    )
    with connect("ann", socket=place.daemon.socket) as client:
        assert [fact_of(e.body) for e in client.replay(stream=STREAM, agent="ann")] == facts(client)


def test_what_an_agent_stores_in_its_own_account_is_its_own_or_nobodys(place: Place) -> None:
    """On the subjects of others, and under the token of older writers; for the operator it is there."""
    ann = place.streams["ann"]
    ann.edit(subjects=["openclaw.events.>"])
    forged = [
        on("bob", foreign("bob", "a lie")),
        on("bob", foreign("", "a lie"), {"Nats-Msg-Id": "bob:a lie", "Nats-Expected-Stream": STREAM}),
        on("main", foreign("main", "a lie", visibility="public")),
        on("agent", foreign("agent", "a lie", session="agent:bob:s")),
        on("bob", b"a lie"),
    ]
    sequences = place.write("ann", *forged, on("ann", foreign("ann", "the truth")))
    for _ in range(2):
        wait_all_indexed(place.daemon, *place.streams.values())
        for agent in AGENTS:
            with connect(agent, socket=place.daemon.socket) as client:
                for asked in ("ann", "bob", "main", None):
                    assert not found_by(client, "lie", agent=asked)
                    assert not [e for e in client.tail(stream=STREAM, agent=asked) if b"lie" in e.body]
                    assert not [e for e in client.replay(stream=STREAM, agent=asked) if b"lie" in e.body]
                    for seq in sequences[:-1]:
                        with pytest.raises(EventdClientError):
                            client.get(seq=seq, stream=STREAM, agent=asked)
        with connect("ann", socket=place.daemon.socket) as client:
            assert "the truth" in facts(client)
        with connect("operator", socket=place.daemon.socket) as client:
            assert sum(b"lie" in event.body for event in client.query(agent="*")) == len(forged)
        rebuild(place.daemon)


def test_what_was_there_before_an_agent_got_its_account_stays_its_own(place: Place) -> None:
    """In the default stream, whose login is the operator's; from older writers too."""
    place.write(
        "eventd",
        on("bob", foreign("bob", "from long ago")),
        on("agent", foreign("agent", "from very long ago", session="agent:bob:s")),
    )
    wait_all_indexed(place.daemon, *place.streams.values())
    with connect("bob", socket=place.daemon.socket) as client:
        before, since = ["from long ago", "from very long ago"], [f"bob {n}" for n in range(5)]
        assert facts(client) == [*since, *before]
        for types in ((), ("memory.*",)):  # the stream itself, and the index of it
            own = client.tail(stream=STREAM, agent="bob", types=types)
            assert [fact_of(event.body) for event in own] == since
            default = client.tail(stream=STREAM, types=types)
            assert [fact_of(event.body) for event in default] == before


def test_public_events_reach_agents_of_other_accounts(place: Place) -> None:
    """Through the index, in every way there is. Others do not; a secret is not even found by its owner."""
    with connect("ann", socket=place.daemon.socket) as client:
        for visibility in ("public", "internal", "confidential", "secret"):
            client.emit(said(f"the {visibility} walnut", "ann", visibility))
        for visibility in ("public", "internal", "confidential"):
            assert found_by(client, f"the {visibility} walnut")
        assert "the secret walnut" in facts(client)
        assert "secret" not in json.dumps(client.recall("secret walnut", limit=50))
        assert list(client.query(text="secret")) == []
    place.daemon.wait_shipped()
    for _ in range(2):
        for agent in ("bob", "main"):
            with connect(agent, socket=place.daemon.socket) as client:
                assert "the public walnut" in facts(client)
                assert [hit["text"] for hit in client.recall("walnut")["hits"]] == ["the public walnut"]
                assert "the public walnut" in client.context()["text"]
                for visibility in ("internal", "confidential", "secret"):
                    assert not found_by(client, f"the {visibility} walnut")
        rebuild(place.daemon)


def test_an_agent_called_like_the_token_of_older_writers_writes_as_itself(place: Place) -> None:
    """Its session may name anybody; also when its events are read from the stream again."""
    with connect("agent", socket=place.daemon.socket) as client:
        client.emit(replace(said("a lie", "bob"), agent="agent"))
    place.daemon.wait_for(lambda status: not status["outbox"]["retained_rows"], what="nothing is retained")
    rebuild(place.daemon)
    wait_all_indexed(place.daemon, *place.streams.values())
    with connect("bob", socket=place.daemon.socket) as client:
        assert not found_by(client, "lie")
    with connect("agent", socket=place.daemon.socket) as client:
        assert facts(client) == ["a lie"]


# One account for all


def users(*names: str) -> str:
    """The server's configuration: several users in one account; none but the first writes as another."""
    made: list[dict[str, Any]] = [login(name) for name in names]
    for user in made[1:]:
        others = [f"openclaw.events.{name}.>" for name in names if name != user["user"]]
        user["permissions"] = {"publish": {"deny": others}, "subscribe": {"allow": [">"]}}
    return f"accounts: {json.dumps({'ALL': {'jetstream': 'enabled', 'users': made}})}"


def ask(url: str, user: str, *requests: tuple[str, str, bytes]) -> None:
    """Publish requests with a reply subject of somebody else."""

    async def run() -> None:
        client = await nats.connect(url, allow_reconnect=False, **login(user))
        for subject, reply, body in requests:
            await client.publish(subject, body, reply)
        await client.flush()
        await client.close()

    asyncio.run(run())


def test_an_answer_that_the_server_was_made_to_store_is_nobodys(
    nats_factory: NatsFactory, daemons: DaemonMaker
) -> None:
    """In one account an agent lets the server answer on another's subject, with what it likes."""
    server = nats_factory(config=users("eventd", "ann", "bob"))
    agents = {agent: {**login(agent), "streamName": f"events-{agent}"} for agent in ("ann", "bob")}
    daemon = daemons(server.url, **login("eventd"), sharedAccount=True, agents=agents)
    for agent in ("ann", "bob"):
        with connect(agent, socket=daemon.socket) as client:
            client.emit(said(f"{agent} is here", agent))
    daemon.wait_shipped()
    ann, bob = (JetStream(server.url, **login(agent)) for agent in ("ann", "bob"))
    lie = foreign("bob", "a lie", visibility="public")
    [seq] = write(server.url, on("ann", lie, {"X": "y"}), **login("ann"))
    ann.api("STREAM.UPDATE.events-ann", ann.info("events-ann")["config"] | {"allow_direct": True})
    pull = {"stream_name": "events-ann", "config": {"name": "c", "ack_policy": "none",
            "deliver_policy": "by_start_sequence", "opt_start_seq": seq}}  # fmt: skip
    ann.api("CONSUMER.CREATE.events-ann.c", pull)
    target = "openclaw.events.bob.memory_fact"
    ask(
        server.url, "ann",
        ("$JS.API.CONSUMER.MSG.NEXT.events-ann.c", target, b'{"batch":1}'),
        ("$JS.API.DIRECT.GET.events-ann", target, json.dumps({"seq": seq}).encode()),
        ("$JS.API.STREAM.INFO.events-ann", target, b""),
        ("openclaw.events.ann.lie", target, foreign("ann", "about to be acked")),
    )  # fmt: skip
    wait_until(lambda: bob.last_seq("events-bob") >= 5, SOON, what="the answers are stored")
    stored = bob.read("events-bob")
    assert sum(message.body == lie for message in stored) == 2, "the attack does what it is about"
    write(
        server.url, on("bob", foreign("bob", "said"), {"Nats-Expected-Stream": "events-bob"}), **login("bob")
    )
    answers = [message for message in stored if b"is here" not in message.body]
    for _ in range(2):
        wait_until(lambda: not examine(indexed(daemon, "events-bob"), bob.read("events-bob")), SOON)
        for reader in ("bob", "ann", "main"):
            with connect(reader, socket=daemon.socket) as client:
                for asked in (None, "bob"):
                    assert not found_by(client, "lie", agent=asked)
                    bodies = {e.body for e in client.tail(stream="events-bob", agent=asked)}
                    bodies |= {e.body for e in client.replay(stream="events-bob", agent=asked)}
                    assert not bodies & {message.body for message in answers}
                for message in answers:
                    with pytest.raises(EventdClientError):
                        client.get(seq=message.seq, stream="events-bob", agent="bob")
        with connect("bob", socket=daemon.socket) as client:
            assert facts(client) == ["bob is here", "said"]
        with connect("operator", socket=daemon.socket) as client:
            tail = {event.body for event in client.tail(stream="events-bob", agent="*")}
            replay = {event.body for event in client.replay(stream="events-bob", agent="*")}
            query = {event.body for event in client.query(stream="events-bob", agent="*")}
            assert tail == replay == query >= {message.body for message in answers}
        rebuild(daemon)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not declared"])
def test_logins_of_one_account_share_a_stream(
    nats_factory: NatsFactory, daemons: DaemonMaker, declared: bool
) -> None:
    """Everybody reads what is theirs, once; where nobody has said that it is one account, the log asks."""
    server = nats_factory(config=users("eventd", "ann"))
    daemon = daemons(server.url, **login("eventd"), sharedAccount=declared, agents={"ann": login("ann")})
    everybody = ("main", "ann")
    for agent in everybody:
        with connect(agent, socket=daemon.socket) as client:
            client.emit(said(f"{agent} is here", agent))
    daemon.wait_shipped()
    named = {"Nats-Expected-Stream": STREAM}
    write(
        server.url,
        *(on(agent, foreign(agent, f"{agent} too"), named) for agent in everybody),
        **login("eventd"),
    )
    for _ in range(2):
        wait_ready(daemon)
        for agent in everybody:
            with connect(agent, socket=daemon.socket) as client:
                wait_until(lambda: len(facts(client)) >= 2, SOON)
                assert facts(client) == [f"{agent} is here", f"{agent} too"]
        rebuild(daemon)
    assert ("account_undeclared" in daemon.log_text) is not declared
