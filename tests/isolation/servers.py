"""Servers of the configurations that the real command makes, and agents on them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eventd.config.load import load_file
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import inbox_prefix
from eventd.natsconfig.logins import written_login
from eventd.natsconfig.permissions import ADMIN_ROUTE
from eventd.natsconfig.plan import ADMIN_LOGIN
from eventd.routes import DEFAULT_ROUTE, Route, Routes
from eventd.secret import Secret
from eventd.subjects import agent_prefix
from support.daemon import Daemon
from support.jetstream import JetStream
from support.nats import NatsServer, free_port

from .parties import Party

COMMAND_TIMEOUT = 60.0  # seconds; a bound against hanging


def eventd(*args: str | Path) -> str:
    """Run the real command and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "eventd", *args], capture_output=True, text=True, timeout=COMMAND_TIMEOUT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Made:
    """A server that runs with a generated configuration.

    Attributes:
        folder: What `eventd nats-config --write` made.
    """

    folder: Path
    server: NatsServer

    @property
    def config(self) -> Path:
        """The config.yml that fits the server."""
        return self.folder / "config.yml"

    @property
    def routes(self) -> Routes:
        """The routes of that file."""
        return load_file(self.config, {}).routes

    def party(self, agent: str = DEFAULT_ROUTE) -> Party:
        """Return an agent as NATS sees it, or everybody without an entry."""
        return party_of(self.routes.of(agent))

    def streams(self, agent: str = DEFAULT_ROUTE) -> JetStream:
        """Return the streams as the agent's own login sees them."""
        party = self.party(agent)
        return JetStream(self.server.url, inbox_prefix=party.inbox, **party.login)

    def administrator(self) -> JetStream:
        """Return all streams of the one account."""
        credentials = written_login(ADMIN_LOGIN, Secret(path=self._administrator)).credentials
        login = Endpoint((self.server.url,), credentials)._options()
        return JetStream(self.server.url, inbox_prefix=inbox_prefix(ADMIN_ROUTE), **login)

    @property
    def _administrator(self) -> Path:
        [file] = self.folder.glob(f"{ADMIN_LOGIN}.*")
        return file

    def daemon(self) -> Daemon:
        """Return a daemon with that config.yml, not started."""
        settings = yaml.safe_load(self.config.read_text())["gateway"]["eventStore"]
        return Daemon(self.folder, settings)  # in the same folder, where the secrets are

    def make_streams(self, *agents: str) -> str:
        """Make the streams as the administrator, by the command that is printed."""
        admin = self._administrator
        options: list[str | Path] = ["--mode", "users", "--make-streams", "--admin", admin]
        options += [f"--agent={agent}" for agent in agents]
        return eventd("--config", self.config, "nats-config", *options)


def party_of(route: Route) -> Party:
    """Return the owner of a route."""
    prefix = route.prefix if route.name == DEFAULT_ROUTE else agent_prefix(route.prefix, route.name)
    login = Endpoint(route.server.urls, route.server.credentials)._options()
    subject = agent_prefix(prefix, "main") if route.name == DEFAULT_ROUTE else prefix
    return Party(route.stream, subject, inbox_prefix(route.name), login)


@contextmanager
def made(settings: Mapping[str, Any], *args: str) -> Iterator[Made]:
    """Let the command make a configuration for these settings, and run a server with it."""
    with tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as name:  # short, for the daemon's socket
        folder = Path(name)
        given = folder / "given.yml"
        given.write_text(json.dumps({"gateway": {"eventStore": settings}}))
        given.chmod(0o600)
        port = free_port()
        options: list[str | Path] = ["--listen", f"127.0.0.1:{port}", "--write", folder / "d"]
        eventd("--config", given, "nats-config", *options, *args)
        whole = (folder / "d" / "nats-server.conf").read_text()
        with NatsServer(folder / "nats", port=port, whole=whole) as server:
            yield Made(folder / "d", server)
