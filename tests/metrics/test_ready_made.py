"""The dashboard and the alert rules: they load, and ask for nothing that the daemon does not have."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventd_ipc.blocking import connect
from metrics.scrape import scrape
from support.daemon import Daemon

METRIC = re.compile(r"\b(?:eventd|process)_\w+")
VARIABLE = re.compile(r"\$\w+")  # of Grafana
DATA = files("eventd").joinpath("data")
ALERTS = [
    "EventdRefusingEvents",
    "EventdRouteStalled",
    "EventdOutboxFillingUp",
    "EventdDeadLetters",
    "EventdIndexBehindOrDiskLow",
]

with_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DATA.joinpath("dashboard.json").read_text(encoding="utf-8"))
    return document


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(DATA.joinpath("alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [*shown, *(rule["expr"] for rule in rules())]


def test_every_metric_that_is_asked_for_is_there(daemon: Daemon) -> None:
    """A name that is misspelt is an empty picture, or an alert that never comes."""
    daemon.wait_for(lambda status: status["routes"][0]["rtt_ms"] is not None, what="a round trip")
    found = scrape(daemon)
    labels = {label for _, labels in found.samples for label, _ in labels}
    asked = {name for text in expressions() for name in METRIC.findall(text)}
    assert asked
    assert asked - found.names - labels == set()


def test_alerts_name_no_label_but_the_route() -> None:
    """Any other one would be an empty place in what somebody is told."""
    for rule in rules():
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= {"route"}


def test_there_are_five_alerts_and_each_says_what_to_think_of_it() -> None:
    """Somebody is woken by it."""
    assert [rule["alert"] for rule in rules()] == ALERTS
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_the_panels_do_not_cover_each_other() -> None:
    """Grafana would shuffle them; each has an id of its own."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


@with_promtool
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    """Prometheus's own word on them."""
    assert "5 rules found" in promtool("check", "rules", copied(tmp_path, DATA.joinpath("alerts.yml")))


@with_promtool
def test_each_alert_comes_when_it_should_and_only_then(tmp_path: Path) -> None:
    """Evaluated over made-up series of well and unwell daemons: `alerts_test.yml`."""
    copied(tmp_path, DATA.joinpath("alerts.yml"))
    promtool("test", "rules", copied(tmp_path, Path(__file__).with_name("alerts_test.yml")))


@with_promtool
def test_prometheus_can_parse_what_the_dashboard_asks(tmp_path: Path) -> None:
    """With values in the place of Grafana's variables, each as a rule that records it."""
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    recorded = [
        {"record": f"panel_{number}", "expr": VARIABLE.sub("5m", expression)}
        for number, expression in enumerate(asked)
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", path)


@with_promtool
def test_prometheus_has_nothing_against_the_metrics(daemon: Daemon) -> None:
    """Their format, their names, their help texts."""
    with connect("test", socket=daemon.socket, patience=0) as client:
        assert promtool("check", "metrics", text=client.metrics()) == ""


def copied(folder: Path, source: Traversable) -> Path:
    path = folder / source.name
    path.write_bytes(source.read_bytes())
    return path


def promtool(*words: str | Path, text: str = "") -> str:
    """Run promtool, which must find nothing wrong, and return what it says."""
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
