"""Streams that take the subjects of another route: named, and narrowed only where a person says so."""

from pathlib import Path

import anyio

from doctor.patient import bad, config_of, look_at_route, of
from eventd.doctor.model import Fix, Level
from support.foreign import write
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer

BOB = {"bob": {"streamName": "bobs"}}


def narrowing(server: NatsServer, folder: Path) -> Fix:
    """The fix that is offered for the wide stream."""
    found = of(look_at_route(config_of(folder, url=server.url, agents=BOB), "bob").findings, "stream.overlap")
    assert found.level is Level.WARNING
    assert f"--narrow {STREAM}" in found.remedy
    assert found.fix is not None
    return found.fix


def test_a_foreign_wide_stream_is_narrowed_on_request(nats_server: NatsServer, tmp_path: Path) -> None:
    """It then lists the agents that it holds, and the agent's own stream is made beside it."""
    streams = JetStream(nats_server.url)
    streams.make()
    write(nats_server.url, *((f"openclaw.events.{agent}.note", b"{}", None) for agent in ("ann", "bob")))
    fix = narrowing(nats_server, tmp_path)
    assert fix.stream == STREAM
    assert streams.info()["config"]["subjects"] == ["openclaw.events.>"]
    result = anyio.run(fix.apply)
    assert "bobs takes openclaw.events.bob.>" in result
    assert streams.info()["config"]["subjects"] == ["openclaw.events.ann.>"]
    assert streams.info()["state"]["messages"] == 2
    config = config_of(tmp_path, url=nats_server.url, agents=BOB)
    assert not [check for check, _ in bad(look_at_route(config, "bob").findings)]


def test_agents_whose_stream_it_is_are_listed_though_it_holds_nothing_of_them(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """They have a place in the configuration."""
    streams = JetStream(nats_server.url)
    streams.make()
    agents = BOB | {"eve": {"streamName": STREAM}}
    config = config_of(tmp_path, url=nats_server.url, agents=agents)
    fix = of(look_at_route(config, "bob").findings, "stream.overlap").fix
    assert fix is not None
    anyio.run(fix.apply)
    assert "openclaw.events.eve.>" in streams.info()["config"]["subjects"]


def test_a_stream_with_the_very_same_subjects_is_no_case_for_narrowing(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """It is the one that is meant, under another name."""
    JetStream(nats_server.url).make("mine")
    found = of(look_at_route(config_of(tmp_path, url=nats_server.url)).findings, "stream.overlap")
    assert (found.level, found.fix) == (Level.WARNING, None)
    assert "streamName: mine" in found.remedy


def test_a_stream_that_nobody_names_is_told(nats_server: NatsServer, tmp_path: Path) -> None:
    """It takes a part of what the default route publishes."""
    streams = JetStream(nats_server.url)
    streams.make("odd", "openclaw.events.odd.>")
    streams.make("openclaw-events", "openclaw.events.main.>")
    found = of(look_at_route(config_of(tmp_path, url=nats_server.url)).findings, "stream.overlap")
    assert (found.level, "stream odd, which no route names" in found.found) == (Level.WARNING, True), found


def test_agents_own_streams_are_as_they_should_be(nats_server: NatsServer, tmp_path: Path) -> None:
    """The default stream lists its agents around them."""
    streams = JetStream(nats_server.url)
    streams.make("bobs", "openclaw.events.bob.>")
    config = config_of(tmp_path, url=nats_server.url, agents=BOB)
    found = look_at_route(config).findings
    assert of(found, "stream.overlap").level is Level.OK
    assert "first event" in of(found, "stream.exists").found


def test_a_missing_stream_is_made_as_the_daemon_would(nats_server: NatsServer, tmp_path: Path) -> None:
    """With its mark, so that the daemon may look after it."""
    config = config_of(tmp_path, url=nats_server.url)
    fix = of(look_at_route(config).findings, "stream.exists").fix
    assert fix is not None
    assert not fix.stream
    assert "openclaw.events.>" in anyio.run(fix.apply)
    made = JetStream(nats_server.url).info()["config"]
    assert made["metadata"]["eventd"]
    assert made["allow_atomic"]
    assert not list(bad(look_at_route(config).findings))
