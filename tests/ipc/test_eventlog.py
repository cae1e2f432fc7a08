"""The emitter for agents: never in the way, nothing lost silently, each error code as PROTOCOL.md says."""

import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventd_ipc import sender
from eventd_ipc.buffer import Buffer
from eventd_ipc.builders import Run
from eventd_ipc.errors import CODES, ClientAction
from eventd_ipc.eventlog import EventLog
from eventd_ipc.events import Event
from eventd_ipc.messages import Emit, Limits
from ipc.support.scripted import (
    Peer,
    ScriptedServer,
    dismiss,
    error,
    lose_ack,
    refuse,
    send_away,
    stall,
    store,
)
from support.waiting import wait_until

Make = Callable[..., EventLog]

CONNECTION_CODES = [code for code, info in CODES.items() if info.closes_connection]


@pytest.fixture
def make_log(absent_server: ScriptedServer) -> Iterator[Make]:
    """Makes logs that write to the peer."""
    logs: list[EventLog] = []

    def make(**options: Any) -> EventLog:
        logs.append(EventLog("main", **{"socket": absent_server.path, **options}))
        return logs[-1]

    yield make
    for log in logs:
        log.close(0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the longest pause, for codes that a person has to see to, be short."""
    monkeypatch.setattr(sender, "LATER", 0.2)


def event(number: int, **fields: Any) -> Event:
    return Event(type="test.made", id=f"id-{number}", timestamp=number, **fields)


EVENT_SIZE = len(msgspec.msgpack.encode(event(1)))


def ids_of(emit: Emit) -> list[str]:
    return [msgspec.msgpack.decode(raw)["id"] for raw in emit.events]


class Pauses(list[tuple[float, bool]]):
    """The pauses of all senders in seconds, and whether a flush may end them; none takes over `longest`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, longest: float) -> None:
        super().__init__()
        sleep = sender.Sender._sleep

        def record(self_: sender.Sender, seconds: float, *, hurried: bool) -> None:
            self.append((seconds, hurried))
            sleep(self_, min(seconds, longest), hurried=hurried)

        monkeypatch.setattr(sender.Sender, "_sleep", record)


def emit_together(server: ScriptedServer, log: EventLog, events: list[Event]) -> None:
    """Emit events while the peer is away, so that one emit takes them all."""
    for one in events:
        assert log.emit(one) is not None
    server.start()


# The ordinary way.


def test_events_are_stored_in_their_order(server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    ids = [log.emit(event(number)) for number in range(500)]
    assert log.flush(10)
    assert list(server.stored) == ids
    stats = log.stats()
    assert (stats.emitted, stats.acked, stats.held, stats.held_bytes, stats.dropped) == (500, 500, 0, 0, {})


def test_event_is_stamped_when_it_is_emitted(server: ScriptedServer, make_log: Make) -> None:
    """Id and timestamp are the client's, so that sending again sends the same."""
    log = make_log()
    event_id = log.emit({"type": "test.bare", "payload": {"a": 1}})
    assert event_id is not None
    assert log.flush(10)
    stored = server.stored[event_id]
    assert abs(stored["timestamp"] / 1000 - Path(server.path).stat().st_mtime) < 60
    assert stored["payload"] == {"a": 1}


def test_same_object_emitted_twice_is_two_events(server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    template = Event(type="test.tick")
    first, second = log.emit(template), log.emit(template)
    assert first != second
    assert log.flush(10)
    assert list(server.stored) == [first, second]


def test_event_is_copied_when_it_is_emitted(absent_server: ScriptedServer, make_log: Make) -> None:
    """What the agent does to its objects afterwards is its own business."""
    log = make_log()
    payload = {"a": [1]}
    event_id = log.emit(Event(type="test.copy", payload=payload))
    payload["a"].append(2)
    absent_server.start()
    assert log.flush(10)
    assert event_id is not None
    assert absent_server.stored[event_id]["payload"] == {"a": [1]}


def test_helpers_write_the_documents_events(server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    log.lifecycle_start()
    log.message_in("Which day is it?", sender="anna")
    log.tool_call("clock", {"zone": "UTC"}, call_id="c1")
    log.tool_result("clock", "Monday", call_id="c1")
    log.message_out("Monday.", run=Run("agent:main:other", model="m1", channel="matrix"))
    log.custom("memory.fact", {"text": "Anna asks for days"})
    log.lifecycle_end()
    assert log.flush(10)
    stored = list(server.stored.values())
    assert [one["type"] for one in stored] == [
        "lifecycle.start",
        "conversation.message.in",
        "conversation.tool_call",
        "conversation.tool_result",
        "conversation.message.out",
        "memory.fact",
        "lifecycle.end",
    ]
    assert [one["session"] for one in stored] == ["agent:main:main"] * 4 + ["agent:main:other"] + [
        "agent:main:main"
    ] * 2
    assert stored[4]["meta"]["model"] == "m1"


def test_emits_are_of_bounded_size(absent_server: ScriptedServer, make_log: Make) -> None:
    """At most 200 events and 256 KiB, and never more than the welcome allows."""
    log = make_log()
    emit_together(absent_server, log, [event(number) for number in range(450)])
    assert log.flush(10)
    large = [event(1000 + number, payload={"x": "x" * 100_000}) for number in range(4)]
    absent_server.stop()
    emit_together(absent_server, log, large)
    assert log.flush(10)
    assert [len(emit.events) for emit in absent_server.emits] == [200, 200, 50, 2, 2]


def test_limits_of_the_welcome_are_kept(absent_server: ScriptedServer, make_log: Make) -> None:
    absent_server.limits = Limits(max_frame=1000, max_event=1000, max_events=3, max_in_flight=1000)
    log = make_log()
    events = [event(number) for number in range(7)] + [event(7, payload={"x": "x" * 990}), event(8)]
    emit_together(absent_server, log, events)
    assert log.flush(10)
    assert list(absent_server.stored) == [f"id-{number}" for number in (*range(7), 8)]
    assert max(len(emit.events) for emit in absent_server.emits) == 3
    assert log.stats().dropped == {"too_large": 1}


# Trouble with eventd.


def test_daemon_away_then_there_gets_everything(absent_server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    ids = [log.emit(event(number)) for number in range(300)]
    assert not log.flush(0.1)
    assert log.stats().held == 300
    absent_server.start()
    assert log.flush(10)
    assert list(absent_server.stored) == ids


def test_restarted_daemon_gets_the_rest(server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    log.emit(event(1))
    assert log.flush(10)
    server.stop()
    log.emit(event(2))
    server.start()
    assert log.flush(10)
    assert list(server.stored) == ["id-1", "id-2"]
    assert len(server.hellos) == 2


def test_lost_ack_sends_the_same_again(absent_server: ScriptedServer, make_log: Make) -> None:
    """Same ids, same content; so eventd stores them once."""
    absent_server.script.append(lose_ack)
    log = make_log()
    emit_together(absent_server, log, [event(1), event(2)])
    assert log.flush(10)
    first, again = absent_server.emits
    assert [bytes(raw) for raw in first.events] == [bytes(raw) for raw in again.events]
    assert list(absent_server.stored) == ["id-1", "id-2"]
    assert log.stats().acked == 2


def test_acked_emits_of_a_broken_round_are_not_sent_again(
    absent_server: ScriptedServer, make_log: Make
) -> None:
    absent_server.script += [store, lose_ack]
    log = make_log()
    emit_together(absent_server, log, [event(number) for number in range(500)])
    assert log.flush(10)
    assert list(absent_server.stored) == [f"id-{number}" for number in range(500)]
    sizes = [len(emit.events) for emit in absent_server.emits]
    assert sizes[0] == 200
    assert "id-0" not in [one for emit in absent_server.emits[1:] for one in ids_of(emit)]


def test_silent_daemon_is_given_up_and_asked_again(
    server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT", 0.3)
    server.script.append(stall)
    log = make_log()
    log.emit(event(1))
    assert log.flush(10)
    assert [ids_of(emit) for emit in server.emits] == [["id-1"], ["id-1"]]


def test_peer_that_speaks_nonsense_is_asked_again(server: ScriptedServer, make_log: Make) -> None:
    server.script.append(lambda peer, emit: peer.send_bytes(b"\xff\xff\xff\xff"))
    log = make_log()
    log.emit(event(1))
    assert log.flush(10)
    assert list(server.stored) == ["id-1"]


# One test for what each error code does.


def codes(*actions: ClientAction) -> list[str]:
    return [code for code, info in CODES.items() if info.action in actions]


@pytest.mark.parametrize("code", codes(ClientAction.DROP_EVENT))
def test_event_that_spoils_an_emit_is_dropped_alone(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    absent_server.script.append(refuse(code, index=1))
    log = make_log()
    emit_together(absent_server, log, [event(1), event(2), event(3)])
    assert log.flush(10)
    assert [ids_of(emit) for emit in absent_server.emits] == [["id-1", "id-2", "id-3"], ["id-1", "id-3"]]
    stats = log.stats()
    assert (stats.acked, stats.dropped, stats.held) == (2, {code: 1}, 0)
    assert code in stats.last_error


@pytest.mark.parametrize("code", codes(ClientAction.DROP_AGENT))
def test_events_of_an_agent_that_may_not_are_dropped(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    """All of that agent and session at once; those of others are stored."""
    absent_server.script.append(refuse(code, index=0))
    log = make_log()
    emit_together(absent_server, log, [event(1, agent="off"), event(2, agent="on"), event(3, agent="off")])
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-2"]
    assert log.stats().dropped == {code: 2}


@pytest.mark.parametrize("code", codes(ClientAction.DROP_EMIT))
def test_emit_that_can_never_succeed_is_dropped(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    absent_server.script.append(refuse(code))
    log = make_log()
    emit_together(absent_server, log, [event(1), event(2)])
    assert log.flush(10)
    log.emit(event(3))
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-3"]
    assert log.stats().dropped == {code: 2}


@pytest.mark.parametrize("code", codes(ClientAction.DROP_EVENT, ClientAction.DROP_AGENT))
def test_without_an_index_all_events_of_the_emit_are_dropped(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    absent_server.script.append(refuse(code))
    log = make_log()
    emit_together(absent_server, log, [event(1), event(2)])
    assert log.flush(10)
    assert absent_server.stored == {}
    assert log.stats().dropped == {code: 2}


@pytest.mark.parametrize("code", codes(ClientAction.RETRY))
def test_emit_is_tried_again_later_on_the_same_connection(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    absent_server.script += [refuse(code, retry_after_ms=1), refuse(code)]
    log = make_log()
    emit_together(absent_server, log, [event(1), event(2)])
    assert log.flush(10)
    assert [ids_of(emit) for emit in absent_server.emits] == [["id-1", "id-2"]] * 3
    assert len(absent_server.hellos) == 1
    assert log.stats().dropped == {}


def test_pause_that_the_daemon_asks_for_is_kept(
    absent_server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when somebody waits in flush."""
    pauses = Pauses(monkeypatch, longest=0.01)
    absent_server.script.append(refuse("slow_down", retry_after_ms=7_000))
    absent_server.start()
    log = make_log()
    log.emit(event(1))
    assert log.flush(10)
    assert pauses == [(7.0, False)]


@pytest.mark.parametrize(
    "code", [code for code in codes(ClientAction.RECONNECT) if code not in CONNECTION_CODES]
)
def test_emit_is_tried_again_on_a_new_connection(
    absent_server: ScriptedServer, make_log: Make, code: str
) -> None:
    absent_server.script.append(refuse(code))
    log = make_log()
    emit_together(absent_server, log, [event(1)])
    assert log.flush(10)
    assert [ids_of(emit) for emit in absent_server.emits] == [["id-1"]] * 2
    assert len(absent_server.hellos) == 2


@pytest.mark.parametrize("code", [*CONNECTION_CODES, "shutting_down", "internal"])
def test_dismissed_connection_is_made_again(
    absent_server: ScriptedServer, make_log: Make, quick: None, code: str
) -> None:
    """Whatever ended it, and whenever: nothing is dropped."""
    absent_server.greetings.append(send_away(code))
    absent_server.script.append(dismiss(code))
    log = make_log()
    emit_together(absent_server, log, [event(1)])
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-1"]
    assert len(absent_server.hellos) == 3
    assert log.stats().dropped == {}


@pytest.mark.parametrize("code", codes(ClientAction.RECONNECT_LATER))
def test_what_a_person_has_to_see_to_is_not_tried_every_moment(
    server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    pauses = Pauses(monkeypatch, longest=sender.LATER)
    server.greeting = send_away(code)
    log = make_log()
    log.emit(event(1))
    wait_until(lambda: pauses)
    assert pauses == [(sender.LATER, True)]
    assert log.stats().held == 1


def test_code_of_a_newer_daemon_loses_nothing(absent_server: ScriptedServer, make_log: Make) -> None:
    def step(peer: Peer, emit: Emit) -> None:
        peer.send(msgspec.structs.replace(error("internal", id=emit.id), code="from_the_future"))

    absent_server.script.append(step)
    log = make_log()
    emit_together(absent_server, log, [event(1)])
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-1"]


# The agent never suffers.


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Event(type="Not A Type"), id="type"),
        pytest.param(Event(type="a", payload={"x": float("nan")}), id="nan"),
        pytest.param(Event(type="a", payload={"x": b"bytes"}), id="bytes"),
        pytest.param(Event(type="a", payload={"x": object()}), id="object"),
        pytest.param(Event(type="a", payload={"x": Unprintable()}), id="unprintable"),
        pytest.param(Event(type="a", payload={"x": "\ud800"}), id="surrogate"),
        pytest.param(Event(type="a", payload={"x": 2**70}), id="huge integer"),
        pytest.param(Event(type=7), id="wrong type"),  # type: ignore[arg-type] # on purpose
        pytest.param({}, id="empty"),
        pytest.param({"type": "a", "payload": 7}, id="payload"),
        pytest.param(None, id="none"),
        pytest.param("text", id="text"),
    ],
)
def test_bad_input_is_counted_and_not_raised(server: ScriptedServer, make_log: Make, bad: Any) -> None:
    log = make_log()
    assert log.emit(bad) is None
    log.emit(event(1))
    assert log.flush(10)
    assert list(server.stored) == ["id-1"]
    assert log.stats().dropped == {"malformed": 1}


def test_event_that_contains_itself_is_counted_and_not_raised(make_log: Make) -> None:
    log = make_log()
    endless: dict[str, Any] = {}
    endless["x"] = endless
    assert log.emit(Event(type="a", payload=endless)) is None
    assert log.stats().dropped == {"malformed": 1}


def test_helpers_do_not_raise_either(make_log: Make) -> None:
    log = make_log()
    assert log.message_in(b"bytes") is None  # type: ignore[arg-type] # on purpose
    assert log.custom("Bad Type") is None
    assert log.tool_call("x", run="no run") is None  # type: ignore[arg-type] # on purpose
    assert log.stats().dropped == {"malformed": 3}


def test_bad_input_is_logged_once(make_log: Make, caplog: pytest.LogCaptureFixture) -> None:
    log = make_log()
    for _ in range(3):
        log.emit(Event(type="Bad"))
    dropped = [record for record in caplog.records if getattr(record, "eventd_action", "") == "event_dropped"]
    assert [record.levelno for record in dropped] == [logging.WARNING]
    assert log.stats().dropped == {"malformed": 3}


class Unreadable(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class Hostile:
    """What an agent may hand in, or its logging may do."""

    def __iter__(self) -> Iterator[Any]:
        raise Unreadable

    def filter(self, record: logging.LogRecord) -> bool:
        raise ZeroDivisionError


def naming_factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Makes records as structured logging does, with fields of the program's own."""
    record = logging.LogRecord(*args, **kwargs)
    vars(record).update(agent="mine", action="mine", reason="mine", seconds="mine")
    return record


def broken_factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
    raise ZeroDivisionError


@pytest.fixture
def restored_factory() -> Iterator[None]:
    """Lets a test set the factory of records."""
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


@pytest.fixture(
    params=[naming_factory, broken_factory, Hostile()], ids=lambda it: str(getattr(it, "__name__", "filter"))
)
def foreign_logging(request: pytest.FixtureRequest, restored_factory: None) -> Iterator[None]:
    """A program's logging, as eventd's client meets it."""
    if isinstance(request.param, Hostile):
        sender.logger.addFilter(request.param)
    else:
        logging.setLogRecordFactory(request.param)
    yield
    sender.logger.removeFilter(request.param)


@pytest.mark.usefixtures("foreign_logging")
def test_logging_of_the_program_cannot_hurt_the_agent_nor_end_the_thread(
    absent_server: ScriptedServer, make_log: Make
) -> None:
    """Drops, an outage and its end are reported; whatever becomes of that, events go on."""
    log = make_log()
    assert log.emit(Event(type="Bad")) is None
    log.emit(event(1))
    assert not log.flush(0.3)
    absent_server.start()
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-1"]
    absent_server.script.append(refuse("malformed", index=0))
    log.emit(event(2))
    assert log.flush(10)
    log.emit(event(3))
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-1", "id-3"]


@pytest.mark.usefixtures("restored_factory")
def test_fields_of_the_records_stay_apart_from_those_of_the_program(
    make_log: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Where its own records name an agent, ours still come through."""
    logging.setLogRecordFactory(naming_factory)
    make_log().emit(Event(type="Bad"))
    (dropped,) = caplog.records
    fields = {name: value for name, value in vars(dropped).items() if name.startswith("eventd_")}
    assert fields == {"eventd_action": "event_dropped", "eventd_reason": "malformed", "eventd_agent": "main"}


def test_error_that_cannot_be_read_is_counted(make_log: Make) -> None:
    """An agent's own classes run while its events are read."""
    log = make_log()
    assert log.custom("test.made", Hostile()) is None
    log._sender.note_dropped("malformed", 1, Unreadable())
    assert log.stats().dropped == {"malformed": 2}
    assert log.stats().last_error == "Unreadable"


def test_thread_that_has_died_is_started_again(
    absent_server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known to end it; if something does, the next event brings it back."""
    died = threading.Event()
    log = make_log()
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: died.set())
        patch.setattr(sender.Sender, "_note_failure", lambda *_: 1 / 0)
        log.emit(event(1))
        assert died.wait(10)
        thread = log._sender._thread
        assert thread is not None
        thread.join(10)
    absent_server.start()
    log.emit(event(2))
    assert log.flush(10)
    assert list(absent_server.stored) == ["id-1", "id-2"]


def test_flush_waits_for_the_events_themselves_and_not_for_as_many(
    absent_server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that came later and are stored already do not stand in for those that wait again."""
    asked = threading.Event()
    is_settled = Buffer.is_settled

    def look(self: Buffer, number: int) -> bool:
        asked.set()
        return is_settled(self, number)

    monkeypatch.setattr(Buffer, "is_settled", look)
    absent_server.script += [refuse("slow_down", retry_after_ms=60_000), store]
    log = make_log()
    for number in range(200):  # one emit
        log.emit(event(number))
    flushed: list[bool] = []
    flush = threading.Thread(target=lambda: flushed.append(log.flush(1)))
    flush.start()
    assert asked.wait(10)
    emit_together(absent_server, log, [event(200 + number) for number in range(200)])
    flush.join(10)
    assert flushed == [False]
    assert (log.stats().acked, log.stats().held) == (200, 200)


def test_outage_is_logged_once_and_its_end_too(
    absent_server: ScriptedServer, make_log: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log = make_log()
    log.emit(event(1))
    for _ in range(3):
        log.flush(0.2)
    absent_server.start()
    assert log.flush(10)
    actions = [record.eventd_action for record in caplog.records if hasattr(record, "eventd_action")]
    assert actions == ["eventd_unreachable", "eventd_reachable"]


@pytest.mark.parametrize(
    "limits", [{"max_events": 5}, {"max_bytes": 5 * len(msgspec.msgpack.encode(event(1)))}]
)
def test_full_buffer_refuses_the_newest_and_counts_them(
    absent_server: ScriptedServer, make_log: Make, limits: dict[str, int]
) -> None:
    log = make_log(**limits)
    ids = [log.emit(event(number)) for number in range(8)]
    assert ids == [f"id-{number}" for number in range(5)] + [None] * 3
    absent_server.start()
    assert log.flush(10)
    assert list(absent_server.stored) == ids[:5]
    assert log.stats().dropped == {"buffer_full": 3}
    assert log.emit(event(9)) == "id-9"


def test_many_threads_may_emit(server: ScriptedServer, make_log: Make) -> None:
    log = make_log()

    def work(first: int) -> None:
        for number in range(first, first + 100):
            log.emit(event(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(10)
    assert sorted(server.stored) == sorted(f"id-{number}" for number in range(800))
    for first in range(0, 800, 100):  # each thread's own order is kept
        mine = [one for one in server.stored if first <= int(one[3:]) < first + 100]
        assert mine == [f"id-{number}" for number in range(first, first + 100)]


def test_thread_that_cannot_be_started_is_no_exception(
    server: ScriptedServer, make_log: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the very end of a program; the next event tries again."""

    def refuse_to_start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = make_log()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        assert log.emit(event(1)) is None
    assert log.emit(event(2)) == "id-2"
    assert log.flush(10)
    assert list(server.stored) == ["id-2"]
    assert log.stats().dropped == {"no_thread": 1}


def test_name_that_no_agent_can_have_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="agent"):
        EventLog("a:b")


# The end.


def test_close_sends_what_is_held(absent_server: ScriptedServer, make_log: Make) -> None:
    log = make_log()
    emit_together(absent_server, log, [event(number) for number in range(300)])
    log.close(10)
    assert len(absent_server.stored) == 300
    assert not [thread for thread in threading.enumerate() if thread.name == "eventd-log"]


def test_block_closes_the_log(server: ScriptedServer) -> None:
    with EventLog("main", socket=server.path) as log:
        log.emit(event(1))
    assert list(server.stored) == ["id-1"]
    assert log.emit(event(2)) is None
    assert log.stats().dropped == {"closed": 1}


def test_close_while_the_daemon_is_away_counts_what_is_lost(make_log: Make) -> None:
    """And does not wait for a daemon that is not there, however much time it is given."""
    log = make_log()
    log.emit(event(1))
    closing = threading.Thread(target=log.close, args=(3600,), daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    log.close()
    assert log.stats().dropped == {"closed": 1}


def test_close_does_not_wait_for_a_silent_daemon(server: ScriptedServer, make_log: Make) -> None:
    server.script.append(stall)
    log = make_log()
    log.emit(event(1))
    wait_until(lambda: server.emits)
    log.close(0.1)
    assert log.stats().dropped == {"closed": 1}
    assert not [thread for thread in threading.enumerate() if thread.name == "eventd-log"]


def test_lost_log_still_sends_and_then_ends(absent_server: ScriptedServer) -> None:
    EventLog("main", socket=absent_server.path).emit(event(1))
    absent_server.start()
    wait_until(lambda: "id-1" in absent_server.stored)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "eventd-log"])


def run_program(server: ScriptedServer, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "EVENTD_SOCKET": str(server.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_end_of_the_program_sends_what_is_held(server: ScriptedServer) -> None:
    run_program(
        server,
        """
        from eventd_ipc import EventLog
        log = EventLog("main")
        for number in range(100):
            log.emit({"type": "test.exit", "id": f"id-{number}"})
        """,
    )
    assert list(server.stored) == [f"id-{number}" for number in range(100)]


def test_end_of_the_program_does_not_wait_for_a_daemon_that_is_away(absent_server: ScriptedServer) -> None:
    """The longest pause between attempts is far longer than what the program may take here."""
    run_program(
        absent_server,
        """
        import logging
        from eventd_ipc import EventLog, sender
        sender.EXIT_TIMEOUT = 3600
        logging.disable()
        log = EventLog("main")
        log.emit({"type": "test.exit"})
        """,
    )


def test_child_of_a_fork_has_its_own_connection_and_buffer(server: ScriptedServer) -> None:
    """Parent and child go on writing; what the parent held is the parent's alone."""
    run_program(
        server,
        """
        import os
        from eventd_ipc import EventLog
        log = EventLog("main")
        log.emit({"type": "test.fork", "id": "before"})
        assert log.flush(10)
        child = os.fork()
        name = "parent" if child else "child"
        for number in range(50):
            log.emit({"type": "test.fork", "id": f"{name}-{number}"})
        assert log.flush(10)
        assert log.stats().acked == (51 if child else 50), log.stats()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            log.emit({"type": "test.fork", "id": "after"})
            assert log.flush(10)
        log.close()
        os._exit(0)
        """,
    )
    assert len(server.hellos) == 2
    assert {one.partition("-")[0] for one in server.stored} == {"before", "parent", "child", "after"}
    assert len(server.stored) == 102
    sent = [one for emit in server.emits for one in ids_of(emit)]
    assert len(sent) == 102


def test_child_of_a_fork_lets_go_of_the_parents_connection(server: ScriptedServer) -> None:
    """Otherwise it would stay open for as long as the child lives."""
    run_program(
        server,
        """
        import os
        from eventd_ipc import EventLog
        log = EventLog("main")
        log.emit({"type": "test.fork"})
        assert log.flush(10)
        descriptor = log._sender._client._socket.fileno()
        child = os.fork()
        if child == 0:
            try:
                os.fstat(descriptor)
            except OSError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        os.fstat(descriptor)
        """,
    )


def test_child_of_a_fork_has_nothing_of_what_the_parent_held(absent_server: ScriptedServer) -> None:
    """It neither sends it nor waits for it when it ends, whatever the parent's threads were just doing."""
    run_program(
        absent_server,
        """
        import logging, os, sys, threading
        from eventd_ipc import EventLog, sender
        sender.EXIT_TIMEOUT = 3600
        logging.disable()
        log = EventLog("main")
        log.emit({"type": "test.fork", "id": "held"})
        locked, forked = threading.Event(), threading.Event()
        def lock():
            with log._sender._changed:
                locked.set()
                forked.wait()
        threading.Thread(target=lock).start()
        locked.wait()
        child = os.fork()
        if child == 0:
            assert log.stats().held == 0
            del log
            sys.exit()
        forked.set()
        assert os.waitpid(child, 0)[1] == 0
        assert log.stats().held == 1
        """,
    )
