"""The status of a real daemon: what it counts, how fast, of which versions; and the command's exit code."""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw
import pytest

from cli.support import Ended, Eventd
from eventd import __version__
from eventd_ipc.blocking import connect
from eventd_ipc.errors import Refused
from eventd_ipc.events import Event
from support.daemon import Daemon
from support.jetstream import JetStream
from support.manager import ServiceManager
from support.nats import NatsServer

QUICK_STATUS = "from eventd.service import notify; notify.STATUS_INTERVAL = 0.05"
NO_SERVER = "nats://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def started(short_tmp: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon: `started(url, environ=…, **settings)`."""
    daemons: list[Daemon] = []

    def start(url: str, environ: dict[str, str] | None = None, **settings: Any) -> Daemon:
        folder = short_tmp / f"d{len(daemons)}"
        daemons.append(Daemon(folder, {"url": url, **settings}, environ=environ, mutation=QUICK_STATUS))
        return daemons[-1].start()

    yield start
    for daemon in daemons:
        daemon.kill()
        assert "Traceback" not in daemon.log_text, daemon.log_text


def emit(daemon: Daemon, count: int, size: int = 10) -> None:
    with connect("main", socket=daemon.socket) as client:
        for _ in range(count):
            client.emit(Event(type="note", payload={"text": "x" * size}, session="s"))


def eventd_status(daemon: Daemon, *args: str) -> Ended:
    return Eventd(["--socket", daemon.socket])("status", *args)


def flow(status: dict[str, Any]) -> dict[str, int]:
    return {name: part["count"] for name, part in status["flow"].items() if name != "window_s"}


def test_all_that_comes_and_goes_is_counted_with_its_rate(
    nats_server: NatsServer, started: Callable[..., Daemon]
) -> None:
    """Accepted, shipped, settled, dead-lettered, refused; what never happened has the rate 0."""
    JetStream(nats_server.url).make(allow_atomic=True, max_msg_size=2000)
    daemon = started(nats_server.url)
    before = daemon.status()
    assert flow(before) == dict.fromkeys(("accepted", "shipped", "settled", "dead_lettered", "refused"), 0)
    assert {part["per_s"] for name, part in before["flow"].items() if name != "window_s"} == {0}
    emit(daemon, 6)
    emit(daemon, 2, size=4000)  # the stream takes none of these
    with connect("main", socket=daemon.socket) as client, pytest.raises(Refused):
        client.get("no-such-id")
    status = daemon.wait_for(lambda status: status["flow"]["settled"]["count"] == 8, what="all is settled")
    assert flow(status) == {"accepted": 8, "shipped": 6, "settled": 8, "dead_lettered": 2, "refused": 1}
    assert all(part["per_s"] > 0 for name, part in status["flow"].items() if name != "window_s")
    (route,) = status["routes"]
    assert (route["shipped"], route["settled"], route["died"]) == (6, 8, 2)
    assert 0 < route["shipped_per_s"] < route["settled_per_s"] <= 8
    ended = eventd_status(daemon)
    assert ended.code == 5, ended
    assert ended.lines[0] == "degraded: route default: 2 dead letters; see `eventd deadletter list`"


def test_the_versions_of_all_that_may_be_to_blame(
    nats_server: NatsServer, started: Callable[..., Daemon]
) -> None:
    """For a report of a fault: ours, and those of what we stand on."""
    daemon = started(nats_server.url)
    status = daemon.wait_healed()
    assert status["versions"] == {
        "eventd": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "nats_py": version("nats-py"),
        "nats_servers": [status["routes"][0]["server_version"]],
    }
    for args in ([], ["--json"]):
        assert eventd_status(daemon, *args).code == 0


def test_a_daemon_that_refuses_events_is_failing(started: Callable[..., Daemon], short_tmp: Path) -> None:
    """Exit code 6, and 3 where there is none any more; systemd has it in its line."""
    with ServiceManager(short_tmp / "n") as manager:
        daemon = started(NO_SERVER, manager.environ(), outbox={"maxBytes": "1MiB"})
        with pytest.raises(Refused, match="outbox_full"):
            emit(daemon, 30, size=60_000)
        assert eventd_status(daemon, "--json").code == 6
        accepted = daemon.status()["flow"]["accepted"]["count"]
        line = next(text for text in reversed(manager.wait_for("STATUS=", 2)) if text.startswith("STATUS="))
        assert line.startswith("STATUS=failing (the outbox is full: new events are refused until some are")
        assert line.endswith(f"): {accepted} accepted, 0 shipped")
        daemon.kill()
    assert eventd_status(daemon).code == 3
