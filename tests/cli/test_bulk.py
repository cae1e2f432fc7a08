"""`eventd emit --stdin`: everything that can be stored is, in order, and the rest is told line by line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.support import Eventd, Terminal
from eventd_ipc.messages import Emit, Limits
from ipc.support.scripted import Peer, ScriptedServer, dismiss, lose_ack, refuse, store


def ndjson(count: int, **fields: Any) -> bytes:
    """Return lines of events with ids e0, e1, …"""
    events = ({"type": "note", "id": f"e{n}", **fields} for n in range(count))
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


NOTE = b'{"type": "note", "id": "%s"}\n'


def ids(count: int) -> list[str]:
    return [f"e{n}" for n in range(count)]


def refuse_ids(code: str, *bad: str) -> Callable[[Peer, Emit], None]:
    """Refuse every emit with one of these ids in it, naming the first; store the others."""
    import msgspec

    def step(peer: Peer, emit: Emit) -> None:
        peer.server.script.appendleft(step)
        sent = [msgspec.msgpack.decode(raw)["id"] for raw in emit.events]
        spoiler = next((n for n, event_id in enumerate(sent) if event_id in bad), None)
        (store if spoiler is None else refuse(code, index=spoiler))(peer, emit)

    return step


def test_events_are_stored_in_the_order_of_their_lines(eventd: Eventd, server: ScriptedServer) -> None:
    """Thousands of them, in a few frames; their ids come out in order too."""
    ended = eventd("emit", "--stdin", stdin=ndjson(5000))
    assert ended.code == 0
    assert ended.lines == ids(5000) == list(server.stored)
    assert ended.err.splitlines() == ["stored 5,000 events"]
    assert len(server.emits) < 200


def test_the_recorded_conversation_is_stored(eventd: Eventd, server: ScriptedServer) -> None:
    """The sample that the README sends."""
    sample = Path(__file__).parents[2] / "ipc" / "examples" / "conversation.ndjson"
    ended = eventd("emit", "--stdin", stdin=sample.read_bytes())
    events = [json.loads(line) for line in sample.read_text().splitlines()]
    assert ended.code == 0
    assert list(server.stored.values()) == events


def test_bad_lines_are_told_and_the_rest_is_stored(eventd: Eventd, server: ScriptedServer) -> None:
    """With their numbers, and counted; empty lines are none. The exit code says that not all was taken."""
    text = NOTE % b"a" + b"\nnonsense\n" + b'{"type": "note", "id": "b", "x": 1}\n' + NOTE % b"c"
    ended = eventd("emit", "--stdin", stdin=text)
    assert ended.code == 4
    assert ended.lines == ["a", "c"] == list(server.stored)
    first, second, summary = ended.err.splitlines()
    assert first.startswith("line 3: malformed: ")
    assert second.startswith("line 4: malformed: ")
    assert "`x`" in second
    assert summary == "stored 2 events; 2 lines not taken"


def test_json_tells_about_every_line(eventd: Eventd, server: ScriptedServer) -> None:
    """One object for each, with its number; nothing but the summary on standard error."""
    ended = eventd("emit", "--stdin", "--json", stdin=b'{"type": "note", "id": "a"}\nnonsense\n')
    stored, refused = sorted(ended.objects, key=lambda found: found["line"])
    assert stored == {"line": 1, "id": "a"}
    assert (refused["line"], refused["code"]) == (2, "malformed")
    assert len(ended.err.splitlines()) == 1


def test_many_bad_lines_do_not_flood_the_terminal(eventd: Eventd, server: ScriptedServer) -> None:
    """Some are told, all are counted."""
    ended = eventd("emit", "--stdin", stdin=b"nonsense\n" * 1000)
    assert ended.err.splitlines()[-1] == "stored 0 events; 1,000 lines not taken"
    assert len(ended.err.splitlines()) < 30


@pytest.mark.parametrize("code", ["malformed", "too_large", "id_conflict", "forbidden", "disabled"])
def test_events_that_the_daemon_refuses_are_dropped_alone(
    eventd: Eventd, server: ScriptedServer, code: str
) -> None:
    """What shared a frame with them is stored, and each of them is told."""
    server.script.append(refuse_ids(code, "e3", "e4", "e250", "e999"))
    ended = eventd("emit", "--stdin", stdin=ndjson(1000))
    assert ended.code == 4
    assert set(server.stored) == set(ids(1000)) - {"e3", "e4", "e250", "e999"}
    told = [line for line in ended.err.splitlines() if line.startswith("line ")]
    assert sorted(line.partition(": scripted")[0] for line in told) == sorted(
        f"line {number}: {code}" for number in (4, 5, 251, 1000)
    )
    assert sorted(ended.lines) == sorted(server.stored)


def test_order_is_kept_where_one_frame_is_under_way(eventd: Eventd, server: ScriptedServer) -> None:
    """After a refusal what is sent again comes before what was not sent yet."""
    server.script.append(refuse_ids("malformed", "e1", "e5"))
    eventd("emit", "--stdin", stdin=ndjson(200))
    assert list(server.stored) == [event_id for event_id in ids(200) if event_id not in ("e1", "e5")]


def test_a_refusal_that_names_no_event_is_tracked_down(eventd: Eventd, server: ScriptedServer) -> None:
    """One by one, until the event that is refused is alone in its frame."""

    def step(peer: Peer, emit: Emit) -> None:
        peer.server.script.appendleft(step)
        bad = any(b"e7" in bytes(raw) for raw in emit.events)
        (refuse("bad_request") if bad else store)(peer, emit)

    server.script.append(step)
    ended = eventd("emit", "--stdin", stdin=ndjson(10))
    assert ended.code == 4
    assert list(server.stored) == [event_id for event_id in ids(10) if event_id != "e7"]
    assert "line 8: bad_request" in ended.err


@pytest.mark.parametrize("code", ["outbox_full", "disk_full", "internal", "shutting_down"])
def test_what_passes_is_waited_for(eventd: Eventd, server: ScriptedServer, code: str) -> None:
    """The same events are sent again until they are stored; a person is told why it takes so long."""
    server.script += [refuse(code, retry_after_ms=10)] * 3
    ended = eventd("emit", "--stdin", stdin=ndjson(300))
    assert ended.code == 0
    assert sorted(server.stored) == sorted(ids(300))
    assert sum(f"{code}: scripted {code}; trying again" in line for line in ended.err.splitlines()) == 1


def test_a_limit_costs_no_patience(eventd: Eventd, server: ScriptedServer) -> None:
    """The daemon says when to go on: all is stored, however long it takes. --wait is for other troubles."""
    server.script += [refuse("slow_down", retry_after_ms=30), store] * 10
    ended = eventd("emit", "--stdin", "--wait", "10ms", stdin=ndjson(2000))
    assert ended.code == 0
    assert sorted(server.stored) == sorted(ids(2000))
    told = [line for line in ended.err.splitlines() if "slow_down" in line]
    assert len(told) == 1
    assert "going on as fast as it allows" in told[0]


def test_what_does_not_pass_ends_it(eventd: Eventd, server: ScriptedServer) -> None:
    """After --wait seconds without progress: refused, with the hint, and where the input was left."""

    def step(peer: Peer, emit: Emit) -> None:
        peer.server.script.appendleft(step)
        refuse("outbox_full")(peer, emit)

    server.script += [store, step]
    ended = eventd("emit", "--stdin", "--wait", "0.2", stdin=ndjson(1000))
    assert ended.code == 4
    stored = len(server.stored)
    assert 0 < stored < 1000
    assert f"stopped; line {stored + 1} and those behind it may not be stored" in ended.err
    assert ended.err.splitlines()[-3:] == [
        f"stored {stored:,} events",
        "error: outbox_full: scripted outbox_full",
        "hint: a hint",
    ]


def test_progress_starts_the_wait_anew(eventd: Eventd, server: ScriptedServer) -> None:
    """Many short stops are not one long one."""
    with eventd.start("emit", "--stdin", "--wait", "400ms") as running:
        for number in range(5):
            server.script += [refuse("slow_down", retry_after_ms=150), store]
            running.write(NOTE % b"e%d" % number)
            assert running.read_line() == f"e{number}"
        assert running.end().code == 0


@pytest.mark.parametrize("step", [lose_ack, dismiss("too_many_connections")])
def test_a_lost_connection_is_made_again(
    eventd: Eventd, server: ScriptedServer, step: Callable[[Peer, Emit], None]
) -> None:
    """What has no ack is sent again with the same ids, so that it is stored once."""
    server.script += [store, step]
    ended = eventd("emit", "--stdin", stdin=ndjson(2000))
    assert ended.code == 0
    assert sorted(server.stored) == sorted(ids(2000))
    assert len(server.hellos) == 2
    assert "trying again" in ended.err


def test_a_file_with_ids_can_be_sent_again(eventd: Eventd, server: ScriptedServer) -> None:
    """Nothing is added to its events that would make the second time differ from the first."""
    for _ in range(2):
        assert eventd("emit", "--stdin", stdin=ndjson(10)).code == 0
    assert list(server.stored) == ids(10)
    assert len(server.emits) == 2


def test_events_without_ids_are_stored_once_too(eventd: Eventd, server: ScriptedServer) -> None:
    """They get their ids before they are sent."""
    server.script += [lose_ack]
    ended = eventd("emit", "--stdin", stdin=b'{"type": "note"}\n' * 100)
    assert ended.code == 0
    assert ended.lines == list(server.stored)
    assert len(server.stored) == 100


def test_a_daemon_that_stays_away_ends_it(eventd: Eventd, server: ScriptedServer) -> None:
    """Unreachable, after --wait seconds."""
    with eventd.start("emit", "--stdin", "--wait", "0.2") as running:
        running.write(ndjson(1))
        assert running.read_line() == "e0"
        server.stop()
        running.write(ndjson(2))
        ended = running.end()
    assert ended.code == 3
    assert "eventd is not running" in ended.err
    assert "stopped; line 2 and" in ended.err


def test_a_connection_that_is_refused_for_good_ends_it_at_once(
    eventd: Eventd, server: ScriptedServer
) -> None:
    """A wrong token does not become right by waiting."""
    server.script.append(dismiss("unauthorised"))
    ended = eventd("emit", "--stdin", "--wait", "1h", stdin=ndjson(10))
    assert ended.code == 4
    assert "unauthorised" in ended.err


def test_a_line_is_stored_before_the_next_one_is_written(eventd: Eventd, server: ScriptedServer) -> None:
    """A slow writer's events do not wait for each other: `tail -F log | eventd emit --stdin` works."""
    with eventd.start("emit", "--stdin") as running:
        for number in range(3):
            running.write(NOTE % b"e%d" % number)
            assert running.read_line() == f"e{number}"
        assert running.end().code == 0


def test_an_event_larger_than_a_frame_is_told(eventd: Eventd, server: ScriptedServer) -> None:
    """It is not sent; the connection and the other events do not suffer."""
    server.limits = Limits(max_frame=2000, max_event=2000, max_events=10, max_in_flight=10_000)
    text = (
        ndjson(30)
        + ndjson(1, payload={"text": "x" * 3000}).replace(b"e0", b"large")
        + b'{"type": "note", "id": "z"}'
    )
    ended = eventd("emit", "--stdin", stdin=text)
    assert ended.code == 4
    assert list(server.stored) == [*ids(30), "z"]
    assert "line 31: frame_too_large" in ended.err
    assert len(server.hellos) == 1
    assert max(len(emit.events) for emit in server.emits) <= 10


def test_numbers_that_no_frame_can_hold_are_told(eventd: Eventd, server: ScriptedServer) -> None:
    """An integer beyond 64 bits is JSON, but not msgpack."""
    ended = eventd("emit", "--stdin", stdin=b'{"type": "note", "payload": {"n": %d}}\n' % 2**70)
    assert ended.code == 4
    assert "line 1: malformed" in ended.err


def test_a_reader_of_ids_that_leaves_stops_nothing(eventd: Eventd, server: ScriptedServer) -> None:
    """The events are stored all the same."""
    with eventd.start("emit", "--stdin") as running:
        running.write(ndjson(1))
        assert running.read_line() == "e0"
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        running.write(ndjson(5000))
        ended = running.end()
    assert ended.code == 0
    assert len(server.stored) == 5000


def test_ctrl_c_ends_it_quietly_with_the_summary(eventd: Eventd, server: ScriptedServer) -> None:
    """130, and what was stored."""
    with eventd.start("emit", "--stdin") as running:
        running.write(ndjson(1))
        assert running.read_line() == "e0"
        ended = running.interrupt()
    assert ended.code == 130
    assert ended.err.splitlines() == ["stored 1 event"]


def test_a_terminal_sees_progress(eventd: Eventd, server: ScriptedServer, tmp_path: Path) -> None:
    """A bar while it goes on, bad lines above it, and the summary in its place."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(ndjson(5000) + b"nonsense\n")
    with (
        path.open("rb") as file,
        Terminal() as terminal,
        eventd.start("emit", "--stdin", stdin=file, stderr=terminal.fd) as running,
    ):
        ended = running.end()
        drawn = terminal.close()
    assert ended.code == 4
    assert len(ended.lines) == 5000
    assert "5,000 stored" in drawn
    assert "line 5001: malformed" in drawn
    assert "stored 5,000 events; 1 line not taken" in drawn.splitlines()[-1]


def test_a_terminal_is_not_flooded_with_ids(eventd: Eventd, server: ScriptedServer) -> None:
    """Where a person looks at standard output the summary is enough."""
    with Terminal() as terminal, eventd.start("emit", "--stdin", stdout=terminal.fd) as running:
        running.write(ndjson(10))
        ended = running.end()
        assert terminal.close() == ""
    assert ended.code == 0
    assert len(server.stored) == 10
