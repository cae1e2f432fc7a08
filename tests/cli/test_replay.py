"""`eventd replay`: what is asked for, and where to go on with one that was broken off."""

import re
import subprocess
from typing import Any

import pytest

from cli.support import Eventd, Terminal, asked, note
from eventd_ipc.messages import End, Index, Replay, Result
from ipc.support.scripted import Peer, ScriptedServer, error
from support.waiting import wait_until


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        ([], {}),
        (["--first", "7", "--last", "9"], {"first": 7, "last": 9}),
        (["--since", "1795305600000", "--until", "1795305600001"],
         {"since": 1795305600000, "until": 1795305600001}),
        (["--session", "s", "--type", "a.*", "--visibility", "public", "--run", "r"],
         {"session": "s", "types": ["a.*"], "visibility": ["public"], "run": "r"}),
        (["--stream", "x", "--agent", "ci"], {"stream": "x", "agent": "ci"}),
        (["--speed", "1x"], {"speed": 1.0}),
        (["--speed", "0.5"], {"speed": 0.5}),
        (["--speed", "max"], {}),
        (["--to", "debug.replay"], {"to": "debug.replay"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_replay_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    assert eventd("replay", *args).code == 0
    assert asked(server, Replay) == [{"agent": "*"} | request_]


@pytest.mark.parametrize("speed", ["0x", "-1", "fast", "inf", "nan"])
def test_speed_that_is_none_is_a_mistake_of_usage(eventd: Eventd, server: ScriptedServer, speed: str) -> None:
    ended = eventd("replay", "--speed", speed)
    assert ended.code == 2
    assert "10x or max" in ended.err


def test_replay_prints_events_and_nothing_else(eventd: Eventd, server: ScriptedServer) -> None:
    """What was published is told on standard error."""
    ended = eventd("replay", "--raw")
    assert (ended.lines[0], len(ended.lines), ended.err) == ('{"n":1}', 10, "")
    assert eventd("replay", "--to", "x.y", "--json").err == "10 events published to x.y\n"


def test_interrupted_replay_says_where_to_go_on(eventd: Eventd, server: ScriptedServer) -> None:
    """It may repeat the event that was just being shown; it never leaves one out."""
    server.answers[Replay] = lambda peer, request: peer.send(note(request.id, 41), note(request.id, 42))
    with eventd.start("replay", "--speed", "1x") as running:
        for _ in range(2):
            running.read_line()
        ended = running.interrupt()
    assert ended.code == 130
    assert re.fullmatch(r"after \d events?; go on with --first 4[23]\n", ended.err)


def test_replay_that_fails_half_way_says_where_to_go_on(eventd: Eventd, server: ScriptedServer) -> None:
    server.answers[Replay] = lambda peer, request: peer.send(
        note(request.id, 7), error("unavailable", id=request.id)
    )
    ended = eventd("replay")
    assert ended.code == 4
    assert ended.err.startswith("after 1 event; go on with --first 8\nerror: ")


def test_reader_that_leaves_is_told_nothing(eventd: Eventd, server: ScriptedServer) -> None:
    """`eventd replay | head` ends it on purpose."""
    server.stream = 100_000
    with eventd.start("replay") as running:
        running.read_line()
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        ended = running.end()
    assert (ended.code, ended.err) == (141, "")


def test_a_terminal_sees_how_far_it_is(eventd: Eventd, server: ScriptedServer) -> None:
    """Where the events go elsewhere; the index knows where the stream ends."""
    waiting: list[tuple[Peer, Replay]] = []

    def answer(peer: Peer, request: Replay) -> None:
        peer.send(note(request.id, 3))
        waiting.append((peer, request))

    server.answers[Replay] = answer
    server.answers[Index] = lambda peer, request: peer.send(
        Result(request.id, {"streams": [{"name": "events", "last": 103}]})
    )
    with Terminal() as terminal:
        with eventd.start("replay", stdout=subprocess.PIPE, stderr=terminal.fd) as running:
            terminal.wait_for("1 replayed, at 3")
            ((peer, request),) = wait_until(lambda: waiting, 10, what="it asks")
            peer.send(note(request.id, 50), End(request.id))
            ended = running.end()
        drawn = terminal.close()
    assert (ended.code, len(ended.lines)) == (0, 2)
    assert "2 events replayed" in drawn
