"""One connection: greeting, the order of acks, bounds, and how it ends."""

import contextlib
import logging
import threading
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from eventd.access.identity import Identity
from eventd.server.connection import LARGE, ROW_COST
from eventd_ipc.messages import Ack, Emit, Error, Hello, Ping, Pong, Status, Welcome
from server.support import PATIENCE, Client, emit, event, framed, ids_of, serving, settled
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


def packed(**message: Any) -> bytes:
    return framed(msgspec.msgpack.encode(message))


HELLO = packed(op="hello", protocol=1, agent="main")


async def test_welcome_says_what_the_server_is_and_takes(short_tmp: Path) -> None:
    """A client learns the limits and the requests before it sends anything else."""
    async with serving(short_tmp, max_event=1000) as running, await Client.connect(running.path) as client:
        welcome = await client.greet("main")
        assert (welcome.protocol, welcome.server, welcome.agent) == (1, "eventd test", "main")
        assert welcome.limits == running.server.context.settings.limits
        assert welcome.limits.max_event == 1000
        assert welcome.can == ["emit", "ping", "put"]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (packed(op="ping", id=1), "hello_required"),
        (packed(op="emit", id=1, events=[]), "hello_required"),
        (packed(op="hello", protocol=2, agent="main"), "unsupported_protocol"),
        (packed(op="hello", protocol=0, agent="main"), "unsupported_protocol"),
        (packed(op="hello", protocol=1, agent=""), "unauthorised"),
        (packed(op="hello", protocol=1, agent="a:b"), "unauthorised"),
        (packed(op="hello", protocol=1, agent="x" * 65), "unauthorised"),
        (packed(op="hello", protocol=1), "bad_request"),
        (packed(op="hello", protocol="1", agent="main"), "bad_request"),
        (packed(op="nonsense", id=1), "unknown_op"),
        (framed(b""), "bad_frame"),
        (framed(b"\xc1"), "bad_frame"),
        (framed(msgspec.msgpack.encode([1, 2])), "bad_frame"),
        (framed(msgspec.msgpack.encode({"id": 1})), "bad_frame"),
        ((16 * 1024 + 1).to_bytes(4, "big"), "frame_too_large"),
        (b"GET / HTTP/1.1\r\n\r\n", "frame_too_large"),
        (HELLO + HELLO, "hello_required"),
        (HELLO + packed(op="hello", protocol="1"), "bad_request"),
        (HELLO + framed(b"\xc1"), "bad_frame"),
        (HELLO + (1 << 30).to_bytes(4, "big"), "frame_too_large"),
    ],
)
async def test_a_broken_greeting_gets_one_typed_error_and_is_closed(
    short_tmp: Path, first: bytes, code: str
) -> None:
    """The client learns why, and only this connection ends."""
    async with serving(short_tmp) as running, await Client.connect(running.path) as client:
        await client.send_raw(first)
        *before, error = await client.rest()
        assert all(isinstance(reply, Welcome) for reply in before)
        assert isinstance(error, Error)
        assert (error.code, bool(error.hint)) == (code, True)
        assert running.stats.refused[code] == 1
        async with await running.client():
            pass


async def test_a_rest_that_is_over_before_it_begins_is_none(short_tmp: Path) -> None:
    """On a busy machine its end may have passed when the connection comes to it; that is nobody's fault."""
    async with serving(short_tmp) as running, await running.client() as client:
        (connection,) = running.server.connections
        connection._resting_until = 1e-9  # of `perf_counter`, which is beyond that
        await client.send(Ping(1), Ping(2))
        assert [reply.id for reply in await client.replies(2) if isinstance(reply, Pong)] == [1, 2]


@pytest.mark.parametrize("sent", [b"", HELLO[:-1], b"\x00"])
async def test_who_says_no_hello_is_closed(short_tmp: Path, sent: bytes) -> None:
    """Also who began one: the deadline is for the whole greeting."""
    async with (
        serving(short_tmp, hello_timeout=0.05) as running,
        await Client.connect(running.path) as client,
    ):
        await client.send_raw(sent)
        (error,) = await client.rest()
        assert isinstance(error, Error)
        assert (error.code, error.retryable) == ("hello_timeout", True)


async def test_an_agent_that_is_silent_after_hello_stays(short_tmp: Path) -> None:
    """The deadline ends with the greeting."""
    async with serving(short_tmp, hello_timeout=0.05) as running, await running.client() as client:
        await anyio.sleep(0.1)
        await client.send(Ping(1))
        assert await client.reply() == Pong(1)


async def test_requests_may_follow_hello_in_the_same_bytes(short_tmp: Path) -> None:
    """A client need not wait for welcome."""
    async with serving(short_tmp) as running, await Client.connect(running.path) as client:
        await client.send(Hello(protocol=1, agent="main"), emit(1), emit(2))
        assert ids_of(await client.replies(3)) == [("welcome", None), ("ack", 1), ("ack", 2)]


async def test_the_peer_is_logged_and_no_content(short_tmp: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who connected can be seen later; what they said cannot."""
    caplog.set_level(logging.DEBUG)
    async with serving(short_tmp) as running, await running.client("main") as client:
        await client.send(emit(1, event(payload={"text": "confidential"})))
        await client.reply()
    opened = [record for record in caplog.records if getattr(record, "action", "") == "connection_opened"]
    (fields,) = map(vars, opened)
    assert (fields["agent"], fields["client"]) == ("main", "test")
    assert "pid " in fields["peer"]
    assert "confidential" not in caplog.text


async def test_acks_come_in_the_order_of_the_emits(short_tmp: Path) -> None:
    """Thousands in flight; each ack names its emit and the ids of its events."""
    async with serving(short_tmp) as running, await running.client() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, *(emit(number) for number in range(3000)))
            acks = await client.replies(3000)
        assert acks == [Ack(number, [f"e{number}"]) for number in range(3000)]
        assert (running.stats.emits, running.stats.events) == (3000, 3000)


async def test_stamped_ids_are_told(short_tmp: Path) -> None:
    """A client that leaves the ids to the daemon learns them from the ack, one for each event."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1, event(), event(id="mine"), event()))
        ack = await client.reply()
        assert isinstance(ack, Ack)
        assert ack.ids[1] == "mine"
        assert len(set(ack.ids)) == 3


async def test_a_refused_emit_keeps_its_place_and_disturbs_nobody(short_tmp: Path) -> None:
    """Refused by admission, by the outbox, or not an emit at all: the answers stay in order."""
    bad = event(id="e9", type="NOT A TYPE")
    async with serving(short_tmp, max_event=300) as running, await running.client() as client:
        running.dam.shut()
        await client.send(
            emit(1),
            emit(2, event(id="e2"), bad),
            emit(3),
            emit(4, event(payload={"text": "x" * 300})),
            emit(5, event(id="e1", payload={"other": "content"})),
        )
        await client.send_raw(packed(op="emit", id=6, events="none"))
        await client.send(emit(7))
        await wait_until_async(lambda: running.dam.emits == 7)
        running.dam.open()
        replies = await client.replies(7)
        assert ids_of(replies) == [
            ("ack", 1),
            ("error", 2),
            ("ack", 3),
            ("error", 4),
            ("error", 5),
            ("error", 6),
            ("ack", 7),
        ]
        errors = [(reply.code, reply.index) for reply in replies if isinstance(reply, Error)]
        assert errors == [("malformed", 1), ("too_large", 0), ("id_conflict", 0), ("bad_request", None)]
        assert running.stats.refused.total() == 4
        assert running.stats.events == 3


async def test_an_ack_waits_for_the_commit(short_tmp: Path) -> None:
    """Nothing is acknowledged that the outbox has not reported; other requests do not wait for it."""
    async with serving(short_tmp) as running, await running.client() as client:
        running.dam.shut()
        await client.send(emit(1), Ping(2))
        assert await client.reply() == Pong(2)
        assert running.dam.emits == 1
        running.dam.open()
        assert await client.reply() == Ack(1, ["e1"])


async def test_too_much_in_flight_stops_the_reading_and_drops_nothing(short_tmp: Path) -> None:
    """Memory stays bounded while commits wait; when they go on, so does the client."""
    count, limit = 400, 64 * 1024
    filler = event(payload={"text": "x" * 4096})
    async with serving(short_tmp, max_in_flight=limit) as running, await running.client() as client:
        running.dam.shut()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, *(Emit(number, [filler]) for number in range(count)))
            assert limit // 5000 < await settled(lambda: running.dam.emits) <= limit // 4096 + 1
            running.dam.open()
            assert ids_of(await client.replies(count)) == [("ack", number) for number in range(count)]


async def test_small_events_count_as_what_they_take_and_not_as_their_bytes(short_tmp: Path) -> None:
    """An event of 9 bytes is some hundred on its way to disk."""
    limit, batch = 64 * 1024, [event()] * 100
    async with serving(short_tmp, max_in_flight=limit) as running, await running.client() as client:
        running.dam.shut()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, *(Emit(number, batch) for number in range(200)))
            assert 0 < 100 * await settled(lambda: running.dam.emits) <= limit // ROW_COST + 100
            running.dam.open()
            assert ids_of(await client.replies(200)) == [("ack", number) for number in range(200)]


async def test_all_connections_together_are_bounded_too(short_tmp: Path) -> None:
    """Many clients have no more in flight than the total; they all get on when there is room again."""
    count, total = 20, 64 * 1024
    filler = event(payload={"text": "x" * 4096})
    async with (
        serving(short_tmp, max_in_flight_total=total) as running,
        await running.client() as one,
        await running.client() as two,
        await running.client() as three,
    ):
        clients = (one, two, three)
        running.dam.shut()
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.send, *(Emit(number, [filler]) for number in range(count)))
            assert total // 5000 < await settled(lambda: running.dam.emits) <= total // 4096 + 1
            await one.aclose()  # what it had in flight counts until it is on disk
            running.dam.open()
            for client in clients[1:]:
                assert ids_of(await client.replies(count)) == [("ack", number) for number in range(count)]
        assert running.server.context.in_flight.size == 0


async def test_a_large_frame_does_not_keep_others_waiting(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes, other clients are served; its own connection's order stays."""
    begun, go_on = threading.Event(), threading.Event()
    large = event(id="large", payload={"text": "x" * LARGE})
    async with serving(short_tmp) as running, await running.client() as client:
        admission = running.server.context.admission
        real = admission.admit

        def admit(request: Emit, identity: Identity) -> Any:
            if request.id == 2:
                begun.set()
                assert go_on.wait(PATIENCE)
            return real(request, identity)

        monkeypatch.setattr(admission, "admit", admit)
        await client.send(emit(1), Emit(2, [large]), emit(3), Ping(4))
        assert await client.reply() == Ack(1, ["e1"])
        await wait_until_async(begun.is_set)
        async with await running.client() as other:
            await other.send(emit(5))
            assert await other.reply() == Ack(5, ["e5"])
        go_on.set()
        replies = await client.replies(3)
        assert [number for kind, number in ids_of(replies) if kind == "ack"] == [2, 3]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xc1" * (LARGE + 1), "bad_frame"),
        (msgspec.msgpack.encode({"op": "hello", "protocol": 1, "agent": "x" * LARGE}), "hello_required"),
    ],
    ids=["no message", "hello"],
)
async def test_a_large_frame_that_breaks_the_protocol_ends_the_connection(
    short_tmp: Path, frame: bytes, code: str
) -> None:
    """As a small one does."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1))
        await client.send_raw(framed(frame))
        ack, error = await client.rest()
        assert ack == Ack(1, ["e1"])
        assert isinstance(error, Error)
        assert error.code == code


async def test_the_other_clients_have_their_turn_between_frames(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read of many frames is taken in slices of time, in their order."""
    monkeypatch.setattr("eventd.server.connection.SLICE", 0)
    async with serving(short_tmp) as running, await running.client() as client:
        running.dam.shut()
        await client.send(*(emit(number) for number in range(50)))
        await wait_until_async(lambda: running.dam.emits == 50)
        assert [len(submissions) for submissions, _ in running.dam.held] == [1] * 50
        running.dam.open()
        assert ids_of(await client.replies(50)) == [("ack", number) for number in range(50)]


async def test_an_event_nested_without_end_is_refused_by_its_index(short_tmp: Path) -> None:
    """A client that drops the event at the index gets on, instead of sending it for ever."""
    deep = msgspec.Raw(b"\x82\xa4type\xa1a\xa7payload\x81\xa1x" + b"\x91" * 50_000 + b"\x90")
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1, event(id="e1"), deep), emit(2))
        error, ack = await client.replies(2)
        assert isinstance(error, Error)
        assert (error.id, error.code, error.index) == (1, "malformed", 1)
        assert ack == Ack(2, ["e2"])


async def test_a_client_that_does_not_read_is_not_read_either(short_tmp: Path) -> None:
    """Its requests wait in its own socket, not in the daemon's memory, and all are answered in the end."""
    async with (
        serving(short_tmp, max_outgoing=16 * 1024) as running,
        await running.client() as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.send, *(Ping(number) for number in range(100_000)))
        assert 1000 < await settled(lambda: running.stats.frames) < 50_000
        (connection,) = running.server.connections
        assert 0 < connection.outgoing_bytes <= 16 * 1024 + 256
        for number in range(100_000):
            assert await client.reply() == Pong(number)


async def test_a_client_that_never_reads_is_closed(short_tmp: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After the deadline without progress; others go on."""
    async with (
        serving(short_tmp, stall_timeout=0.05, max_outgoing=4096) as running,
        await running.client() as client,
        await running.client() as other,
    ):
        with pytest.raises(anyio.BrokenResourceError):
            await client.send(*(Ping(number) for number in range(200_000)))
        assert running.stats.stalled == 1
        assert "connection_stalled" in [getattr(record, "action", "") for record in caplog.records]
        await other.send(Ping(1))
        assert await other.reply() == Pong(1)


async def test_a_client_that_does_not_read_is_counted_until_it_does_or_is_closed(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at status sees that somebody is stuck, before anybody is closed for it."""
    monkeypatch.setattr("eventd.server.outgoing.STUCK", 0.02)
    async with (
        serving(short_tmp, stall_timeout=2.0, max_outgoing=4096) as running,
        await running.client() as client,
        anyio.create_task_group() as tasks,
    ):
        for goes_on in (True, False):
            tasks.start_soon(_send_in_vain, client, 100_000)
            await wait_until_async(lambda: running.stats.stuck == 1, what="it is stuck")
            if goes_on:
                await client.replies(100_000)
                assert running.stats.stuck == 0
        await wait_until_async(lambda: running.stats.stalled == 1, what="it is closed")
        assert running.stats.stuck == 0
        tasks.cancel_scope.cancel()


async def _send_in_vain(client: Client, count: int) -> None:
    with contextlib.suppress(anyio.BrokenResourceError):
        await client.send(*(Ping(number) for number in range(count)))


async def test_half_closing_still_gets_all_answers(short_tmp: Path) -> None:
    """`printf … | nc -U` works: what was sent before the end is answered."""
    async with serving(short_tmp) as running, await running.client() as client:
        running.dam.shut()
        await client.send(emit(1), emit(2))
        await client.stream.send_eof()
        await wait_until_async(lambda: running.dam.emits == 2)
        running.dam.open()
        assert ids_of(await client.rest()) == [("ack", 1), ("ack", 2)]


async def test_a_client_that_leaves_in_the_middle_of_a_commit_loses_nothing(short_tmp: Path) -> None:
    """What was taken is stored, nobody else notices, and the connection is forgotten."""
    async with serving(short_tmp) as running, await running.client() as other:
        running.dam.shut()
        client = await running.client()
        await client.send(*(emit(number) for number in range(10)))
        await wait_until_async(lambda: running.dam.emits == 10)
        await client.aclose()
        await other.send(emit(100))
        await wait_until_async(lambda: running.dam.emits == 11)
        running.dam.open()
        assert await other.reply() == Ack(100, ["e100"])
        await wait_until_async(lambda: running.stats.connections == 1)
        assert running.stats.events == 11


async def test_a_torn_frame_at_the_end_is_nothing(short_tmp: Path) -> None:
    """A client that dies while it sends has not sent that frame; what came before is stored."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1))
        await client.send_raw(HELLO[:7])
        await client.stream.send_eof()
        assert ids_of(await client.rest()) == [("ack", 1)]
        assert not running.stats.refused


async def test_acks_come_before_the_error_that_ends_the_connection(short_tmp: Path) -> None:
    """What was sent before the broken frame is stored and acknowledged; what follows is not read."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(emit(1), emit(2))
        await client.send_raw(framed(b"\xc1") + packed(op="ping", id=3))
        replies = await client.rest()
        assert ids_of(replies) == [("ack", 1), ("ack", 2), ("error", None)]
        assert isinstance(replies[-1], Error)
        assert replies[-1].code == "bad_frame"


async def test_the_reason_reaches_a_client_in_the_middle_of_a_large_frame(short_tmp: Path) -> None:
    """It is refused on the announced length, and can still send its bytes and then read why."""
    async with serving(short_tmp, max_frame=64 * 1024) as running, await running.client() as client:
        await client.send_raw(framed(bytes(4 << 20)))
        (error,) = await client.rest()
        assert isinstance(error, Error)
        assert error.code == "frame_too_large"


async def test_a_request_without_a_handler_is_unknown(short_tmp: Path) -> None:
    """It is refused by its id, and the connection goes on."""
    async with serving(short_tmp) as running, await running.client() as client:
        await client.send(Status(1))
        await client.send_raw(packed(op="fly", id=2))
        await client.send(Ping(3))
        replies = await client.replies(3)
        assert sorted(ids_of(replies)) == [("error", 1), ("error", 2), ("pong", 3)]
        assert {reply.code for reply in replies if isinstance(reply, Error)} == {"unknown_op"}


async def test_a_bug_in_admission_costs_one_emit(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The emit is answered `internal`, the log has the traceback, the connection lives."""
    async with serving(short_tmp) as running, await running.client() as client:
        admission = running.server.context.admission
        real = admission.admit

        def admit(request: Emit, identity: Identity) -> Any:
            if request.id == 2:
                raise ZeroDivisionError("bug")
            return real(request, identity)

        monkeypatch.setattr(admission, "admit", admit)
        await client.send(emit(1), emit(2), emit(3))
        replies = await client.replies(3)
        assert ids_of(replies) == [("ack", 1), ("error", 2), ("ack", 3)]
        assert isinstance(replies[1], Error)
        assert replies[1].code == "internal"
        assert "bug" not in replies[1].message
        assert "ZeroDivisionError" in caplog.text


async def test_the_kernel_s_small_buffers_change_nothing(short_tmp: Path) -> None:
    """Frames arrive torn anywhere; large ones span many reads."""
    text = "x" * 200_000
    async with serving(short_tmp) as running, await running.client() as client:
        data = b"".join(
            packed(
                op="emit", id=number, events=[{"type": "custom", "id": f"e{number}", "payload": {"t": text}}]
            )
            for number in range(3)
        )
        for start in range(0, len(data), 7919):
            await client.send_raw(data[start : start + 7919])
        assert ids_of(await client.replies(3)) == [("ack", 0), ("ack", 1), ("ack", 2)]


async def test_byte_by_byte(short_tmp: Path) -> None:
    """The greeting and an emit, one byte at a time."""
    async with serving(short_tmp) as running, await Client.connect(running.path) as client:
        for byte in HELLO + packed(op="emit", id=1, events=[{"type": "custom", "id": "e1"}]):
            await client.send_raw(bytes([byte]))
        assert ids_of(await client.replies(2)) == [("welcome", None), ("ack", 1)]
