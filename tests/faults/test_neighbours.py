"""One agent's broken credentials, full stream or dead server never hold up another's route.

Three routes: the default and the agent "near" on one server, and the agent "far" on another one, which has
the trouble.
"""

import json
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from eventd.jetstream.publishing import BATCH_ROWS
from eventd_ipc.blocking import connect
from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape, emit
from support.nats import NatsServer, free_port
from support.oracle import check
from support.proxy import Proxy
from support.waiting import wait_until

pytestmark = pytest.mark.faults

NatsFactory = Callable[..., NatsServer]

SLOW = 0.5  # seconds by which a slow server's connection holds back each chunk, in both directions
WAITING = ("connecting", "preparing", "stalled")  # states of a route that cannot ship


def login(password: str) -> str:
    """Return the far server's configuration."""
    return f'authorization {{ users: [ {{ user: agent, password: "{password}" }} ] }}'


@dataclass
class Place:
    """The servers, and the daemon that ships to them.

    Attributes:
        acked: Ids that were acknowledged, by agent, in their order.
    """

    here: NatsServer
    there: NatsServer
    proxy: Proxy
    daemon: Daemon
    acked: dict[str, list[str]] = field(default_factory=dict)

    @property
    def far(self) -> JetStream:
        """The far server's streams, without the trouble between."""
        return JetStream(self.there.url, user="agent", password="pass")

    def emit(self, agent: str, count: int = 10) -> None:
        """Emit new events; they are acknowledged whatever is wrong."""
        ids = self.acked.setdefault(agent, [])
        ids += emit(self.daemon.socket, agent, range(len(ids) + 1, len(ids) + count + 1))

    def wait_others(self) -> None:
        """Wait until nothing waits but for the far route."""
        self.daemon.wait_for(
            lambda status: not any(r["pending_rows"] for r in status["routes"] if r["name"] != "far"),
            what="the other routes have shipped",
        )

    def check(self, *agents: str) -> None:
        """Compare the streams of these agents with what was acknowledged."""
        streams = {"main": JetStream(self.here.url), "near": JetStream(self.here.url), "far": self.far}
        names = {"main": "openclaw-events", "near": "events-near", "far": "events-far"}
        for agent in agents:
            check({agent: self.acked[agent]}, streams[agent].read(names[agent]))


class Trouble(ABC):
    """What can be wrong with a route.

    Attributes:
        shows: Part of the reason that status gives; "" where the route works, only slowly.
    """

    shows = ""

    @abstractmethod
    def begin(self, place: Place) -> None:
        """Make the trouble."""

    @abstractmethod
    def end(self, place: Place) -> None:
        """Let it be over."""


class WrongPassword(Trouble):
    shows = "authorization violation"

    def begin(self, place: Place) -> None:
        place.there.reload(login("another"))

    def end(self, place: Place) -> None:
        place.there.reload(login("pass"))


class StreamFull(Trouble):
    shows = "maximum bytes exceeded"

    def begin(self, place: Place) -> None:
        place.far.edit("events-far", max_bytes=100)

    def end(self, place: Place) -> None:
        place.far.edit("events-far", max_bytes=-1)


class BlackHole(Trouble):
    shows = "no "  # PONG, answer

    def begin(self, place: Place) -> None:
        place.proxy.black_hole()

    def end(self, place: Place) -> None:
        place.proxy.resume()


class ServerGone(Trouble):
    shows = "cannot connect"

    def begin(self, place: Place) -> None:
        place.there.kill()

    def end(self, place: Place) -> None:
        place.there.start()


class SlowServer(Trouble):
    def begin(self, place: Place) -> None:
        place.proxy.delay(SLOW)

    def end(self, place: Place) -> None:
        place.proxy.resume()


@pytest.fixture
def place(nats_factory: NatsFactory, daemon_factory: DaemonFactory) -> Iterator[Place]:
    """The servers run, the daemon does not yet."""
    here, there = nats_factory(), nats_factory(config=login("pass"))
    JetStream(there.url, user="agent", password="pass").make(
        "events-far", "openclaw.events.far.>", allow_atomic=True, discard="new"
    )
    with Proxy(there.port) as proxy:
        far = {"url": proxy.url, "user": "agent", "password": "pass", "streamName": "events-far"}
        near = {"streamName": "events-near"}
        daemon = daemon_factory(here.url, start=False, agents={"far": far, "near": near})
        yield Place(here, there, proxy, daemon)


@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "later"])
@pytest.mark.parametrize(
    "trouble",
    [WrongPassword(), StreamFull(), BlackHole(), ServerGone(), SlowServer()],
    ids=lambda trouble: type(trouble).__name__,
)
def test_one_route_in_trouble_does_not_hold_up_the_others(
    place: Place, trouble: Trouble, at_start: bool
) -> None:
    """Its events wait; everybody else's are stored and read, and status says which route it is and why."""
    daemon = place.daemon
    if at_start:
        trouble.begin(place)
        daemon.start()
    else:
        daemon.start()
        place.emit("far")
        daemon.wait_healed()
        trouble.begin(place)
    for agent in ("far", "near", "main"):
        place.emit(agent)
    place.wait_others()
    assert daemon.route("far")["pending_rows"] == 10
    place.check("near", "main")
    read_own_events(place)
    if trouble.shows:
        status = daemon.wait_for(
            lambda status: trouble.shows in str(routes(status)["far"]["reason"]).lower(), what=trouble.shows
        )
        assert routes(status)["far"]["state"] in WAITING
        assert {routes(status)[name]["state"] for name in ("default", "near")} <= {"idle", "shipping"}
    place.emit("near")
    place.wait_others()
    trouble.end(place)
    daemon.wait_healed()
    place.check("near", "main", "far")


def read_own_events(place: Place) -> None:
    """What is in another route is read as ever: in the index, and in the stream itself."""
    with connect("near", socket=place.daemon.socket) as client:
        newest = place.acked["near"][-1]
        own = [client.get(newest), *client.query(limit=1), *client.tail(last=1, stream="events-near")]
    assert [json.loads(event.body)["id"] for event in own] == [newest] * 3


def routes(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a status says about each route."""
    return {route["name"]: route for route in status["routes"]}


def test_a_stop_ships_what_can_be_shipped(place: Place) -> None:
    """A route that is dead uses up the time for the stop, but takes none of it from the others."""
    daemon = place.daemon
    daemon.settings["shutdownTimeout"] = "10s"
    place.proxy.black_hole()
    daemon.start()
    for agent in ("far", "near", "main"):
        place.emit(agent)
    place.wait_others()
    place.here.pause()
    for agent in ("far", "near", "main"):
        for _ in range(2):
            place.emit(agent, BATCH_ROWS)  # the second batch goes when the first one is answered
    daemon.send(signal.SIGTERM)
    wait_until(lambda: not daemon.socket.exists(), what="it takes no more clients")
    place.here.resume()
    assert daemon.wait_end() == 0
    place.check("near", "main")
    place.proxy.resume()
    daemon.start()
    daemon.wait_healed()
    place.check("near", "main", "far")


@pytest.mark.parametrize("dead", [1, 3])
def test_dead_routes_leave_room_for_the_others(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream, dead: int
) -> None:
    """G4 for each route by itself: a dead one is refused at its share, all others are taken and shipped.

    Nothing that was accepted is dropped, and over a restart it stays the same.
    """
    names = [f"dead{number}" for number in range(1, dead + 1)]
    away = free_port()
    agents = {name: {"url": f"nats://127.0.0.1:{away}", "streamName": f"events-{name}"} for name in names}
    daemon = daemon_factory(nats_server.url, agents=agents, outbox={"maxBytes": "1MiB"})
    large = Shape(window=1, events=20, size=500)
    acked: list[str] = []

    def ship_some() -> None:
        """Emit for the route that is well, no more at once than the room that the dead ones leave."""
        for _ in range(5):
            acked.extend(emit(daemon.socket, "main", range(len(acked) + 1, len(acked) + 21), large))
            daemon.wait_for(
                lambda status: not routes(status)["default"]["pending_rows"], what="it has shipped"
            )

    with Load(daemon.socket, names, large) as stuck:
        stuck.wait_refused("outbox_full")
        for _ in range(2):
            ship_some()
            status = daemon.wait_for(
                lambda status: all(routes(status)[name]["full"] for name in names), what="they are full"
            )
            assert status["health"]["state"] == "degraded"
            assert all(name in str(status["health"]["reasons"]) for name in names)
            assert not routes(status)["default"]["full"]
            daemon.restart(kill=True)
            stuck.wait_refused("outbox_full")
        ship_some()
        check({"main": acked}, jetstream.read())
        with NatsServer(daemon.folder / "away", port=away) as server:
            waiting = stuck.finish()
            daemon.wait_healed()
            for name in names:
                check({name: waiting[name]}, JetStream(server.url).read(f"events-{name}"))
