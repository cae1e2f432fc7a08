"""What is special to the blocking client: pipelined batches, and its end from another thread."""

import threading

import pytest

from eventd_ipc.blocking import connect
from eventd_ipc.errors import ConnectionLost, Refused, TimedOut
from eventd_ipc.events import Event
from eventd_ipc.messages import Ack, Emit, Ping
from ipc.support.scripted import Peer, ScriptedServer, refuse, stall, store


def event(number: int, text: str = "") -> Event:
    return Event(type="test.made", id=f"id-{number}", timestamp=number, payload={"text": text})


def test_batches_are_under_way_together_and_acked_in_order(server: ScriptedServer) -> None:
    held: list[Emit] = []

    def answer_each_window(peer: Peer, emit: Emit) -> None:
        held.append(emit)
        if len(held) >= 4:
            peer.send(*(Ack(emit.id, server.keep(emit)) for emit in held))
            held.clear()

    server.answers[Emit] = answer_each_window
    with connect("main", socket=server.path) as client:
        acked = list(client.emit_many(([event(n)] for n in range(8)), window=4))
    assert acked == [[f"id-{n}"] for n in range(8)]


def test_refused_batch_is_told_in_its_place(server: ScriptedServer) -> None:
    server.script += [store, refuse("malformed", index=0), store]
    with connect("main", socket=server.path) as client:
        acks = client.emit_many([event(n)] for n in range(3))
        assert next(acks) == ["id-0"]
        with pytest.raises(Refused):
            next(acks)


def test_no_batches_need_no_acks(server: ScriptedServer) -> None:
    with connect("main", socket=server.path) as client:
        assert list(client.emit_many([])) == []


def test_call_that_waits_is_ended_from_another_thread(server: ScriptedServer) -> None:
    server.script.append(lambda peer, emit: client.interrupt())
    with connect("main", socket=server.path) as client, pytest.raises(ConnectionLost):
        client.emit(event(1))


def test_closed_client_says_so(server: ScriptedServer) -> None:
    with connect("main", socket=server.path) as client:
        pass
    with pytest.raises(ConnectionLost, match="closed"):
        client.ping()


def test_server_that_reads_nothing_is_timed_out_and_the_connection_over(server: ScriptedServer) -> None:
    """Half a frame is out; what came behind it would be misread."""
    reading = threading.Event()

    def stop_reading(peer: Peer, ping: Ping) -> None:
        reading.wait(10)

    server.answers[Ping] = stop_reading
    with connect("main", socket=server.path, timeout=0.2) as client:
        with pytest.raises(TimedOut, match="answer"):
            client.ping()
        large = [event(number, "x" * 50_000) for number in range(19)]  # more than a socket's buffers hold
        with pytest.raises(TimedOut, match="took no request"):
            client.start_emit(large)
        reading.set()
        with pytest.raises(TimedOut, match="took no request"):
            client.ping()


def test_stalled_emit_is_timed_out(server: ScriptedServer) -> None:
    server.script.append(stall)
    with connect("main", socket=server.path, timeout=0.1) as client, pytest.raises(TimedOut):
        client.emit(event(1))
