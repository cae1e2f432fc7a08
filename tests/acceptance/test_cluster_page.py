"""What CLUSTER.md shows is started as it stands, but for addresses and folders, and does what it says."""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventd.config.load import load_text
from support.daemon import Daemon
from support.jetstream import STREAM, JetStream
from support.load import Shape, emit
from support.nats import NatsServer, free_port
from support.oracle import check
from support.rounds import FULL
from support.waiting import wait_until

PAGE = (Path(__file__).parents[2] / "CLUSTER.md").read_text()
COPY = "all-events"
COPIED_WITHIN = 90.0  # seconds; a hub that was away takes its time


def snippets(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


NODE, HUB, LEAF = snippets("conf")
CLUSTER_YML, LEAF_YML = snippets("yaml")
(COPY_JSON,) = snippets("json")


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Return a snippet with other addresses, all of which it has to have."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    assert "0.0.0.0" not in text
    assert "example.org" not in text
    return text


def settings(text: str, **changes: Any) -> dict[str, Any]:
    """Return what stands under `gateway.eventStore`, with changes."""
    found: dict[str, Any] = yaml.safe_load(text)["gateway"]["eventStore"]
    return found | changes


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """What is started in it is gone after the test."""
    with ExitStack() as stack:
        yield stack


def server(folder: Path, name: str, text: str, listen: str, **changes: str) -> NatsServer:
    """Return a server with the configuration of a snippet."""
    made = NatsServer(folder / name)
    own = {listen: f"127.0.0.1:{made.port}", "/var/lib/nats": str(folder / name / "js")}
    made.whole = changed(text, own | changes)
    return made


@pytest.mark.parametrize("text", [CLUSTER_YML, LEAF_YML])
def test_the_configuration_snippets_load(text: str, tmp_path: Path) -> None:
    assert load_text(text, tmp_path / "config.yml").warnings == ()


def test_three_servers_hold_one_stream(short_tmp: Path, running: ExitStack) -> None:
    """eventd makes it where the page says, on the cluster of the page."""
    routes, monitors = [free_port() for _ in range(3)], [free_port() for _ in range(3)]
    hosts = {f"n{n}.example.org:6222": f"127.0.0.1:{routes[n - 1]}" for n in (1, 2, 3)}
    nodes = [
        server(
            short_tmp,
            f"n{n}",
            NODE.replace("server_name: n1", f"server_name: n{n}").replace("zone:a", f"zone:{zone}"),
            "0.0.0.0:4222",
            **{"0.0.0.0:6222": f"127.0.0.1:{routes[n - 1]}", ":8222": f":{monitors[n - 1]}"},
            **hosts,
        )
        for n, zone in ((1, "a"), (2, "b"), (3, "d"))
    ]
    for node in nodes:
        running.enter_context(node)
    url = ",".join(node.url for node in nodes)
    daemon = running.enter_context(Daemon(short_tmp / "d", settings(CLUSTER_YML, url=url)))
    acked = emit(daemon.socket, "main", range(1, 11))
    assert daemon.wait_healed()["routes"][0]["notes"] == []
    streams = JetStream(nodes[2].url)
    check({"main": acked}, streams.read())
    config = streams.info()["config"]
    assert (config["num_replicas"], config["placement"]) == (3, {"cluster": "events", "tags": ["!zone:c"]})
    for port in monitors:
        wait_until(partial(healthy, port), what="/healthz is 200")


def healthy(port: int) -> bool:
    """Whether a server says that it has caught up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_machines_with_leaf_nodes_ship_to_themselves_and_are_copied(
    short_tmp: Path, running: ExitStack
) -> None:
    """Each machine has its own events alone, and the hub comes to have all.

    In the full form also while the hub is away: sources take up to 40 s after its return.
    """
    leaves = free_port()
    hub = server(short_tmp, "hub", HUB, "0.0.0.0:4222", **{"0.0.0.0:7422": f"127.0.0.1:{leaves}"})
    running.enter_context(hub)
    acked: dict[str, dict[str, list[str]]] = {}
    daemons = {}
    for name in ("laptop", "desktop"):
        text = LEAF.replace("laptop", name)
        leaf = server(
            short_tmp, name, text, "127.0.0.1:4222", **{"hub.example.org:7422": f"127.0.0.1:{leaves}"}
        )
        running.enter_context(leaf)
        daemon = Daemon(short_tmp / f"d{name}", settings(LEAF_YML, url=leaf.url, jsDomain=name))
        daemons[name] = running.enter_context(daemon)
        acked[name] = {
            f"at-{name}": emit(daemon.socket, f"at-{name}", range(1, 31)),
            f"of-{name}": emit(daemon.socket, f"of-{name}", [1], Shape(type="memory.fact")),
        }
        daemon.wait_healed()
    at_hub = JetStream(hub.url)
    at_hub.api(f"STREAM.CREATE.{COPY}", json.loads(COPY_JSON))
    mirror = {"name": STREAM, "external": {"api": "$JS.laptop.API"}}
    at_hub.api("STREAM.CREATE.same", {"name": "same", "allow_msg_ttl": True, "mirror": mirror})
    wait_for_copies(at_hub, 62)
    if FULL:
        hub.kill()
    for name, daemon in daemons.items():
        acked[name][f"at-{name}"] += emit(daemon.socket, f"at-{name}", range(31, 41))
        assert daemon.wait_healed()["health"]["state"] == "ok"
        streams = JetStream(str(daemon.settings["url"]))
        check(acked[name], streams.read())
        streams.delete_message(1)
    if FULL:
        hub.start()
    wait_for_copies(at_hub, 82)
    everything = at_hub.read(COPY)
    check(acked["laptop"] | acked["desktop"], everything)
    assert not any("Nats-Expected-Stream" in message.headers for message in everything)
    wait_until(lambda: at_hub.last_seq("same") == 41, COPIED_WITHIN, what="the mirror has all")
    assert [m.seq for m in at_hub.read("same")] == list(range(1, 42))


def wait_for_copies(streams: JetStream, count: int) -> None:
    """Wait until the copy has so many events."""
    wait_until(
        lambda: streams.info(COPY)["state"]["messages"] == count,
        COPIED_WITHIN,
        what=lambda: streams.info(COPY),
        interval=0.1,
    )
