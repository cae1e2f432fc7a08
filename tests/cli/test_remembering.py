"""The commands that remember, against a real daemon: query, tail, get, replay, recall, context and index."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd
from eventd_ipc.blocking import connect
from eventd_ipc.builders import Run, custom, message_in, message_out, stamp, tool_call, tool_result
from eventd_ipc.errors import Refused
from eventd_ipc.events import Event
from support.daemon import Daemon
from support.waiting import wait_until

SESSION = "agent:main:main"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon that holds a small past, in its streams; the tests of this module share it."""
    with tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as folder, Daemon(Path(folder), {}) as daemon:
        with connect("main", socket=daemon.socket) as client:
            client.emit(past())
            client.emit([stamp(other) for other in others()])
        daemon.wait_shipped()
        wait_until(lambda: ready(daemon), 30, what="the index is ready")
        yield daemon


@pytest.fixture
def eventd(daemon: Daemon) -> Eventd:
    """The command, told where the real daemon's socket is."""
    return Eventd(["--socket", daemon.socket])


def ready(daemon: Daemon) -> bool:
    with connect("main", socket=daemon.socket) as client:
        return bool(client.index()["state"] == "ready")


def past() -> list[Event]:
    run = Run(SESSION, run_id="r-1")
    return [
        custom(run, "lifecycle.start", {"phase": "start"}),
        message_in(run, "Which day did we pick for moving the shop to the new database?"),
        tool_call(run, "read", {"path": "notes.md"}, call_id="c-1"),
        tool_result(run, "read", "moving day: Thursday", call_id="c-1"),
        message_out(run, "You picked Thursday, 26 November, at 06:00."),
        custom(run, "memory.fact", {"text": "The shop runs on PostgreSQL.", "subject": "shop"}),
        custom(run, "lifecycle.end", {"phase": "end"}),
        Event("msg.in", agent="main", session="old:1", payload={"content": "an old plugin's words"}),
    ]


def others() -> list[Event]:
    return [
        Event("note", agent="ci", session="agent:ci:build", payload={"data": {"text": "secret of ci"}}),
        Event("memory.fact", agent="ci", session="agent:ci:build", visibility="public",
              payload={"data": {"text": "Builds take nine minutes."}}),
    ]  # fmt: skip


def types(ended: Ended) -> list[str]:
    assert ended.code == 0, ended.err
    return [found["event"]["type"] for found in ended.objects]


# query


def test_query_finds_events_by_every_condition(eventd: Eventd) -> None:
    """The newest come first; older writers' types have the document's names."""
    told = types(eventd("query", "--json", "--run", "r-1"))
    assert told == [event.type for event in reversed(past()) if event.session == SESSION]
    assert types(eventd("query", "--json", "--run", "r-1", "--oldest")) == told[::-1]
    found = types(eventd("query", "--json", "--agent", "main", "--type", "conversation.message.in"))
    assert sorted(found) == ["conversation.message.in", "msg.in"]
    assert len(types(eventd("query", "--json", "--type", "conversation.*", "--run", "r-1"))) == 4
    public = eventd("query", "--json", "--agent", "ci", "--visibility", "public", "--type", "memory.fact")
    assert types(public) == ["memory.fact"]
    assert types(eventd("query", "--json", "--session", "agent:ci:*", "--text", "secret")) == ["note"]
    assert types(eventd("query", "--json", "--text", "thursday november")) == ["conversation.message.out"]
    assert types(eventd("query", "--json", "--since", "2h", "--until", "1h")) == []
    inside = eventd("query", "--json", "--run", "r-1", "--since", "1h", "--stream", "openclaw-events")
    assert types(inside) == told
    assert types(eventd("query", "--json", "--run", "r-1", "--stream", "another")) == []


@pytest.mark.parametrize("order", ["--newest", "--oldest"])
def test_pages_follow_each_other(eventd: Eventd, order: str) -> None:
    """Each event once, in the order of one long query."""
    conditions = ("query", "--json", "--run", "r-1", order)
    whole = [found["seq"] for found in eventd(*conditions).objects]
    assert len(whole) == 7
    pages: list[int] = []
    cursor: list[str] = []
    while True:
        page = eventd(*conditions, "-n", "3", *cursor)
        pages += [found["seq"] for found in page.objects]
        if not page.err:
            break
        cursor = page.err.removeprefix("more: ").split()
    assert pages == whole


def test_cursor_of_another_query_is_refused(eventd: Eventd) -> None:
    assert eventd("query", "--cursor", "nonsense").code == 4


# get and tail


def test_get_and_tail_have_an_event_at_once(daemon: Daemon, eventd: Eventd) -> None:
    """It need not be in its stream, nor must the reader wait."""
    with connect("late", socket=daemon.socket) as client:
        (stored,) = client.emit(Event("late.news", payload={"data": {"text": "just now"}}))
    assert eventd("get", stored, "--json").objects[0]["event"]["type"] == "late.news"
    assert eventd("tail", "-n", "1", "--json", "--agent", "late").objects[0]["event"]["id"] == stored


def test_tail_knows_conditions(daemon: Daemon, eventd: Eventd) -> None:
    """Before and while it follows."""
    with eventd.start("tail", "-f", "--json", "-n", "1", "--type", "memory.*", "--agent", "ci") as running:
        assert json.loads(running.read_line())["event"]["payload"]["data"]["text"].startswith("Builds")
        with connect("ci", socket=daemon.socket) as client:
            client.emit([Event("note"), Event("memory.lesson", payload={"data": {"text": "test first"}})])
        assert json.loads(running.read_line())["event"]["type"] == "memory.lesson"


def test_tail_of_a_stream_shows_what_has_arrived_there(eventd: Eventd, daemon: Daemon) -> None:
    daemon.wait_shipped()
    shown = eventd("tail", "--stream", "openclaw-events", "-n", "3", "--json").objects
    assert [found["seq"] for found in shown] == list(range(shown[0]["seq"], shown[0]["seq"] + 3))


# replay


def test_replay_has_the_stored_bytes_in_order(eventd: Eventd) -> None:
    replayed = eventd("replay", "--last", "8", "--json").objects
    assert [found["seq"] for found in replayed] == list(range(1, 9))
    assert eventd("replay", "--first", "8", "--last", "8", "--raw").lines == [
        json.dumps(replayed[-1]["event"], separators=(",", ":"), ensure_ascii=False)
    ]
    assert types(eventd("replay", "--json", "--last", "8", "--type", "conversation.tool_call")) == [
        "conversation.tool_call"
    ]


def test_replay_into_a_stream_of_eventd_is_refused(eventd: Eventd) -> None:
    """What was stored once is not stored twice."""
    before = len(eventd("query", "--all", "--raw").lines)
    ended = eventd("replay", "--to", "openclaw.events.main.note")
    assert (ended.code, ended.out) == (4, b"")
    assert (
        eventd("replay", "--to", "debug.replay", "--last", "2").err == "2 events published to debug.replay\n"
    )
    assert len(eventd("query", "--all", "--raw").lines) == before


# recall


def test_recall_finds_the_answer_to_a_question(eventd: Eventd) -> None:
    """And `get` has all of it."""
    ended = eventd("recall", "When do we move the shop's database?", "--json")
    assert ended.code == 0, ended.err
    best = ended.objects[0]
    assert best["session"] == SESSION
    assert any("Thursday" in hit["text"] for hit in ended.objects[:3])
    assert eventd("get", best["id"], "--json").objects[0]["event"]["id"] == best["id"]
    assert "Thursday" in eventd("recall", "Thursday").out.decode()


def test_agents_recall_their_own_and_what_is_public(eventd: Eventd) -> None:
    """A person may look through all of them."""
    assert eventd("recall", "secret of ci").out == b""
    assert "secret of ci" in eventd("recall", "--agent", "ci", "secret").out.decode()
    assert "secret of ci" in eventd("recall", "--agent", "*", "secret").out.decode()
    assert "nine minutes" in eventd("recall", "how long do builds take").out.decode()


def test_neighbours_come_with_a_hit(eventd: Eventd) -> None:
    (hit,) = eventd("recall", "PostgreSQL", "-n", "1", "--around", "2", "--json").objects
    assert 1 <= len(hit["around"]) <= 4
    assert {found["session"] for found in hit["around"]} == {SESSION}
    assert "score" not in hit["around"][0]


# context


def test_context_holds_what_was_said_and_what_is_known(eventd: Eventd) -> None:
    """The bare block; what belongs to others and is not public is not in it."""
    ended = eventd("context", "--session", "agent:main:new")
    text = ended.out.decode()
    assert (ended.code, ended.err) == (0, "")
    for said in ("Which day did we pick", "Thursday, 26 November", "PostgreSQL", "nine minutes"):
        assert said in text
    assert "secret of ci" not in text


def test_context_keeps_to_its_budget_and_says_why(eventd: Eventd) -> None:
    (document,) = eventd("context", "--budget", "1500", "--json", "--query", "PostgreSQL").objects
    assert document["size"] == len(document["text"]) <= 1500
    assert document["agent"] == "main"
    assert document["complete"]
    assert {"asOf", "events", "from", "to", "topics", "sections"} <= set(document)
    items = [item for section in document["sections"] for item in section["items"]]
    assert all(
        {"id", "session", "agent", "time", "kind", "why", "chars", "cut"} <= set(item) for item in items
    )
    lines = eventd("context", "--explain").lines
    assert any("fact" in line and "PostgreSQL" in line for line in lines)


def test_context_of_an_agent_without_a_past_is_empty(eventd: Eventd) -> None:
    """But for what others made public; an empty one is no failure."""
    ended = eventd("context", "--agent", "newborn")
    assert ended.code == 0
    assert "Thursday" not in ended.out.decode()
    assert eventd("context", "--agent", "*").code in (2, 3, 4)


def test_session_start_stores_and_remembers_in_one_round_trip(daemon: Daemon) -> None:
    """Its own start is stored, and is not in the block."""
    run = Run("agent:main:started")
    with connect("main", socket=daemon.socket) as client:
        began = client.session_start(run, query="the shop's database", trigger="cron")
        stored = client.get(began.ids[0])
        again = client.context(session=run.session, query="the shop's database")
    assert json.loads(stored.body)["payload"]["data"] == {"phase": "start", "trigger": "cron"}
    assert "Thursday" in began.text
    assert "agent:main:started" not in began.text
    assert began.text == again["text"]


def test_context_sees_what_the_connection_has_just_emitted(daemon: Daemon) -> None:
    """Also emits that are not acknowledged yet."""
    with connect("swift", socket=daemon.socket) as client:
        for number in range(20):
            run = Run(f"agent:swift:{number}")
            emit = client.start_emit([message_in(run, f"word number {number} is here")])
            assert f"number {number} is" in client.context(session="agent:swift:other")["text"]
            client.acked(emit)


# index


def test_index_is_ready_and_can_be_built_anew(eventd: Eventd) -> None:
    """What it answers afterwards is what it answered before."""
    before = sorted(eventd("query", "--all", "--raw").lines)
    (status,) = eventd("index", "status", "--json").objects
    assert status["state"] == "ready"
    assert status["events"] >= len(before)
    ended = eventd("index", "rebuild")
    assert (ended.code, ended.lines[0]) == (0, "ready"), ended.err
    assert sorted(eventd("query", "--all", "--raw").lines) == before


def test_errors_are_refusals_with_a_reason(daemon: Daemon) -> None:
    with connect("main", socket=daemon.socket) as client:
        for wrong in (
            lambda: client.recall("x", limit=0),
            lambda: client.recall("x", around=-1),
            lambda: client.context(budget=0),
            lambda: list(client.query(limit=0)),
            lambda: list(client.query(cursor="nonsense")),
            lambda: list(client.query(visibility="hidden")),
            lambda: list(client.replay(speed=0.0)),
            lambda: list(client.replay(to="openclaw.events.x")),
            lambda: client.context(agent="*"),
        ):
            with pytest.raises(Refused) as caught:
                wrong()
            assert caught.value.code == "bad_request"
        assert client.ping() > 0


def test_documents_have_the_keys_that_the_protocol_describes(daemon: Daemon) -> None:
    """All of them, and in the section of their request."""
    document = (Path(__file__).parents[2] / "ipc" / "PROTOCOL.md").read_text(encoding="utf-8")
    with connect("main", socket=daemon.socket) as client:
        recalled = client.recall("database", around=1)
        context = client.context(query="database")
        index = client.index()
    assert recalled["hits"][0]["around"]
    shown: dict[str, list[dict[str, Any]]] = {
        "recall": [recalled, recalled["hits"][0], recalled["hits"][0]["around"][0]],
        "context": [context, context["sections"][0], context["sections"][0]["items"][0], *context["topics"]],
        "index": [index, index["streams"][0]],
    }
    for name, parts in shown.items():
        section = document.partition(f"**{name}**")[2].partition("\n**")[0].partition("\n#")[0]
        missing = [key for part in parts for key in part if f"`{key}`" not in section]
        assert not missing, name


def test_reading_goes_on_while_nats_is_away(short_tmp: Path) -> None:
    """The index answers query, get, tail, recall, context and replay; only its own streams cannot be read."""
    settings = {"url": "nats://127.0.0.1:9", "streamName": "s", "subjectPrefix": "p"}
    with Daemon(short_tmp / "d", settings) as daemon, connect("main", socket=daemon.socket) as client:
        ids = client.emit(past())
        eventd = Eventd(["--socket", daemon.socket])
        assert len(eventd("query", "--raw").lines) == len(ids)
        assert len(eventd("tail", "--raw").lines) == len(ids)
        assert [found["seq"] for found in eventd("get", ids[0], "--json").objects] == [0]
        assert "Thursday" in eventd("recall", "moving day").out.decode()
        assert "Thursday" in eventd("context").out.decode()
        assert eventd("tail", "--stream", "s").code == 4
        began = time.monotonic()
        assert eventd("replay").code in (0, 4)
        assert time.monotonic() - began < 30
