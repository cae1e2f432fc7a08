"""The socket, and who answers on it: a real daemon that is away, dead, frozen, or another one."""

import socket
from pathlib import Path

import anyio

from doctor.patient import all_text, look_at, nowhere, of
from eventd.doctor.model import Level
from eventd.doctor.runner import Doctor, Wish
from eventd_ipc.blocking import Client, connect
from support.daemon import Daemon, DaemonFactory
from support.nats import NatsServer
from support.users import FIRST_USER, only_root, run_as

Standing = tuple[Daemon, NatsServer]


def test_a_daemon_that_is_stopped(daemon: Daemon) -> None:
    """What can be looked at without it is looked at; what cannot is told."""
    daemon.stop()
    findings = look_at(daemon, test_event=True)
    found = of(findings, "daemon.answers")
    assert (found.level, "eventd run" in found.remedy) == (Level.PROBLEM, True)
    assert of(findings, "nats.connection").level is Level.OK
    assert of(findings, "stream.exists").level is Level.OK
    assert not of(findings, "trial.accepted").made
    assert not [finding for finding in findings if finding.check == "daemon.socket"]


def test_a_socket_that_a_killed_daemon_has_left(short_tmp: Path) -> None:
    """It is told apart from one on which somebody listens."""
    daemon = Daemon(short_tmp, {})
    daemon.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(daemon.socket))
    (short_tmp / "config.yml").write_text("gateway: {eventStore: {dataDir: data}}")
    findings = look_at(daemon)
    assert of(findings, "daemon.answers").level is Level.PROBLEM
    assert "left behind" in of(findings, "daemon.socket").found


def test_a_daemon_that_is_frozen_costs_no_more_than_the_deadline(standing: Standing) -> None:
    """The kernel still takes connections for it; without a deadline this would hang."""
    daemon, _ = standing
    daemon.pause()

    def reach(name: str | None) -> Client:
        return connect(name or "main", socket=daemon.socket, timeout=1.0, patience=0)

    wish = Wish(daemon.folder / "config.yml", daemon.socket, test_event=True)
    try:
        found = anyio.run(Doctor(wish, reach, nowhere).examine)
    finally:
        daemon.resume()
    answer = of(found, "daemon.answers")
    assert (answer.level, "restart it" in answer.remedy) == (Level.PROBLEM, True)


def test_a_daemon_of_another_version(daemon_factory: DaemonFactory, nats_server: NatsServer) -> None:
    """As after an upgrade without a restart."""
    daemon = daemon_factory(nats_server.url, mutation="import eventd; eventd.__version__ = '0.0.1'")
    found = of(look_at(daemon), "daemon.version")
    assert (found.level, "the daemon is 0.0.1" in found.found) == (Level.WARNING, True)


def test_a_socket_in_a_folder_where_others_can_put_one(standing: Standing) -> None:
    """Clients refuse it, and doctor says why."""
    daemon, _ = standing
    daemon.socket.parent.chmod(0o777)
    try:
        found = of(look_at(daemon), "daemon.answers")
    finally:
        daemon.socket.parent.chmod(0o700)
    assert (found.level, "chmod go-w" in found.remedy) == (Level.PROBLEM, True)


def test_a_socket_that_everybody_can_use_and_no_rules(standing: Standing) -> None:
    """With rules the mode of the socket is no matter."""
    daemon, _ = standing
    daemon.socket.chmod(0o666)
    try:
        found = of(look_at(daemon), "daemon.socket")
    finally:
        daemon.socket.chmod(0o600)
    assert (found.level, "everybody" in found.found) == (Level.WARNING, True)


def test_rules_in_force(daemon_factory: DaemonFactory, nats_server: NatsServer) -> None:
    """They are named; the administrator's token lets doctor in, and is not shown."""
    agents = {"ann": {"token": "for-nobody-to-see"}}
    daemon = daemon_factory(nats_server.url, agents=agents)
    findings = look_at(daemon, test_event=True)
    found = of(findings, "access.rules")
    assert (found.level, "ann" in found.found, "by admin" in found.found) == (Level.OK, True, True)
    assert of(findings, "trial.stream").level is Level.OK
    assert "for-nobody-to-see" not in all_text(findings)
    assert str(daemon.admin_token) not in all_text(findings)

    # An agent's own token opens the socket, not the status: so it says what it cannot tell.
    def as_ann(name: str | None) -> Client:
        return connect(name or "ann", socket=daemon.socket, token="for-nobody-to-see", timeout=5, patience=0)

    wish = Wish(daemon.folder / "config.yml", daemon.socket, "ann", True)
    findings = anyio.run(Doctor(wish, as_ann, nowhere).examine)
    assert of(findings, "daemon.answers").level is Level.OK
    assert not of(findings, "daemon.health").made
    assert of(findings, "trial.stream").level is Level.OK


@only_root
def test_a_user_without_any_rights_is_told_what_could_not_be_looked_at(standing: Standing) -> None:
    """Nothing fails for it, and nothing is called a problem that is none."""
    daemon, _ = standing
    daemon.folder.chmod(0o711)
    daemon.folder.parent.chmod(0o711)
    daemon.socket.parent.chmod(0o711)
    code = """
import sys, anyio
from pathlib import Path
from eventd.doctor.runner import Doctor, Wish
from eventd_ipc.blocking import connect
def reach(agent):
    return connect(agent or "main", socket=sys.argv[1], timeout=5, patience=0)
wish = Wish(Path(sys.argv[2]), Path(sys.argv[1]))
for finding in anyio.run(Doctor(wish, reach, lambda *_: ()).examine):
    print(finding.check, finding.level.word, finding.made, finding.found)
"""
    told = run_as(code, daemon.socket, daemon.folder / "config.yml", uid=FIRST_USER)
    lines = told.splitlines()
    assert any(line.startswith("config.loads note False") for line in lines), told
    assert not [line for line in lines if line.split()[1] == "warning"], told
    answer = next(line for line in lines if line.startswith("daemon.answers"))
    assert answer.split()[1:3] == ["note", "False"], told


def test_a_daemon_with_its_embedded_server(daemon_factory: DaemonFactory) -> None:
    """Its login and port are found where the daemon keeps them, and what it syncs is known."""
    daemon = daemon_factory("embedded")
    daemon.wait_for(lambda status: status["routes"][0]["state"] == "idle", what="it is ready")
    findings = look_at(daemon, test_event=True)
    assert max(finding.level for finding in findings) <= Level.NOTE, [f.document() for f in findings]
    assert of(findings, "daemon.embedded").level is Level.OK
    assert of(findings, "nats.sync").level is Level.OK
    assert of(findings, "trial.stream").level is Level.OK
