"""The metrics of a real daemon: Prometheus can read them, they say what status says, and they move."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from eventd.metrics.exposition import exposition
from eventd_ipc.blocking import connect
from eventd_ipc.errors import CODES, Refused
from eventd_ipc.events import Event
from metrics.scrape import Scrape, scrape
from support.daemon import Daemon
from support.nats import NatsServer

OTHER_UNIT = re.compile(r"_(ms|milliseconds|minutes|[km]i?b|percent)(_|$)")


def emit(daemon: Daemon, agent: str, count: int) -> None:
    with connect(agent, socket=daemon.socket) as client:
        for _ in range(count):
            client.emit(Event(type="note", payload={"text": "hello"}, session="s"))


def test_names_follow_the_conventions(daemon: Daemon) -> None:
    """Counters end in `_total`, nothing else does; no unit but the base ones; each has a help text."""
    found = scrape(daemon)
    counters = {name for name, kind in found.types.items() if kind == "counter"}
    assert {name for name in found.names if name.endswith("_total")} == {f"{name}_total" for name in counters}
    assert not [name for name in found.names if OTHER_UNIT.search(name)]
    assert not [name for name, text in found.helps.items() if not text.endswith(".") and "eventd" in name]
    assert {name for name in found.names if not name.startswith(("eventd_", "process_"))} == set()


def test_they_are_the_numbers_of_status(daemon: Daemon) -> None:
    """One source: what `eventd status` shows is what a dashboard shows."""
    emit(daemon, "main", 3)
    status = daemon.wait_for(
        lambda status: status["routes"][0]["shipped"] == status["index"]["events"] == 3,
        what="they are in the stream and in the index",
    )
    found = scrape(daemon)
    assert found.of("eventd_build_info", version=status["version"], sqlite=status["outbox"]["sqlite"]) == 1
    assert round(found["eventd_start_time_seconds"] * 1000) == status["started_at"]
    assert found["eventd_outbox_accepted_total"] == status["outbox"]["accepted"] == 3
    assert found["eventd_outbox_max_bytes"] == status["outbox"]["max_bytes"]
    assert found["eventd_disk_reserved_bytes"] == status["outbox"]["min_free"] == 64 * 2**20
    assert found.of("eventd_route_shipped_total", route="default") == 3
    acked = found.of("eventd_route_last_ack_time_seconds", route="default")
    assert round(acked * 1000) == status["routes"][0]["last_ack_at"]
    assert found["eventd_index_events"] == 3


def test_counters_grow(daemon: Daemon) -> None:
    """Between two scrapes by what happened in between."""
    emit(daemon, "main", 2)
    before = scrape(daemon)
    emit(daemon, "main", 5)
    after = scrape(daemon)
    for name, grown in (
        ("eventd_socket_emits_total", 5),
        ("eventd_socket_events_total", 5),
        ("eventd_outbox_accepted_total", 5),
        ("eventd_outbox_commits_total", 5),
    ):
        assert after[name] - before[name] >= grown, name
    assert after["eventd_outbox_commit_seconds_total"] > before["eventd_outbox_commit_seconds_total"] > 0
    assert after["eventd_socket_received_bytes_total"] > before["eventd_socket_received_bytes_total"]


def test_each_route_has_its_own(daemon: Daemon) -> None:
    """What waits for one server is not counted for another; agents are names of routes and nothing else."""
    emit(daemon, "bob", 4)
    emit(daemon, "main", 1)
    daemon.wait_for(lambda status: status["routes"][0]["shipped"] == 1, what="the other one is shipped")
    found = scrape(daemon)
    assert found.of("eventd_route_pending_events", route="bob") == 4
    assert found.of("eventd_route_pending_events", route="default") == 0
    assert found.of("eventd_route_oldest_pending_seconds", route="default") == 0
    assert found.of("eventd_route_connected", route="bob") == 0
    assert found.of("eventd_route_connected", route="default") == 1
    assert found.of("eventd_route_unready_seconds", route="default") == 0
    assert found.labels("eventd_route_pending_events", "route") == {"default", "bob"}
    labels = {name for _, labels in found.samples for name, _ in labels}
    states = {"eventd_health", "eventd_route_state", "eventd_index_state"}
    assert labels == {"route", "code", "version", "sqlite"} | states


def test_a_route_that_cannot_ship_is_unready_for_ever_longer(daemon: Daemon) -> None:
    """However often it tries in between: an alert on it does not flap."""
    first = scrape(daemon).of("eventd_route_unready_seconds", route="bob")
    daemon.wait_for(
        lambda _: scrape(daemon).of("eventd_route_unready_seconds", route="bob") > first + 1,
        what="it grows",
    )


def test_states_are_one_of_all(daemon: Daemon) -> None:
    """A state set names every state, and exactly one of them is 1."""
    found = scrape(daemon)
    for name in ("eventd_health", "eventd_index_state"):
        assert sum(value for (one, _), value in found.samples.items() if one == name) == 1
    assert found.labels("eventd_health", "eventd_health") == {"ok", "degraded", "failing"}
    for route in ("default", "bob"):
        values = [
            value
            for (name, labels), value in found.samples.items()
            if name == "eventd_route_state" and ("route", route) in labels
        ]
        assert sorted(values) == [0, 0, 0, 0, 1]


def test_refusals_are_counted_by_their_code(daemon: Daemon) -> None:
    """Also those that never came are there: `rate()` does not see a counter that begins with 1."""
    assert scrape(daemon).labels("eventd_refusals_total", "code") == set(CODES)
    with connect("main", socket=daemon.socket) as client, pytest.raises(Refused):
        client.get("no-such-id")
    found = scrape(daemon)
    assert found.of("eventd_refusals_total", code="not_found") == 1
    assert found.of("eventd_refusals_total", code="malformed") == 0


def test_the_embedded_server_has_metrics_where_there_is_one(daemon_factory: Callable[..., Daemon]) -> None:
    """And only there."""
    daemon = daemon_factory("embedded")
    daemon.wait_for(lambda status: status["embedded"]["state"] == "ready", what="it is ready")
    found = scrape(daemon)
    assert found["eventd_embedded_restarts_total"] == 0
    assert found.of("eventd_embedded_state", eventd_embedded_state="ready") == 1


def test_an_agent_called_default_is_told_apart(
    daemon_factory: Callable[..., Daemon], nats_server: NatsServer
) -> None:
    """Prometheus refuses a scrape with two samples of the same labels, and agents may be called anything."""
    names: dict[str, Any] = {"default": {"streamName": "its-own"}, 'a "b" \\': {"streamName": "odd"}}
    found = scrape(daemon_factory(nats_server.url, agents=names))
    assert found.labels("eventd_route_enabled", "route") == {"default", "default#1", 'a "b" \\'}


def test_what_was_never_measured_has_no_sample(daemon: Daemon) -> None:
    """A round trip of 0 s would be a lie."""
    document = daemon.status()
    document["routes"][1]["rtt_ms"] = None
    found = Scrape(exposition(document))
    assert found.labels("eventd_route_round_trip_seconds", "route") <= {"default"}
