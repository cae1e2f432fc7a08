"""A place with a daemon and a server, as an operator has it, and what is done there."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.support import Ended, Eventd
from support.daemon import Daemon
from support.jetstream import STREAM, JetStream, Stored
from support.load import emit
from support.nats import NatsServer

KILLED = -9
TIMEOUT = 60.0  # seconds; a bound against hanging

_ENTRY = "import sys; from eventd.cli.main import main; sys.exit(main())"


@dataclass
class Site:
    """A daemon and its server; None: the embedded one.

    Attributes:
        daemon: It runs, if nothing else is said.
    """

    daemon: Daemon
    server: NatsServer | None

    @property
    def streams(self) -> JetStream:
        """What the server holds, by plain nats-py."""
        login = {
            key: self.daemon.settings[key] for key in ("user", "password") if key in self.daemon.settings
        }
        return JetStream(self.server.url, **login) if self.server else self.daemon.embedded_streams()

    def emit(self, first: int, last: int, agent: str = "main") -> list[str]:
        """Store events with these numbers; return their ids, once they are in the stream."""
        ids = emit(self.daemon.socket, agent, range(first, last + 1))
        self.daemon.wait_shipped()
        return ids

    def run(self, *args: str | Path) -> Ended:
        """Run a command."""
        return Eventd(self._options)(*args)

    def backup(self, folder: Path, *options: str) -> dict[str, Any]:
        """Make a backup; return what was done about each stream."""
        ended = self.run("backup", folder, "--json", *options)
        assert ended.code == 0, ended
        [document] = ended.objects
        return {taken["stream"]: taken for taken in document["streams"]} | {"": document}

    def restore(self, folder: Path, *options: str, code: int = 0) -> dict[str, Any]:
        """Restore a backup; return what became of each stream."""
        ended = self.run("restore", folder, "--json", *options)
        assert ended.code == code, ended
        return {restored["name"]: restored for restored in ended.objects}

    def run_broken(self, mutation: str, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run a command that is broken on purpose, by Python that runs before it does."""
        command = [sys.executable, "-c", f"{mutation}\n{_ENTRY}", *map(str, [*self._options, *args])]
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT, env=os.environ, check=False)

    @property
    def _options(self) -> Sequence[str | Path]:
        return ["--config", self.daemon.config, "--socket", self.daemon.socket]


Message = tuple[str, str, bytes]
"""Subject, `Nats-Msg-Id` and bytes."""


def messages(stored: Sequence[Stored]) -> list[Message]:
    """Return what a restore has to bring back of messages, in their order."""
    return [(message.subject, message.msg_id, message.body) for message in stored]


def same(site: Site, other: Site, stream: str = STREAM) -> bool:
    """Whether two sites hold the same messages, in the same order."""
    return messages(site.streams.read(stream)) == messages(other.streams.read(stream))


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup."""
    import yaml

    tree: dict[str, Any] = yaml.safe_load((folder / "MANIFEST.yml").read_text())
    json.dumps(tree)  # plain data
    return tree
