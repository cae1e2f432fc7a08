"""`eventd status`: the document for programs, and the same in lines for people."""

import copy
import json
from typing import Any

import pytest

from cli.support import Eventd, Terminal
from eventd.cli.exits import ExitCode
from eventd.cli.status import EPILOG
from eventd.cli.status_view import status_lines
from eventd_ipc.messages import Result, Status
from ipc.support.scripted import ScriptedServer

ROUTE = {
    "name": "*",
    "stream": "openclaw-events",
    "prefix": "openclaw.events",
    "enabled": True,
    "state": "stalled",
    "reason": "the stream takes no more",
    "since": 1700000000000,
    "mode": "atomic batches",
    "connected": False,
    "url": "nats://127.0.0.1:4222",
    "server_version": "2.12.1",
    "pending_rows": 1234,
    "pending_bytes": 99999,
    "oldest_age_s": 61.5,
    "shipped": 1_000_000,
    "dead": 2,
    "repeated": 0,
    "repairs": 1,
    "disconnects": 3,
    "rtt_ms": 0.3,
    "last_error": "no \x1b[31m answer",
    "notes": ["a note"],
    "shipped_per_s": 12.34,
    "settled": 1_000_002,
    "settled_per_s": 12.5,
}
DOCUMENT: dict[str, Any] = {
    "version": "1.2.3",
    "pid": 77,
    "uptime_s": 3725.0,
    "versions": {
        "eventd": "1.2.3",
        "python": "3.13.1",
        "sqlite": "3.54.0",
        "nats_py": "2.16.0",
        "nats_servers": ["2.12.1", "2.15.0"],
    },
    "time": 1700000003725,
    "health": {"state": "degraded", "reasons": ["route *: stalled", "2 dead letters"]},
    "reload": {
        "generation": 3,
        "loaded_at": 1700000000000,
        "error": "config.yml:3: unknown\nkey",
        "error_at": 1700000001000,
        "needs_restart": ["socket.path", "dataDir"],
    },
    "flow": {
        "window_s": 60.0,
        "accepted": {"count": 12034, "per_s": 1234.5},
        "shipped": {"count": 1_000_000, "per_s": 12.34},
        "settled": {"count": 1_000_002, "per_s": 12.5},
        "dead_lettered": {"count": 2, "per_s": 0.03},
        "refused": {"count": 4, "per_s": 0.0},
    },
    "socket": "/run/eventd/eventd.sock",
    "config": None,
    "data_dir": "/var/lib/eventd",
    "server": {
        "connections": 3,
        "events": 12034,
        "refused": {"malformed": 4},
        "stuck": 1,
        "paused": 2,
        "stalled": 3,
    },
    "index": {
        "state": "catching_up",
        "events": 5000,
        "bytes": 3 * 2**20,
        "behind": 12,
        "behind_s": 3.2,
        "streams": [{"name": "openclaw-events", "behind": 1200}, {"name": "other", "behind": 34}],
    },
    "outbox": {
        "rows": 1234,
        "bytes": 3 * 2**20,
        "max_bytes": 2**30,
        "oldest_age_s": 61.5,
        "retained_rows": 10,
        "retained_bytes": 2048,
        "retained_span_s": 298.0,
        "dead_rows": 2,
        "file_bytes": 2**20,
        "wal_bytes": 4096,
        "disk_free": 5 * 2**30,
        "disk_full": False,
        "ledger_ids": 5,
        "lost_events": 0,
        "quarantines": 0,
        "sqlite": "3.54.0",
    },
    "routes": [ROUTE],
    "embedded": {"state": "ready", "pid": 78, "port": 4222, "version": "2.12.1", "restarts": 1},
    "spool": {
        "folder": "/spool",
        "waiting": 3,
        "waiting_bytes": 999,
        "taken": 10,
        "set_aside": 2,
        "lost": 4,
        "problem": "unauthorised: \x1b[31m no token",
    },
}


def paths_of(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every key in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += paths_of(value, (*path, key))
    return found


@pytest.fixture
def answering(server: ScriptedServer) -> ScriptedServer:
    """A server whose status is `DOCUMENT`."""
    server.answers[Status] = lambda peer, request: peer.send(Result(request.id, DOCUMENT))
    return server


def test_json_is_the_whole_document(eventd: Eventd, answering: ScriptedServer) -> None:
    """On one line, with everything that the daemon says."""
    assert eventd("status", "--json").objects == [DOCUMENT]


def test_the_first_line_is_the_health(eventd: Eventd, answering: ScriptedServer) -> None:
    """In a word, with the reasons; the rest says where and how much."""
    ended = eventd("status")
    assert ended.lines[:2] == ["degraded: route *: stalled", "  2 dead letters"]
    text = ended.out.decode()
    for shown in (
        "1.2.3 · pid 77 · up 1h2m",
        "Python 3.13.1 · SQLite 3.54.0 · nats-py 2.16.0 · nats-server 2.12.1, 2.15.0",
        "none, the defaults are used · generation 3 of 2023-11-1",
        "3 connected · 12,034 events received · 4 refused as malformed · 1 client taking no replies · ",
        " · 2 streams waiting for the reader · 3 clients closed for taking no replies",
        "1,234 waiting · 3.0 MiB of 1.0 GiB · oldest 1m1s · 10 retained (2.0 KiB, 4m58s) · 2 dead letters",
        "catching up · 5,000 events · 3.0 MiB · 12 accepted ones to come · 3s late · 1,234 of the streams",
        "5.0 GiB free",
        "embedded 2.12.1 · ready · port 4222 · pid 78 · 1 restart",
        "3 calls of hooks to be taken in · unauthorised: ",
        "4 events were lost for lack of room · 2 files set aside in /spool/aside",
        "! the stream takes no more",
        "! a note",
        "! 1 repair: the server had lost events",
    ):
        assert shown in text
    (route,) = (line for line in ended.lines if line.startswith("*"))
    assert route.split() == [
        *("*", "openclaw-events", "stalled", "down", "3", "1,234", "1m1s", "1,000,000", "12.3", "2"),
        *("atomic", "batches", "nats://127.0.0.1:4222", "2.12.1"),
    ]
    assert "\x1b" not in text


def test_what_comes_and_goes_is_a_table(eventd: Eventd, answering: ScriptedServer) -> None:
    """How much since the start, and how fast now."""
    lines = eventd("status").lines
    head = next(number for number, line in enumerate(lines) if "dead-lettered" in line)
    assert [line.split() for line in lines[head : head + 3]] == [
        ["events", "accepted", "shipped", "settled", "dead-lettered", "refused"],
        ["in", "all", "12,034", "1,000,000", "1,000,002", "2", "4"],
        ["a", "second", *("1,234", "12.3", "12.5", "0.0", "0.0")],
    ]


def test_a_configuration_that_was_not_taken_stands_near_the_top(
    eventd: Eventd, answering: ScriptedServer
) -> None:
    """What is in force is not what is in the file; a person has to do something about it."""
    failed, restart, after, *_ = eventd("status").lines[2:]
    assert failed.startswith("! the configuration was not reloaded at 2023-11-1")
    assert failed.endswith(": config.yml:3: unknown key; generation 3 stays in force")
    assert restart == "! a restart is needed for what has changed in the configuration: socket.path, dataDir"
    assert not after


def test_a_reload_that_went_well_is_one_word_more() -> None:
    """Its generation, beside the file."""
    document = {"config": "/c.yml", "reload": {"generation": 2, "error": None, "needs_restart": []}}
    assert status_lines(document)[1:] == ["", "config  /c.yml · generation 2"]


@pytest.mark.parametrize(
    ("health", "code"),
    [
        ({"state": "ok", "reasons": []}, ExitCode.OK),
        ({"state": "degraded", "reasons": ["x"]}, ExitCode.DEGRADED),
        ({"state": "failing", "reasons": ["x"]}, ExitCode.FAILING),
        ({"state": "a later word"}, ExitCode.DEGRADED),
        (None, ExitCode.DEGRADED),
    ],
)
@pytest.mark.parametrize("args", [[], ["--json"]])
def test_the_exit_code_is_the_health(
    eventd: Eventd, server: ScriptedServer, health: Any, code: ExitCode, args: list[str]
) -> None:
    """For scripts and monitors, in both forms; what is not known to be well is not 0."""
    server.answers[Status] = lambda peer, request: peer.send(Result(request.id, {"health": health}))
    ended = eventd("status", *args)
    assert ended.code == code
    assert ended.out
    assert ended.err == ""


def test_the_codes_are_those_of_the_help() -> None:
    """The numbers are a promise."""
    assert (ExitCode.OK, ExitCode.UNREACHABLE, ExitCode.DEGRADED, ExitCode.FAILING) == (0, 3, 5, 6)
    told = [line.split()[:2] for line in EPILOG.splitlines() if line[:3].strip().isdecimal()]
    assert told == [["0", "ok"], ["5", "degraded"], ["6", "failing"], ["3", "the"]]


def test_a_healthy_daemon_is_ok_in_one_word() -> None:
    """Nothing stands beside it."""
    assert status_lines({"health": {"state": "ok", "reasons": []}}) == ["ok"]


@pytest.mark.parametrize("path", paths_of(DOCUMENT), ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "null"])
def test_what_a_daemon_leaves_out_is_left_out(path: tuple[Any, ...], missing: bool) -> None:
    """An older or newer daemon's status is shown as far as it goes."""
    document = copy.deepcopy(DOCUMENT)
    *above, last = path
    holder = document
    for key in above:
        holder = holder[key]
    if missing:
        del holder[last]
    else:
        holder[last] = None
    assert status_lines(document)


def test_an_empty_document_is_shown() -> None:
    """As what it is: unknown."""
    assert status_lines({}) == ["unknown"]


@pytest.mark.parametrize("args", [["--json"], []])
def test_watching_into_a_pipe_prints_it_again_and_again(
    eventd: Eventd, answering: ScriptedServer, args: list[str]
) -> None:
    """One block, or one object, after the other; a daemon that goes away is waited for."""
    with eventd.start("status", "--watch", "--interval", "100ms", *args) as running:
        first = running.read_line()
        answering.stop()
        assert "eventd is not running" in running.read_error_line()
        answering.start()
        while running.read_line() != first:
            pass
        assert running.interrupt().code == 130


def test_watching_on_a_terminal_draws_a_screen(eventd: Eventd, answering: ScriptedServer) -> None:
    """In colours, on a screen of its own that is given back at the end."""
    with (
        Terminal() as terminal,
        eventd.start("status", "--watch", "--interval", "100ms", stdout=terminal.fd) as running,
    ):
        terminal.wait_for("openclaw-events")
        terminal.wait_for("every 0.1 s, Ctrl-C ends")
        answering.stop()
        terminal.wait_for("away: eventd is not running")
        assert running.interrupt().code == 130
        drawn = terminal.close()
    assert "\x1b[1;33mdegraded" in drawn
    assert drawn.index("\x1b[?1049h") < drawn.index("\x1b[?1049l")


def test_a_document_survives_the_way(eventd: Eventd, answering: ScriptedServer) -> None:
    """What --json prints is what the daemon said, character for character."""
    assert json.loads(eventd("status", "--json").out)["routes"][0]["last_error"] == ROUTE["last_error"]
