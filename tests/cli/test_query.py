"""`eventd query`: what is asked for, and how it says that there is more."""

import json
from typing import Any

import pytest

from cli.support import BODY, Eventd, asked, note
from eventd_ipc.messages import End, Query
from ipc.support.scripted import ScriptedServer, error


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        ([], {"limit": 50}),
        (["-n", "3", "--oldest"], {"limit": 3, "order": "oldest"}),
        (["--all", "--newest"], {}),
        (["--agent", "ci", "--session", "s", "--run", "r"],
         {"limit": 50, "agent": "ci", "session": "s", "run": "r"}),
        (["--type", "conversation.*", "--type", "msg.in"],
         {"limit": 50, "types": ["conversation.*", "msg.in"]}),
        (["--visibility", "public", "--visibility", "secret"],
         {"limit": 50, "visibility": ["public", "secret"]}),
        (["--since", "2026-11-22T00:00:00Z", "--until", "1795305600001"],
         {"limit": 50, "since": 1795305600000, "until": 1795305600001}),
        (["--text", "deadline Vienna", "--stream", "x", "--cursor", "c"],
         {"limit": 50, "text": "deadline Vienna", "stream": "x", "cursor": "c"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_query_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    """Of all agents, the newest fifty first, unless something else is wanted."""
    assert eventd("query", *args).code == 0
    assert asked(server, Query) == [{"agent": "*"} | request_]


def test_query_prints_one_line_for_each_event(eventd: Eventd, server: ScriptedServer) -> None:
    """For people, for programs, and as the stored bytes; more of them than one credit allows."""
    server.stream = 1000
    assert len(eventd("query", "--all").lines) == 1000
    server.answers[Query] = lambda peer, request: peer.send(note(request.id, 0), End(request.id))
    assert eventd("query").lines[0].split()[2:] == ["main", "s", "note", "hi"]
    assert eventd("query", "--json").objects == [
        {
            "stream": "events",
            "seq": 0,
            "subject": "openclaw.events.main.note",
            "time": 1700000000000,
            "event": json.loads(BODY % 0),
        }
    ]
    assert eventd("query", "--raw").out == BODY % 0 + b"\n"


def test_query_says_how_to_get_more(eventd: Eventd, server: ScriptedServer) -> None:
    """On standard error, as it has to be typed, so that the data stays clean."""
    server.cursor = "1700000000000 7"
    ended = eventd("query", "--json")
    assert len(ended.objects) == 10
    assert ended.err == "more: --cursor '1700000000000 7'\n"
    server.cursor = None
    assert eventd("query").err == ""


def test_query_that_is_refused_says_why(eventd: Eventd, server: ScriptedServer) -> None:
    server.answers[Query] = lambda peer, request: peer.send(error("bad_request", id=request.id))
    ended = eventd("query", "--cursor", "nonsense")
    assert (ended.code, ended.out) == (4, b"")
    assert "scripted bad_request" in ended.err


@pytest.mark.parametrize(
    "args",
    [["--all", "-n", "3"], ["--json", "--raw"], ["-n", "0"], ["--visibility", "hidden"], ["--since", "soon"]],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_mistake_of_usage(
    eventd: Eventd, server: ScriptedServer, args: list[str]
) -> None:
    assert eventd("query", *args).code == 2
    assert server.requests == []


def test_agents_control_characters_do_not_reach_the_terminal(eventd: Eventd, server: ScriptedServer) -> None:
    """Nor through the cursor, which is to be copied."""
    server.cursor = "\x1b[2J"
    server.answers.clear()
    ended = eventd("query")
    assert "\x1b" not in ended.err
