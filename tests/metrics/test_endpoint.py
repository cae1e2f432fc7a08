"""The HTTP endpoint of a real daemon: it answers what it has, refuses the rest, and never disturbs."""

import socket
import stat
from collections.abc import Callable

import pytest

from eventd.metrics.endpoint import MAX_CONNECTIONS
from eventd.metrics.http import MAX_HEAD
from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from metrics.scrape import Scrape
from support.daemon import Daemon
from support.load import Load, Shape
from support.nats import NatsServer
from support.waiting import wait_until

TIMEOUT = 30.0  # seconds; a bound against hanging


def reach(place: str) -> socket.socket:
    if place.startswith("/"):
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(TIMEOUT)
        found.connect(place)
        return found
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), TIMEOUT)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def ask(place: str, request: bytes) -> tuple[int, str, str]:
    """Return status, head and body of the answer."""
    with reach(place) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body.decode()


def get(place: str, path: str, host: str = "localhost") -> tuple[int, str, str]:
    return ask(place, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def place_of(daemon: Daemon) -> str:
    status = daemon.wait_for(lambda s: not s["metrics"]["listen"].endswith(":0"), what="it listens")
    return str(status["metrics"]["listen"])


@pytest.fixture
def place(daemon_factory: Callable[..., Daemon]) -> str:
    """Where a daemon without any NATS serves its metrics."""
    return place_of(daemon_factory("nats://127.0.0.1:1", metrics={"listen": "127.0.0.1:0"}))


def test_metrics_are_served(place: str) -> None:
    """In the format that Prometheus takes them for, and with the length it was told."""
    status, head, body = get(place, "/metrics?collect=all")
    assert status == 200
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert f"Content-Length: {len(body.encode())}" in head
    assert Scrape(body).of("eventd_route_enabled", route="default") == 1


def test_head_is_the_same_without_the_body(place: str) -> None:
    """As HTTP wants it."""
    status, _, body = ask(place, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (status, body) == (200, "")


def test_health_is_a_word_with_its_reasons(daemon_factory: Callable[..., Daemon]) -> None:
    """200 as long as events are taken: to start the daemon anew would not help."""
    daemon = daemon_factory("nats://127.0.0.1:1", metrics={"listen": "127.0.0.1:0"})
    place = place_of(daemon)
    daemon.wait_troubled()
    status, _, body = get(place, "/health")
    assert (status, body.splitlines()[0]) == (200, "degraded")
    assert "route default: not ready" in body


def test_health_is_503_while_events_are_refused(
    daemon_factory: Callable[..., Daemon], nats_factory: Callable[..., NatsServer]
) -> None:
    """And 200 again as soon as they are taken."""
    server = nats_factory(start=False)
    daemon = daemon_factory(server.url, metrics={"listen": "127.0.0.1:0"}, outbox={"maxBytes": "1MiB"})
    place = place_of(daemon)
    with Load(daemon.socket, shape=Shape(window=1, events=20, size=5000)) as load:
        load.wait_refused("outbox_full")
        status, _, body = get(place, "/health")
        assert (status, body.splitlines()[0]) == (503, "failing")
        assert "the outbox is full" in body
        assert Scrape(get(place, "/metrics")[2]).of("eventd_health", eventd_health="failing") == 1
        server.start()
        wait_until(lambda: get(place, "/health")[0] == 200, TIMEOUT)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_it_listens_on_the_other_loopback_address(daemon_factory: Callable[..., Daemon]) -> None:
    """And answers what a client there puts into `Host`."""
    place = place_of(daemon_factory("nats://127.0.0.1:1", metrics={"listen": "[::1]:0"}))
    assert place.startswith("[::1]:")
    assert get(place, "/metrics", host=place)[0] == 200
    assert get(place, "/metrics", host="[2001:db8::1]:9464")[0] == 421


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 505),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example:9464\r\n\r\n", 421),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD, 431),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else str(value),
)
def test_what_is_not_served_is_refused_with_its_reason(place: str, request_: bytes, status: int) -> None:
    """And the next request is answered as ever."""
    assert ask(place, request_)[0] == status
    assert get(place, "/health")[0] == 200


def test_clients_that_say_nothing_hold_it_up_for_a_while_only(place: str) -> None:
    """They are dropped, and those behind them get their turn."""
    silent = [reach(place) for _ in range(MAX_CONNECTIONS)]
    try:
        assert get(place, "/health")[0] == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_socket_is_for_its_owner_alone(daemon_factory: Callable[..., Daemon]) -> None:
    """A relative path begins at the config file; there any Host is good."""
    daemon = daemon_factory("nats://127.0.0.1:1", metrics={"listen": "metrics.sock"})
    path = daemon.folder / "metrics.sock"
    wait_until(path.exists, TIMEOUT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert get(str(path), "/metrics", host="eventd")[0] == 200
    daemon.stop()
    assert not path.exists()


def test_a_port_that_is_taken_is_told_and_tried_again(daemon_factory: Callable[..., Daemon]) -> None:
    """Events are taken meanwhile, and health says what is missing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = daemon_factory("nats://127.0.0.1:1", metrics={"listen": f"127.0.0.1:{port}"})
        status = daemon.wait_for(lambda status: status["metrics"]["problem"], what="it is told")
        problem = f"cannot serve metrics on 127.0.0.1:{port}: Address already in use"
        assert problem in status["health"]["reasons"]
        with connect("main", socket=daemon.socket) as client:
            client.emit(Event(type="note"))
    daemon.wait_for(lambda status: not status["metrics"]["problem"], what="it is served")
    assert get(f"127.0.0.1:{port}", "/metrics")[0] == 200
