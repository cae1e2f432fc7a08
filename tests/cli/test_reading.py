"""`eventd get` and `eventd tail`: what is asked for, and what is printed."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from cli.support import BODY, Eventd, asked, note
from eventd_ipc.messages import End, Get, StoredEvent, Tail
from ipc.support.scripted import Peer, ScriptedServer, error
from support.waiting import wait_until

# get


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        (["42"], {"seq": 42}),
        (["019ac0de-0000-7000-8000-000000000002"], {"event": "019ac0de-0000-7000-8000-000000000002"}),
        (["42", "--id"], {"event": "42"}),
        (["42", "--stream", "other"], {"seq": 42, "stream": "other"}),
        (["abc", "--agent", "ci"], {"event": "abc", "agent": "ci"}),
    ],
)
def test_get_asks_for_a_sequence_or_an_id(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    """A number is a sequence, unless it is said to be an id."""
    assert eventd("get", *args).code == 0
    assert asked(server, Get) == [{"agent": "*"} | request_]


def test_get_prints_the_event(eventd: Eventd, server: ScriptedServer) -> None:
    """In full for people, as one object for programs, or as the stored bytes."""
    server.answers[Get] = lambda peer, request: peer.send(note(request.id, 7))
    page = eventd("get", "7").out.decode()
    assert page.startswith("events 7  ")
    assert '"text": "hi"' in page
    assert eventd("get", "7", "--json").objects == [
        {
            "stream": "events",
            "seq": 7,
            "subject": "openclaw.events.main.note",
            "time": 1700000000007,
            "event": json.loads(BODY % 7),
        }
    ]
    assert eventd("get", "7", "--raw").out == BODY % 7 + b"\n"


def test_get_says_that_an_event_is_not_in_its_stream_yet(eventd: Eventd, server: ScriptedServer) -> None:
    """It is in the index as soon as it is acknowledged."""
    server.answers[Get] = lambda peer, request: peer.send(note(request.id, 0))
    assert eventd("get", "x").out.decode().startswith("events (on its way)  ")


def test_get_of_nothing_is_refused(eventd: Eventd, server: ScriptedServer) -> None:
    """The daemon says that there is none."""
    server.answers[Get] = lambda peer, request: peer.send(error("not_found", id=request.id))
    ended = eventd("get", "7")
    assert (ended.code, ended.out) == (4, b"")


# tail


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        ([], {"last": 10}),
        (["-n", "3"], {"last": 3}),
        (["--last", "0"], {"last": 0}),
        (["--since", "2026-11-22T00:00:00Z"], {"since": 1795305600000}),
        (["--stream", "other", "--agent", "ci"], {"last": 10, "stream": "other", "agent": "ci"}),
        (["--session", "agent:main:*", "--run", "r"], {"last": 10, "session": "agent:main:*", "run": "r"}),
        (["--type", "msg.in", "--type", "memory.*"], {"last": 10, "types": ["msg.in", "memory.*"]}),
        (["--visibility", "public", "--text", "a b"], {"last": 10, "visibility": ["public"], "text": "a b"}),
    ],
)
def test_tail_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    """The last ten, unless something else is wanted."""
    assert eventd("tail", *args).code == 0
    assert asked(server, Tail) == [{"agent": "*"} | request_]


def test_tail_prints_one_line_for_each_event(eventd: Eventd, server: ScriptedServer) -> None:
    """For people, for programs, and as the stored bytes; more of them than one credit allows."""
    server.stream = 1000
    assert len(eventd("tail").lines) == 1000
    assert [found["seq"] for found in eventd("tail", "--json").objects] == list(range(1, 1001))
    assert eventd("tail", "--raw").lines[0] == '{"n":1}'


def test_tail_goes_on_with_new_events(eventd: Eventd, server: ScriptedServer) -> None:
    """Each one as it comes, also into a pipe; Ctrl-C ends it without a word."""
    waiting: list[tuple[Peer, Tail]] = []
    server.answers[Tail] = lambda peer, request: waiting.append((peer, request))
    with eventd.start("tail", "-f", "--json") as running:
        peer, request = wait_until(lambda: waiting, 10, what="it asks")[0]
        assert request.follow
        for seq in range(3):
            peer.send(note(request.id, seq))
            assert json.loads(running.read_line())["seq"] == seq
        ended = running.interrupt()
    assert (ended.code, ended.err) == (130, "")


def test_tail_goes_on_behind_the_last_event_when_the_daemon_comes_back(
    eventd: Eventd, server: ScriptedServer
) -> None:
    """A restart costs no event and repeats none; it is told on standard error."""
    seqs = iter([range(1, 4), range(3, 6)])  # the second time from the time of the last one on

    def answer(peer: Peer, request: Tail) -> None:
        peer.send(*(note(request.id, seq) for seq in next(seqs)))

    server.answers[Tail] = answer
    with eventd.start("tail", "-f", "--json") as running:
        shown = [json.loads(running.read_line())["seq"] for _ in range(3)]
        server.stop()
        assert "; waiting" in running.read_error_line()
        server.start()
        shown += [json.loads(running.read_line())["seq"] for _ in range(2)]
        ended = running.interrupt()
    assert shown == [1, 2, 3, 4, 5]
    assert ended.code == 130
    assert "events come again" in ended.err
    assert asked(server, Tail) == [
        {"last": 10, "follow": True, "agent": "*"},
        {"since": 1700000000003, "follow": True, "agent": "*"},
    ]


def test_tail_knows_an_event_again_that_has_come_into_its_stream(
    eventd: Eventd, server: ScriptedServer
) -> None:
    """Before the restart it had no sequence. Another one with the same text, from then on, is another one."""
    waiting: list[tuple[Peer, Tail]] = []
    server.answers[Tail] = lambda peer, request: waiting.append((peer, request))
    same = StoredEvent(0, "events", 0, "openclaw.events.main.note", 1700000000000, b'{"type":"tick"}')
    shipped = replace(same, seq=9, time=1700000000500)
    with eventd.start("tail", "-f", "--json") as running:
        peer, request = wait_until(lambda: waiting, 10, what="it asks").pop()
        peer.send(replace(same, id=request.id), replace(same, id=request.id))
        assert [json.loads(running.read_line())["seq"] for _ in range(2)] == [0, 0]
        server.stop()
        server.start()
        peer, request = wait_until(lambda: waiting, 10, what="it asks again").pop()
        again = replace(shipped, id=request.id)
        peer.send(again, again, again)
        assert json.loads(running.read_line())["seq"] == 9
        assert running.interrupt().out == b""


def test_tail_shows_the_events_of_a_stream_that_was_made_anew(eventd: Eventd, server: ScriptedServer) -> None:
    """Small sequences again: they were not shown yet."""
    batches = iter([(100, 1700000000000), (1, 1700000009000)])

    def answer(peer: Peer, request: Tail) -> None:
        seq, time = next(batches)
        peer.send(note(request.id, seq, time=time))

    server.answers[Tail] = answer
    with eventd.start("tail", "-f", "--json") as running:
        assert json.loads(running.read_line())["seq"] == 100
        server.stop()
        server.start()
        assert json.loads(running.read_line())["seq"] == 1


def test_tail_waits_for_nats_while_it_follows(eventd: Eventd, server: ScriptedServer) -> None:
    """Also at the beginning, and although nothing was shown yet; without -f it is refused at once."""
    answers = iter([True, True, False])

    def answer(peer: Peer, request: Tail) -> None:
        if next(answers):
            peer.send(error("unavailable", id=request.id))
        else:
            peer.send(note(request.id, 1), End(request.id))

    server.answers[Tail] = answer
    assert eventd("tail").code == 4
    with eventd.start("tail", "-f", "--json") as running:
        assert "unavailable" in running.read_error_line()
        assert json.loads(running.read_line())["seq"] == 1
    assert [request["last"] for request in asked(server, Tail)] == [10, 10, 10]


def test_tail_without_a_daemon_does_not_wait(eventd: Eventd) -> None:
    """Nobody ran at the beginning: the remedy is to start it."""
    assert eventd("tail", "-f").code == 3
