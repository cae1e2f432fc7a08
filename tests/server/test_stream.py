"""A connected socket under tasks: what arrives, what does not, and cancelling at the worst moment."""

import asyncio
import socket
from collections.abc import Iterator

import anyio
import pytest

from eventd.server.stream import PeerStalled, Stream

pytestmark = pytest.mark.anyio


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    with Stream(ours) as stream, theirs:
        yield stream, theirs


async def test_receive_returns_what_is_there(pair: tuple[Stream, socket.socket]) -> None:
    """No more than asked for, and nothing is lost between two reads."""
    stream, peer = pair
    peer.send(b"12345")
    assert await stream.receive(3) == b"123"
    assert await stream.receive(3) == b"45"


async def test_receive_waits(pair: tuple[Stream, socket.socket]) -> None:
    """Until there is a first byte."""
    stream, peer = pair
    received = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            received.append(await stream.receive(10))

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert not received
        peer.send(b"x")
    assert received == [b"x"]


async def test_the_end_and_a_lost_connection_are_told_apart(pair: tuple[Stream, socket.socket]) -> None:
    """A peer that has said all can still read; one that is gone cannot."""
    stream, peer = pair
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(anyio.EndOfStream):
        await stream.receive(10)
    assert await stream.send_some(memoryview(b"x"), 1.0) == 1
    peer.close()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.send_some(memoryview(b"x"), 1.0)


async def test_a_peer_that_takes_nothing_has_stalled(pair: tuple[Stream, socket.socket]) -> None:
    """A part is sent as long as there is room for any; then patience ends."""
    stream, peer = pair
    data = memoryview(bytes(1 << 20))
    sent = await stream.send_some(data, 1.0)
    assert 0 < sent < len(data)
    with pytest.raises(PeerStalled):
        await stream.send_some(data, 0.01)
    assert peer.recv(100) == bytes(100)


async def test_a_read_can_be_cancelled_in_the_moment_when_data_arrives(
    pair: tuple[Stream, socket.socket],
) -> None:
    """The event loop sees no error, and the data are not lost."""
    stream, peer = pair
    received = []

    async def read() -> None:
        received.append(await stream.receive(10))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        peer.send(b"x")
        # Runs in the same turn of the loop as the callback of the data, with asyncio before it.
        asyncio.get_running_loop().call_soon(tasks.cancel_scope.cancel)
    if not received:
        await read()
    assert received == [b"x"]


async def test_end_lets_the_peer_go_on(pair: tuple[Stream, socket.socket]) -> None:
    """Half of the connection is left."""
    stream, peer = pair
    stream.end()
    assert peer.recv(10) == b""
    peer.send(b"x")
    assert await stream.receive(10) == b"x"
    peer.close()
