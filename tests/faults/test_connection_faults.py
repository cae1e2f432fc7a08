"""G6: whatever is wrong with the connection shows in status within 30 s and heals within 60 s.

These bounds are the only ones that tests assert. All other waits are bounds against hanging.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.accounts import Accounts
from support.daemon import DaemonFactory
from support.jetstream import JetStream
from support.load import Load, Shape, emit
from support.nats import NatsServer
from support.oracle import check
from support.proxy import Proxy

pytestmark = pytest.mark.faults

NatsFactory = Callable[..., NatsServer]

SLOWLY = Shape(pause=0.05)


def login(password: str) -> str:
    """Return the broker's configuration with one user."""
    return f'authorization {{ users: [ {{ user: agents, password: "{password}" }} ] }}'


def test_a_black_hole_is_noticed_and_left(
    proxy: Proxy, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """The connection stays open and nothing comes through: no error tells, only a question without answer.

    Also where nothing is to be shipped: whoever looks before the next event wants the truth as well.
    """
    busy = daemon_factory(proxy.url)
    idle = daemon_factory(proxy.url)
    idle.wait_healed()
    with Load(busy.socket, shape=SLOWLY) as load:
        load.wait_acked(50)
        proxy.black_hole()
        busy.wait_troubled()
        idle.wait_troubled()
        proxy.resume()
        acked = load.finish()
        busy.wait_healed()
        idle.wait_healed()
    check(acked, jetstream.read())


def test_a_password_is_changed_while_we_are_connected(
    nats_factory: NatsFactory, daemon_factory: DaemonFactory
) -> None:
    """The broker throws us out; the new password in its file lets us in again, without a restart."""
    server = nats_factory(config=login("first"))
    secret = server.folder / "password"
    secret.write_text("first")
    secret.chmod(0o600)
    daemon = daemon_factory(server.url, user="agents", passwordFile=str(secret))
    with Load(daemon.socket, shape=SLOWLY) as load:
        load.wait_acked(50)
        server.reload(login("second"))
        daemon.wait_troubled()
        secret.write_text("second")
        acked = load.finish()
        daemon.wait_healed()
    check(acked, JetStream(server.url, user="agents", password="second").read())


def test_a_wrong_password_at_the_start_is_put_right(
    nats_factory: NatsFactory, daemon_factory: DaemonFactory
) -> None:
    """Events are taken from the first moment; the secret shows nowhere."""
    server = nats_factory(config=login("right"))
    secret = server.folder / "password"
    secret.write_text("hunter2")
    secret.chmod(0o600)
    daemon = daemon_factory(server.url, user="agents", passwordFile=str(secret))
    acked = emit(daemon.socket, "main", range(1, 51))
    trouble = daemon.wait_troubled()
    assert "hunter2" not in str(trouble) + daemon.log_text
    secret.write_text("right")
    daemon.wait_healed()
    check({"main": acked}, JetStream(server.url, user="agents", password="right").read())


def test_credentials_expire_while_we_are_connected(
    nats_factory: NatsFactory, daemon_factory: DaemonFactory, short_tmp: Path
) -> None:
    """nats-py takes "User Authentication Expired" for the end of everything; fresh credentials heal it."""
    accounts = Accounts()
    server = nats_factory(config=accounts.server_config)
    creds = short_tmp / "agents.creds"
    accounts.write_creds(creds, valid=2)
    daemon = daemon_factory(server.url, credsFile=str(creds))
    with Load(daemon.socket, shape=SLOWLY) as load:
        load.wait_acked(50)
        daemon.wait_troubled()
        accounts.write_creds(creds)
        acked = load.finish()
        daemon.wait_healed()
    check(acked, JetStream(server.url, user_credentials=str(creds)).read())


def test_a_jetstream_that_does_not_answer_is_noticed(
    nats_server: NatsServer, daemon_factory: DaemonFactory, jetstream: JetStream
) -> None:
    """The server is there and answers pings, but requests to JetStream get lost."""
    with lost_requests(nats_server, "$JS.hub.API.>"):
        daemon = daemon_factory(nats_server.url, jsDomain="hub")
        acked = emit(daemon.socket, "main", range(1, 51))
        daemon.wait_troubled()
        nats_server.reload('mappings { "$JS.hub.API.>": "$JS.API.>" }')
    daemon.wait_healed()
    check({"main": acked}, jetstream.read())


@contextmanager
def lost_requests(server: NatsServer, subject: str) -> Iterator[None]:
    """Subscribe to a subject and never answer, so that its requests do not even fail."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10.0) as connection:
        connection.sendall(f'CONNECT {{"verbose":false}}\r\nSUB {subject} 1\r\nPING\r\n'.encode())
        answers = connection.makefile("rb")
        while answers.readline() != b"PONG\r\n":
            pass
        yield
