"""The configuration: whether it can be used, and whether the daemon goes by it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doctor.patient import all_text, look_at, of, visit_to
from eventd.doctor.access import examine_access
from eventd.doctor.configuration import examine_config
from eventd.doctor.model import Level
from eventd.doctor.visit import Visit
from support.daemon import Daemon
from support.nats import NatsServer
from support.users import FIRST_USER, only_root, run_as

AWAY = Visit()


def write(folder: Path, **settings: Any) -> Path:
    file = folder / "config.yml"
    file.write_text(json.dumps({"gateway": {"eventStore": {"dataDir": str(folder), **settings}}}))
    return file


Standing = tuple[Daemon, NatsServer]


@contextmanager
def changed(daemon: Daemon, **settings: Any) -> Iterator[Path]:
    """Change the config file behind the daemon's back, for a while."""
    config = daemon.folder / "config.yml"
    before = config.read_text()
    document = json.loads(before)
    document["gateway"]["eventStore"] |= settings
    config.write_text(json.dumps(document))
    yield config
    config.write_text(before)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It was named, so it is missed."""
    found = of(examine_config(tmp_path / "none.yml", AWAY).findings, "config.loads")
    assert (found.level, "eventd init" in found.remedy) == (Level.PROBLEM, True)


def test_every_mistake_is_a_finding_with_its_line(tmp_path: Path) -> None:
    """As `eventd config check` has them."""
    file = tmp_path / "config.yml"
    file.write_text("gateway:\n  eventStore:\n    urll: nats://h\n    streamName: a.b\n")
    loaded = examine_config(file, AWAY)
    assert loaded.config is None
    assert {finding.level for finding in loaded.findings} == {Level.PROBLEM}
    text = " ".join(finding.found for finding in loaded.findings)
    assert f"{file}:3" in text


def test_what_is_switched_off(tmp_path: Path) -> None:
    """The first thing that the troubleshooting list asks for."""
    nothing = examine_config(write(tmp_path, enabled=False), AWAY).findings
    assert of(nothing, "config.enabled").level is Level.PROBLEM
    some = examine_config(write(tmp_path, enabled=False, agents={"ann": {"enabled": True}}), AWAY).findings
    assert of(some, "config.enabled").level is Level.WARNING
    one = examine_config(write(tmp_path, agents={"ann": {"enabled": False}}), AWAY).findings
    assert (of(one, "config.enabled").level, "ann" in of(one, "config.enabled").found) == (Level.NOTE, True)


def test_a_running_daemon_with_another_configuration_than_the_file(standing: Standing) -> None:
    """It is named what differs; the daemon that goes by the file is well."""
    daemon, _ = standing
    assert of(look_at(daemon), "config.in_force").level is Level.OK
    visited = visit_to(daemon)
    with changed(daemon, agents={"bob": {"streamName": "bobs"}}, subjectPrefix="other") as config:
        found = of(examine_config(config, visited).findings, "config.in_force")
    assert (found.level, "no route bob" in found.found) == (Level.WARNING, True)
    assert "default has the prefix openclaw.events there" in found.found


def test_rules_that_the_daemon_does_not_go_by(standing: Standing) -> None:
    """The worst of all differences between the two."""
    daemon, _ = standing
    visited = visit_to(daemon)
    with changed(daemon, agents={"ann": {"token": "for-nobody-to-see"}}) as config:
        loaded = examine_config(config, visited)
    assert loaded.config is not None
    findings = examine_access(loaded.config, visited)
    assert of(findings, "access.rules").level is Level.PROBLEM
    assert "for-nobody-to-see" not in all_text(findings)


def test_another_file_than_the_daemons(standing: Standing, tmp_path: Path) -> None:
    """The one that was named is looked at, and the difference told; unnamed, it is the daemon's."""
    daemon, _ = standing
    visited = visit_to(daemon)
    found = of(examine_config(write(tmp_path), visited).findings, "config.in_force")
    assert (found.level, str(daemon.folder) in found.found) == (Level.WARNING, True)
    loaded = examine_config(None, visited)
    assert loaded.config is not None
    assert loaded.config.source == daemon.folder / "config.yml"


def test_a_file_that_only_the_daemon_can_use_is_not_its_trouble(standing: Standing) -> None:
    """Its environment has what ours lacks; but one that was broken since it started is."""
    visited = visit_to(standing[0])
    started = visited.status["started_at"]
    with changed(standing[0], passwordFile="/nowhere", user="main") as config:
        os.utime(config, ns=((started - 60_000) * 1_000_000,) * 2)
        assert not of(examine_config(config, visited).findings, "config.loads").made
        os.utime(config, ns=((started + 60_000) * 1_000_000,) * 2)
        assert of(examine_config(config, visited).findings, "config.loads").level is Level.PROBLEM


@only_root
def test_a_user_who_may_not_read_it_is_told_so(short_tmp: Path) -> None:
    """And that it takes another user to look."""
    short_tmp.chmod(0o711)
    file = write(short_tmp)
    file.chmod(0o600)
    code = """
import sys
from pathlib import Path
from eventd.doctor.configuration import examine_config
from eventd.doctor.visit import Visit
for finding in examine_config(Path(sys.argv[1]), Visit()).findings:
    print(finding.check, finding.made, finding.remedy)
"""
    told = run_as(code, file, uid=FIRST_USER)
    assert told.startswith("config.loads False run it as"), told


def test_defaults_need_no_file() -> None:
    """Where there is none, and none was named."""
    loaded = examine_config(None, AWAY)
    assert loaded.config is not None
    assert "defaults" in of(loaded.findings, "config.loads").found
