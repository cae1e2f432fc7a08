"""Sessions against a real nats-server and a proxy that misbehaves."""

import gc
import socket
from collections.abc import Callable

import anyio
import pytest

from eventd.errors import LinkLost, NatsError
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.reading import open_reader
from eventd.jetstream.session import ApiError, NoResponders, open_session
from eventd.routes import Credentials
from eventd.secret import Secret
from support.nats import NatsServer
from support.proxy import Proxy
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NatsFactory = Callable[..., NatsServer]

RESTRICTED = "authorization { users: [ { user: agent, password: right } ] }"


async def test_a_session_asks_jetstream(nats_server: NatsServer) -> None:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        assert (await session.api("INFO"))["streams"] == 0
        assert session.server_version >= (2, 12, 1)
        assert session.max_payload == 1024 * 1024
        assert await session.probe() > 0


async def test_a_refusal_carries_jetstreams_code(nats_server: NatsServer) -> None:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        with pytest.raises(ApiError) as caught:
            await session.api("STREAM.INFO.none")
    assert caught.value.err_code == 10059


async def test_a_subject_that_nobody_takes_is_told_apart_from_silence(nats_server: NatsServer) -> None:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        with pytest.raises(NoResponders):
            await session.request("nobody.here")


async def test_the_next_server_is_tried_when_the_first_is_away(nats_server: NatsServer) -> None:
    async with open_session(Endpoint(("nats://127.0.0.1:1", nats_server.url)), "test") as session:
        assert session.url == nats_server.url


async def test_a_server_that_refuses_connections_is_left_at_once(nats_server: NatsServer) -> None:
    """nats-py would try it again for as long as a connect may take, and keep the reason to itself."""
    nats_server.kill()
    with pytest.raises(NatsError, match="Connect call failed"):
        async with open_session(Endpoint((nats_server.url,)), "test"):
            pass


async def test_wrong_credentials_are_named_without_being_shown(nats_factory: NatsFactory) -> None:
    server = nats_factory(config=RESTRICTED)
    wrong = Credentials(user="agent", password=Secret("hunter2"))
    with pytest.raises(NatsError, match=r"(?i)authorization") as caught:
        async with open_session(Endpoint((server.url,), wrong), "test"):
            pytest.fail("the server let us in")
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)


async def test_a_server_that_dies_is_noticed_at_once(nats_server: NatsServer) -> None:
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        nats_server.kill()
        with anyio.fail_after(5):
            await session.lost.wait()
        with pytest.raises(LinkLost):
            await session.request("$JS.API.INFO")


async def test_a_black_hole_is_found_by_the_probe(nats_server: NatsServer) -> None:
    """The socket stays open and says nothing: only a round trip tells."""
    with Proxy(nats_server.port) as proxy:
        async with open_session(Endpoint((proxy.url,)), "test") as session:
            proxy.black_hole()
            with pytest.raises(LinkLost, match="no PONG"):
                await session.probe(timeout=0.3)
            assert session.lost.is_set()


async def test_a_message_that_is_no_utf8_is_read_all_the_same(nats_server: NatsServer) -> None:
    """nats-server takes any bytes as a subject; nats-py's read loop would end at them, each time again."""
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        await session.api("STREAM.CREATE.events", {"name": "events", "subjects": ["ev.>"]})
        with socket.create_connection(("127.0.0.1", nats_server.port)) as foreign:
            foreign.sendall(b'CONNECT {"verbose":false}\r\nPUB ev.ma\xf1ana 2\r\n{}\r\nPING\r\n')
            while b"PONG" not in foreign.recv(4096):
                pass
        await session.request("ev.after", b"{}", {"Nats-Msg-Id": "main:1"})
        async with open_reader(session, "events") as reader:
            messages = await reader.page()
        assert [message.body for message in messages] == [b"{}", b"{}"]
        assert messages[1].msg_id == "main:1"
        await session.probe()


@pytest.mark.parametrize("task", ["_reading_task", "_flusher_task"])
async def test_a_dead_task_of_nats_py_is_found_by_the_probe(nats_server: NatsServer, task: str) -> None:
    """It goes on saying "connected", and its flush returns at once, when an exception ended one of them."""
    async with open_session(Endpoint((nats_server.url,)), "test") as session:
        running = getattr(session._client, task)
        running.cancel()
        await wait_until_async(running.done)
        with pytest.raises(LinkLost):
            await session.probe(timeout=0.3)


async def test_a_read_loop_that_fails_ends_the_session_at_once(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception is the reason, and is not left to asyncio to complain about."""

    async def broken(_error: Exception) -> None:
        raise RuntimeError("a bug of nats-py")

    with Proxy(nats_server.port) as proxy:
        async with open_session(Endpoint((proxy.url,)), "test") as session:
            monkeypatch.setattr(session._client, "_process_op_err", broken)
            proxy.cut(reset=True)
            with anyio.fail_after(5):
                await session.lost.wait()
            assert session.reason == "a bug of nats-py"
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_a_cancelled_connect_leaves_no_connection_behind(nats_server: NatsServer) -> None:
    with Proxy(nats_server.port) as proxy:
        proxy.black_hole()
        with anyio.move_on_after(0.3) as scope:
            async with open_session(Endpoint((proxy.url,)), "test"):
                pytest.fail("nobody answered")
        assert scope.cancelled_caught
        proxy.resume()
        await wait_until_async(lambda: not proxy.connections, 5.0)
