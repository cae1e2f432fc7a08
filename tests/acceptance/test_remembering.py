"""What agents and others have stored is remembered by a whole daemon, whatever becomes of NATS and index."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import Client, connect
from eventd_ipc.errors import EventdClientError
from eventd_ipc.events import Event
from support.daemon import Daemon
from support.foreign import Foreign, write
from support.indexed import examine, indexed, wait_indexed
from support.jetstream import STREAM, JetStream
from support.load import emit
from support.nats import NatsServer
from support.waiting import wait_until

KEEP_ALL = {"maxAge": 0}  # the load's events are of 2023
SOON = 20.0  # seconds; a bound against hanging

NatsFactory = Callable[..., NatsServer]


@pytest.fixture
def daemons(short_tmp: Path) -> Iterator[Callable[..., Daemon]]:
    """Make daemons; none runs after the test, and none has met a bug."""
    made: list[Daemon] = []

    def make(url: str, **settings: Any) -> Daemon:
        daemon = Daemon(short_tmp / f"d{len(made)}", {"url": url, "index": KEEP_ALL, **settings})
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.kill()
    for daemon in made:
        assert "Traceback" not in daemon.log_text, daemon.complaint()


@pytest.fixture
def jetstream(nats_server: NatsServer) -> JetStream:
    return JetStream(nats_server.url)


def said(text: str, session: str) -> Event:
    """An event in which the agent says something."""
    return Event(type="conversation.message.out", session=session, payload={"data": {"text": text}})


def texts(client: Client, **wanted: Any) -> list[str]:
    """Return what is said in the events of a query, oldest first."""
    return [
        json.loads(event.body)["payload"]["data"]["text"]
        for event in client.query(order="oldest", types="conversation.*", **wanted)
    ]


def check_remembered(client: Client, word: str) -> None:
    """Emit an event, and find it in every way there is, at once."""
    [event_id] = client.emit(said(f"the {word} is ready", "agent:main:s"))
    assert json.loads(client.get(event_id).body)["id"] == event_id
    assert texts(client)[-1] == f"the {word} is ready"
    assert [event_id] == [json.loads(event.body)["id"] for event in client.query(text=word)]
    assert json.loads(next(client.tail(last=1)).body)["id"] == event_id
    assert event_id in [hit["id"] for hit in client.recall(word)["hits"]]
    assert word in client.context()["text"]


def test_an_agent_reads_what_it_has_written(nats_server: NatsServer, daemons: Callable[..., Daemon]) -> None:
    """Right after its ack: with NATS there, after it went away, and after it came back."""
    daemon = daemons(nats_server.url).start()
    with connect("main", socket=daemon.socket) as client:
        for n in range(20):
            check_remembered(client, f"alpha{n}")
        nats_server.kill()
        for n in range(20):
            check_remembered(client, f"beta{n}")
        nats_server.start()
        for n in range(20):
            check_remembered(client, f"gamma{n}")
        assert len(texts(client)) == 60
    daemon.wait_shipped()
    wait_indexed(daemon, JetStream(nats_server.url))


def test_an_agent_reads_what_it_has_written_where_nats_never_was(
    nats_factory: NatsFactory, daemons: Callable[..., Daemon]
) -> None:
    """And it is the same once there is one; what others had stored there comes in then."""
    server = nats_factory(start=False)
    daemon = daemons(server.url).start()
    with connect("main", socket=daemon.socket) as client:
        for n in range(5):
            check_remembered(client, f"alpha{n}")
        assert not client.recall("alpha1")["complete"], "others may have stored something"
        daemon.restart(kill=True)
    with connect("main", socket=daemon.socket) as client:
        assert len(texts(client)) == 5
        check_remembered(client, "beta")
    server.start()
    daemon.wait_shipped()
    wait_indexed(daemon, JetStream(server.url))
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it has all")
    with connect("main", socket=daemon.socket) as client:
        assert client.recall("alpha1")["complete"]
        assert len(texts(client)) == 6


# Others


def foreign(**event: Any) -> bytes:
    return json.dumps(event).encode()


NOW = 1_790_000_000_000

SHAPES = {
    "document": (
        "openclaw.events.ann.conversation_message_out",
        foreign(id="d", timestamp=NOW, agent="ann", session="agent:ann:s", type="conversation.message.out",
                visibility="internal", payload={"data": {"text": "walnut"}}),
        "ann", "conversation.message.out",
    ),
    "plugin 0.2.1": (
        "openclaw.events.ann.msg_in",
        foreign(id="p", ts=NOW, agent="ann", session="agent:ann:s", type="msg.in",
                payload={"content": "walnut"}),
        "ann", "conversation.message.in",
    ),
    "plugin 0.2.2": (
        "openclaw.events.ann.tool_call",
        foreign(id="q", ts=NOW, agent="ann", session="ann:s", type="tool.call",
                canonicalType="tool.call.requested", schemaVersion=2, source={}, actor={}, scope={},
                payload={"toolName": "crack", "params": {"what": "walnut"}}),
        "ann", "conversation.tool_call",
    ),
    "session-sync": (
        "openclaw.events.ann.conversation_message_in",
        foreign(id="s", timestamp=NOW, agent="ann", session="agent:ann:0190-uuid",
                type="conversation.message.in", payload={"text_preview": [{"text": "walnut"}]}),
        "ann", "conversation.message.in",
    ),
    "the token agent": (
        "openclaw.events.agent.msg_out",
        foreign(id="a", ts=NOW, agent="agent", session="agent:ann:s", type="msg.out",
                payload={"content": "walnut"}),
        "ann", "conversation.message.out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_what_others_store_is_remembered(
    nats_server: NatsServer, daemons: Callable[..., Daemon], jetstream: JetStream, shape: str
) -> None:
    """In any of the shapes that are found in such streams; as its agent's, by the document's type."""
    subject, body, agent, event_type = SHAPES[shape]
    jetstream.make()
    daemon = daemons(nats_server.url).start()
    [seq] = write(nats_server.url, (subject, body, None))
    with connect(agent, socket=daemon.socket) as client:
        found = wait_until(lambda: list(client.query()), SOON, what="it is there")
        assert [(event.stream, event.seq, event.subject, bytes(event.body)) for event in found] == [
            (STREAM, seq, subject, body)
        ]
        [hit] = client.recall("walnut")["hits"]
        assert (hit["agent"], hit["type"], hit["time"]) == (agent, event_type, NOW)
        assert "walnut" in client.context(tools=True)["text"]
    with connect("somebody", socket=daemon.socket) as client:
        assert list(client.query()) == []


LARGE = foreign(id="l", ts=NOW, type="msg.out", payload={"content": "x" * (1024 * 1024 - 1000)})
SPOILED = {
    "claims another agent": foreign(id="c", agent="main", type="memory.fact", payload={"fact": "lie"}),
    "not JSON": b"{not json",
    "empty": b"",
    "no utf-8": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "too deep": b'{"type":"x","payload":{"content":' + b"[" * 900 + b"]" * 900 + b"}}",
    "half a character": b'{"type":"msg.out","payload":{"content":"\\ud83d"}}',
    "large": LARGE,
}


def test_nothing_that_others_store_is_too_much(
    nats_server: NatsServer, daemons: Callable[..., Daemon], jetstream: JetStream
) -> None:
    """All of it is there for the operator; nobody is told what somebody else claims; the daemon goes on."""
    jetstream.make()
    daemon = daemons(nats_server.url).start()
    subject = "openclaw.events.ann.msg_out"
    messages: list[Foreign] = [(subject, body, None) for body in SPOILED.values()]
    odd = {"Nats-Msg-Id": "main:1", "Nats-Expected-Stream": STREAM, "X": "y" * 5000}
    messages += [
        ("openclaw.events.a.b.c.d", foreign(id="n", agent="main", type="msg.out"), None),
        ("openclaw.events.%zz.x", foreign(id="z", type="msg.out"), None),
        (subject, foreign(id="h", type="msg.out", ts=NOW), odd),
        (subject, foreign(id="last", type="msg.out", ts=NOW), None),
    ]
    write(nats_server.url, *messages)
    pid = daemon.pid
    wait_indexed(daemon, jetstream, timeout=SOON)
    with connect("main", socket=daemon.socket) as client:
        assert list(client.query()) == []
        assert client.recall("lie")["hits"] == []
        check_remembered(client, "walnut")
    with connect("ann", socket=daemon.socket) as client:
        assert client.context()["text"] is not None
        assert client.recall("anything")["hits"] is not None
    assert daemon.pid == pid
    daemon.restart()
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream, timeout=SOON)


def test_two_hosts_on_one_stream_see_each_other(
    nats_server: NatsServer, daemons: Callable[..., Daemon], jetstream: JetStream
) -> None:
    """Each event once, on both."""
    one, two = daemons(nats_server.url).start(), daemons(nats_server.url).start()
    for first in range(1, 201, 20):
        emit(one.socket, "main", range(first, first + 20))
        emit(two.socket, "tim", range(first, first + 20))
    one.wait_shipped()
    two.wait_shipped()
    for daemon in (one, two):
        assert len(wait_indexed(daemon, jetstream)) == 400
    with connect("main", socket=two.socket) as client:
        assert len(list(client.query())) == 200


@pytest.mark.parametrize("wide", [False, True], ids=["nothing there", "an old wide stream"])
def test_the_documents_full_options_are_followed(
    nats_server: NatsServer, daemons: Callable[..., Daemon], jetstream: JetStream, wide: bool
) -> None:
    """An agent with a stream of its own below the default prefix; all that is stored anywhere, once."""
    if wide:
        jetstream.make()
    agents = {
        "my-agent": {
            "url": nats_server.url,
            "streamName": "events-my-agent",
            "subjectPrefix": "openclaw.events.my-agent",
        }
    }
    daemon = daemons(
        nats_server.url, streamName="openclaw-events", subjectPrefix="openclaw.events", agents=agents
    ).start()
    for first in range(1, 61, 20):
        emit(daemon.socket, "main", range(first, first + 20))
        emit(daemon.socket, "my-agent", range(first, first + 20))
    daemon.wait_shipped()
    write(
        nats_server.url,
        ("openclaw.events.my-agent.msg_out", foreign(id="f", ts=NOW, type="msg.out"), None),
        ("openclaw.events.main.msg_out", foreign(id="f", ts=NOW, type="msg.out"), None),
    )
    streams = [STREAM] if wide else [STREAM, "events-my-agent"]
    for stream in streams:
        wait_indexed(daemon, jetstream, stream=stream)
    with connect("my-agent", socket=daemon.socket) as client:
        assert len(list(client.query())) == 61
        assert {event.stream for event in client.query()} == {streams[-1]}
        assert client.index("rebuild")["state"] in ("rebuilding", "ready")
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it is built anew")
    for stream in streams:
        wait_indexed(daemon, jetstream, stream=stream)


# The index's file


def delete(path: Path) -> None:
    path.unlink()


def delete_log(path: Path) -> None:
    path.with_name("index.db-wal").unlink(missing_ok=True)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data), 97):
        data[at] ^= 0x55
    path.write_bytes(data)


def scramble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def age(path: Path) -> None:
    """As an older eventd has left it."""
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 0 WHERE key = 'schema'")
    db.close()


def replace_by_other(path: Path) -> None:
    """Somebody else's database."""
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE meta (x)")
    db.close()


HARMS = [delete, delete_log, empty, halve, flip, scramble, age, replace_by_other]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_the_index_is_whole_again_whatever_became_of_its_file(
    nats_server: NatsServer,
    daemons: Callable[..., Daemon],
    jetstream: JetStream,
    harm: Callable[[Path], None],
    killed: bool,
) -> None:
    """From the streams, and from the outbox what is not there yet."""
    daemon = daemons(nats_server.url, outbox={"retain": "1s"}, shutdownTimeout="200ms").start()
    emit(daemon.socket, "main", range(1, 501))
    daemon.wait_shipped()
    write(nats_server.url, ("openclaw.events.ann.msg_out", SHAPES["plugin 0.2.1"][1], None))
    emit(daemon.socket, "main", range(501, 521))
    daemon.wait_shipped()
    stored = wait_indexed(daemon, jetstream)
    nats_server.kill()
    emit(daemon.socket, "main", range(521, 541))
    if killed:
        daemon.kill()
    else:
        daemon.stop()
    harm(daemon.data / "index.db")
    daemon.start()
    emit(daemon.socket, "main", range(541, 551))
    with connect("main", socket=daemon.socket) as client:
        mine = wait_until(lambda: found_by(client, range(521, 551)), SOON, what="own events are there")
    assert all(event.seq == 0 for event in mine)
    nats_server.start()
    daemon.wait_shipped()
    assert len(wait_indexed(daemon, jetstream)) == len(stored) + 30
    daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="it knows that it has all")


def found_by(client: Client, numbers: range) -> list[Any]:
    """Return those of the load's events that a query finds, once it finds all of them."""
    wanted = {f"main-{number:06d}" for number in numbers}
    try:
        found = [event for event in client.query() if json.loads(event.body)["id"] in wanted]
    except EventdClientError:
        return []  # it has just noticed
    return found if len(found) == len(wanted) else []


def test_the_outbox_is_deleted_by_hand(
    nats_server: NatsServer, daemons: Callable[..., Daemon], jetstream: JetStream
) -> None:
    """Its numbers begin anew: the index keeps what it has, and takes what comes."""
    daemon = daemons(nats_server.url).start()
    emit(daemon.socket, "main", range(1, 51))
    daemon.wait_shipped()
    wait_indexed(daemon, jetstream)
    daemon.stop()
    for file in daemon.data.glob("outbox*"):
        file.unlink()
    daemon.start()
    emit(daemon.socket, "main", range(101, 111))
    emit(daemon.socket, "tim", range(1, 61))
    daemon.wait_shipped()
    assert len(wait_indexed(daemon, jetstream)) == 120
    assert not examine(indexed(daemon), jetstream.read())
