"""`eventd deadletter`: lists, retries and drops, and asks before it deletes."""

from typing import Any

import pytest

from cli.support import Eventd, Terminal
from eventd_ipc.messages import DeadLetters, Result
from ipc.support.scripted import Peer, ScriptedServer


def letter(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "route": "*",
        "id": f"main:e{number}",
        "subject": "openclaw.events.main.note",
        "reason": "too large\x1b[31m",
        "code": 10054,
        "diedAt": 1700000000000,
        "bytes": 9_000_000,
        "body": '{"type":"note"}',
    }


@pytest.fixture
def letters(server: ScriptedServer) -> list[DeadLetters]:
    """A server with the dead letters 1 to 2500; the requests that come."""
    requests: list[DeadLetters] = []

    def answer(peer: Peer, request: DeadLetters) -> None:
        requests.append(request)
        if request.action == "list":
            numbers = range(request.after + 1, 2501)[: min(request.limit, 1000)]
            peer.send(Result(request.id, {"letters": [letter(number) for number in numbers]}))
        else:
            known = [number for number in request.numbers if number <= 2500]
            peer.send(Result(request.id, {"count": 2500 if request.all else len(known)}))

    server.answers[DeadLetters] = answer
    return requests


def test_they_are_listed(eventd: Eventd, letters: list[DeadLetters]) -> None:
    """One line each: which, when, how large, whose and why."""
    ended = eventd("deadletter", "list", "--limit", "3")
    assert ended.code == 0
    assert len(ended.lines) == 3
    assert ended.lines[0].split()[0] == "1"
    for shown in ("8.6 MiB", "main:e1", "openclaw.events.main.note", r"too large\x1b[31m"):
        assert shown in ended.lines[0]


@pytest.mark.parametrize(("limit", "shown"), [("1", 1), ("1000", 1000), ("2100", 2100), ("9999", 2500)])
def test_as_many_as_wanted_are_listed(
    eventd: Eventd, letters: list[DeadLetters], limit: str, shown: int
) -> None:
    """Also more than one answer holds, each once and in order."""
    found = eventd("deadletter", "list", "--json", "--limit", limit).objects
    assert found == [letter(number) for number in range(1, shown + 1)]


def test_none_is_said(eventd: Eventd, server: ScriptedServer) -> None:
    """On standard error: there is no data."""
    server.answers[DeadLetters] = lambda peer, request: peer.send(Result(request.id, {"letters": []}))
    ended = eventd("deadletter", "list")
    assert (ended.code, ended.out) == (0, b"")
    assert ended.err == "there are no dead letters\n"


@pytest.mark.parametrize("action", ["retry", "drop"])
@pytest.mark.parametrize(
    ("args", "numbers", "everything"), [(["17", "18"], [17, 18], False), (["--all"], [], True)]
)
def test_the_right_ones_are_named(
    eventd: Eventd,
    letters: list[DeadLetters],
    action: str,
    args: list[str],
    numbers: list[int],
    everything: bool,
) -> None:
    """By number, or all."""
    yes = ["--yes"] if action == "drop" else []
    ended = eventd("deadletter", action, *args, *yes, "--json")
    assert ended.code == 0
    assert [(request.action, request.numbers, request.all) for request in letters] == [
        (action, numbers, everything)
    ]
    assert ended.objects == [{"action": action, "count": 2500 if everything else 2}]


def test_numbers_that_name_nothing_are_told(eventd: Eventd, letters: list[DeadLetters]) -> None:
    """What could be done is done."""
    ended = eventd("deadletter", "retry", "1", "9999")
    assert ended.err.splitlines() == [
        "1 dead letter to be published again",
        "1 number named no dead letter",
    ]


@pytest.mark.parametrize(("answer", "asked", "code"), [("y", 1, 0), ("n", 0, 1)])
def test_dropping_asks_a_person(
    eventd: Eventd, letters: list[DeadLetters], answer: str, asked: int, code: int
) -> None:
    """Nothing is deleted before the answer."""
    with Terminal() as terminal, eventd.start("deadletter", "drop", "17", stdin=terminal.fd) as running:
        terminal.type(f"{answer}\n")
        ended = running.end()
    assert len(letters) == asked
    assert ended.code == code
    assert "Delete 1 dead letter for good?" in ended.err


def test_dropping_without_a_person_needs_yes(eventd: Eventd, letters: list[DeadLetters]) -> None:
    """A script that forgets it deletes nothing."""
    assert eventd("deadletter", "drop", "17").code == 2
    assert not letters
