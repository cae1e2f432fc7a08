"""Routes whose server is not as it should be: the cause is named, in time, and no secret is shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.patient import all_text, bad, config_of, look_at, look_at_route, of
from eventd.doctor.model import Level
from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.nats import NatsServer, free_port

NatsFactory = Callable[..., NatsServer]

LOGIN = "authorization {{ users: [ {{ user: main, password: hunter2{} }} ] }}"
SHORT = 1.0  # seconds for a route whose server never answers


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """The address is named, and what to look for."""
    config = config_of(tmp_path, url=f"nats://127.0.0.1:{free_port()}")
    found = of(look_at_route(config).findings, "nats.connection")
    assert (found.level, "connection refused" in found.found) == (Level.PROBLEM, True)


def test_one_of_several_servers_that_is_away(nats_server: NatsServer, tmp_path: Path) -> None:
    """The route goes on over the others; there is less left to go wrong."""
    config = config_of(tmp_path, url=f"nats://127.0.0.1:{free_port()},{nats_server.url}")
    findings = look_at_route(config).findings
    assert of(findings, "nats.connection").level is Level.OK
    assert of(findings, "nats.servers").level is Level.WARNING


def test_a_host_that_there_is_not(tmp_path: Path) -> None:
    """In words that a person knows."""
    found = of(look_at_route(config_of(tmp_path, url="nats://nowhere.invalid")).findings, "nats.connection")
    assert (found.level, "no host of that name" in found.found) == (Level.PROBLEM, True)


def test_a_server_that_is_frozen_costs_no_more_than_the_deadline(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """The kernel still accepts for it; a check that waited for ever would hang here."""
    nats_server.pause()
    examined = look_at_route(config_of(tmp_path, url=nats_server.url), timeout=SHORT)
    found = of(examined.findings, "nats.connection")
    assert (found.level, f"within {SHORT:g} s" in found.found) == (Level.PROBLEM, True)


def test_a_wrong_password_is_told_from_a_server_that_is_away(
    nats_factory: NatsFactory, tmp_path: Path
) -> None:
    """And shown nowhere."""
    server = nats_factory(config=LOGIN.format(""))
    config = config_of(tmp_path, url=f"nats://main:letmein@127.0.0.1:{server.port}")
    findings = look_at_route(config).findings
    found = of(findings, "nats.connection")
    assert (found.level, "credentials" in found.remedy) == (Level.PROBLEM, True)
    assert "letmein" not in all_text(findings)
    right = look_at_route(config_of(tmp_path, url=f"nats://main:hunter2@127.0.0.1:{server.port}"))
    assert "logged in as main" in of(right.findings, "nats.connection").found
    assert "hunter2" not in all_text(right.findings)


def test_jetstream_that_is_off(nats_factory: NatsFactory, tmp_path: Path) -> None:
    """On the whole server, and in the route's account alone."""
    port = free_port()
    nats_factory(port=port, whole=f'listen: "127.0.0.1:{port}"')
    found = of(look_at_route(config_of(tmp_path, url=f"nats://127.0.0.1:{port}")).findings, "nats.jetstream")
    assert (found.level, "-js" in found.remedy) == (Level.PROBLEM, True)
    server = nats_factory(config="accounts: { A: { users: [ { user: a, password: a } ] } }")
    config = config_of(tmp_path, url=f"nats://a:a@127.0.0.1:{server.port}")
    assert of(look_at_route(config).findings, "nats.jetstream").level is Level.PROBLEM


def test_a_permission_that_is_missing_names_its_subject(nats_factory: NatsFactory, tmp_path: Path) -> None:
    """NATS itself only keeps silent."""
    allowed = '{ publish: ["openclaw.events.>"], subscribe: ["_INBOX.>"] }'
    server = nats_factory(config=LOGIN.format(f", permissions: {allowed}"))
    config = config_of(tmp_path, url=f"nats://main:hunter2@127.0.0.1:{server.port}")
    found = of(look_at_route(config).findings, "nats.permissions")
    assert (found.level, "$JS.API.STREAM.INFO.openclaw-events" in found.found) == (Level.PROBLEM, True)


def test_reading_that_is_not_permitted(nats_factory: NatsFactory, tmp_path: Path) -> None:
    """Shipping works, and nothing of others reaches the context."""
    info = '"$JS.API.STREAM.INFO.>", "$JS.API.INFO", "$JS.API.STREAM.CREATE.>"'
    allowed = f'{{ publish: ["openclaw.events.>", {info}], subscribe: ["_INBOX.>"] }}'
    server = nats_factory(config=LOGIN.format(f", permissions: {allowed}"))
    streams = JetStream(server.url, user="main", password="hunter2")
    streams.make()
    streams.publish("openclaw.events.main.note")
    config = config_of(tmp_path, url=f"nats://main:hunter2@127.0.0.1:{server.port}")
    found = of(look_at_route(config).findings, "stream.readable")
    assert (found.level, "CONSUMER.CREATE" in found.found) == (Level.PROBLEM, True)


def test_an_account_without_room(nats_factory: NatsFactory, tmp_path: Path) -> None:
    """Its limit is all streams' together."""
    users = "users: [ { user: a, password: a } ]"
    server = nats_factory(config=f"accounts: {{ A: {{ jetstream: {{ max_store: 3000 }}, {users} }} }}")
    streams = JetStream(server.url, user="a", password="a")
    streams.make()
    for _ in range(40):
        try:
            streams.publish("openclaw.events.main.note", agent="x" * 60)
        except Exception:
            break
    config = config_of(tmp_path, url=f"nats://a:a@127.0.0.1:{server.port}")
    assert of(look_at_route(config).findings, "nats.jetstream").level is Level.WARNING


def test_an_administrators_login_is_not_needed(nats_factory: NatsFactory, tmp_path: Path) -> None:
    """A login that shares its account is asked for nothing that it may not, and says what it cannot tell."""
    verbs = ("STREAM.INFO.ev", "STREAM.MSG.DELETE.ev", "CONSUMER.CREATE.ev.>", "CONSUMER.MSG.NEXT.ev.>")
    api = ", ".join(f'"$JS.API.{verb}"' for verb in verbs)
    allowed = f'{{ publish: ["openclaw.events.main.>", {api}], subscribe: ["_INBOX.>"] }}'
    admin = "{ user: root, password: root }"
    user = f"{{ user: main, password: pw, permissions: {allowed} }}"
    server = nats_factory(config=f"authorization {{ users: [ {admin}, {user} ] }}")
    JetStream(server.url, user="root", password="root").make("ev", "openclaw.events.main.>")
    config = config_of(
        tmp_path, url=f"nats://main:pw@127.0.0.1:{server.port}", streamName="ev", sharedAccount=True
    )
    findings = look_at_route(config).findings
    assert not of(findings, "stream.overlap").made
    assert of(findings, "stream.subjects").level is Level.NOTE
    assert "violation" not in server.log_text.lower()


def test_every_route_is_looked_at_and_one_does_not_hide_another(
    daemon_factory: DaemonFactory, nats_server: NatsServer
) -> None:
    """Each with its own server; and what the daemon says of it stands beside."""
    away = {"url": f"nats://127.0.0.1:{free_port()}", "streamName": "bobs"}
    daemon = daemon_factory(nats_server.url, agents={"bob": away, "eve": {"streamName": "eves"}})
    daemon.wait_for(lambda status: status["routes"][2]["state"] == "idle", what="eve's route is ready")
    findings = look_at(daemon)
    connections = {f.route: f.level for f in findings if f.check == "nats.connection"}
    assert connections == {"default": Level.OK, "bob": Level.PROBLEM, "eve": Level.OK}
    assert "nor have we" in of(findings, "nats.daemon", "bob").found
    assert of(findings, "nats.daemon", "eve").level is Level.OK
    assert of(findings, "nats.sync").route == "default"  # of one server it is told once
    alone = look_at(daemon, agent="eve")
    assert {f.route for f in alone if f.route} == {"eve"}
    assert of(alone, "nats.sync").route == "eve"


def test_a_stall_is_told_with_the_daemons_own_reason(
    daemon_factory: DaemonFactory, nats_server: NatsServer
) -> None:
    """A stream that takes none of the subjects, and is not ours to change."""
    JetStream(nats_server.url).make("openclaw-events", "other.>")
    daemon = daemon_factory(nats_server.url)
    _emit(daemon)
    daemon.wait_for(lambda status: status["routes"][0]["state"] == "stalled", what="it stalls")
    findings = look_at(daemon)
    assert "does not take" in of(findings, "nats.daemon").found
    assert of(findings, "stream.subjects").level is Level.PROBLEM
    assert ("daemon.health", Level.WARNING) not in list(bad(findings))  # its reason counts once


def _emit(daemon: Daemon) -> None:
    from eventd_ipc.blocking import connect
    from eventd_ipc.events import Event

    with connect("main", socket=daemon.socket) as client:
        client.emit(Event("note"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "127.1.2.3"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    """A password that stays here is read by nobody on the way."""
    from eventd.doctor.nats import is_loopback

    assert is_loopback(host)
    assert not is_loopback("nats.example.org")
