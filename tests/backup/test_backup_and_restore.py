"""What was in the streams and in the outbox is there again: once, with the same id and bytes, in order."""

from collections import Counter
from pathlib import Path

import pytest

from backup.conftest import SiteFactory
from backup.site import Site, manifest, messages, same
from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from support.jetstream import STREAM
from support.load import Load, emit
from support.rounds import FULL

HAPPENINGS = ["made anew", "rolled back and grown", "rolled back", "purged"]


def test_into_an_empty_server_and_once_more(site: Site, other: Site, folder: Path) -> None:
    """Sequences, subjects, ids and bytes are as they were; to restore twice adds nothing."""
    site.emit(1, 300)
    assert site.backup(folder)[STREAM]["kind"] == "snapshot"
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["compared"]) == ("snapshot", 300, True)
    assert site.streams.read() == other.streams.read()  # with sequences and headers
    again = other.restore(folder)[STREAM]
    assert (again["restored"], again["there"], again["compared"]) == (0, 300, True)
    assert same(site, other)


def test_into_a_server_with_other_events(site: Site, other: Site, folder: Path) -> None:
    """What is there stays where it is; what is not there comes behind it, in its order."""
    site.emit(1, 200)
    site.backup(folder)
    other.emit(1, 50, agent="another")
    other.emit(1, 20)  # these are the same in both
    before = messages(other.streams.read())
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["there"]) == ("events", 180, 20)
    assert restored["compared"]
    after = messages(other.streams.read())
    assert after[:70] == before
    assert after[70:] == messages(site.streams.read())[20:]


def test_a_chain_of_three_backups(site: Site, other: Site, folder: Path) -> None:
    """Each adds what came since and nothing else; together they are the stream."""
    site.emit(1, 100)
    taken = [site.backup(folder)[STREAM]]
    site.emit(101, 150)
    taken.append(site.backup(folder)[STREAM])
    taken.append(site.backup(folder)[STREAM])
    site.emit(151, 160)
    taken.append(site.backup(folder)[STREAM])
    assert [(each["kind"], each["events"], each["why"]) for each in taken] == [
        ("snapshot", 100, ""),
        ("records", 50, ""),
        ("unchanged", 0, ""),
        ("records", 10, ""),
    ]
    assert other.restore(folder)[STREAM]["restored"] == 160
    assert same(site, other)


def test_under_write_load(site: Site, other: Site, folder: Path) -> None:
    """What was acked before the backup began is in it, once, with its bytes; nothing is in neither place."""
    with Load(site.daemon.socket) as load:
        load.wait_acked(500)
        assert site.server is not None
        site.server.stop()  # so that much of it is in the outbox …
        load.wait_acked(500)
        before = {agent: list(ids) for agent, ids in load.acked.items()}
        site.server.start()  # … and moves to the stream while the backup is made
        first = site.run("backup", folder, "--json")
        load.wait_acked(200)
        acked = {agent: list(ids) for agent, ids in load.acked.items()}
        second = site.run("backup", folder, "--json")
        load.finish()
    site.daemon.wait_shipped()
    assert (first.code, second.code) == (0, 0), (first, second)
    other.restore(folder)
    other.daemon.wait_shipped()
    original = {message.msg_id: message.body for message in site.streams.read()}
    restored = other.streams.read()
    assert Counter(message.msg_id for message in restored).most_common(1)[0][1] == 1
    assert all(original[message.msg_id] == message.body for message in restored)
    there = {message.msg_id for message in restored}
    for moment in (before, acked):
        assert {f"{agent}:{event_id}" for agent, ids in moment.items() for event_id in ids} <= there


def test_what_waits_in_the_outbox_of_a_daemon_that_is_stopped(site: Site, other: Site, folder: Path) -> None:
    """Its rows go to the stream of the daemon that they are restored into."""
    site.emit(1, 20)
    assert site.server is not None
    site.server.stop()
    emit(site.daemon.socket, "main", range(21, 31))
    site.daemon.kill()
    site.server.start()
    document = site.backup(folder)
    assert (document[STREAM]["events"], document[""]["pending"]) == (20, 10)
    assert other.restore(folder)["outbox"]["restored"] == 10
    assert len(other.streams.read()) == 30
    site.daemon.start().wait_shipped()
    assert same(site, other)


def test_the_embedded_server(site_factory: SiteFactory, folder: Path) -> None:
    """With the daemon running, and with both stopped; into another daemon with an embedded server."""
    site, other = site_factory(embedded=True), site_factory(embedded=True)
    site.emit(1, 50)
    assert site.backup(folder)[STREAM]["kind"] == "snapshot"
    site.emit(51, 60)
    expected = site.streams.read()
    site.daemon.stop()
    assert site.backup(folder)[STREAM]["events"] == 10
    assert other.restore(folder)[STREAM]["restored"] == 60
    assert messages(other.streams.read()) == messages(expected)


def test_recall_and_context_know_what_was_restored(site: Site, other: Site, folder: Path) -> None:
    """The index follows a stream that was made from a snapshot, and what was put behind it."""
    with connect("main", socket=site.daemon.socket) as client:
        client.emit([_said("The harbour opens at seven")])
        site.daemon.wait_shipped()
        site.backup(folder)
        client.emit([_said("The lighthouse is green")])
        site.daemon.wait_shipped()
        site.backup(folder)
    other.restore(folder)
    with connect("main", socket=other.daemon.socket) as client:
        other.daemon.wait_for(lambda status: status["index"]["events"] == 2, what="it is in the index")
        assert "harbour" in str(client.recall("harbour"))
        text = client.context()["text"]
    assert "harbour opens" in text
    assert "lighthouse is green" in text


def test_a_daemon_goes_on_over_a_restore(site: Site, other: Site, folder: Path) -> None:
    """Events that it accepts while its stream is made anew are there, too, once and in their order."""
    site.emit(1, 400)
    site.backup(folder)
    with Load(other.daemon.socket, agents=("zoe",)) as load:
        ended = other.run("restore", folder, "--json")
        load.wait_acked(50)
        acked = load.finish()
    assert ended.code == 0, ended
    other.daemon.wait_healed()
    restored = other.streams.read()
    assert Counter(message.msg_id for message in restored).most_common(1)[0][1] == 1
    zoe = [message.id for message in restored if message.agent == "zoe"]
    assert zoe == acked["zoe"]
    main = [message for message in restored if message.agent == "main"]
    assert messages(main) == messages(site.streams.read())


def test_a_server_that_has_lost_its_streams_under_its_daemon(site_factory: SiteFactory, folder: Path) -> None:
    """To the daemon these ids are repeated and done with; all the same they are in the stream again, once."""
    site = site_factory(outbox={"retain": "0s"})
    site.emit(1, 60)
    site.backup(folder)
    site.emit(61, 90)
    site.backup(folder)
    expected = messages(site.streams.read())
    site.daemon.wait_for(lambda status: not status["outbox"]["retained_rows"], what="no row is retained")
    site.streams.delete()
    site.emit(91, 92)  # the stream is there again, and in use
    assert site.restore(folder)[STREAM]["restored"] == 90
    site.emit(93, 94)
    after = site.streams.read()
    assert sorted(messages(after[2:92])) == sorted(expected)
    assert len(after) == 94


@pytest.mark.parametrize("happening", HAPPENINGS if FULL else HAPPENINGS[:2])
def test_a_stream_that_is_another_one_is_taken_anew(site: Site, folder: Path, happening: str) -> None:
    """And what the backup had of it before is kept."""
    assert site.server is not None
    site.emit(1, 10)
    old = None
    if happening.startswith("rolled back"):
        site.server.stop()
        old = site.server.copy_store(folder.with_name("old"))
        site.server.start()
        site.emit(11, 20)
    site.backup(folder)
    site.daemon.stop()
    if happening == "made anew":
        config = site.streams.info()["config"]
        site.streams.delete()
        site.streams.make(STREAM, *config["subjects"], metadata=config["metadata"])
    elif happening == "purged":
        site.streams.purge()
    elif old is not None:
        site.server.stop()
        site.server.restore_store(old)
        site.server.start()
    site.streams.publish("openclaw.events.main.x", 15 if happening.endswith("grown") else 3)
    taken = site.backup(folder)[STREAM]
    assert taken["kind"] == "snapshot"
    assert happening.removesuffix(" and grown") in taken["why"]
    generations = manifest(folder)["streams"][0]["generations"]
    assert [generation["number"] for generation in generations] == [1, 2]
    assert site.run("backup", folder, "--verify").code == 0


def test_an_earlier_generation_can_be_restored(site: Site, other: Site, folder: Path) -> None:
    """A purge by mistake, which the next backup has taken for what is wanted."""
    site.emit(1, 10)
    site.backup(folder)
    site.streams.purge()
    site.backup(folder)
    assert other.restore(folder, "--earlier")[STREAM]["restored"] == 10


def test_an_agent_with_a_stream_of_its_own(site_factory: SiteFactory, folder: Path) -> None:
    """Each stream by itself; where one has another name, it has to be told, and is not lost."""
    agents = {"tim": {"streamName": "events-tim", "subjectPrefix": "openclaw.events.tim"}}
    site = site_factory(agents=agents)
    site.emit(1, 10)
    site.emit(1, 7, agent="tim")
    site.backup(folder)
    other = site_factory(agents={"tim": agents["tim"] | {"streamName": "tims"}})
    refused = other.restore(folder, code=1)["events-tim"]
    assert "--stream events-tim=NAME" in refused["problem"]
    restored = other.restore(folder, "--stream", "events-tim=tims")
    assert (restored["events-tim"]["restored"], restored[STREAM]["there"]) == (7, 10)
    assert messages(other.streams.read("tims")) == messages(site.streams.read("events-tim"))


def test_a_server_that_is_away_keeps_no_other_from_being_restored(
    site_factory: SiteFactory, other: Site, folder: Path
) -> None:
    """What would go there is told; it is not put in, as it may be there already."""
    assert other.server is not None
    tim = {"url": other.server.url, "streamName": "tims", "subjectPrefix": "tims"}
    site = site_factory(agents={"tim": tim})
    site.emit(1, 10)
    site.emit(1, 7, agent="tim")
    site.backup(folder)
    other.server.stop()
    target = site_factory(agents={"tim": tim})
    restored = target.restore(folder, code=1)
    assert (restored[STREAM]["restored"], restored[STREAM]["compared"]) == (10, True)
    assert "cannot connect" in restored["tims"]["problem"]
    other.server.start()
    assert target.restore(folder)["tims"]["there"] == 7


def test_messages_of_other_writers(site: Site, other: Site, folder: Path) -> None:
    """They have no id of ours, and may be no JSON; they go in with their bytes, once."""
    site.emit(1, 5)
    site.streams.publish("openclaw.events.main.msg_in", 5, agent="main")
    site.backup(folder)
    other.emit(90, 90)
    assert other.restore(folder)[STREAM]["restored"] == 10
    again = other.restore(folder)[STREAM]
    assert (again["restored"], again["there"], again["compared"]) == (0, 10, True)
    bodies = Counter(message.body for message in other.streams.read())
    assert all(bodies[message.body] == 1 for message in site.streams.read())


def test_a_message_that_is_nobodys_is_not_put_in_as_somebodys(site: Site, other: Site, folder: Path) -> None:
    """It would be believed from then on. In a stream that is made from a snapshot it is what it was."""
    site.emit(1, 5)
    site.streams.publish("openclaw.events.far.too.deep.down", 1)
    site.backup(folder)
    assert other.restore(folder)[STREAM]["restored"] == 6
    assert same(site, other)
    other.streams.purge()
    restored = other.restore(folder, code=1)[STREAM]
    assert (restored["refused"], restored["missing"]) == ({"no_agent": 1}, 0)


def _said(text: str) -> Event:
    return Event(type="conversation.message.in", session="agent:main:s", payload={"data": {"text": text}})
