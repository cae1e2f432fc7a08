"""The configuration changes under load: nothing is lost or stored twice, no client loses its connection."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import connect
from eventd_ipc.errors import EventdClientError
from eventd_ipc.events import Event
from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape, emit
from support.nats import NatsServer, free_port
from support.oracle import check, check_spread
from support.waiting import wait_until

pytestmark = pytest.mark.faults

NatsFactory = Callable[..., NatsServer]

AGENTS = ("main", "tim")
FULL = os.environ.get("EVENTD_FAULTS") == "full"
EDITS = 1000 if FULL else 200
SOME = 200  # events that are acknowledged between two steps of a test


@contextmanager
def load_on(daemon: Daemon, agents: tuple[str, ...] = AGENTS, shape: Shape | None = None) -> Iterator[Load]:
    """Let agents emit; at the end each of them must still have its first connection."""
    with Load(daemon.socket, agents, shape) as load:
        load.wait_acked(SOME)
        yield load
        assert [agent.connections for agent in load.agents] == [1] * len(agents), daemon.complaint()


def changed(daemon: Daemon, **settings: Any) -> list[str]:
    """Change settings, and return what the log says has changed, whoever has said so first."""
    before = len(reloads(daemon))
    assert daemon.reconfigure(**settings)["error"] is None
    return [text for texts in reloads(daemon)[before:] for text in texts]


def reloads(daemon: Daemon) -> list[list[str]]:
    """Return what each configuration that took effect has changed."""
    lines = [json.loads(line) for line in daemon.log_text.splitlines() if '"config_reloaded"' in line]
    return [line["message"].partition(" is in force: ")[2].split("; ") for line in lines]


def stored_in(jetstream: JetStream, stream: str) -> int:
    """Return how many messages a stream has taken; 0 where there is none of the name."""
    return jetstream.last_seq(stream) if stream in jetstream.names() else 0


def wait_stored(jetstream: JetStream, stream: str, count: int) -> None:
    """Wait until a stream has taken so many messages."""
    wait_until(lambda: stored_in(jetstream, stream) >= count, what=f"{count} messages in {stream}")


# Routes.


def test_an_agent_gets_an_entry_of_its_own_and_loses_it_again(daemon: Daemon, jetstream: JetStream) -> None:
    """What was accepted by then goes to the stream of that time; what comes later to the new one."""
    with load_on(daemon) as load:
        for _ in range(3):
            before = stored_in(jetstream, "events-tim")
            added = changed(daemon, agents={"tim": {"streamName": "events-tim"}})
            assert added == ["agents.tim: added"]
            load.wait_acked(SOME)
            wait_stored(jetstream, "events-tim", before + 1)
            assert changed(daemon, agents=None) == ["agents.tim: removed"]
            load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_healed()
    check_spread(acked, jetstream.read(), jetstream.read("events-tim"))
    assert {message.agent for message in jetstream.read("events-tim")} == {"tim"}


@pytest.mark.parametrize(
    "changes",
    [
        [{"agents": {"tim": {"context": {"budget": 100}}}}, {"agents": None}],
        [{"subjectPrefix": "acme.one"}, {"subjectPrefix": "acme.two"}, {"subjectPrefix": "openclaw.events"}],
        [{"agents": {"tim": {"subjectPrefix": "openclaw.events.of.tim"}}}, {"agents": None}],
    ],
    ids=["an entry", "prefix", "prefix of an agent"],
)
def test_another_route_into_the_same_stream_keeps_the_order(
    nats_server: NatsServer,
    jetstream: JetStream,
    daemon_factory: DaemonFactory,
    changes: list[dict[str, Any]],
) -> None:
    """G3 holds across the change: the newer route waits until the older one has shipped what is older."""
    jetstream.make("openclaw-events", "openclaw.events.>", "acme.>", allow_atomic=True)
    daemon = daemon_factory(nats_server.url)
    with load_on(daemon, shape=Shape(pause=0.0)) as load:
        for settings in 3 * changes:
            assert changed(daemon, **settings)
            load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_the_order_is_kept_over_a_kill_between_two_routes(
    nats_server: NatsServer, jetstream: JetStream, daemon_factory: DaemonFactory
) -> None:
    """Both have a backlog for the stream when the daemon starts again."""
    daemon = daemon_factory(nats_server.url)
    daemon.wait_healed()
    emitted = emit(daemon.socket, "tim", range(1, 11))
    daemon.wait_healed()
    nats_server.kill()
    entry: dict[str, Any] = {"tim": {"context": {"budget": 100}}}
    for step in (1, 2, 3):
        emitted += emit(daemon.socket, "tim", range(10 * step + 1, 10 * step + 11))
        daemon.reconfigure(agents=None if step == 2 else entry)
    emitted += emit(daemon.socket, "tim", range(41, 51))
    daemon.restart(kill=True)
    nats_server.start()
    daemon.wait_healed()
    check({"tim": emitted}, jetstream.read())


@pytest.mark.parametrize("stopped", [False, True], ids=["while it runs", "while it is stopped"])
def test_several_changes_with_a_backlog_from_before_each(
    nats_server: NatsServer, jetstream: JetStream, daemon_factory: DaemonFactory, stopped: bool
) -> None:
    """Whatever an agent has in any route goes first, in the order in which it was accepted."""
    jetstream.make("openclaw-events", "openclaw.events.>", "acme.>", allow_atomic=True)
    daemon = daemon_factory(nats_server.url, shutdownTimeout="100ms")
    daemon.wait_healed()
    nats_server.kill()
    entry: dict[str, Any] = {"tim": {"context": {"budget": 100}}}
    emitted: list[str] = []
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, 8),
        ({"subjectPrefix": "acme"}, 0),
        ({"agents": entry}, 1),
        ({"agents": None}, 8),
        ({"agents": entry}, 1),
    ]
    for settings, emits in steps:
        if stopped:
            daemon.stop()
            daemon.settings = {k: v for k, v in (daemon.settings | settings).items() if v is not None}
            daemon.start()
        else:
            daemon.reconfigure(**settings)
        for _ in range(emits):
            emitted += emit(daemon.socket, "tim", range(len(emitted) + 1, len(emitted) + 101))
    nats_server.start()
    daemon.wait_healed()
    check({"tim": emitted}, jetstream.read())


def test_many_agents_come_and_go_at_once(nats_server: NatsServer, daemon_factory: DaemonFactory) -> None:
    """Their streams are made, and their subjects handed over, one after the other; who stays goes on."""
    names = [f"a{number}" for number in range(20)]
    daemon = daemon_factory(nats_server.url, outbox={"retain": "1s"})
    with load_on(daemon, (*names[:6], "main"), Shape(pause=0.05)) as load:
        for _ in range(2):
            daemon.reconfigure(agents={name: {"streamName": f"events-{name}"} for name in names})
            load.wait_acked(SOME)
            daemon.reconfigure(agents=None)
            load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_shipped()
    jetstream = JetStream(nats_server.url)
    check_spread(acked, *map(jetstream.read, jetstream.names()))
    assert "order_given_up" not in daemon.log_text
    daemon.wait_for(lambda status: len(status["routes"]) == 1, what="the old routes have ended")


@pytest.mark.parametrize("seed", range(20) if FULL else [7])
def test_the_daemon_is_killed_while_its_configuration_changes(
    nats_server: NatsServer, daemon: Daemon, jetstream: JetStream, seed: int
) -> None:
    """Before, during and after: what was taken over is found again in the rows."""
    chance = random.Random(seed)
    with Load(daemon.socket, AGENTS) as load:
        for _ in range(40 if FULL else 8):
            load.wait_acked(150)
            daemon.settings["agents"] = {
                name: {"streamName": f"events-{name}"} if chance.random() < 0.5 else {"burst": 9}
                for name in AGENTS
                if chance.random() < 0.7
            }
            daemon.settings["maxEventsPerSecond"] = 1_000_000
            daemon.write_config()
            load.wait_acked(chance.randint(0, 60))
            if chance.random() < 0.4:
                nats_server.kill()
                nats_server.start()
            daemon.kill()
            daemon.start(write_config=False)
        acked = load.finish()
    daemon.wait_shipped()
    check_spread(acked, *map(jetstream.read, jetstream.names()))


def test_events_go_to_another_server(
    nats_server: NatsServer, nats_factory: NatsFactory, daemon: Daemon, jetstream: JetStream
) -> None:
    """Each event is on one of the two, even those that were being sent at that moment."""
    other = nats_factory()
    with load_on(daemon, shape=Shape(pause=0.0)) as load:
        for url in (other.url, nats_server.url, other.url):
            (text,) = changed(daemon, url=url)
            assert text.startswith("url: ")
            load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_healed()
    check_spread(acked, jetstream.read(), JetStream(other.url).read())


def test_events_go_to_the_embedded_server_and_back(daemon: Daemon, jetstream: JetStream) -> None:
    """It is started and ended as it is needed."""
    url = daemon.settings["url"]
    with load_on(daemon) as load:
        daemon.reconfigure(url="embedded")
        load.wait_acked(SOME)
        stored = embedded_streams(daemon).read()
        pid = daemon.status()["embedded"]["pid"]
        daemon.reconfigure(url=url)
        load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_healed()
    assert daemon.status()["embedded"] is None
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), what="it has ended")
    assert stored
    in_one = jetstream.read()
    there = {(m.agent, m.id) for m in in_one}
    daemon.reconfigure(url="embedded")
    daemon.wait_healed()
    rest = embedded_streams(daemon).read()
    assert not there & {(m.agent, m.id) for m in rest}
    check_spread(acked, in_one, rest)


def embedded_streams(daemon: Daemon) -> JetStream:
    """Return the streams of its own server, once something is in them."""
    daemon.wait_for(lambda status: status["embedded"]["state"] == "ready", what="its server is ready")
    streams = daemon.embedded_streams()
    wait_until(lambda: streams.names() and streams.last_seq(), what="something is stored")
    return streams


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def password_of(password: str) -> str:
    return f'authorization {{ users: [ {{ user: agent, password: "{password}" }} ] }}'


@pytest.mark.parametrize("where", ["in the file", "in a file of its own"])
def test_a_password_is_rotated(
    nats_factory: NatsFactory, daemon_factory: DaemonFactory, short_tmp: Path, where: str
) -> None:
    """The server gets the new one first, the configuration follows, by the file alone: nobody says so."""
    server = nats_factory(config=password_of("one"))
    secret = short_tmp / "password"
    secret.write_text("one")
    secret.chmod(0o600)
    key, value = ("password", "one") if where == "in the file" else ("passwordFile", str(secret))
    daemon = daemon_factory(server.url, user="agent", **{key: value})
    with load_on(daemon) as load:
        server.reload(password_of("two"))
        daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it is not let in")
        load.wait_acked(SOME)
        if where == "in the file":
            daemon.settings["password"] = "two"
            daemon.write_config()
        else:
            secret.write_text("two")
        daemon.wait_for(lambda status: status["reload"]["generation"] == 2, what="it is taken over")
        daemon.wait_healed()
        acked = load.finish()
    daemon.wait_healed()
    check(acked, JetStream(server.url, user="agent", password="two").read())
    assert not any(password in daemon.log_text for password in ('"one"', '"two"', "=two", "=one"))


def test_a_route_that_is_gone_ships_what_it_has_left(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """It is seen in status, over the server of today; when nothing is left, not even to repair, it ends."""
    away = f"nats://127.0.0.1:{free_port()}"
    daemon = daemon_factory(
        nats_server.url,
        agents={"tim": {"url": away, "streamName": "events-tim"}},
        outbox={"retain": "2s"},
    )
    acked = {"tim": emit(daemon.socket, "tim", range(1, 11))}
    daemon.reconfigure(agents=None)
    acked["tim"] += emit(daemon.socket, "tim", range(11, 21))
    left = daemon.route("tim")
    assert (left["configured"], left["stream"]) == (False, "events-tim")
    daemon.wait_healed()
    check_spread(acked, jetstream.read(), jetstream.read("events-tim"))
    assert len(jetstream.read("events-tim")) == 10
    daemon.wait_for(lambda status: [r["name"] for r in status["routes"]] == ["default"], what="it has ended")


def test_a_backlog_that_cannot_go_is_rerouted(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """It goes to where the agents' events go now, each once, in order, and can be read once."""
    jetstream.make("events-tim", "no.way.>", max_bytes=100, discard="new")
    old = {"streamName": "events-tim", "subjectPrefix": "no.way"}
    daemon = daemon_factory(nats_server.url, agents={"tim": old})
    emitted = emit(daemon.socket, "tim", range(1, 601))
    emitted += emit(daemon.socket, "tim", range(601, 1201))
    daemon.wait_for(lambda status: daemon.route("tim")["pending_rows"] == 1200, what="they wait")
    daemon.reconfigure(agents=None)
    with connect("test", socket=daemon.socket) as client:
        assert client.reroute("tim")["count"] == 1200
        with pytest.raises(EventdClientError, match="left"):
            client.reroute("main")
    daemon.wait_shipped()
    check({"tim": emitted}, jetstream.read())
    daemon.restart(kill=True)
    daemon.wait_shipped()
    with connect("tim", socket=daemon.socket) as client:
        assert len(list(client.query(limit=5000))) == 1200
    assert "damaged" not in daemon.log_text


# Everything else.


def test_intake_ends_and_begins(daemon: Daemon, jetstream: JetStream) -> None:
    """`enabled: false` refuses new events; what was accepted is shipped."""
    emitted = emit(daemon.socket, "main", range(1, 11))
    with connect("main", socket=daemon.socket) as client:
        assert changed(daemon, enabled=False) == ["enabled: true → false"]
        with pytest.raises(EventdClientError) as refused:
            client.emit([Event(type="custom.x")])
        assert getattr(refused.value, "code", "") == "disabled"
        daemon.wait_shipped()
        daemon.reconfigure(enabled=True)
        emitted += client.emit([Event(type="custom.x")])
    daemon.wait_shipped()
    check({"main": emitted}, jetstream.read())


def test_limits_change_for_who_is_connected(daemon: Daemon) -> None:
    with connect("main", socket=daemon.socket) as client:
        daemon.reconfigure(maxEventsPerSecond=0.01, burst=2)
        client.emit([Event(type="custom.x")] * 2)
        with pytest.raises(EventdClientError) as refused:
            client.emit([Event(type="custom.x")])
        assert getattr(refused.value, "code", "") == "slow_down"
        daemon.reconfigure(context={"budget": 1234})
        with pytest.raises(EventdClientError):  # what was sent lately still counts
            client.emit([Event(type="custom.x")])
        assert client.context()["budget"] == 1234
        daemon.reconfigure(maxEventsPerSecond=None, burst=None, socket={"maxEvents": 3})
        with pytest.raises(EventdClientError) as too_many:
            client.emit([Event(type="custom.x")] * 4)
        assert getattr(too_many.value, "code", "") == "bad_request"
        client.emit([Event(type="custom.x")])


def test_the_outbox_gets_room(nats_server: NatsServer, daemon: Daemon, jetstream: JetStream) -> None:
    """A bound that was too small is raised while NATS is away."""
    nats_server.kill()
    daemon.reconfigure(outbox={"maxBytes": "1MiB"})
    with Load(daemon.socket, ["main"], Shape(window=1, size=1000, pause=0.0)) as load:
        load.wait_refused("outbox_full")
        assert changed(daemon, outbox={"maxBytes": "100MiB"}) == ["outbox.maxBytes: 1MiB → 100MiB"]
        load.wait_acked(SOME)
        acked = load.finish()
    nats_server.start()
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_a_stream_gets_other_settings(daemon: Daemon, jetstream: JetStream) -> None:
    """Those of a stream that eventd has made are kept as configured."""
    with load_on(daemon) as load:
        daemon.reconfigure(stream={"maxAge": "1h", "duplicateWindow": "30s"})
        wait_until(
            lambda: jetstream.info()["config"]["max_age"] == 3600 * 10**9, what="the stream is adapted"
        )
        acked = load.finish()
    daemon.wait_healed()
    check(acked, jetstream.read())


def test_rules_change_for_who_is_connected(daemon: Daemon) -> None:
    """Who may still be here stays, with the rights of now; who may not is told so and dismissed."""
    with (
        connect("ann", socket=daemon.socket, token="ann-s3cret") as ann,
        connect("bob", socket=daemon.socket, token="") as bob,
    ):
        assert bob.status()
        daemon.reconfigure(agents={"ann": {"token": "ann-s3cret"}, "bob": {"token": "bob-s3cret"}})
        assert len(ann.emit([Event(type="custom.x")])) == 1
        with pytest.raises(EventdClientError):
            ann.status()
        with pytest.raises(EventdClientError):
            bob.emit([Event(type="custom.x")])
        daemon.reconfigure(
            agents={"ann": {"token": "ann-s3cret", "canWriteAs": ["bob"]}, "bob": {"token": "b"}}
        )
        assert len(ann.emit([Event(type="custom.x", agent="bob")])) == 1
        daemon.reconfigure(agents={"ann": {"token": "another-s3cret"}})
        with pytest.raises(EventdClientError):
            ann.emit([Event(type="custom.x")])
    assert "s3cret" not in daemon.log_text


def test_metrics_move_to_another_place(daemon: Daemon) -> None:
    socket = daemon.folder / "metrics.sock"
    daemon.reconfigure(metrics={"listen": str(socket)})
    wait_until(socket.exists, what="it listens there")
    daemon.reconfigure(metrics={"listen": "127.0.0.1:0"})
    daemon.wait_for(lambda status: status["metrics"]["listen"].rpartition(":")[2] != "0", what="it listens")
    wait_until(lambda: not socket.exists(), what="it does not listen there any more")
    daemon.reconfigure(metrics=None)
    assert daemon.status()["metrics"] is None


def test_the_log_says_less_and_more(daemon: Daemon) -> None:
    def opened() -> int:
        return daemon.log_text.count('"action": "connection_opened"')

    daemon.reconfigure(log={"format": "json", "level": "warning"})
    before = opened()
    emit(daemon.socket, "main", [1])
    daemon.reconfigure(log={"format": "json", "level": "info"})
    assert opened() == before
    emit(daemon.socket, "main", [2])
    wait_until(lambda: opened() > before, what="connections are told again")


def test_what_needs_a_restart_is_named(daemon: Daemon, short_tmp: Path) -> None:
    """It is said at the change, shown until the restart, and the rest takes effect."""
    elsewhere = short_tmp / "elsewhere"
    before = len(reloads(daemon))
    outcome = daemon.reconfigure(
        dataDir=str(elsewhere), embedded={"storeDir": str(elsewhere)}, outbox={"maxBytes": "5MiB"}
    )
    assert reloads(daemon)[before:] == [["outbox.maxBytes: 1GiB → 5MiB"]]
    assert [change["key"] for change in outcome["needs_restart"]] == ["embedded.storeDir", "dataDir"]
    assert len(daemon.status()["reload"]["needs_restart"]) == 2
    assert not elsewhere.exists()
    assert "config_needs_restart" in daemon.log_text
    daemon.reconfigure(dataDir=None, embedded=None)
    assert daemon.status()["reload"]["needs_restart"] == []


# The file.


def taken_over(daemon: Daemon, budget: int) -> None:
    """Wait until the context has this budget."""
    with connect("main", socket=daemon.socket) as client:
        wait_until(lambda: client.context()["budget"] == budget, what=f"the budget is {budget}")


@pytest.mark.parametrize("way", ["written", "replaced", "moved away first", "by an unseen second step"])
def test_however_an_editor_writes_the_file(daemon: Daemon, way: str) -> None:
    """Without being asked; a bad state in between changes nothing."""
    new = daemon.config.read_text().replace('"url"', '"context": {"budget": 4321}, "url"')
    match way:
        case "written":
            daemon.config.write_text(new)
        case "replaced":
            other = daemon.folder / "other"
            other.write_text(new)
            other.replace(daemon.config)
        case "moved away first":
            daemon.config.rename(daemon.folder / "config.yml~")
            daemon.config.write_text(new)
        case _:
            daemon.config.write_text(new[: len(new) // 2])
            daemon.config.write_text(new)
    taken_over(daemon, 4321)
    assert daemon.status()["reload"]["error"] is None


def test_a_link_is_swapped(daemon_factory: DaemonFactory, nats_server: NatsServer) -> None:
    """As Kubernetes does it: the file is a link through a link to a folder, and that one is replaced."""
    daemon = daemon_factory(nats_server.url, start=False)
    daemon.folder.mkdir(parents=True)
    for name, budget in (("v1", 1111), ("v2", 2222)):
        folder = daemon.folder / name
        folder.mkdir()
        daemon.settings["context"] = {"budget": budget}
        daemon.write_config()
        daemon.config.rename(folder / "config.yml")
    (daemon.folder / "..data").symlink_to("v1")
    daemon.config.symlink_to("..data/config.yml")
    daemon.start(write_config=False)
    taken_over(daemon, 1111)
    (daemon.folder / "..new").symlink_to("v2")
    (daemon.folder / "..new").replace(daemon.folder / "..data")
    taken_over(daemon, 2222)


def test_a_bad_file_changes_nothing(daemon: Daemon) -> None:
    """It is told with its line, in log and status, until it is right again."""
    good = daemon.config.read_text()
    daemon.config.write_text("gateway:\n  eventStore:\n    context:\n      budgett: 5\n    enabled: false\n")
    status = daemon.wait_for(lambda status: status["reload"]["error"], what="it is told")
    assert f"{daemon.config}:4: gateway.eventStore.context.budgett: unknown key" in status["reload"]["error"]
    assert status["health"]["state"] == "degraded"
    assert status["reload"]["generation"] == 1
    assert len(emit(daemon.socket, "main", [1])) == 1
    assert "config_rejected" in daemon.log_text
    daemon.config.write_text(good)
    daemon.wait_for(lambda status: status["reload"]["error"] is None, what="it is right again")
    assert daemon.status()["reload"]["generation"] == 1


@pytest.mark.parametrize("text", ["", "# being written\n"])
def test_a_file_that_is_being_written_opens_nothing(daemon: Daemon, text: str) -> None:
    """Rules and routes of before hold as long as there is nothing of ours in it."""
    daemon.reconfigure(agents={"ann": {"token": "ann-s3cret"}})
    daemon.config.write_text(text)
    status = daemon.wait_for(lambda status: status["reload"]["error"], what="it is told")
    assert "has no gateway.eventStore any more" in status["reload"]["error"]
    with pytest.raises(EventdClientError), connect("ann", socket=daemon.socket, token=""):
        pytest.fail("it was let in")
    daemon.write_config()
    daemon.wait_for(lambda status: status["reload"]["error"] is None, what="it is right again")


@pytest.mark.parametrize("change", ["bad", "empty", "another folder"])
def test_whoever_looks_after_it_is_let_in_to_see_what_is_wrong(daemon: Daemon, change: str) -> None:
    """The administrator's token lies where the daemon has its data, whatever the file says now."""
    daemon.reconfigure(agents={"ann": {"token": "ann-s3cret"}})
    text = daemon.config.read_text()
    texts = {"bad": f"{text}\n]", "empty": "", "another folder": text.replace("/data", "/other")}
    daemon.config.write_text(texts[change])
    daemon.wait_for(lambda s: s["reload"]["error"] or s["reload"]["needs_restart"], what="it is told")
    environ = os.environ | {
        "XDG_DATA_HOME": "/nowhere",
        "HOME": "/nowhere",
        "STATE_DIRECTORY": str(daemon.data),
    }
    if change == "bad":
        del environ["STATE_DIRECTORY"]  # the folder is read from the file
    options = ["--config", str(daemon.config), "--socket", str(daemon.socket)]
    command = [sys.executable, "-m", "eventd", *options, "reload"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    shown = {
        "bad": "this is no YAML",
        "empty": "has no gateway.eventStore",
        "another folder": "needs a restart",
    }
    assert shown[change] in done.stdout + done.stderr


def test_a_file_that_vanishes(daemon: Daemon) -> None:
    """For a moment it is waited for; later that is told, and nothing changes."""
    good = daemon.config.read_text()
    daemon.config.unlink()
    status = daemon.wait_for(lambda status: status["reload"]["error"], what="it is told")
    assert "there is no config file" in status["reload"]["error"]
    daemon.config.write_text(good.replace('"url"', '"context": {"budget": 4321}, "url"'))
    taken_over(daemon, 4321)


def test_a_signal_reloads(daemon: Daemon) -> None:
    daemon.send(signal.SIGHUP)
    wait_until(lambda: "config_unchanged" in daemon.log_text, what="it says that nothing has changed")
    assert len(emit(daemon.socket, "main", [1])) == 1


# At random.


class Edits:
    """Makes configurations, good and bad ones, with two servers to go to."""

    def __init__(self, seed: int, *servers: NatsServer) -> None:
        self._random = random.Random(seed)
        self._urls = [server.url for server in servers]
        self.streams: set[str] = {"openclaw-events"}

    def next(self) -> tuple[dict[str, Any], bool]:
        """Return settings and whether they can be used."""
        chance = self._random
        settings: dict[str, Any] = {
            "url": chance.choice(self._urls) if chance.random() < 0.15 else self._urls[0],
            "outbox": {
                "maxBytes": chance.choice(["100MiB", "200MiB"]),
                "retain": chance.choice(["1s", "5m"]),
            },
            "log": {"format": "json", "level": chance.choice(["info", "warning"])},
            "context": {"budget": chance.randint(100, 9000)},
            "stream": {"maxAge": chance.choice(["30d", "90d"])},
            "index": {"maxBytes": chance.choice(["1GiB", "2GiB"])},
        }
        agents = {}
        for name in (*AGENTS, "eve"):
            entry: dict[str, Any] = {}
            if chance.random() < 0.5:
                entry["streamName"] = f"events-{name}"
                self.streams.add(entry["streamName"])
            if chance.random() < 0.3:
                entry["context"] = {"budget": chance.randint(100, 9000)}
            if chance.random() < 0.2:
                entry["canRead"] = [chance.choice(AGENTS)]
            if entry:
                agents[name] = entry
        settings["agents"] = agents
        is_good = chance.random() < 0.7
        if not is_good:
            settings |= chance.choice(
                [
                    {"outbox": {"maxBytes": "much"}},
                    {"unknown": 1},
                    {"streamName": "no stream"},
                    {"passwordFile": "/nowhere", "user": "x"},
                    {"agents": {"tim": {"url": "http://x"}}},
                    {"agents": ["tim"]},
                ]
            )
        return settings, is_good


@pytest.mark.parametrize("seed", range(5) if FULL else [1])
def test_two_hundred_edits_in_a_row(
    nats_server: NatsServer, nats_factory: NatsFactory, daemon: Daemon, seed: int
) -> None:
    """Each is taken over or refused as a whole; at the end each event is in one stream, once, in order."""
    other = nats_factory()
    edits = Edits(seed, nats_server, other)
    base = dict(daemon.settings)
    generation = 1
    with load_on(daemon) as load:
        for _ in range(EDITS):
            settings, is_good = edits.next()
            daemon.settings = base | settings
            daemon.write_config()
            outcome = daemon.reload()
            assert (outcome["error"] is None) == is_good, (settings, outcome)
            assert outcome["generation"] >= generation
            generation = outcome["generation"]
        daemon.settings = base
        daemon.write_config()
        assert daemon.reload()["error"] is None
        load.wait_acked(SOME)
        acked = load.finish()
    daemon.wait_shipped(EDITS * 1.0)
    streams = []
    for server in (nats_server, other):
        jetstream = JetStream(server.url)
        there = set(jetstream.names())
        streams += [jetstream.read(name) for name in sorted(edits.streams & there)]
    check_spread(acked, *streams)
    assert generation > EDITS // 2
