"""What is special to the asynchronous client: many tasks on one connection, and cancellation."""

import threading

import anyio
import pytest

from eventd_ipc.client import connect
from eventd_ipc.errors import ConnectionLost, Refused
from eventd_ipc.events import Event
from eventd_ipc.messages import Ack, Emit, Ping
from ipc.support.scripted import Peer, ScriptedServer, dismiss, stall

pytestmark = pytest.mark.anyio


def event(number: int, text: str = "") -> Event:
    return Event(type="test.made", id=f"id-{number}", timestamp=number, payload={"text": text})


async def test_requests_of_many_tasks_are_pipelined(server: ScriptedServer) -> None:
    """The second one goes out before the first is answered, and each gets its own answer."""
    held: list[Emit] = []

    def answer_when_all_are_there(peer: Peer, emit: Emit) -> None:
        held.append(emit)
        if len(held) == 5:
            peer.send(*(Ack(emit.id, server.keep(emit)) for emit in held))

    server.answers[Emit] = answer_when_all_are_there
    acked: dict[int, list[str]] = {}

    async def emit(number: int) -> None:
        acked[number] = await client.emit(event(number))

    async with connect("main", socket=server.path) as client, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(emit, number)
    assert acked == {number: [f"id-{number}"] for number in range(5)}


async def test_all_who_wait_learn_that_the_connection_is_over(server: ScriptedServer) -> None:
    server.script += [stall, stall, dismiss("internal")]
    codes: list[str] = []

    async def emit(number: int) -> None:
        with pytest.raises(Refused) as caught:
            await client.emit(event(number))
        codes.append(caught.value.code)

    async with connect("main", socket=server.path) as client, anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(emit, number)
    assert codes == ["internal"] * 3


async def test_cancelled_request_leaves_the_others_alone(server: ScriptedServer) -> None:
    server.script.append(stall)
    async with connect("main", socket=server.path) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.emit(event(1))
        assert scope.cancelled_caught
        assert await client.emit(event(2)) == ["id-2"]


async def test_request_cancelled_while_it_is_sent_ends_the_connection(server: ScriptedServer) -> None:
    """Half a frame is out; what came behind it would be misread."""
    reading = threading.Event()

    def stop_reading(peer: Peer, ping: Ping) -> None:
        reading.wait(10)

    server.answers[Ping] = stop_reading
    async with connect("main", socket=server.path) as client, anyio.create_task_group() as tasks:

        async def ping() -> None:
            with pytest.raises(ConnectionLost, match="cancelled"):
                await client.ping()

        tasks.start_soon(ping)
        await anyio.wait_all_tasks_blocked()
        large = [event(number, "x" * 50_000) for number in range(19)]  # more than a socket's buffers hold
        with anyio.move_on_after(0.2) as scope:
            await client.emit(large)
        assert scope.cancelled_caught
        with pytest.raises(ConnectionLost, match="cancelled"):
            await client.emit(event(99))
        reading.set()


async def test_replies_are_read_while_a_tail_is_not(server: ScriptedServer) -> None:
    """A slow reader of a tail costs its own credit, not the other requests'."""
    server.stream = 1000
    async with connect("main", socket=server.path) as client, client.tail(credit=1000):
        assert await client.emit(event(1)) == ["id-1"]


async def test_cancelling_the_caller_closes_the_connection(server: ScriptedServer) -> None:
    with anyio.move_on_after(0.1) as scope:
        async with connect("main", socket=server.path) as client:
            server.script.append(stall)
            await client.emit(event(1))
    assert scope.cancelled_caught
    with pytest.raises(ConnectionLost, match="closed"):
        await client.ping()
