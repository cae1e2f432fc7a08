"""Streams on a real server that are not as the configuration says: each difference, with its remedy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doctor.patient import bad, config_of, look_at_route, of
from eventd.config.settings import Config
from eventd.doctor.model import Level
from eventd.doctor.streams import Seen, examine_stream, servers_of, too_many_copies
from eventd.routes import Route, Server, StreamSettings
from support.foreign import write
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer

DAY = 86_400 * 10**9
AS_WANTED: dict[str, Any] = {
    "max_age": 90 * DAY,
    "allow_atomic": True,
    "allow_direct": True,
    "allow_msg_ttl": True,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for all tests here; each leaves it without streams."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def streams(server: NatsServer) -> Iterator[JetStream]:
    streams = JetStream(server.url)
    yield streams
    for name in streams.api("STREAM.NAMES").get("streams") or ():
        streams.delete(name)


def test_a_stream_as_it_has_to_be_is_well(server: NatsServer, streams: JetStream, tmp_path: Path) -> None:
    """Whoever made it."""
    streams.make(**AS_WANTED)
    examined = look_at_route(config_of(tmp_path, url=server.url))
    assert not list(bad(examined.findings)), examined.findings
    assert of(examined.findings, "stream.exists").found.startswith(f"{STREAM} · 0 messages · not made by")


@pytest.mark.parametrize(
    ("change", "check", "title", "level", "says"),
    [
        ({"max_age": 30 * DAY}, "stream.settings", "maximum age", Level.WARNING, "30d"),
        ({"max_bytes": 10**9}, "stream.settings", "maximum size", Level.WARNING, "1,000,000,000"),
        ({"duplicate_window": 10**9}, "stream.settings", "duplicate window", Level.WARNING, "1s"),
        ({"allow_atomic": False}, "stream.settings", "batches", Level.NOTE, "allow_atomic"),
        ({"allow_direct": False}, "stream.settings", "direct reads", Level.NOTE, "allow_direct"),
        ({"allow_msg_ttl": False}, "stream.memory", "memory", Level.WARNING, "expire after 90d"),
        ({"retention": "workqueue"}, "stream.fit", "retention", Level.PROBLEM, "workqueue"),
        ({"storage": "memory"}, "stream.fit", "storage", Level.WARNING, "memory"),
        ({"no_ack": True, "allow_atomic": False}, "stream.fit", "no_ack", Level.PROBLEM, "acknowledges"),
        ({"max_msgs_per_subject": 5}, "stream.fit", "limits", Level.WARNING, "newest 5"),
        ({"max_msgs": 5}, "stream.fit", "limits", Level.NOTE, "5 messages"),
        ({"max_msg_size": 999}, "stream.room", "room", Level.NOTE, "999"),
        ({"subjects": ["other.>"]}, "stream.subjects", "subjects", Level.PROBLEM, "takes other.>"),
        ({"subjects": ["openclaw.events.main.>"]}, "stream.subjects", "subjects", Level.NOTE, "dead letters"),
    ],
)
def test_each_difference_is_named(
    server: NatsServer,
    streams: JetStream,
    tmp_path: Path,
    change: dict[str, Any],
    check: str,
    title: str,
    level: Level,
    says: str,
) -> None:
    """What is otherwise, how bad that is, and the command that changes it; nothing else is complained of."""
    streams.make(**AS_WANTED | change)
    examined = look_at_route(config_of(tmp_path, url=server.url))
    found = of(examined.findings, check, title=title)
    assert (found.level, says in found.found) == (level, True), found
    assert STREAM in found.remedy or "stream" in found.remedy
    assert set(bad(examined.findings)) <= {(check, level)}


def test_a_stream_of_ours_is_changed_by_the_daemon(
    server: NatsServer, streams: JetStream, tmp_path: Path
) -> None:
    """There is nothing to do by hand; the same where manageStream is set."""
    streams.make(**AS_WANTED | {"max_age": DAY, "metadata": {"eventd": "made by eventd"}})
    foreign = config_of(tmp_path, url=server.url)
    managed = config_of(tmp_path, url=server.url, manageStream=True)

    def remedy(config: Config) -> str:
        return of(look_at_route(config).findings, "stream.settings", title="maximum age").remedy

    assert "restart" in remedy(foreign)
    streams.edit(metadata={})
    assert "restart" in remedy(managed)
    assert f"nats stream edit {STREAM} --max-age=90d" in remedy(foreign)


def test_a_full_stream_is_seen_before_it_stalls_the_route(
    server: NatsServer, streams: JetStream, tmp_path: Path
) -> None:
    """One that refuses is a problem; one that drops the oldest a warning."""
    streams.make(**AS_WANTED, max_bytes=2000, discard="new")
    write(server.url, ("openclaw.events.main.note", b"x" * 1900, None))
    config = config_of(tmp_path, url=server.url, stream={"maxBytes": 2000})
    assert of(look_at_route(config).findings, "stream.room").level is Level.PROBLEM
    streams.edit(discard="old")
    assert of(look_at_route(config).findings, "stream.room").level is Level.WARNING


def test_the_newest_message_is_read_as_the_daemon_reads(
    server: NatsServer, streams: JetStream, tmp_path: Path
) -> None:
    """Nothing is left behind in the stream's consumers."""
    streams.make(**AS_WANTED)
    write(server.url, ("openclaw.events.main.note", b"{}", None))
    found = of(look_at_route(config_of(tmp_path, url=server.url)).findings, "stream.readable")
    assert (found.level, "newest message 1" in found.found) == (Level.OK, True)
    assert streams.info()["state"]["consumer_count"] == 0


def test_looking_changes_nothing(server: NatsServer, streams: JetStream, tmp_path: Path) -> None:
    """A stream is as it was, and one that is missing is not made."""
    streams.make(max_age=DAY)
    before = streams.info()["config"]
    look_at_route(config_of(tmp_path, url=server.url, manageStream=True))
    assert streams.info()["config"] == before
    streams.delete()
    examined = look_at_route(config_of(tmp_path, url=server.url))
    assert examined.missing
    assert of(examined.findings, "stream.exists").level is Level.NOTE
    assert not streams.api("STREAM.NAMES").get("streams")


def test_replicas_without_a_cluster_are_named_before_the_stream_fails(
    server: NatsServer, streams: JetStream, tmp_path: Path
) -> None:
    """nats-server would refuse to make it."""
    config = config_of(tmp_path, url=server.url, stream={"replicas": 3})
    assert of(look_at_route(config).findings, "stream.replicas").level is Level.PROBLEM
    streams.make(**AS_WANTED)
    assert of(look_at_route(config).findings, "stream.replicas").level is Level.PROBLEM


Info = dict[str, Any]


def in_cluster(copies: int = 3, **change: Any) -> Info:
    """A stream as a cluster of three describes it (nats-server 2.15)."""
    peers = [{"name": name, "current": True, "active": 5} for name in ("n2", "n3")][: copies - 1]
    return {
        "config": {"name": STREAM, "subjects": ["openclaw.events.>"], "num_replicas": copies, **AS_WANTED},
        "state": {"messages": 1, "bytes": 1, "last_seq": 1},
        "cluster": {"name": "C", "leader": "n1", "replicas": peers, **change},
    }


@pytest.mark.parametrize(
    ("info", "level"),
    [
        (in_cluster(), Level.OK),
        (in_cluster(1), Level.WARNING),
        (in_cluster(leader=""), Level.PROBLEM),
        (in_cluster(replicas=[{"name": "n2", "current": False, "offline": True}]), Level.WARNING),
    ],
)
def test_copies_in_a_cluster(info: Info, level: Level) -> None:
    """No leader, one copy only, a copy that is not up to date."""
    route = Route("*", Server(("nats://n1:4222",)), STREAM, "openclaw.events", StreamSettings(replicas=3))
    seen = Seen(route, info, (2, 15, 0), servers=3)
    assert of(examine_stream(seen), "stream.replicas").level is level


@pytest.mark.parametrize(
    ("info", "servers"),
    [
        ({}, 1),
        ({"cluster": "C", "connect_urls": ["a:1", "b:1", "c:1"]}, 3),
        ({"cluster": "C", "connect_urls": []}, None),  # no_advertise
    ],
)
def test_the_size_of_a_cluster(info: Info, servers: int | None) -> None:
    """As its servers tell clients, where they do."""
    assert servers_of(info) == servers


def test_more_copies_than_servers() -> None:
    """Such a stream cannot be made."""
    route = Route("*", Server(("nats://n1:4222",)), STREAM, "openclaw.events", StreamSettings(replicas=5))
    found = too_many_copies(route, 3)
    assert found is not None
    assert (found.level, "3 run" in found.found) == (Level.PROBLEM, True)
    assert too_many_copies(route, 5) is too_many_copies(route, None) is None


def test_an_old_server_is_told_of_once() -> None:
    """What it does not know is no difference that an edit could mend."""
    info = in_cluster()
    info["config"] = {key: value for key, value in info["config"].items() if not key.startswith("allow_")}
    route = Route("*", Server(("nats://n1:4222",)), STREAM, "openclaw.events")
    found = examine_stream(Seen(route, info, (2, 9, 10), servers=3))
    assert "batches" in of(found, "nats.version").found
    assert not [f for f in found if "allow_atomic" in f.found]
    assert of(found, "stream.memory").level is Level.WARNING


def test_a_stream_that_never_lets_go_of_events_is_told(
    server: NatsServer, streams: JetStream, tmp_path: Path
) -> None:
    """No more than a note: `eventd forget` would say the same."""
    streams.make(**AS_WANTED, deny_delete=True)
    examined = look_at_route(config_of(tmp_path, url=server.url))
    found = of(examined.findings, "stream.forget")
    assert found.level is Level.NOTE
    assert "deny_delete" in found.found
