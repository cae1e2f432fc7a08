"""PROTOCOL.md alone is enough to write a client: one in JavaScript, in under 100 lines, and it works."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import connect
from ipc.support.scripted import ScriptedServer, lose_ack, store
from support.waiting import wait_until

CLIENT = Path(__file__).parent / "node" / "client.mjs"
PACKAGE = "@msgpack/msgpack@3"
EVENTS = 250
TIMEOUT = 60.0  # seconds; a bound against hanging


@pytest.fixture(scope="session")
def node_client(request: pytest.FixtureRequest) -> Path:
    """The client beside its one dependency, which is installed once into pytest's cache."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("node-client")
    if not (folder / "node_modules" / "@msgpack" / "msgpack").is_dir():
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
        try:
            done = subprocess.run(install, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {PACKAGE} in time")
        if done.returncode != 0:
            pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return Path(shutil.copy(CLIENT, folder))


def run(client: Path, socket: Path, events: int) -> list[dict[str, Any]]:
    command = ["node", str(client), str(socket), str(events)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_client_has_less_than_a_hundred_lines() -> None:
    assert len(CLIENT.read_text().splitlines()) < 100


def test_events_of_the_client_are_stored_in_their_order(node_client: Path, daemon_socket: Path) -> None:
    """Each id that it was given an ack for is found in the stream, once, in the order of its emits."""
    *acked, last = run(node_client, daemon_socket, EVENTS)
    ids = [line["id"] for line in acked]
    assert len(set(ids)) == EVENTS
    assert "outbox" in last["status"]

    with connect("node", socket=daemon_socket) as client:
        wait_until(lambda: not client.status()["outbox"]["rows"], what="all is shipped")
        bodies = [json.loads(stored.body) for stored in client.tail()]
    assert [body["id"] for body in bodies] == ids
    assert [body["payload"]["seq"] for body in bodies] == list(range(1, EVENTS + 1))
    assert bodies[0]["payload"]["data"]["text"] == "Message 1: grüß dich 👋"
    assert {body["agent"] for body in bodies} == {"node"}


def test_lost_ack_makes_the_client_send_the_same_again(node_client: Path, short_tmp: Path) -> None:
    with ScriptedServer(short_tmp / "eventd.sock").start() as server:
        server.script += [store, lose_ack]
        *acked, _ = run(node_client, server.path, 100)
    assert list(server.stored) == [line["id"] for line in acked]
    assert len(server.hellos) == 2
