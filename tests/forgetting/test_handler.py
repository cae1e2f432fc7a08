"""The request `forget` at a running daemon: what is refused at once, what is found, what becomes of it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from eventd.events.tombstones import TOMBSTONE, Forgotten, payload
from eventd_ipc.errors import Refused
from eventd_ipc.events import Event
from eventd_ipc.messages import RawEvent, Selected
from support.daemon import Daemon
from support.foreign import write
from support.forgetting import (
    MARKER,
    admin,
    emit_some,
    forget,
    ids_of,
    progress,
    shown,
    tombstones_of,
    wait_forgotten,
    wait_placed,
)
from support.jetstream import STREAM, JetStream, Stored
from support.nats import NatsServer
from support.waiting import wait_until

LIMITED = """
authorization {{ users = [
  {{user: op, password: op}}
  {{user: eventd, password: pw, permissions: {{
    publish: {{allow: [">"], deny: [{deny}]}}, subscribe: {{allow: [">"]}}
  }}}}
] }}
"""


class Site(NamedTuple):
    """A daemon and its server; the tests that share them have an agent each."""

    daemon: Daemon
    streams: JetStream

    def stored(self, agent: str) -> list[Stored]:
        """What the default stream has of an agent."""
        return [message for message in self.streams.read() if f".{agent}." in message.subject]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        NatsServer(tmp_path_factory.mktemp("nats")) as server,
        tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder,
        Daemon(Path(folder), {"url": server.url}) as daemon,
    ):
        daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index is ready")
        yield Site(daemon, JetStream(server.url))
        assert "Traceback" not in daemon.log_text


def assert_unchanged(daemon: Daemon, streams: JetStream, ids: list[str]) -> None:
    assert shown(daemon) == ids
    assert ids_of(streams.read()) == ids
    assert tombstones_of(streams.read()) == []
    with admin(daemon) as client:
        assert client.known("main", ids)["forgotten"] == []
        assert client.dead_letters()["letters"] == []


def test_a_missing_right_is_said_at_once(short_tmp: Path) -> None:
    """Before anything is changed, naming what has to be granted."""
    denied = f"$JS.API.STREAM.MSG.DELETE.{STREAM}"
    server = NatsServer(short_tmp / "n", config=LIMITED.format(deny=f'"{denied}"'))
    url = server.url.replace("nats://", "nats://eventd:pw@")
    with server.start(), Daemon(short_tmp / "d", {"url": url}) as daemon:
        secrets, others = emit_some(daemon)
        daemon.wait_shipped()
        with pytest.raises(Refused) as refused:
            forget(daemon, secrets)
        assert refused.value.code == "forbidden"
        assert denied in str(refused.value)
        streams = JetStream(server.url, user="op", password="op")
        assert_unchanged(daemon, streams, sorted(secrets + others))
        server.reload(LIMITED.format(deny=""))
        wait_forgotten(daemon, forget(daemon, secrets))
        assert ids_of(streams.read()) == others


def test_a_stream_that_lets_go_of_nothing_is_told_at_once(nats_server: NatsServer, short_tmp: Path) -> None:
    streams = JetStream(nats_server.url)
    streams.make(STREAM, deny_delete=True)
    with Daemon(short_tmp / "d", {"url": nats_server.url}) as daemon:
        secrets, others = emit_some(daemon)
        daemon.wait_shipped()
        with pytest.raises(Refused, match="deny_delete"):
            forget(daemon, secrets)
        assert_unchanged(daemon, streams, sorted(secrets + others))


def test_a_right_that_is_missing_later_makes_a_dead_letter(short_tmp: Path) -> None:
    """While NATS was away nobody could ask. It shows; once the right is there, a retry ends it."""
    server = NatsServer(short_tmp / "n", config=LIMITED.format(deny='"$JS.API.STREAM.MSG.DELETE.>"'))
    url = server.url.replace("nats://", "nats://eventd:pw@")
    with Daemon(short_tmp / "d", {"url": url}) as daemon:
        secrets, others = emit_some(daemon)
        server.start()
        daemon.wait_shipped()
        server.stop()
        daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it knows")
        answer = forget(daemon, secrets)
        server.start()
        wait_until(lambda: progress(daemon, answer)["dead"], 30, what="the tombstone is dead")
        [dead] = progress(daemon, answer)["dead"]
        assert "STREAM.MSG.DELETE" in dead["reason"]
        assert daemon.health() != "ok"
        assert shown(daemon) == others
        emit_some(daemon, 1)  # the route goes on
        daemon.wait_shipped()
        server.reload(LIMITED.format(deny=""))
        with admin(daemon) as client:
            client.dead_letters("retry", [dead["number"]])
        wait_forgotten(daemon, answer)
        streams = JetStream(server.url, user="op", password="op")
        assert ids_of(streams.read())[: len(others)] == others
        server.kill()


def test_what_others_wrote_without_ids_goes_by_its_place(nats_server: NatsServer, short_tmp: Path) -> None:
    """Out of a stream that eventd did not make, and that has none of its settings."""
    streams = JetStream(nats_server.url)
    streams.make()
    lines = [json.dumps({"type": "msg.in", "payload": {"content": f"{MARKER} {n}"}}) for n in range(3)]
    write(nats_server.url, *(("openclaw.events.main.msg_in", line.encode(), None) for line in lines))
    with Daemon(short_tmp / "d", {"url": nats_server.url}) as daemon:
        wait_until(lambda: len(shown(daemon)) == 3, what="the index has them")
        with admin(daemon) as client:
            answer = client.forget("main", [Selected(stream=STREAM, seq=2), Selected(stream=STREAM, seq=9)])
        assert (answer["events"], answer["places"], len(answer["unknown"])) == (1, 1, 1)
        wait_forgotten(daemon, answer)
        assert [message.seq for message in streams.read()][:2] == [1, 3]
        assert len(shown(daemon)) == 2
        assert not streams.info()["config"].get("allow_atomic"), "it was not changed"


@pytest.fixture
def aged(nats_server: NatsServer, short_tmp: Path) -> Iterator[Site]:
    """A site whose index lets go of everything at once, and says that it is being built where a file is."""
    mutation = f"""
import pathlib
from eventd.indexing import indexer
indexer.TIDY_INTERVAL = 0.05
caught_up = indexer.Indexer.caught_up.fget
building = pathlib.Path({str(short_tmp / "building")!r})
indexer.Indexer.caught_up = property(lambda self: not building.exists() and caught_up(self))
"""
    settings = {"url": nats_server.url, "outbox": {"retain": "0s"}, "index": {"maxAge": "1s"}}
    with Daemon(short_tmp / "d", settings, mutation=mutation) as daemon:
        daemon.wait_for(lambda status: status["index"]["state"] == "ready", what="the index is ready")
        yield Site(daemon, JetStream(nats_server.url))


def _emit_old(site: Site) -> list[str]:
    secrets, _ = emit_some(site.daemon, 10)
    site.daemon.wait_shipped()
    wait_until(lambda: not shown(site.daemon), what="the index has let go of them")
    site.daemon.wait_for(lambda status: not status["outbox"]["retained_rows"], what="so has the outbox")
    return secrets


def test_what_is_too_old_for_the_index_goes_by_its_place(aged: Site) -> None:
    """Where that is the event's indeed, and whoever knows its id still."""
    secrets = _emit_old(aged)
    with admin(aged.daemon) as client:
        wrong = client.forget("main", [Selected("nobodys", STREAM, 2), Selected("other", "a.b", 2)])
        assert (wrong["tombstones"], len(wrong["unknown"])) == ([], 2)
        answer = client.forget("main", [Selected(secrets[0], STREAM, 1), Selected(secrets[1], STREAM, 6)])
    assert (answer["events"], answer["places"]) == (2, 2)
    wait_forgotten(aged.daemon, answer)
    assert [message.seq for message in aged.streams.read()][:-1] == [2, 3, 4, 5, 7, 8, 9, 10]


def test_where_an_event_stands_has_to_be_known(aged: Site, short_tmp: Path) -> None:
    """As long as the index may come to it: else it would be said to be gone from its stream."""
    secrets = _emit_old(aged)
    (short_tmp / "building").touch()
    with pytest.raises(Refused, match="is being built"):
        forget(aged.daemon, secrets)
    assert tombstones_of(aged.streams.read()) == []


def test_what_is_unknown_or_forgotten_before_makes_no_tombstone(site: Site) -> None:
    secrets, _ = emit_some(site.daemon, 20, agent="ann")
    first = forget(site.daemon, secrets[:2], agent="ann")
    answer = forget(site.daemon, [*secrets[:2], "no-such-id"], agent="ann")
    assert answer["tombstones"] == []
    assert answer["already"] == secrets[:2]
    assert [one["id"] for one in answer["unknown"]] == ["no-such-id"]
    wait_forgotten(site.daemon, first, agent="ann")
    assert tombstones_of(site.stored("ann")) == [set(secrets[:2])]


def test_a_tombstone_is_not_forgotten(site: Site) -> None:
    secrets, _ = emit_some(site.daemon, 10, agent="ben")
    [name] = forget(site.daemon, secrets, agent="ben")["tombstones"]

    def refused() -> bool:
        try:
            forget(site.daemon, [name], agent="ben")
        except Refused as error:
            return error.code == "forbidden"
        return False

    wait_until(refused, what="it is known as what it is")
    with admin(site.daemon) as client:
        assert json.loads(client.get(name, agent="ben").body)["type"] == TOMBSTONE


def test_two_at_once(site: Site) -> None:
    """What both name is forgotten once or twice, and nothing else is."""
    secrets, others = emit_some(site.daemon, 200, agent="cid")
    answers: list[dict[str, Any]] = []
    threads = [
        Thread(target=lambda ids=ids: answers.append(forget(site.daemon, ids, agent="cid")))
        for ids in (secrets[:30], secrets[10:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        wait_forgotten(site.daemon, answer, agent="cid")
    assert ids_of(site.stored("cid")) == others
    assert shown(site.daemon, agent="cid") == others


def test_the_same_id_of_another_agent_stays(site: Site) -> None:
    """In the same stream, and public; as if nothing had happened."""
    both = Event("custom.note", id="the-same-id", visibility="public", payload={"text": MARKER})
    for agent in ("dan", "eve"):
        with admin(site.daemon, agent) as client:
            client.emit([structs.replace(both, agent=agent)])
    site.daemon.wait_shipped()
    wait_placed(site.daemon, agent="dan")
    wait_forgotten(site.daemon, forget(site.daemon, ["the-same-id"], agent="dan"), agent="dan")
    assert (shown(site.daemon, agent="dan"), shown(site.daemon, agent="eve")) == ([], ["the-same-id"])
    assert (ids_of(site.stored("dan")), ids_of(site.stored("eve"))) == ([], ["the-same-id"])
    with admin(site.daemon, "eve") as client:
        assert client.emit([structs.replace(both, agent="eve")]) == ["the-same-id"]


def test_streams_of_before_are_reached_in_the_same_account_only(site: Site, short_tmp: Path) -> None:
    """An agent that moved left its events behind: here they are erased; elsewhere that is told."""
    daemon = site.daemon
    first, kept = emit_some(daemon, 10, agent="bob")
    daemon.wait_shipped()
    wait_placed(daemon, agent="bob")
    daemon.reconfigure(agents={"bob": {"streamName": "bobs", "subjectPrefix": "bob.events"}})
    wait_forgotten(daemon, forget(daemon, first, agent="bob"), agent="bob")
    assert ids_of(site.stored("bob")) == kept
    assert tombstones_of(site.streams.read("bobs")) == [set(first)]
    with NatsServer(short_tmp / "other") as other:
        daemon.reconfigure(agents={"bob": {"url": other.url}})
        answer = forget(daemon, kept[:2], agent="bob")
        assert (answer["unreachable"], answer["places"]) == ([STREAM], 0)
        wait_forgotten(daemon, answer, agent="bob")
        assert shown(daemon, agent="bob") == kept[2:]
        assert ids_of(site.stored("bob")) == kept
        daemon.reconfigure(agents=None)


def test_tombstones_that_are_put_back_take_effect(site: Site) -> None:
    """Events of an older copy were brought in, and then the tombstone: they go, wherever they stand now.

    By chance some stand where the tombstone says.
    """
    secrets, others = emit_some(site.daemon, 20, agent="fay")
    site.daemon.wait_shipped()
    wait_placed(site.daemon, agent="fay")
    places = {message.id: message.seq for message in site.stored("fay")}
    named = [Forgotten(name, "of-another-server", 7) for name in secrets[:2]]
    named += [Forgotten(name, STREAM, places[name]) for name in secrets[2:]]
    body = json.dumps({"id": "t-1", "type": TOMBSTONE, "agent": "fay", "payload": payload(named)}).encode()
    with admin(site.daemon) as client:
        client.put([RawEvent("fay", "t-1", "openclaw.events.fay.eventd_tombstone", body, True)])
    wait_until(lambda: ids_of(site.stored("fay")) == others, 20, what="they are erased")
    assert shown(site.daemon, agent="fay") == others
    with admin(site.daemon) as client:
        assert client.known("fay", secrets)["forgotten"] == secrets


def test_many_are_forgotten_while_another_agent_goes_on(site: Site) -> None:
    """In steps; between two of them others' events are shipped."""
    secrets, others = emit_some(site.daemon, 1000, agent="gus")
    answers = [forget(site.daemon, some, agent="gus") for some in (secrets[:100], secrets[100:])]
    hers, rest = emit_some(site.daemon, 100, agent="hal")
    for answer in answers:
        wait_forgotten(site.daemon, answer, agent="gus")
    site.daemon.wait_shipped()
    assert ids_of(site.stored("gus")) == others
    assert sorted(ids_of(site.stored("hal"))) == sorted(hers + rest)
