"""Two routes: the document's "Full Options", whose subjects overlap, in one account or in two."""

from collections.abc import Callable

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import Load, emit
from support.nats import NatsServer
from support.oracle import check

pytestmark = pytest.mark.faults


def account(agent_password: str) -> str:
    """Return the broker's configuration: two users of one account."""
    return f"""
    accounts {{ AGENTS: {{ jetstream: enabled, users: [
        {{ user: user, password: pass }}, {{ user: agent, password: "{agent_password}" }} ] }} }}
    """


TWO_ACCOUNTS = """
    accounts {
        MAIN: { jetstream: enabled, users: [ { user: user, password: pass } ] }
        AGENT: { jetstream: enabled, users: [ { user: agent, password: pass } ] }
    }
"""


@pytest.fixture
def server(request: pytest.FixtureRequest, nats_factory: Callable[..., NatsServer]) -> NatsServer:
    """A broker that takes the document's credentials, by default in one account."""
    return nats_factory(config=getattr(request, "param", account("pass")))


@pytest.fixture
def streams(server: NatsServer) -> JetStream:
    """The view of the default route's user."""
    return JetStream(server.url, user="user", password="pass")


@pytest.fixture
def agents_streams(server: NatsServer) -> JetStream:
    """The view of the agent's user."""
    return JetStream(server.url, user="agent", password="pass")


@pytest.fixture
def full_options(server: NatsServer, daemon_factory: DaemonFactory) -> Daemon:
    """A daemon with the configuration of the document."""
    where = f"127.0.0.1:{server.port}"
    agent = {
        "url": f"nats://agent:pass@{where}",
        "streamName": "events-my-agent",
        "subjectPrefix": "openclaw.events.my-agent",
    }
    return daemon_factory(f"nats://user:pass@{where}", agents={"my-agent": agent})


@pytest.mark.parametrize(
    "server", [account("pass"), TWO_ACCOUNTS], ids=["one account", "two accounts"], indirect=True
)
def test_each_event_is_in_exactly_one_stream(
    full_options: Daemon, streams: JetStream, agents_streams: JetStream
) -> None:
    """JetStream refuses overlapping streams in one account, so the default one lists its agents and grows.

    In two accounts it would take them, and neither sees what is published in the other.
    """
    with Load(full_options.socket, ["main", "my-agent", "tim"], limit=200) as load:
        acked = load.finish()
    full_options.wait_healed()
    check({"my-agent": acked["my-agent"]}, agents_streams.read("events-my-agent"))
    check({agent: acked[agent] for agent in ("main", "tim")}, streams.read())


def test_broken_credentials_of_one_route_do_not_hold_up_the_other(
    full_options: Daemon, server: NatsServer, streams: JetStream
) -> None:
    """The agent's events wait, everybody else's are stored."""
    with Load(full_options.socket, ["main", "my-agent"]) as load:
        load.wait_acked(200)
        server.reload(account("other"))
        trouble = full_options.wait_troubled()
        assert all("my-agent" in reason for reason in trouble["health"]["reasons"])
        acked = emit(full_options.socket, "tim", range(1, 21))
        full_options.wait_for(
            lambda status: all(not r["pending_rows"] or r["name"] == "my-agent" for r in status["routes"]),
            what="the default route has shipped",
        )
        check({"tim": acked}, [message for message in streams.read() if message.agent == "tim"])
        server.reload(account("pass"))
        everything = load.finish()
    full_options.wait_healed()
    check({"my-agent": everything["my-agent"]}, streams.read("events-my-agent"))
    check({"main": everything["main"], "tim": acked}, streams.read())


def test_two_servers_of_which_one_is_away(
    nats_factory: Callable[..., NatsServer], daemon_factory: DaemonFactory
) -> None:
    """A route with a server of its own stalls alone."""
    here, there = nats_factory(), nats_factory()
    own = {"url": there.url, "streamName": "events-far"}
    daemon = daemon_factory(here.url, agents={"far": own})
    with Load(daemon.socket, ["near", "far"]) as load:
        load.wait_acked(200)
        there.kill()
        load.wait_acked(200)
        daemon.wait_for(lambda status: status["routes"][1]["pending_rows"], what="the far route waits")
        there.start()
        acked = load.finish()
    daemon.wait_healed()
    check({"near": acked["near"]}, JetStream(here.url).read())
    check({"far": acked["far"]}, JetStream(there.url).read("events-far"))
