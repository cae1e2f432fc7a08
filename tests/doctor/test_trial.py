"""The test event: it comes through where all is well, it is harmless, and it says how far it came."""

import pytest

from doctor.patient import look_at, of
from eventd.doctor.clock import now_ms
from eventd.doctor.model import Level
from eventd.doctor.trial import AGENT, TEXT, TYPE
from eventd_ipc.blocking import connect
from eventd_ipc.builders import Run, message_in
from eventd_ipc.events import Event
from support.daemon import Daemon, DaemonFactory
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer

Standing = tuple[Daemon, NatsServer]

HOUR, DAY = 3_600_000, 86_400_000  # ms


def test_it_comes_through_and_can_be_told(standing: Standing) -> None:
    """In the stream itself it is one event, clearly named, that means nothing."""
    daemon, server = standing
    findings = look_at(daemon, test_event=True)
    for check in ("trial.accepted", "trial.index", "trial.stream"):
        assert of(findings, check).level is Level.OK, findings
    stored = JetStream(server.url).read()[-1]
    assert stored.subject == f"openclaw.events.{AGENT}.doctor_test"
    event = stored.event
    assert (event["agent"], event["type"], event["visibility"]) == (AGENT, TYPE, "secret")
    assert event["payload"]["data"] == {"text": TEXT}


def test_it_disturbs_no_agent(standing: Standing) -> None:
    """Neither a search nor a context shows it, not even that of the agent as which it was sent."""
    daemon, _ = standing
    asked = message_in(Run("agent:main:x"), "When is the deadline?")
    asked.timestamp = now_ms() - 3 * DAY
    with connect("main", socket=daemon.socket) as client:
        client.emit(asked)
        before = client.context(query="test event of eventd doctor")["text"]
        assert "deadline" in before
        for agent in ("main", "main", None):
            assert of(look_at(daemon, agent=agent, test_event=True), "trial.index").level is Level.OK
        assert not client.recall("a test event of eventd doctor, it means nothing")["hits"]
        after = client.context(query="test event of eventd doctor")["text"]
    assert after.replace("3 events", "1 event") == before  # what was recent three days ago still is


def test_no_test_event_is_sent_where_none_is_wanted(standing: Standing) -> None:
    """The stream stays as it is."""
    daemon, _ = standing
    before = daemon.status()["outbox"]["accepted"]
    assert not [finding for finding in look_at(daemon) if finding.group == "trial"]
    assert daemon.status()["outbox"]["accepted"] == before


def test_it_never_becomes_a_dead_letter(daemon_factory: DaemonFactory, nats_server: NatsServer) -> None:
    """A foreign stream that lists its agents would refuse it: it is not sent, or as one of these."""
    JetStream(nats_server.url).make("openclaw-events", "openclaw.events.main.>")
    daemon = daemon_factory(nats_server.url)
    found = of(look_at(daemon, test_event=True), "trial.accepted")
    assert (found.made, "--agent NAME" in found.remedy) == (False, True)
    assert daemon.status()["outbox"]["accepted"] == 0
    assert of(look_at(daemon, agent="main", test_event=True), "trial.stream").level is Level.OK
    assert daemon.status()["outbox"]["dead_rows"] == 0


def test_while_nats_is_away_it_waits_like_all_others(daemon: Daemon, nats_server: NatsServer) -> None:
    """That it is taken and found is worth knowing; nobody waits for the rest."""
    nats_server.stop()
    daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it notices")
    findings = look_at(daemon, test_event=True)
    assert of(findings, "trial.index").level is Level.OK
    assert "waits in the outbox" in of(findings, "trial.stream").found
    nats_server.start()
    daemon.wait_healed()
    assert [stored.agent for stored in JetStream(nats_server.url).read()] == [AGENT]


def test_an_agent_with_its_own_route_is_tested_on_that(
    daemon_factory: DaemonFactory, nats_server: NatsServer
) -> None:
    """It is sent as that agent; where the intake is closed, that is said in the daemon's own words."""
    agents = {"bob": {"streamName": "bobs", "enabled": True}}
    daemon = daemon_factory(nats_server.url, enabled=False, agents=agents)
    found = of(look_at(daemon, agent="bob", test_event=True), "trial.stream")
    assert (found.level, "bobs 1" in found.found) == (Level.OK, True)
    assert [stored.agent for stored in JetStream(nats_server.url).read("bobs")] == ["bob"]
    closed = of(look_at(daemon, test_event=True), "trial.accepted")
    assert (closed.level, "enabled" in closed.remedy) == (Level.PROBLEM, True)


def test_events_from_the_future_are_found(standing: Standing) -> None:
    """A clock that is wrong on a writer's machine makes its events the newest for that long."""
    daemon, _ = standing
    for ahead, level in ((0, Level.OK), (HOUR, Level.WARNING)):
        with connect("main", socket=daemon.socket) as client:
            client.emit(Event("note", timestamp=now_ms() + ahead))
            list(client.query(limit=1))
        assert of(look_at(daemon), "events.clock").level is level


def test_the_stream_is_looked_into(standing: Standing) -> None:
    """That the daemon says so is not taken for it: what is not there is missed."""
    from eventd.doctor import trial

    daemon, server = standing
    streams = JetStream(server.url)
    original = trial._send

    def send_and_purge(*args: object) -> object:
        sent = original(*args)  # type: ignore[arg-type]
        streams.purge(STREAM)
        return sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_send", send_and_purge)
        found = of(look_at(daemon, test_event=True), "trial.stream")
    assert (found.level, "is not there" in found.found) == (Level.PROBLEM, True)
