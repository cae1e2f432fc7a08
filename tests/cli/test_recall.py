"""`eventd recall`: what is asked for, and how hits are shown."""

from typing import Any

import pytest

from cli.support import Eventd, Terminal, asked
from eventd.cli.views import local_time
from eventd_ipc.messages import Recall, Result
from ipc.support.scripted import ScriptedServer, error

TIME = 1700000000000


def hit(**fields: Any) -> dict[str, Any]:
    return {
        "id": "e-1",
        "agent": "main",
        "session": "agent:main:main",
        "type": "conversation.message.in",
        "time": TIME,
        "stream": "events",
        "seq": 7,
        "score": 3.5,
        "snippet": "… the deadlines are on Friday …",
        "text": "I think the deadlines are on Friday or so",
        **fields,
    }


def answer(server: ScriptedServer, *hits: dict[str, Any], complete: bool = True) -> None:
    document = {"hits": list(hits), "complete": complete, "asOf": TIME}
    server.answers[Recall] = lambda peer, request: peer.send(Result(request.id, document))


@pytest.mark.parametrize(
    ("args", "request_", "agent"),
    [
        (["when", "is", "it?"], {"text": "when is it?"}, "main"),
        (["--agent", "ci", "x"], {"text": "x", "agent": "ci"}, "ci"),
        (["--agent", "*", "x"], {"text": "x", "agent": "*"}, "main"),
        (["x", "--session", "s", "--type", "a.*", "--since", "1795305600000", "--until", "1795305600001"],
         {"text": "x", "session": "s", "types": ["a.*"], "since": 1795305600000, "until": 1795305600001},
         "main"),
        (["x", "-n", "3", "--around", "2"], {"text": "x", "limit": 3, "around": 2}, "main"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_recall_asks_for_what_was_said(
    eventd: Eventd, server: ScriptedServer, args: list[str], request_: dict[str, Any], agent: str
) -> None:
    """As the agent that remembers."""
    assert eventd("recall", *args).code == 0
    assert asked(server, Recall) == [request_]
    assert server.hellos[0].agent == agent


def test_the_agent_of_a_hook_recalls_as_itself(eventd: Eventd, server: ScriptedServer) -> None:
    assert eventd("recall", "x", EVENTD_AGENT="ci").code == 0
    assert (server.hellos[0].agent, asked(server, Recall)) == ("ci", [{"text": "x", "agent": "ci"}])


def test_hit_is_shown_with_what_is_needed_to_go_on(eventd: Eventd, server: ScriptedServer) -> None:
    """When, where, whose, and which; then the passage."""
    answer(server, hit(), hit(id="", snippet="second"))
    assert eventd("recall", "deadline").lines == [
        f"{local_time(TIME)}  agent:main:main  main  conversation.message.in  e-1",
        "  … the deadlines are on Friday …",
        f"{local_time(TIME)}  agent:main:main  main  conversation.message.in  -",
        "  second",
    ]


def test_neighbours_stand_around_the_hit(eventd: Eventd, server: ScriptedServer) -> None:
    around = [hit(time=TIME - 5, text="before", seq=6), hit(time=TIME, text="behind", seq=8)]
    answer(server, hit(around=around))
    clock = local_time(TIME)[11:]
    assert eventd("recall", "deadline", "--around", "1").lines[1:] == [
        f"  | {local_time(TIME - 5)[11:]}  conversation.message.in  before",
        "  … the deadlines are on Friday …",
        f"  | {clock}  conversation.message.in  behind",
    ]


def test_programs_get_one_hit_a_line(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, hit(), hit(id="e-2"))
    assert eventd("recall", "x", "--json").objects == [hit(), hit(id="e-2")]


def test_nothing_found_is_told_and_no_failure(eventd: Eventd, server: ScriptedServer) -> None:
    answer(server, complete=False)
    ended = eventd("recall", "x")
    assert (ended.code, ended.out) == (0, b"")
    assert ended.err.startswith("nothing was found\nthe index is not complete yet")


def test_what_others_stored_cannot_steer_the_terminal(eventd: Eventd, server: ScriptedServer) -> None:
    """In none of the columns."""
    bad = "\x1b[31mx\x9b\r\ny"
    answer(
        server, hit(id=bad, session=bad, agent=bad, type=bad, snippet=bad, around=[hit(type=bad, text=bad)])
    )
    out = eventd("recall", "x", "--around", "1").out.decode()
    assert all(line.isprintable() for line in out.splitlines())


def test_words_that_were_looked_for_are_bold_on_a_terminal(eventd: Eventd, server: ScriptedServer) -> None:
    """Other forms of them too; short words are everywhere, and stay as they are."""
    answer(server, hit())
    with Terminal() as terminal:
        with eventd.start("recall", "on", "which", "deadline?", stdout=terminal.fd) as running:
            assert running.end().code == 0
        drawn = terminal.close()
    assert "\x1b[1mdeadlines\x1b[0m are on Friday" in drawn


def test_no_words_are_a_mistake_of_usage(eventd: Eventd, server: ScriptedServer) -> None:
    assert eventd("recall").code == 2
    assert eventd("recall", " ").code == 2
    assert server.requests == []


def test_recall_that_is_refused_says_why(eventd: Eventd, server: ScriptedServer) -> None:
    server.answers[Recall] = lambda peer, request: peer.send(error("unavailable", id=request.id))
    assert eventd("recall", "x").code == 4
