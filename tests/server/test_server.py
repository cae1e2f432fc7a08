"""The server as a whole: how many clients, and how it stops."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from eventd.server.operations import Operations, Responder, StreamResponder
from eventd_ipc.messages import Ack, Error, Ping, Pong, Result, Status, Tail
from server.support import Client, emit, ids_of, serving
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


async def test_one_client_too_many_is_told_so(short_tmp: Path) -> None:
    """The others are not disturbed, and as soon as one leaves there is room again."""
    async with serving(short_tmp, max_connections=2) as running, await running.client() as first:
        second = await running.client()
        async with await Client.connect(running.path) as third:
            (error,) = await third.rest()
            assert isinstance(error, Error)
            assert (error.code, error.retryable, error.id) == ("too_many_connections", True, None)
        assert running.stats.connections == 2
        await second.aclose()
        await wait_until_async(lambda: running.stats.connections == 1)
        async with await running.client() as third:
            await first.send(Ping(1))
            await third.send(Ping(1))
            assert [await first.reply(), await third.reply()] == [Pong(1), Pong(1)]


async def test_a_flood_of_clients_is_survived(short_tmp: Path) -> None:
    """Some are told why, the others are just closed; who was there is served on."""
    async with serving(short_tmp, max_connections=1) as running, await running.client() as client:
        flood = [await Client.connect(running.path) for _ in range(100)]
        replies = [reply for visitor in flood for reply in await visitor.rest()]
        assert {reply.code for reply in replies if isinstance(reply, Error)} == {"too_many_connections"}
        assert 0 < len(replies) < len(flood)
        for visitor in flood:
            await visitor.aclose()
        assert running.stats.accepted == 101
        await client.send(Ping(1))
        assert await client.reply() == Pong(1)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Let this process open only a few more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
async def test_a_shortage_of_descriptors_is_waited_out(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients wait in the queue until there are some again; the server does not end."""
    async with serving(short_tmp) as running, await running.client() as client:
        visitor = await Client.connect(running.path)
        await visitor.greet()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        files: list[int] = []
        with suppress(OSError):
            while True:
                files.append(os.open(os.devnull, os.O_RDONLY))
        os.close(files.pop())  # for the client's end
        late = await Client.connect(running.path)
        await wait_until_async(
            lambda: any(getattr(record, "action", "") == "accept_failed" for record in caplog.records)
        )
        await client.send(Ping(1))
        assert await client.reply() == Pong(1)
        for file in files:
            os.close(file)
        await late.greet()
        await late.aclose()
        await visitor.aclose()


async def test_stopping_waits_for_commits_and_sends_their_acks(short_tmp: Path) -> None:
    """Nothing new is read, what was taken is acknowledged, then each client is told why it is closed."""
    async with (
        serving(short_tmp) as running,
        await running.client() as client,
        await running.client() as idle,
    ):
        running.dam.shut()
        await client.send(emit(1), emit(2))
        await wait_until_async(lambda: running.dam.emits == 2)
        running.server.stop_intake()
        with pytest.raises(FileNotFoundError):
            await wait_until_async(lambda: Client.connect(running.path))
        await client.send(emit(3))
        running.dam.open()
        replies = await client.rest()
        assert replies[:2] == [Ack(1, ["e1"]), Ack(2, ["e2"])]
        (said,) = replies[2:]
        assert isinstance(said, Error)
        assert (said.code, said.retryable, said.id) == ("shutting_down", True, None)
        assert [reply.code for reply in await idle.rest() if isinstance(reply, Error)] == ["shutting_down"]
        await client.aclose()
        await idle.aclose()
        with anyio.fail_after(5):
            await running.ended.wait()


async def test_stopping_is_bounded_when_the_disk_hangs(short_tmp: Path) -> None:
    """Acks that cannot come are given up after the budget; clients know that they were not given."""
    async with serving(short_tmp) as running, await running.client() as client:
        running.dam.shut()
        await client.send(emit(1))
        await wait_until_async(lambda: running.dam.emits == 1)
        running.server.stop_intake(drain_timeout=0.05)
        assert ids_of(await client.rest()) == [("error", None)]
        await client.aclose()
        with anyio.fail_after(5):
            await running.ended.wait()
        running.dam.open()


async def test_stopping_is_bounded_when_a_client_does_not_read(short_tmp: Path) -> None:
    """Its replies are given up after the budget."""
    async with serving(short_tmp) as running, await running.client() as client:
        with anyio.move_on_after(0.5):
            await client.stream.send(b"".join([b"\x00\x00\x00\x0b\x82\xa2op\xa4ping\xa2id\x01"]) * 400_000)
        running.server.stop_intake(drain_timeout=0.05)
        with anyio.fail_after(5):
            await running.ended.wait()


async def test_stopping_lets_requests_end_and_ends_streams(short_tmp: Path) -> None:
    """A reply that is nearly there still comes; a stream ends with the reason, not as if it were complete."""
    release = anyio.Event()

    async def slow(request: Status, responder: Responder) -> None:
        await release.wait()
        await responder.send(Result(request.id, "done"))

    async def follow(request: Tail, stream: StreamResponder) -> None:
        await anyio.sleep_forever()

    operations = Operations()
    operations.add(Status, slow)
    operations.add(Tail, follow, stream=True)
    async with serving(short_tmp, operations) as running, await running.client() as client:
        await client.send(Status(1), Tail(2, follow=True))
        await wait_until_async(lambda: running.stats.streams == 1)
        running.server.stop_intake()
        end = await client.reply()
        assert isinstance(end, Error)
        assert (end.id, end.code) == (2, "shutting_down")
        release.set()
        assert await client.reply() == Result(1, "done")
        assert ids_of(await client.rest()) == [("error", None)]


async def test_stopping_while_a_client_says_hello(short_tmp: Path) -> None:
    """Also who has not been welcomed is told."""
    async with serving(short_tmp) as running, await Client.connect(running.path) as client:
        await wait_until_async(lambda: running.stats.connections == 1)
        running.server.stop_intake()
        (error,) = await client.rest()
        assert isinstance(error, Error)
        assert error.code == "shutting_down"


async def test_stopping_twice_or_at_once_is_stopping(short_tmp: Path) -> None:
    """A signal may come at any time, and again."""
    async with serving(short_tmp) as running:
        running.server.stop_intake()
        running.server.stop_intake()
        with anyio.fail_after(5):
            await running.ended.wait()
        assert not running.path.exists()


async def test_the_counters_tell_what_went_through(short_tmp: Path) -> None:
    """Status and metrics read these."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1), Ping(2))
        await client.send_raw(b"\x00\x00\x00\x00")
        await client.rest()
        stats = running.stats
        assert (stats.accepted, stats.frames, stats.emits, stats.events) == (1, 4, 1, 1)
        assert dict(stats.refused) == {"bad_frame": 1}
        assert stats.bytes_in > 0
        await client.aclose()
        await wait_until_async(lambda: stats.connections == 0 and stats.bytes_out > 0)
