"""`eventd reload` and `eventd outbox reroute`: say what came of it."""

from typing import Any

import pytest

from cli.support import Eventd
from eventd_ipc.messages import Error, Reload, Reroute, Result
from ipc.support.scripted import Peer, ScriptedServer

NOTHING: dict[str, Any] = {
    "generation": 3,
    "loaded_at": 1_700_000_000_000,
    "last_changes": ["enabled: true → false"],
    "changes": [],
    "files": [],
    "needs_restart": [],
    "warnings": [],
    "error": None,
}


def change(text: str) -> dict[str, Any]:
    return {"key": text.partition(":")[0], "before": None, "after": None, "text": text}


def answer(server: ScriptedServer, **outcome: Any) -> None:
    server.answers[Reload] = lambda peer, asked: peer.send(Result(asked.id, NOTHING | outcome))


def test_what_has_changed_is_shown(eventd: Eventd, server: ScriptedServer) -> None:
    answer(
        server,
        changes=[change("enabled: true → false"), change("agents.tim: added")],
        files=["/run/password"],
        needs_restart=[change("dataDir: /a → /b")],
        warnings=["config.yml:3: odd"],
    )
    ended = eventd("reload")
    assert (ended.code, ended.lines) == (
        0,
        [
            "enabled: true → false",
            "agents.tim: added",
            "/run/password: holds something else; connected anew",
            "dataDir: /a → /b (needs a restart)",
        ],
    )
    assert "warning: config.yml:3: odd" in ended.err


def test_nothing_has_changed(eventd: Eventd, server: ScriptedServer) -> None:
    """Mostly since the daemon was faster: what it has taken over last is told."""
    answer(server)
    ended = eventd("reload")
    assert (ended.code, ended.lines) == (0, ["enabled: true → false"])
    assert ended.err.startswith("nothing has changed since 2023-11-1")
    assert "when configuration 3 took effect" in ended.err


def test_a_bad_file_is_told(eventd: Eventd, server: ScriptedServer) -> None:
    """With its lines; the exit code says so, too."""
    answer(server, error={"message": "config.yml:4: unknown key", "hint": "correct it"})
    ended = eventd("reload")
    assert (ended.code, ended.out) == (1, b"")
    assert "the one before stays in force:\nconfig.yml:4: unknown key\nhint: correct it" in ended.err
    ended = eventd("reload", "--json")
    assert (ended.code, ended.objects[0]["error"]["hint"]) == (1, "correct it")


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 event moved to where it goes now"), (7, "7 events moved")]
)
def test_a_backlog_is_moved(eventd: Eventd, server: ScriptedServer, count: int, text: str) -> None:
    asked: list[Reroute] = []

    def move(peer: Peer, request: Reroute) -> None:
        asked.append(request)
        peer.send(Result(request.id, {"count": count}))

    server.answers[Reroute] = move
    ended = eventd("outbox", "reroute", "tim", "--stream", "old", "--yes")
    assert (ended.code, ended.out) == (0, b"")
    assert text in ended.err
    assert [(one.route, one.stream) for one in asked] == [("tim", "old")]
    assert eventd("outbox", "reroute", "tim", "-y", "--json").objects == [{"route": "tim", "count": count}]


def test_it_asks_first(eventd: Eventd, server: ScriptedServer) -> None:
    """Where nobody can be asked it says what to do, and does nothing."""
    ended = eventd("outbox", "reroute", "tim")
    assert ended.code == 2
    assert "--yes" in ended.err


def test_a_route_that_is_not_left(eventd: Eventd, server: ScriptedServer) -> None:
    server.answers[Reroute] = lambda peer, asked: peer.send(
        Error(code="not_found", message="there is not one route x", id=asked.id, hint="left are y")
    )
    ended = eventd("outbox", "reroute", "x", "--yes")
    assert ended.code == 4
    assert "there is not one route x" in ended.err
    assert "left are y" in ended.err
