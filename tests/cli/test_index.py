"""`eventd index`: how the index is, and waiting until it was built anew."""

from typing import Any

from cli.support import Eventd, Terminal, asked
from eventd_ipc.messages import Index, Result
from ipc.support.scripted import Peer, ScriptedServer

READY: dict[str, Any] = {
    "state": "ready",
    "events": 12034,
    "bytes": 5_000_000,
    "taken": 400,
    "behind": 0,
    "behind_s": 0.0,
    "streams": [{"name": "openclaw-events", "position": 12000, "last": 12000, "behind": 0}],
    "problem": "",
}
BUILDING = READY | {
    "state": "rebuilding",
    "behind": 7,
    "behind_s": 75.0,
    "streams": [{"name": "openclaw-events", "position": 2000, "last": 12000, "behind": 10000}],
}


def answer(server: ScriptedServer, *documents: dict[str, Any]) -> None:
    """Answer with each of the documents, and with the last one from then on."""
    left = list(documents)

    def reply(peer: Peer, request: Index) -> None:
        peer.send(Result(request.id, left.pop(0) if len(left) > 1 else left[0]))

    server.answers[Index] = reply


def test_status_says_it_in_a_word_and_then_the_rest(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, READY, BUILDING | {"problem": "NATS does \x1b not answer"})
    assert eventd("index", "status").lines == [
        "ready",
        "12,034 events · 4.8 MiB",
        "",
        "stream           read up to  of      behind",
        "openclaw-events  12,000      12,000  0",
    ]
    lines = eventd("index", "status").lines
    assert lines[0] == r"rebuilding: NATS does \x1b not answer"
    assert lines[1] == "12,034 events · 4.8 MiB · 7 accepted events to take, since 1m15s"
    assert lines[-1].split() == ["openclaw-events", "2,000", "12,000", "10,000"]


def test_status_is_an_object_for_programs(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, READY)
    assert eventd("index", "status", "--json").objects == [READY]


def test_status_shows_what_there_is(eventd: Eventd, server: ScriptedServer) -> None:
    """Another version may leave keys out."""
    answer(server, {"state": "stalled"})
    assert eventd("index", "status").lines[0] == "stalled"


def test_rebuild_waits_until_it_is_done(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, BUILDING, BUILDING, BUILDING | {"state": "catching_up"}, READY)
    ended = eventd("index", "rebuild")
    assert (ended.code, ended.lines[0], ended.err) == (0, "ready", "")
    assert asked(server, Index) == [{"action": "rebuild"}, {}, {}, {}]


def test_rebuild_need_not_be_waited_for(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, BUILDING)
    assert eventd("index", "rebuild", "--no-wait", "--json").objects == [BUILDING]
    assert asked(server, Index) == [{"action": "rebuild"}]


def test_trouble_while_it_is_built_is_told_once(eventd: Eventd, server: ScriptedServer) -> None:
    stuck = BUILDING | {"state": "stalled", "problem": "the disk is full"}
    answer(server, BUILDING, stuck, stuck, BUILDING, READY)
    assert eventd("index", "rebuild").err == "the disk is full\nthe trouble is over\n"


def test_a_terminal_sees_how_far_it_is(eventd: Eventd, server: ScriptedServer) -> None:
    """Ctrl-C ends the waiting."""
    answer(server, BUILDING)
    with Terminal() as terminal:
        with eventd.start("index", "rebuild", stderr=terminal.fd) as running:
            terminal.wait_for("rebuilding, 10,007 events to go")
            ended = running.interrupt()
        terminal.close()
    assert (ended.code, ended.out) == (130, b"")
