"""The client's half of a connection, without a connection."""

from typing import Any

import pytest

from eventd_ipc.codec import encode
from eventd_ipc.errors import ConnectionLost, ProtocolError, Refused
from eventd_ipc.events import Event
from eventd_ipc.messages import (
    Ack,
    Emit,
    End,
    Error,
    Limits,
    Ping,
    Pong,
    Recall,
    Reply,
    Result,
    Status,
    Tail,
    Welcome,
)
from eventd_ipc.session import ClientSession, State
from ipc.support.scripted import stored_event

WELCOME = Welcome(1, "test", Limits(1000, 1000, 10, 1000), "main", ["emit"])


@pytest.fixture
def session() -> ClientSession:
    """An open one."""
    session = ClientSession("main")
    session.hello()
    assert session.receive(encode(WELCOME)) == []
    assert session.state is State.OPEN
    return session


def test_states_follow_each_other() -> None:
    session = ClientSession("main", token="t")
    states = [session.state]
    assert session.hello().endswith(b"\xa5token\xa1t")
    states.append(session.state)
    session.receive(encode(WELCOME))
    states.append(session.state)
    assert session.welcome == WELCOME
    session.receive(b"")
    states.append(session.state)
    assert states == [State.NEW, State.GREETING, State.OPEN, State.CLOSED]


def test_what_comes_too_early_is_a_mistake_of_the_program() -> None:
    session = ClientSession("main")
    with pytest.raises(RuntimeError, match="welcome"):
        session.begin(Ping(0))
    session.hello()
    with pytest.raises(RuntimeError, match="once"):
        session.hello()


def test_requests_are_numbered(session: ClientSession) -> None:
    assert [session.begin(Ping(0))[0].request.id for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "wrong", [{"text": "a\udcff"}, {"text": "a", "limit": 2**64}], ids=["text", "integer"]
)
def test_what_has_no_form_on_the_wire_is_refused(session: ClientSession, wrong: dict[str, Any]) -> None:
    """And costs no connection: the next request goes its way."""
    with pytest.raises(Refused, match="cannot be sent") as caught:
        session.begin(Recall(0, **wrong))
    assert caught.value.code == "bad_request"
    assert session.begin(Ping(0))[0].request.id == 1


def test_an_event_that_has_no_form_on_the_wire_is_named(session: ClientSession) -> None:
    with pytest.raises(Refused, match="event 1 cannot be sent") as caught:
        session.begin_emit([Event("a.b"), Event("a.b", payload={"n": 2**64})])
    assert (caught.value.code, caught.value.index) == ("malformed", 1)


def test_replies_find_their_requests_in_any_order(session: ClientSession) -> None:
    first, _ = session.begin(Status(0))
    second, _ = session.begin(Status(0))
    assert session.receive(encode(Result(2, "b")) + encode(Result(1, "a"))) == [second, first]
    assert (first.take(), second.take()) == (Result(1, "a"), Result(2, "b"))


@pytest.mark.parametrize(
    ("request_", "replies"),
    [
        (Emit(0, []), [Pong(1)]),
        (Ping(0), [Pong(2)]),
        (Ping(0), [Pong(1), Pong(1)]),
        (Ping(0), [End(1)]),
        (Tail(0), [End(1), stored_event(1, 1)]),
        (Ping(0), [WELCOME]),
        (Ping(0), [Error("internal", "", id=7)]),
    ],
)
def test_reply_that_nobody_asked_for_ends_the_connection(
    session: ClientSession, request_: Emit | Ping | Tail, replies: list[Reply]
) -> None:
    session.begin(request_)
    session.receive(b"".join(map(encode, replies)))
    with pytest.raises(ProtocolError):
        session.check()


def test_replies_before_the_end_still_count(session: ClientSession) -> None:
    """What arrived in one piece with the end of the connection is not lost."""
    exchange, _ = session.begin(Emit(0, []))
    assert session.receive(encode(Ack(1, [])) + encode(Error("shutting_down", "bye"))) == [exchange]
    assert exchange.take() == Ack(1, [])
    with pytest.raises(Refused, match="bye"):
        session.begin(Ping(0))


def test_first_reason_for_the_end_is_the_one_that_is_told(session: ClientSession) -> None:
    session.receive(encode(Error("shutting_down", "bye")))
    session.receive(b"")
    session.fail(ConnectionLost())
    with pytest.raises(Refused, match="bye"):
        session.check()


def test_torn_frame_is_told(session: ClientSession) -> None:
    session.receive(encode(Pong(1))[:5])
    session.receive(b"")
    with pytest.raises(ConnectionLost, match="middle of a frame"):
        session.check()


def test_abandoned_request_swallows_its_replies(session: ClientSession) -> None:
    exchange, _ = session.begin(Tail(0))
    assert session.abandon(exchange).endswith(b"\xa6cancel\xa2id\x01")
    session.receive(encode(stored_event(1, 1)) + encode(End(1, cancelled=True)))
    assert not exchange.ready
    assert exchange.done
    assert session.abandon(exchange) == b""
    session.check()


def test_credit_is_renewed_when_half_of_it_is_used(session: ClientSession) -> None:
    exchange, _ = session.begin(Tail(0, credit=4))
    session.receive(b"".join(encode(stored_event(1, n)) for n in range(4)))
    granted = []
    for _ in range(4):
        exchange.take()
        granted.append(bool(session.grant(exchange)))
    assert granted == [False, True, False, True]
