"""The test support itself, against a real nats-server."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import nats
import pytest

from support.nats import NatsServer
from support.processes import alive
from support.proxy import Proxy
from support.waiting import wait_until, wait_until_async


def ask(port: int, timeout: float = 5.0) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    assert connection.recv(4096).startswith(b"INFO ")
    connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
    return connection


def test_wait_until_says_what_it_waited_for() -> None:
    """A failure names the condition and the value last seen."""
    with pytest.raises(AssertionError, match=r"the moon.*last value: 0"):
        wait_until(lambda: 0, 0.02, what="the moon")


@pytest.mark.anyio
async def test_wait_until_async_lets_the_loop_run() -> None:
    """What another task does is seen."""
    seen: list[int] = []

    async def later() -> None:
        seen.append(1)

    async with anyio.create_task_group() as group:
        group.start_soon(later)
        assert await wait_until_async(lambda: seen) == [1]


def test_server_keeps_port_and_store_over_restarts(nats_server: NatsServer) -> None:
    """Stop, kill and start again: same port, same store, another process."""
    port, pid = nats_server.port, nats_server.pid
    assert nats_server.info()["jetstream"] is True
    nats_server.restart()
    assert nats_server.port == port
    assert nats_server.pid != pid
    nats_server.restart(kill=True)
    assert nats_server.info()["port"] == port


@pytest.mark.anyio
async def test_store_can_be_rolled_back(nats_server: NatsServer, short_tmp: Path) -> None:
    """An older copy of the store comes back without the later message."""

    async def publish_and_count(words: list[bytes]) -> int:
        client = await nats.connect(nats_server.url)
        try:
            js = client.jetstream()
            await js.add_stream(name="s", subjects=["s.>"])
            for word in words:
                await js.publish("s.x", word)
            return (await js.stream_info("s")).state.messages
        finally:
            await client.close()

    assert await publish_and_count([b"1"]) == 1
    nats_server.stop()
    old = nats_server.copy_store(short_tmp / "old")
    nats_server.start()
    assert await publish_and_count([b"2"]) == 2
    nats_server.kill()
    nats_server.restore_store(old)
    nats_server.start()
    assert await publish_and_count([]) == 1


def test_paused_server_answers_after_resume(nats_server: NatsServer) -> None:
    """SIGSTOP keeps the connection open and silent."""
    with ask(nats_server.port) as connection:
        assert connection.recv(100) == b"PONG\r\n"
        nats_server.pause()
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        nats_server.resume()
        connection.settimeout(5)
        assert connection.recv(100) == b"PONG\r\n"


def test_users_can_be_configured(nats_factory: Callable[..., NatsServer]) -> None:
    """Raw config text reaches the server."""
    server = nats_factory(config="authorization { user: u, password: p }")
    assert server.info()["auth_required"] is True


@pytest.mark.anyio
async def test_server_started_in_a_worker_thread_survives_it(nats_factory: Callable[..., NatsServer]) -> None:
    """The parent-death signal follows the thread that forked, which must not be a worker of a loop."""
    server = nats_factory(start=False)

    def other_loop() -> None:
        anyio.run(anyio.to_thread.run_sync, server.start)

    await anyio.to_thread.run_sync(other_loop)
    assert server.info()["server_name"] == server.server_name


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_server_dies_with_a_killed_pytest(short_tmp: Path) -> None:
    """Even kill -9 of the test process leaves no server behind."""
    code = (
        "import sys; from pathlib import Path; from support.nats import NatsServer\n"
        "print(NatsServer(Path(sys.argv[1])).start().pid, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(short_tmp / "n")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    wait_until(lambda: not alive(pid), what="the server is gone")


def test_proxy_forwards_both_ways(nats_server: NatsServer) -> None:
    """Without a fault it is invisible."""
    with Proxy(nats_server.port) as proxy, ask(proxy.port) as connection:
        assert connection.recv(100) == b"PONG\r\n"
        assert proxy.connections == 1


def test_black_hole_holds_bytes_and_resume_delivers_them(nats_server: NatsServer) -> None:
    """Nothing comes through, nothing is closed, nothing is lost."""
    with Proxy(nats_server.port) as proxy, ask(proxy.port) as connection:
        assert connection.recv(100) == b"PONG\r\n"
        proxy.black_hole()
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.resume()
        connection.settimeout(5)
        assert connection.recv(100) == b"PONG\r\n"


def test_dropped_replies_never_arrive(nats_server: NatsServer) -> None:
    """The request reached the server, its answer is gone, and `resume` closes what is out of step."""
    with Proxy(nats_server.port) as proxy, ask(proxy.port) as connection:
        assert connection.recv(100) == b"PONG\r\n"
        proxy.drop_replies()
        connection.sendall(b"PING\r\n")
        wait_until(lambda: proxy.dropped == len(b"PONG\r\n"))
        proxy.resume()
        assert connection.recv(100) == b""


def test_cut_closes_and_new_connections_work(nats_server: NatsServer) -> None:
    """With `reset` the client sees a reset, else an end of file."""
    with Proxy(nats_server.port) as proxy:
        with ask(proxy.port) as connection:
            assert connection.recv(100) == b"PONG\r\n"
            assert proxy.cut(reset=True) == 1
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
        with ask(proxy.port) as connection:
            assert connection.recv(100) == b"PONG\r\n"
            proxy.cut()
            assert connection.recv(100) == b""


def test_refused_connections_are_closed_and_open_ones_go_on(nats_server: NatsServer) -> None:
    """Only newcomers are turned away."""
    with Proxy(nats_server.port) as proxy, ask(proxy.port) as old:
        assert old.recv(100) == b"PONG\r\n"
        proxy.refuse()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as new:
            assert new.recv(100) == b""
        old.sendall(b"PING\r\n")
        assert old.recv(100) == b"PONG\r\n"


def test_proxy_survives_a_server_that_is_away(nats_server: NatsServer) -> None:
    """A connection made while the server is down ends; the next one works again."""
    with Proxy(nats_server.port) as proxy:
        nats_server.kill()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            assert connection.recv(100) == b""
        nats_server.start()
        with ask(proxy.port) as connection:
            assert connection.recv(100) == b"PONG\r\n"
