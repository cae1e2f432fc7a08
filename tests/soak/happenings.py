"""What happens to the daemon meanwhile; each is over, and the daemon well again, when it returns."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from eventd_ipc.blocking import connect
from support.daemon import Daemon
from support.jetstream import JetStream
from support.load import Shape, emit
from support.nats import NatsServer

LARGE_SERVER = 1024 * 1024  # bytes; what the broker takes at most
SMALL_SERVER = 64 * 1024  # bytes; what it takes while events die
SMALL, LARGE = Shape(), Shape(size=100_000)
GRAVE = "grave"  # the agent whose events die
FOREIGN = "foreign"  # the agent of another writer
FOREIGN_EVENTS = 20
GUEST = "guest"  # an agent whose entry comes and goes


class Happenings:
    """One after the other, round and round.

    Args:
        edits: Whether config.yml is edited as well; for a daemon that reads it again by itself.

    Attributes:
        acked: Ids of the events of `GRAVE` that have to be in the stream, in that order.
        count: How much has happened.
    """

    def __init__(self, daemon: Daemon, server: NatsServer, *, edits: bool) -> None:
        self.acked: list[str] = []
        self.count = 0
        self._daemon = daemon
        self._server = server
        self._emitted = 0
        self._kinds: list[Callable[[], None]] = [
            self.restart_broker,
            self.bury_and_retry,
            self.write_something_else,
            self.kill_broker,
            self.bury_and_drop,
        ]
        if edits:
            self._kinds.append(self.edit_config)

    def __iter__(self) -> Iterator[Callable[[], None]]:
        while True:
            for kind in self._kinds:
                self.count += 1
                yield kind

    def restart_broker(self) -> None:
        """Stop and start the broker, as an upgrade does."""
        self._server.restart()
        self._daemon.wait_for(_all_connected, what="connected again")

    def kill_broker(self) -> None:
        """Kill the broker, and start it."""
        self._server.restart(kill=True)
        self._daemon.wait_for(_all_connected, what="connected again")

    def write_something_else(self) -> None:
        """Let another writer put events into the same stream."""
        JetStream(self._server.url).publish(f"openclaw.events.{FOREIGN}.custom", FOREIGN_EVENTS, FOREIGN)

    def bury_and_retry(self) -> None:
        """Let an event die, and publish it after the operator has raised the limit: at the tail."""
        self.acked += [*self._bury("retry")]

    def bury_and_drop(self) -> None:
        """Let an event die, and drop it."""
        self._bury("drop")

    def edit_config(self) -> None:
        """Give an agent a stream of its own, or take it away again."""
        if self.write_config():
            self._daemon.wait_for(
                lambda status: any(route["name"] == GUEST for route in status["routes"]),
                what="the route of the new entry is there",
            )

    def write_config(self) -> bool:
        """Replace config.yml as an editor does; return whether the agent is in it now."""
        agents: dict[str, Any] = dict(self._daemon.settings.get("agents", {}))
        if agents.pop(GUEST, None) is None:
            agents[GUEST] = {"streamName": GUEST, "subjectPrefix": f"apart.{GUEST}"}
        self._daemon.settings["agents"] = agents
        path = self._daemon.folder / "config.yml"
        document = json.loads(path.read_text())
        document["gateway"]["eventStore"]["agents"] = agents
        fresh = path.with_name("config.yml.new")
        fresh.write_text(json.dumps(document))
        fresh.chmod(0o600)
        fresh.replace(path)
        return GUEST in agents

    def _bury(self, action: Literal["retry", "drop"]) -> list[str]:
        """Let an event die between two others, and do that with it; return its id."""
        first = self._emitted + 1
        self._emitted += 3
        self._server.stop()
        self._server.max_payload = SMALL_SERVER
        self.acked += emit(self._daemon.socket, GRAVE, [first], SMALL)
        dead = emit(self._daemon.socket, GRAVE, [first + 1], LARGE)
        self.acked += emit(self._daemon.socket, GRAVE, [first + 2], SMALL)
        self._server.start()
        self._daemon.wait_for(lambda status: status["outbox"]["dead_rows"] == 1, what="it has died")
        self._server.stop()
        self._server.max_payload = LARGE_SERVER
        self._server.start()
        self._daemon.wait_for(_all_connected, what="connected again")
        with connect("test", socket=self._daemon.socket, patience=0) as client:
            assert client.dead_letters(action, all_of_them=True)["count"] == 1
        self._daemon.wait_for(lambda status: not status["outbox"]["dead_rows"], what="no dead letter is left")
        return dead


def _all_connected(status: dict[str, Any]) -> bool:
    return all(route["connected"] for route in status["routes"])
