"""`eventd get` and `eventd tail`: what is asked for, and what is printed."""

import json
from typing import Any

import msgspec
import pytest

from cli.support import Eventd
from eventd_ipc.messages import End, Get, StoredEvent, Tail
from ipc.support.scripted import Peer, ScriptedServer, error
from support.waiting import wait_until

BODY = b'{"id":"1","agent":"main","session":"s","type":"note","payload":{"data":{"text":"hi"}}}'


def note(request: int, seq: int, *, stream: str = "events", time: int | None = None) -> StoredEvent:
    at = 1700000000000 + seq if time is None else time
    return StoredEvent(request, stream, seq, "openclaw.events.main.note", at, BODY)


def asked(server: ScriptedServer, kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return what was asked for, without what is the protocol's own."""
    fields = [field for field in kind.__struct_fields__ if field not in ("id", "credit")]
    return [
        {field: getattr(request, field) for field in fields}
        for request in server.requests
        if isinstance(request, kind)
    ]


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
    assert asked(server, Get) == [{"event": None, "seq": None, "stream": None, "agent": None} | request_]


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
            "event": json.loads(BODY),
        }
    ]
    assert eventd("get", "7", "--raw").out == BODY + b"\n"


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
    ],
)
def test_tail_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    """The last ten, unless something else is wanted."""
    none = dict.fromkeys(("last", "since", "stream", "agent")) | {"follow": False}
    assert eventd("tail", *args).code == 0
    assert asked(server, Tail) == [none | request_]


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
    first, second = asked(server, Tail)
    assert (first["last"], first["since"]) == (10, None)
    assert (second["last"], second["since"]) == (None, 1700000000003)


def test_tail_shows_the_events_of_a_stream_that_was_made_anew(eventd: Eventd, server: ScriptedServer) -> None:
    """Small sequences again, but later times: they were not shown yet."""
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
