"""`eventd context`: the bare block for hooks, and what it was made of."""

from typing import Any

import pytest

from cli.support import Eventd, Terminal, asked
from eventd.cli.views import local_time
from eventd_ipc.messages import Context, Result
from ipc.support.scripted import ScriptedServer

TIME = 1700000000000
BLOCK = "<eventd-memory>\nGrüß dich 👋\n</eventd-memory>\n"
DOCUMENT: dict[str, Any] = {
    "text": BLOCK,
    "complete": True,
    "agent": "main",
    "session": None,
    "query": None,
    "asOf": TIME,
    "events": 12,
    "messages": 5,
    "from": TIME - 3_600_000,
    "to": TIME,
    "budget": 8000,
    "size": len(BLOCK),
    "topics": [{"text": "Vienna", "messages": 3, "sessions": 1}],
    "sections": [
        {
            "name": "facts",
            "title": "Facts",
            "size": 90,
            "items": [
                {
                    "id": "e-1",
                    "session": None,
                    "agent": "main",
                    "time": TIME,
                    "kind": "fact",
                    "why": "fact that holds",
                    "chars": 1042,
                    "cut": True,
                    "text": "Anna\nasks \x1b[31m for days",
                }
            ],
        }
    ],
    "left_out": {"budget": 3, "duplicates": 1},
}


def answer(server: ScriptedServer, **fields: Any) -> None:
    server.answers[Context] = lambda peer, request: peer.send(Result(request.id, DOCUMENT | fields))


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        ([], {}),
        (["--session", "s", "--query", "x y"], {"session": "s", "query": "x y"}),
        (
            ["--budget", "4000", "--hours", "1.5", "--events", "7"],
            {"budget": 4000, "hours": 1.5, "events": 7},
        ),
        (["--tools"], {"tools": True}),
        (["--no-tools"], {"tools": False}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_context_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any]
) -> None:
    """What is not said is left to the configuration."""
    assert eventd("context", *args).code == 0
    assert asked(server, Context) == [request_]


def test_the_agent_is_said_or_that_of_the_environment(eventd: Eventd, server: ScriptedServer) -> None:
    assert eventd("context", "--agent", "a", EVENTD_AGENT="b").code == 0
    assert eventd("context", EVENTD_AGENT="b").code == 0
    assert [hello.agent for hello in server.hellos] == ["a", "b"]
    assert asked(server, Context) == [{"agent": "a"}, {"agent": "b"}]


def test_query_comes_from_standard_input(eventd: Eventd, server: ScriptedServer) -> None:
    """Whatever a hook pipes in: bytes that are no text, nothing, or more than anybody says."""
    for given in ("  Is the offer out? 👋\n".encode(), b"\xff\xfeok", b"", b"x" * 1_000_000):
        assert eventd("context", "--query", "-", stdin=given).code == 0
    queries = [request.get("query") for request in asked(server, Context)]
    assert queries == ["Is the offer out? 👋", "ok", None, "x" * 65536]


def test_the_block_is_all_that_is_printed(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, complete=False)
    ended = eventd("context")
    assert (ended.code, ended.out.decode(), ended.err) == (0, BLOCK, "")


def test_an_empty_block_is_nothing_and_no_failure(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, text="", asOf=None, sections=[], topics=[])
    ended = eventd("context")
    assert (ended.code, ended.out, ended.err) == (0, b"", "")
    assert eventd("context", "--explain").code == 0


def test_a_person_is_told_why_there_is_nothing(eventd: Eventd, server: ScriptedServer) -> None:
    """On a terminal only: a hook's standard error is shown as a failure."""
    answer(server, text="", complete=False)
    with Terminal() as terminal:
        with eventd.start("context", stderr=terminal.fd) as running:
            assert running.end().out == b""
        drawn = terminal.close()
    assert "nothing to remember" in drawn
    assert "not complete yet" in drawn


def test_programs_get_the_whole_document(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server)
    assert eventd("context", "--json").objects == [DOCUMENT]


def test_explain_says_why_each_item_is_there(eventd: Eventd, server: ScriptedServer) -> None:
    """One line each, and nothing in it that steers the terminal."""
    answer(server)
    lines = eventd("context", "--explain").lines
    when = local_time(TIME)[:16]
    assert lines[:3] == [
        f"{len(BLOCK)} of 8,000 characters",
        f"12 recent events, {local_time(TIME - 3_600_000)[:16]} to {when}",
        "topics: Vienna",
    ]
    assert lines[4].split() == ["section", "kind", "when", "session", "size", "why", "id", "text"]
    assert lines[5].split() == [
        *("facts", "fact", *when.split(), "-", "1,042", "cut", "fact", "that", "holds", "e-1"),
        *("Anna", "asks", r"\x1b[31m", "for", "days"),
    ]
    assert lines[-1] == "left out: budget 3, duplicates 1"


def test_explain_survives_a_document_of_another_version(eventd: Eventd, server: ScriptedServer) -> None:
    server.answers[Context] = lambda peer, request: peer.send(
        Result(request.id, {"sections": [{"items": [{}, 3]}, None], "topics": "x", "left_out": []})
    )
    assert eventd("context", "--explain").code == 0


@pytest.mark.parametrize(
    "args", [["--json", "--explain"], ["--budget", "0"], ["--hours", "0"], ["--events", "x"]], ids=" ".join
)
def test_what_makes_no_sense_is_a_mistake_of_usage(
    eventd: Eventd, server: ScriptedServer, args: list[str]
) -> None:
    assert eventd("context", *args).code == 2
    assert server.requests == []
