"""Out of one store and into another: the same events, in the same order, to the byte, each of them once."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from support.daemon import Daemon
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer
from support.waiting import wait_until
from transfer.store import AGENTS, CAROLS, FORGED, Place, as_imported, fill, lines, own, shown

NOBODYS = ("openclaw.events.no.subject.of.an.agent", FORGED)
MANY = 4000  # events of an import that is broken off


@pytest.fixture
def make(short_tmp: Path, nats_factory: Callable[..., NatsServer]) -> Iterator[Callable[..., Place]]:
    """Make stores that have nothing in common."""
    places: list[Place] = []

    def make(**settings: Any) -> Place:
        server = nats_factory()
        daemon = Daemon(short_tmp / f"d{len(places)}", {"url": server.url, "agents": AGENTS, **settings})
        places.append(Place(daemon.start(), server))
        return places[-1]

    yield make
    for place in places:
        place.daemon.kill()


def wait_indexed(place: Place) -> None:
    """Wait until the index is complete."""

    def ready() -> bool:
        with connect("main", socket=place.daemon.socket) as client:
            return bool(client.index()["state"] == "ready")

    wait_until(ready, 60, what="the index is ready")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_what_was_exported_comes_back_to_the_byte(
    make: Callable[..., Place], tmp_path: Path, suffix: str
) -> None:
    """All shapes of events, also of an agent with its own stream, each stream in its order; and once more."""
    source, target, last = make(), make(), make()
    fill(source)
    before = source.messages()
    source.export(tmp_path / f"one.ndjson{suffix}")
    ended = target.eventd("import", tmp_path / f"one.ndjson{suffix}")
    assert ended.code == 4, ended.err
    assert ended.err.count("no_agent") == len(NOBODYS) + 1  # each by its line, and in the table
    taken = [message for message in before if message.subject not in NOBODYS]
    assert len(taken) == len(before) - len(NOBODYS)
    after = target.messages()
    assert shown(after) == as_imported(taken)
    assert not [m for m in after if m.headers.get("Nats-Expected-Stream") not in (STREAM, CAROLS)]

    target.export(tmp_path / f"two.ndjson{suffix}")
    assert last.put(tmp_path / f"two.ndjson{suffix}")["added"] == len(taken)
    assert shown(last.messages()) == shown(after)


def test_a_second_import_adds_nothing_ever(make: Callable[..., Place], tmp_path: Path) -> None:
    """Not after a restart, nor when the index is built anew, nor when the outbox knows nothing any more."""
    source, target = make(), make()
    fill(source)
    source.export("--agent", "*", "--type", "*", tmp_path / "none.ndjson")
    source.export(tmp_path / "all.ndjson")
    exported = (tmp_path / "all.ndjson").read_bytes().splitlines()
    records = [line for line in exported if json.loads(line)["agent"]]
    assert len(records) == len(exported) - len(NOBODYS)
    (tmp_path / "all.ndjson").write_bytes(b"\n".join(records))
    assert target.put(tmp_path / "all.ndjson")["added"] == len(records)
    stored = shown(target.messages())

    def again() -> None:
        assert target.put(tmp_path / "all.ndjson") == {
            "added": 0, "known": len(records), "forgotten": 0, "refused": 0, "reasons": {}, "dryRun": False
        }  # fmt: skip
        assert shown(target.messages()) == stored

    again()
    target.daemon.restart()
    again()
    with connect("main", socket=target.daemon.socket) as client:
        client.index("rebuild")
    again()
    assert target.daemon.stop() == 0
    for file in target.daemon.data.glob("*.db*"):
        file.unlink()
    target.daemon.start()
    again()


def test_older_writers_events_are_found_as_before(make: Callable[..., Place], tmp_path: Path) -> None:
    """By whose they are and what they say, also when the index was built anew; claims are not believed."""
    source, target = make(), make()
    fill(source, 2, delete=False)
    wait_indexed(source)
    source.export(tmp_path / "all.ndjson")
    target.eventd("import", tmp_path / "all.ndjson")
    target.daemon.wait_shipped()

    def found(place: Place) -> list[list[bytes]]:
        wait_indexed(place)
        with connect("main", socket=place.daemon.socket) as client:
            asked: list[dict[str, Any]] = [
                {"agent": "bob"}, {"agent": "main"}, {"agent": "agent"}, {"agent": "mallory"},
                {"agent": "*", "types": ["conversation.message.in", "conversation.message.out"]},
                {"agent": "*", "types": ["x"]},
            ]  # fmt: skip
            return [sorted(bytes(event.body) for event in client.query(**each)) for each in asked]

    expected = found(source)
    assert [len(bodies) for bodies in expected[2:4]] == [0, 0]
    assert found(target) == expected
    with connect("main", socket=target.daemon.socket) as client:
        client.index("rebuild")
    assert found(target) == expected


def keys(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((event["stream"], event["seq"]) for event in events)


def test_filters_mean_what_they_mean_to_query(make: Callable[..., Place], tmp_path: Path) -> None:
    """Each of them finds the same events, and so do several together."""
    place = make()
    fill(place)
    wait_indexed(place)
    everything = place.export()
    assert [record["stream"] for record in lines(everything)].count(CAROLS) == 21
    for conditions in (
        ["--agent", "carol"],
        ["--session", "agent:main:*"],
        ["--type", "conversation.message.in", "--type", "memory.fact"],
        ["--visibility", "secret"],
        ["--since", "2023-11-14", "--until", "2023-11-15"],
        ["--text", "fact", "--since", "1h"],
        ["--type", "memory.*", "--agent", "carol", "--since", "1h", "--text", "fact 7"],
        ["--run", "none"],
    ):
        exported = lines(place.export(*conditions))
        asked = place.eventd("query", *conditions, "--all", "--json")
        assert asked.code == 0
        found = [json.loads(line) for line in asked.out.split(b"\n")[:-1]]
        assert keys(exported) == keys(found), conditions
    a_stretch = lines(place.export("--stream", STREAM, "--first", "2", "--last", "6"))
    assert [record["seq"] for record in a_stretch] == [2, 4, 5, 6]


@pytest.mark.parametrize("whom", ["import", "daemon"])
def test_an_import_that_was_killed_goes_on(make: Callable[..., Place], tmp_path: Path, whom: str) -> None:
    """Whoever dies in the middle of it: run again, all is there once, in its order."""
    target = make()
    events = [
        {
            "id": f"e-{n}",
            "timestamp": n,
            "agent": f"agent-{n % 3}",
            "type": "custom.note",
            "visibility": "public",
        }
        for n in range(MANY)
    ]
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))

    def accepted() -> int:
        return int(target.daemon.status()["outbox"]["accepted"])

    with target.eventd.start("import", "-", "--json") as running:
        data = file.read_bytes()
        running.write(data[: len(data) // 2])
        wait_until(lambda: accepted() > 100, 30, what="some of it is stored")
        if whom == "import":
            running.process.send_signal(signal.SIGKILL)
            assert running.process.wait(30) == -signal.SIGKILL
        else:
            target.daemon.restart(kill=True)
            running.write(data[len(data) // 2 :])
            ended = running.end()
            assert ended.code == 0, ended.err
            assert ended.objects[-1]["refused"] == 0
    figures = target.put(file)
    assert (figures["refused"], figures["added"] + figures["known"]) == (0, MANY)
    if whom == "daemon":
        assert figures["added"] == 0
    stored = target.messages(STREAM)
    assert [message.id for message in stored] == [event["id"] for event in events]


def test_a_dry_run_says_what_would_be_added(make: Callable[..., Place], tmp_path: Path) -> None:
    source, target = make(), make()
    fill(source, 3)
    source.export("--agent", "carol", tmp_path / "carol.ndjson")
    figures = target.put("--dry-run", tmp_path / "carol.ndjson")
    assert (figures["added"], figures["dryRun"]) == (3, True)
    assert target.daemon.status()["outbox"]["accepted"] == 0
    assert target.put(tmp_path / "carol.ndjson")["added"] == 3
    assert target.put("--dry-run", tmp_path / "carol.ndjson")["known"] == 3


def test_events_that_wait_are_told(make: Callable[..., Place], tmp_path: Path) -> None:
    """They are in no stream yet; and while NATS is away nothing is exported that looks whole."""
    place = make()
    fill(place, 2)
    place.server.kill()
    with connect("main", socket=place.daemon.socket) as client:
        client.emit([*own(100)])
    place.daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it is noticed")
    file = tmp_path / "all.ndjson"
    ended = place.eventd("export", file)
    assert ended.code == 4
    assert "unavailable" in ended.err
    assert list(tmp_path.iterdir()) == []
    # As a stream that takes nothing, but can be read.
    place.server.start()
    place.daemon.wait_shipped()
    JetStream(place.server.url).edit(CAROLS, max_msgs=1, discard="new")
    with connect("main", socket=place.daemon.socket) as client:
        client.emit([*own(101)])
    place.daemon.wait_for(lambda status: status["outbox"]["rows"] == 1, what="one waits")
    ended = place.export(file, "--json")
    assert ended.objects[0]["waiting"] == 1
    assert "1 event wait" in ended.err.replace("waits", "wait")


def test_nats_that_goes_away_in_the_middle_leaves_no_file(make: Callable[..., Place], tmp_path: Path) -> None:
    """What is broken off must not look whole; what stood there before stays."""
    place = make()
    fill(place, 2)
    file = tmp_path / "all.ndjson"
    file.write_text("before")
    place.server.pause()
    with place.eventd.start("export", file) as running:
        wait_until(lambda: len([*tmp_path.iterdir()]) == 2, 30, what="it has begun")
        place.server.kill()
        ended = running.end()
    assert ended.code == 4, ended.err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_an_agent_exports_what_it_may_read(make: Callable[..., Place], tmp_path: Path) -> None:
    """Where there are rules: its own stream, without what is others'. Importing is for administrators."""
    rules = {"carol": AGENTS["carol"] | {"token": "s3cret"}, "bob": {"token": "other"}}
    place = make(agents=rules)
    for agent, token in (("carol", "s3cret"), ("bob", "other")):
        with connect(agent, socket=place.daemon.socket, token=token) as client:
            client.emit([Event("custom.note"), Event("custom.note", visibility="public")])
    place.daemon.wait_shipped()
    for agent, token, visible in (("carol", "s3cret", 2), ("bob", "other", 2)):
        ended = place.eventd("export", EVENTD_AGENT=agent, EVENTD_TOKEN=token)
        assert (ended.code, [record["agent"] for record in lines(ended)]) == (0, [agent] * visible)
    ended = place.eventd("export", "--stream", CAROLS, EVENTD_AGENT="bob", EVENTD_TOKEN="other")
    assert [record["agent"] for record in lines(ended)] == ["carol"]
    ended = place.eventd("export", "--agent", "carol", EVENTD_AGENT="bob", EVENTD_TOKEN="other")
    assert ended.code == 4
    assert "forbidden" in ended.err
    (tmp_path / "one").write_bytes(b'{"type":"note"}\n')
    ended = place.eventd("import", tmp_path / "one", EVENTD_AGENT="bob", EVENTD_TOKEN="other")
    assert ended.code == 4
    assert "administrators" in ended.err


def test_a_stream_that_is_emptied_has_nothing(make: Callable[..., Place]) -> None:
    place = make()
    fill(place, 2)
    JetStream(place.server.url).purge(CAROLS)
    assert {record["stream"] for record in lines(place.export())} == {STREAM}
    ended = place.export("--stream", CAROLS)
    assert ended.out == b""
    assert "nothing was found" in ended.err
    ended = place.eventd("export", "--stream", "no-such-stream")
    assert ended.code == 4
    assert "not_found" in ended.err


def test_a_stream_that_is_gone_leaves_no_file(make: Callable[..., Place], tmp_path: Path) -> None:
    """Without what was in it an export must not look whole; a stream that was never made has nothing."""
    place = make()
    place.export(tmp_path / "none.ndjson")
    fill(place, 2)
    place.daemon.wait_for(
        lambda status: all(one["last"] for one in status["index"]["streams"]), what="both were looked at"
    )
    JetStream(place.server.url).delete(CAROLS)
    ended = place.eventd("export", tmp_path / "all.ndjson")
    assert ended.code == 4
    assert "not_found" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["none.ndjson"]


def test_import_into_the_store_it_comes_from(make: Callable[..., Place], tmp_path: Path) -> None:
    """Its own events are known by their ids; others' by the place where they are."""
    place = make()
    fill(place)
    wait_indexed(place)
    place.export(tmp_path / "all.ndjson")
    before = shown(place.messages())
    ended = place.eventd("import", "--json", tmp_path / "all.ndjson")
    assert ended.objects[-1]["added"] == 0
    assert shown(place.messages()) == before
