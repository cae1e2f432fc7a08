"""What tests have doctor look at, in their own process, and how they read what it found."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from eventd.config.load import load_text
from eventd.config.settings import Config
from eventd.doctor.model import Finding, Findings, Level
from eventd.doctor.nats import Examined, examine_route
from eventd.doctor.runner import Doctor, Wish
from eventd.doctor.service import Candidate
from eventd.doctor.visit import Visit, visit
from eventd_ipc.blocking import Client, connect
from support.daemon import Daemon

ANSWER = 5.0  # seconds for an answer of the daemon
ARRIVAL = 15.0  # seconds for a route, and for a test event; a bound against hanging


def nowhere(_config: Path | None, _socket: Path | None) -> Sequence[Candidate]:
    """No service, so that the machine that the tests run on does not matter."""
    return ()


def look_at(
    daemon: Daemon, *, agent: str | None = None, test_event: bool = False, timeout: float = ARRIVAL
) -> Findings:
    """Let doctor look at a daemon, whether it runs or not."""

    def reach(name: str | None) -> Client:
        return connect(
            name or "main", socket=daemon.socket, token=daemon.admin_token, timeout=ANSWER, patience=0
        )

    wish = Wish(daemon.folder / "config.yml", daemon.socket, agent, test_event, timeout)
    return anyio.run(Doctor(wish, reach, nowhere).examine)


def visit_to(daemon: Daemon) -> Visit:
    """Return what the daemon says of itself now."""
    return visit(lambda name: connect(name or "main", socket=daemon.socket, timeout=ANSWER, patience=0))


def config_of(folder: Path, **settings: Any) -> Config:
    """Return a configuration, without a file."""
    return load_text(json.dumps({"gateway": {"eventStore": {"dataDir": str(folder), **settings}}}))


def look_at_route(config: Config, agent: str | None = None, timeout: float = ARRIVAL) -> Examined:
    """Let doctor look at a route, without a daemon."""
    route = config.routes.of(agent) if agent else config.routes.default
    return anyio.run(examine_route, config, route, Visit(), timeout)


def of(findings: Findings, check: str, route: str | None = None, title: str | None = None) -> Finding:
    """Return the one finding of a check."""
    found = [
        f for f in findings if f.check == check and route in (None, f.route) and title in (None, f.title)
    ]
    assert len(found) == 1, (check, [f.document() for f in findings])
    return found[0]


def bad(findings: Findings) -> Iterator[tuple[str, Level]]:
    """Yield the check and the level of everything that needs a look."""
    return ((f.check, f.level) for f in findings if f.level > Level.NOTE)


def all_text(findings: Findings) -> str:
    """Return every text in the findings."""
    return json.dumps([finding.document() for finding in findings], ensure_ascii=False)
