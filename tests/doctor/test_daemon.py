"""What the status document means: each trouble in it is named once, with what to do."""

from typing import Any

import pytest

from doctor.patient import of
from eventd.doctor.daemon import examine_daemon, health
from eventd.doctor.model import Finding, Level
from eventd.doctor.visit import Visit

WELL: dict[str, Any] = {
    "health": {"state": "ok", "reasons": []},
    "outbox": {"rows": 0, "bytes": 0, "max_bytes": 1000, "oldest_age_s": None},
    "routes": [{"name": "default", "dead": 0}],
    "index": {"state": "ready", "events": 3, "behind": 0, "behind_s": 0.0, "streams": [], "problem": ""},
    "server": {"refused": {}},
    "embedded": None,
    "metrics": None,
}


def visited(**change: Any) -> Visit:
    return Visit(status=WELL | {key: (WELL[key] or {}) | value for key, value in change.items()})


def test_a_daemon_that_is_well() -> None:
    """Backlog, dead letters and index; nothing else is worth a line."""
    findings = examine_daemon(visited())
    assert [f.check for f in findings] == ["events.backlog", "events.dead_letters", "events.index"]
    assert {f.level for f in findings} == {Level.OK}


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"outbox": {"rows": 5, "oldest_age_s": 3.0}}, "events.backlog", Level.OK),
        ({"outbox": {"rows": 5, "oldest_age_s": 300.0}}, "events.backlog", Level.WARNING),
        ({"outbox": {"rows": 5, "bytes": 850, "oldest_age_s": 3.0}}, "events.backlog", Level.WARNING),
        ({"outbox": {"rows": 5, "bytes": 1000, "oldest_age_s": 3.0}}, "events.backlog", Level.PROBLEM),
        ({"outbox": {"lost_events": 2, "quarantines": 1}}, "events.lost", Level.PROBLEM),
        ({"outbox": {"lost_events": 0, "quarantines": 1}}, "events.lost", Level.WARNING),
        ({"index": {"state": "rebuilding"}}, "events.index", Level.NOTE),
        ({"index": {"state": "stalled", "problem": "disk full"}}, "events.index", Level.WARNING),
        ({"index": {"state": "catching_up", "behind": 9, "behind_s": 99.0}}, "events.index", Level.WARNING),
        ({"server": {"refused": {"outbox_full": 3}}}, "events.refused", Level.NOTE),
        ({"embedded": {"state": "waiting", "last_exit": "killed"}}, "daemon.embedded", Level.PROBLEM),
        ({"embedded": {"state": "ready", "restarts": 2}}, "daemon.embedded", Level.NOTE),
        ({"metrics": {"problem": "port taken"}}, "daemon.metrics", Level.WARNING),
    ],
)
def test_each_trouble(change: dict[str, Any], check: str, level: Level) -> None:
    """How bad it is; and where something has to be done, what."""
    found = of(examine_daemon(visited(**change)), check)
    assert found.level is level
    assert bool(found.remedy) or level <= Level.NOTE


def test_dead_letters_are_told_by_route() -> None:
    """With the command that shows them."""
    status = WELL | {"routes": [{"name": "default", "dead": 0}, {"name": "bob", "dead": 2}]}
    found = of(examine_daemon(Visit(status=status)), "events.dead_letters")
    assert (found.level, "2 of route bob" in found.found) == (Level.WARNING, True)
    assert "eventd deadletter list" in found.remedy


def test_the_health_counts_only_where_nothing_else_explains_it() -> None:
    """Its reasons have findings of their own, with a remedy each."""
    degraded = visited(health={"state": "degraded", "reasons": ["something new"]})
    cause = Finding("nats.daemon", Level.WARNING, "daemon", "why")
    assert of(health(degraded, []), "daemon.health").level is Level.WARNING
    assert of(health(degraded, [cause]), "daemon.health").level is Level.NOTE
    failing = visited(health={"state": "failing", "reasons": ["disk"]})
    assert of(health(failing, [cause]), "daemon.health").level is Level.PROBLEM


def test_a_document_of_another_version_is_no_trouble() -> None:
    """What is missing is passed over."""
    assert max(f.level for f in examine_daemon(Visit(status={"version": "9"}))) <= Level.NOTE
    assert not examine_daemon(Visit())
