"""`eventd import`: what can be taken is, each event once, and the rest is told line by line."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd, Running, Terminal
from eventd.transfer.files import written
from eventd_ipc.messages import Hello, Known, Limits, Result, Welcome
from ipc.support.scripted import LIMITS, Peer, ScriptedServer, Step, dismiss, error, lose_ack, refuse, store
from support.rounds import rounds

MIB = 1024 * 1024
BOMB = rounds(200, 1024) * MIB  # bytes of a line
MEMORY = 220  # MiB that an import may take, its interpreter and all libraries included


def ndjson(numbers: Iterable[int], **fields: Any) -> bytes:
    """Return lines of events that leave nothing out."""
    whole = {"timestamp": 5, "agent": "main", "type": "note", "visibility": "public", **fields}
    return b"".join(json.dumps({"id": f"e{n}", **whole}).encode() + b"\n" for n in numbers)


def figures(ended: Ended) -> dict[str, Any]:
    """Return the object at the end."""
    summary: dict[str, Any] = ended.objects[-1]
    return {key: value for key, value in summary.items() if value and key != "dryRun"}


def test_each_event_comes_in_once(eventd: Eventd, server: ScriptedServer, tmp_path: Path) -> None:
    """In the order of the lines; a second time nothing is sent."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(range(3000)) + ndjson(range(10)))
    ended = eventd("import", file)
    assert (ended.code, ended.out) == (0, b"")
    assert list(server.stored) == [f"e{n}" for n in range(3000)]
    assert [line.rpartition(" ")[2] for line in ended.err.splitlines()] == ["3,000", "10"]
    before = len(server.requests)
    assert figures(eventd("import", "--json", file)) == {"known": 3010}
    assert {type(request) for request in server.requests[before:]} == {Known}


def test_several_files_and_standard_input(eventd: Eventd, server: ScriptedServer, tmp_path: Path) -> None:
    """Whatever they are packed with; a line that is not taken is told with its file."""
    for number, name in enumerate(["a.gz", "b.zst", "c"]):
        with written(tmp_path / name) as output:
            output.write(ndjson([number]) + b"nonsense\n")
    files = [tmp_path / name for name in ("a.gz", "b.zst")]
    ended = eventd("import", *files, "-", stdin=(tmp_path / "c").read_bytes())
    assert ended.code == 4
    assert list(server.stored) == ["e0", "e1", "e2"]
    told = [line for line in ended.err.splitlines() if "malformed: " in line and "line 2" in line]
    assert [line.partition(": ")[0] for line in told] == [*map(str, files), "standard input"]
    packed = (tmp_path / "a.gz").read_bytes()
    assert figures(eventd("import", "--json", stdin=packed)) == {
        "known": 1, "refused": 1, "reasons": {"malformed": 1}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"nonsense", "malformed"),
        (b'{"type":"note","torn":', "malformed"),
        (b'{"no":"type"}', "malformed"),
        (b"\x1f\x00\x80\xff" * 1000, "malformed"),
        ('{"type":"note"}'.encode("utf-16"), "malformed"),
        (b'{"type":"note","text":"\xfc"}', "malformed"),
        (b'{"type":"note","x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "too_large"),
        (b'{"type":"note","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "malformed"),
        (ndjson([1], payload="x" * LIMITS.max_event), "too_large"),
        (b"x" * (3 * LIMITS.max_event), "too_large"),
    ],
    ids=range(10),
)
def test_a_line_that_cannot_be_taken_is_told(
    eventd: Eventd, server: ScriptedServer, bad: bytes, code: str
) -> None:
    """By its number and why, and those around it are taken; also where it is the last, and torn."""
    ended = eventd("import", "--json", stdin=ndjson([1]) + b"\n" + bad.strip() + b"\n" + ndjson([2]))
    assert ended.code == 4
    assert list(server.stored) == ["e1", "e2"]
    *told, summary = ended.objects
    assert told[0]["line"] == 3
    assert {each["code"] for each in told} == {code}
    assert (summary["added"], summary["reasons"]) == (2, {code: len(told)})
    torn = eventd("import", stdin=ndjson([3]) + bad.strip())
    assert torn.code == 4
    assert f"line 2: {code}: " in torn.err
    assert "e3" in server.stored


@pytest.mark.parametrize("code", ["too_large", "disabled", "id_conflict", "malformed"])
def test_what_the_daemon_refuses_is_told(eventd: Eventd, server: ScriptedServer, code: str) -> None:
    """Alone, by its line."""
    server.script += [refuse(code, index=2)]
    ended = eventd("import", stdin=ndjson(range(10)))
    assert ended.code == 4
    assert f"line 3: {code}: " in ended.err
    assert len(server.stored) == 9


def test_what_was_forgotten_does_not_come_back(eventd: Eventd, server: ScriptedServer) -> None:
    """It is not sent, and counted; nothing is wrong about that."""

    def known(peer: Peer, asked: Known) -> None:
        gone = [event_id for event_id in asked.ids if event_id in ("e1", "e7")]
        peer.send(Result(asked.id, {"known": [], "forgotten": gone, "complete": True}))

    server.answers[Known] = known
    ended = eventd("import", stdin=ndjson(range(10)))
    assert ended.code == 0
    assert "forgotten" in ended.err
    assert set(server.stored) == {f"e{n}" for n in range(10)} - {"e1", "e7"}
    assert figures(eventd("import", "--json", stdin=ndjson([1, 7]))) == {"forgotten": 2}


def test_an_index_that_is_being_built_is_waited_for(eventd: Eventd, server: ScriptedServer) -> None:
    """What it does not know yet might be there already. After --wait it is an error; nothing is sent."""
    answers = iter([False, False, True, *[False] * 1000])

    def known(peer: Peer, asked: Known) -> None:
        peer.send(Result(asked.id, {"known": [], "forgotten": [], "complete": next(answers)}))

    server.answers[Known] = known
    ended = eventd("import", stdin=ndjson([1]))
    assert ended.code == 0
    assert "the index is being built" in ended.err
    ended = eventd("import", "--wait", "300ms", stdin=ndjson([2]))
    assert ended.code == 1
    assert "index is not complete" in ended.err
    assert "line 1" not in ended.err
    assert list(server.stored) == ["e1"]


@pytest.mark.parametrize(
    "step",
    [
        lose_ack,
        dismiss("too_many_connections"),
        refuse("outbox_full"),
        refuse("slow_down", retry_after_ms=1),
    ],
    ids=range(4),
)
def test_what_passes_is_waited_for(
    eventd: Eventd, server: ScriptedServer, step: Callable[[Peer, Any], None]
) -> None:
    """A lost connection is made again; what has no ack is sent again, and stored once."""
    server.script += [store, step, step]
    ended = eventd("import", "--json", stdin=ndjson(range(5000)))
    assert ended.code == 0
    assert len(server.stored) == 5000
    assert figures(ended)["added"] == 5000


def test_a_question_is_asked_again(eventd: Eventd, server: ScriptedServer) -> None:
    """Where the daemon was away or busy between two frames."""
    troubles: list[Step] = [
        lambda peer, asked: peer.send(error("unavailable", id=asked.id)),
        lambda peer, asked: peer.close(),
    ]

    def known(peer: Peer, asked: Known) -> None:
        if len(server.stored) >= 500 and troubles:
            troubles.pop()(peer, asked)
        else:
            peer.send(Result(asked.id, {"known": [], "forgotten": [], "complete": True}))

    server.answers[Known] = known
    ended = eventd("import", stdin=ndjson(range(5000)))
    assert (ended.code, len(server.stored)) == (0, 5000), ended.err
    assert len(server.hellos) == 2


def test_who_is_no_administrator_is_told_so(eventd: Eventd, server: ScriptedServer) -> None:
    def greet(peer: Peer, hello: Hello) -> None:
        peer.send(Welcome(1, "scripted", Limits(1, 1, 1, 1), hello.agent, ["emit", "known"], admin=False))

    server.greeting = greet
    ended = eventd("import", stdin=ndjson([1]))
    assert ended.code == 4
    assert "administrators" in ended.err
    assert server.requests == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--agent", "a:b", "x"], "--agent"),
        (["no-such-file"], "no-such-file"),
        (["--wait", "soon"], "soon"),
    ],
    ids=str,
)
def test_usage(eventd: Eventd, server: ScriptedServer, args: list[str], said: str) -> None:
    ended = eventd("import", *args)
    assert ended.code == 2
    assert said in ended.err
    assert server.requests == []


def test_nothing_to_import_is_said(eventd: Eventd, server: ScriptedServer) -> None:
    assert "nothing was found to import" in eventd("import", stdin=b"\n\n").err


def test_a_person_sees_how_far_it_is(eventd: Eventd, server: ScriptedServer, tmp_path: Path) -> None:
    """On standard error; without a file there is nothing to read from a terminal."""
    (tmp_path / "e").write_bytes(ndjson(range(100)))
    with Terminal() as terminal:
        with eventd.start("import", tmp_path / "e", stderr=terminal.fd) as running:
            assert running.end().code == 0
        terminal.wait_for("added")
        with eventd.start("import", stdin=terminal.fd, stderr=terminal.fd) as running:
            assert running.end().code == 2


# Files that mean harm.


def most_memory(running: Running) -> float:
    """Wait for the end of a command that goes well, or refuses lines; return the MiB that it took."""
    _, status, usage = os.wait4(running.process.pid, 0)
    running.process.returncode = os.waitstatus_to_exitcode(status)
    assert running.process.returncode in (0, 4)
    return usage.ru_maxrss / 1024


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_line_without_an_end_takes_no_memory(
    eventd: Eventd, server: ScriptedServer, tmp_path: Path, suffix: str
) -> None:
    """However large it becomes once it is unpacked; what is before and behind it is taken."""
    file = tmp_path / f"bomb{suffix}"
    with written(file) as output:
        output.write(ndjson([1]))
        for _ in range(BOMB // MIB):
            output.write(b"x" * MIB)
        output.write(b"\n" + ndjson([2]))
    assert file.stat().st_size < BOMB / 500
    with eventd.start("import", file) as running:
        assert most_memory(running) < MEMORY
        assert running.process.returncode == 4
    assert list(server.stored) == ["e1", "e2"]


def test_many_bad_lines_take_no_memory_and_do_not_flood(eventd: Eventd, server: ScriptedServer) -> None:
    with eventd.start("import") as running:
        for _ in range(100):
            running.write(os.urandom(MIB // 10) + b"\n" * 1000 + b"x\n" * 1000)
        running.write(ndjson([1]))
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert most_memory(running) < MEMORY
        assert running.process.stderr is not None
        assert len(running.process.stderr.read().splitlines()) < 40
    assert list(server.stored) == ["e1"]
