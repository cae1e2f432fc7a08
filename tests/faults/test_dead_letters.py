"""Events that the server will not take as they are: set aside, listed, tried again, or dropped."""

from collections.abc import Callable

import pytest

from eventd_ipc.blocking import connect
from support.daemon import Daemon, DaemonFactory
from support.jetstream import JetStream
from support.load import Shape, emit
from support.nats import NatsServer
from support.oracle import check

pytestmark = pytest.mark.faults

LARGE = Shape(size=100_000)
SMALL_SERVER = 64 * 1024  # bytes


@pytest.fixture
def server(nats_factory: Callable[..., NatsServer]) -> NatsServer:
    """A broker that takes large events, for now."""
    return nats_factory()


@pytest.fixture
def buried(server: NatsServer, daemon_factory: DaemonFactory) -> Daemon:
    """A daemon that accepted two large events between small ones, before the server took less."""
    daemon = daemon_factory(server.url)
    daemon.wait_healed()
    server.kill()
    server.max_payload = SMALL_SERVER
    emit(daemon.socket, "main", [1, 2])
    emit(daemon.socket, "main", [3], LARGE)
    emit(daemon.socket, "main", [4])
    emit(daemon.socket, "main", [5], LARGE)
    emit(daemon.socket, "main", [6])
    server.start()
    daemon.wait_shipped()
    return daemon


def ids(*numbers: int) -> list[str]:
    return [f"main-{number:06d}" for number in numbers]


def test_what_is_too_large_does_not_hold_up_the_rest(buried: Daemon, server: NatsServer) -> None:
    """The others go on in order; status points at the dead ones, and the list says what and why."""
    check({"main": ids(1, 2, 4, 6)}, JetStream(server.url).read())
    assert "2 dead letters" in str(buried.status()["health"]["reasons"])
    with connect("test", socket=buried.socket) as client:
        letters = client.dead_letters()["letters"]
    assert [letter["id"] for letter in letters] == [f"main:{i}" for i in ids(3, 5)]
    assert all("takes messages up to" in letter["reason"] for letter in letters)


def test_they_enter_at_the_tail_when_they_are_tried_again(buried: Daemon, server: NatsServer) -> None:
    """After the operator raised the limit; over a kill, each is there once."""
    server.stop()
    server.max_payload = 1024 * 1024
    server.start()
    buried.wait_for(lambda status: status["routes"][0]["connected"], what="it is connected again")
    with connect("test", socket=buried.socket) as client:
        assert client.dead_letters("retry", all_of_them=True)["count"] == 2
    buried.restart(kill=True)
    buried.wait_healed()
    check({"main": ids(1, 2, 4, 6, 3, 5)}, JetStream(server.url).read())


def test_they_die_again_where_nothing_has_changed(buried: Daemon) -> None:
    """And are listed as before."""
    with connect("test", socket=buried.socket) as client:
        client.dead_letters("retry", all_of_them=True)
        buried.wait_shipped()
        letters = client.dead_letters()["letters"]
    assert [letter["id"] for letter in letters] == [f"main:{i}" for i in ids(3, 5)]


def test_dropping_one_leaves_the_other(buried: Daemon, server: NatsServer) -> None:
    """Dropped is gone for good, after a restart too."""
    with connect("test", socket=buried.socket) as client:
        first = client.dead_letters()["letters"][0]["number"]
        assert client.dead_letters("drop", [first])["count"] == 1
    buried.restart(kill=True)
    with connect("test", socket=buried.socket) as client:
        assert [letter["id"] for letter in client.dead_letters()["letters"]] == ["main:main-000005"]
        client.dead_letters("drop", all_of_them=True)
    buried.wait_healed()
    check({"main": ids(1, 2, 4, 6)}, JetStream(server.url).read())


def test_too_large_is_refused_at_once_where_the_limit_is_known(buried: Daemon) -> None:
    """Only what was accepted before can die."""
    from eventd_ipc.errors import Refused

    with pytest.raises(Refused) as caught:
        emit(buried.socket, "main", [7], LARGE)
    assert caught.value.code == "too_large"
