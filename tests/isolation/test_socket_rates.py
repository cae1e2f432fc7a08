"""A limit on how much an agent sends: it is told how long to wait, and neither it nor others lose by it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventd_ipc.eventlog import EventLog
from isolation.socket_support import Message, Wire, entered
from support.daemon import Daemon

BURST = 20
LIMITED = {"token": "slow-s3cret", "maxEventsPerSecond": 100, "burst": BURST}
RULES = {"slow": LIMITED, "free": {"token": "free-s3cret"}, "pair": LIMITED | {"token": "pair-s3cret"}}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    with Daemon(folder, {"url": "nats://127.0.0.1:1", "agents": RULES}) as daemon:
        yield daemon
    shutil.rmtree(folder)


def emit_patiently(wire: Wire, events: list[Message]) -> int:
    """Store events, waiting as long as told each time; return how often that was."""
    refused = 0
    while (answer := wire.emit(*events))["op"] != "ack":
        assert (answer["code"], answer["retryable"], answer["retryAfterMs"] > 0) == ("slow_down", True, True)
        refused += 1
        time.sleep(answer["retryAfterMs"] / 1000)
    return refused


def stored(daemon: Daemon, agent: str, kind: str) -> list[str]:
    """Return the ids of an agent's events of a type, in the order in which they were taken."""
    with entered(daemon, agent, f"{agent}-s3cret") as wire:
        return [event["id"] for event in wire.events("tail", types=[kind], last=100_000)]


def test_who_sends_too_much_is_told_how_long_to_wait(daemon: Daemon) -> None:
    """Whole emits are taken or not, and answered in order; the connection goes on, as do all others."""
    with entered(daemon, "slow", "slow-s3cret") as slow, entered(daemon, "free", "free-s3cret") as free:
        event = {"type": "custom.told"}
        assert slow.emit(*[event] * (BURST + 1))["op"] == "ack"  # as one, whatever its size
        slow.send({"op": "emit", "id": 1000, "events": [event, event]}, {"op": "ping", "id": 1001})
        refused = slow.receive()
        assert refused is not None
        assert (refused["id"], refused["code"], refused["retryAfterMs"] > 0) == (1000, "slow_down", True)
        assert "maxEventsPerSecond" in refused["hint"]
        for _ in range(20):
            assert free.emit(*[event] * 100)["op"] == "ack"
        assert slow.receive() == {"op": "pong", "id": 1001}
        emit_patiently(slow, [event])
        assert len(slow.events("query", types=["custom.told"], agent="slow")) == BURST + 2


def test_a_limit_is_the_agents_and_not_the_connections(daemon: Daemon) -> None:
    """More connections get no more through, and all get their turn."""

    def send(number: int) -> int:
        with entered(daemon, "pair", "pair-s3cret") as wire:
            events = [{"type": "custom.shared", "id": f"{number}-{n}"} for n in range(BURST)]
            return sum(emit_patiently(wire, [event]) for event in events)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(send, range(4))) > 0
    assert len(stored(daemon, "pair", "custom.shared")) == 4 * BURST


def test_the_emitter_of_agents_loses_nothing_under_a_limit(daemon: Daemon) -> None:
    """It holds what is too much for now; the agent does not notice."""
    with EventLog("slow", socket=daemon.socket, token="slow-s3cret") as log:
        for number in range(250):
            log.emit({"type": "custom.logged", "payload": {"n": number}})
        assert log.flush(60)
        stats = log.stats()
    assert (stats.acked, stats.held, stats.dropped) == (250, 0, {})
    assert len(set(stored(daemon, "slow", "custom.logged"))) == 250


def test_a_file_of_events_is_stored_at_the_pace_of_the_limit(daemon: Daemon) -> None:
    """However long that takes: `--wait` is for a daemon that is full or away."""
    lines = [json.dumps({"type": "custom.file", "id": f"line-{n}", "agent": "slow"}) for n in range(600)]
    done = subprocess.run(
        [
            sys.executable, "-m", "eventd", "--socket", str(daemon.socket),
            "emit", "--stdin", "--agent", "slow", "--wait", "100ms",
        ],
        input="\n".join(lines), capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "EVENTD_TOKEN": "slow-s3cret"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(stored(daemon, "slow", "custom.file")) == sorted(f"line-{n}" for n in range(600))
    assert done.stderr.count("slow_down") == 1
