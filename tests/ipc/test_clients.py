"""What the asynchronous and the blocking client do alike; each test runs with both."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio.from_thread
import msgspec
import pytest

from eventd_ipc import blocking, client
from eventd_ipc.builders import Run
from eventd_ipc.codec import encode
from eventd_ipc.errors import (
    ConnectionLost,
    NotFound,
    NotRunning,
    ProtocolError,
    Refused,
    TimedOut,
    Unauthorised,
    UnsafeSocket,
)
from eventd_ipc.events import Event
from eventd_ipc.messages import (
    Ack,
    Context,
    Credit,
    Emit,
    End,
    Get,
    Index,
    Limits,
    Metrics,
    Ping,
    Pong,
    Query,
    RawEvent,
    Recall,
    Replay,
    Request,
    Result,
    StoredEvent,
    Tail,
)
from eventd_ipc.requests import QUERY_CREDIT
from ipc.support.scripted import (
    Peer,
    ScriptedServer,
    dismiss,
    error,
    lose_ack,
    refuse,
    stored_event,
)

Connect = Callable[..., AbstractContextManager[Any]]


class Portal:
    """The asynchronous client, used from a thread."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal, inner: client.Client) -> None:
        self._portal = portal
        self._inner = inner
        self.welcome = inner.welcome

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._portal.call(lambda: getattr(self._inner, name)(*args, **kwargs))

    def query(self, **options: Any) -> "PortalStream":
        return PortalStream(self._portal, self._inner.query(**options))

    def tail(self, **options: Any) -> "PortalStream":
        return PortalStream(self._portal, self._inner.tail(**options))

    def replay(self, **options: Any) -> "PortalStream":
        return PortalStream(self._portal, self._inner.replay(**options))


class PortalStream:
    """Its events, read from a thread."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal, inner: client.EventStream) -> None:
        self._inner = inner
        self._events = self._read(portal)

    @property
    def cursor(self) -> str | None:
        return self._inner.cursor

    def __iter__(self) -> Iterator[StoredEvent]:
        return self

    def __next__(self) -> StoredEvent:
        return next(self._events)

    def close(self) -> None:
        self._events.close()

    def _read(self, portal: anyio.from_thread.BlockingPortal) -> Generator[StoredEvent]:
        with portal.wrap_async_context_manager(self._inner) as events:
            while True:
                try:
                    yield portal.call(events.__anext__)
                except StopAsyncIteration:
                    return


@contextmanager
def connect_async(*args: Any, **kwargs: Any) -> Iterator[Portal]:
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(client.connect(*args, **kwargs)) as inner,
    ):
        yield Portal(portal, inner)


@pytest.fixture(params=["blocking", "async"])
def connect(request: pytest.FixtureRequest, absent_server: ScriptedServer) -> Connect:
    """Connects to the peer as the agent main: `connect(**options)`."""
    kinds: dict[str, Connect] = {"blocking": blocking.connect, "async": connect_async}
    kind = kinds[request.param]
    return lambda **options: kind(
        "main", **{"socket": absent_server.path, "timeout": 10.0, "patience": 0.0, **options}
    )


def event(number: int = 1, **fields: Any) -> Event:
    return Event(type="test.made", id=f"id-{number}", timestamp=number, **fields)


def stored_ids(server: ScriptedServer) -> list[str]:
    return list(server.stored)


# Connecting.


def test_hello_says_who_speaks(connect: Connect, server: ScriptedServer) -> None:
    with connect(token="t0", client="test 1"):
        [hello] = server.hellos
    assert (hello.protocol, hello.agent, hello.token, hello.client) == (1, "main", "t0", "test 1")


def test_token_comes_from_the_environment(
    connect: Connect, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTD_TOKEN", "from-env")
    with connect():
        assert server.hellos[0].token == "from-env"


def test_socket_comes_from_the_environment(
    connect: Connect, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTD_SOCKET", str(server.path))
    with connect(socket=None) as connected:
        assert connected.welcome.server == "scripted 1"


def test_nobody_there_says_where_it_looked_and_what_to_do(
    connect: Connect, absent_server: ScriptedServer
) -> None:
    with pytest.raises(NotRunning, match="eventd run") as caught, connect():
        pass
    assert str(absent_server.path) in str(caught.value)


def test_socket_that_nobody_listens_on_is_nobody_there(connect: Connect, server: ScriptedServer) -> None:
    """A daemon that was killed leaves its socket behind."""
    left_over = server.path.with_name("left.sock")
    server.path.rename(left_over)
    server.path.touch()
    server.stop()
    left_over.rename(server.path)
    with pytest.raises(NotRunning), connect():
        pass


def test_daemon_that_is_just_starting_is_waited_for(connect: Connect, absent_server: ScriptedServer) -> None:
    """So that `eventd run & agent` works."""
    late = threading.Timer(0.2, absent_server.start)
    late.start()
    with connect(patience=10.0) as connected:
        assert connected.ping() > 0
    late.join()


def test_folder_that_others_can_write_is_refused(connect: Connect, server: ScriptedServer) -> None:
    server.path.parent.chmod(0o777)
    with pytest.raises(UnsafeSocket, match=str(server.path.parent)), connect():
        pass
    assert server.hellos == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [("unauthorised", Unauthorised), ("too_many_connections", Refused), ("shutting_down", Refused)],
)
def test_refused_hello_is_raised_with_its_code(
    connect: Connect, server: ScriptedServer, code: str, kind: type[Refused]
) -> None:
    server.greeting = lambda peer, hello: peer.send(error(code))
    with pytest.raises(kind) as caught, connect():
        pass
    assert (caught.value.code, caught.value.hint) == (code, "a hint")


def test_greeting_has_a_deadline(connect: Connect, server: ScriptedServer) -> None:
    server.greeting = lambda peer, hello: None
    with pytest.raises(TimedOut, match=r"0\.1 s"), connect(timeout=0.1):
        pass


def test_connection_that_closes_before_the_welcome_is_lost(connect: Connect, server: ScriptedServer) -> None:
    server.greeting = lambda peer, hello: peer.close()
    with pytest.raises(ConnectionLost), connect():
        pass


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(b"\xff\xff\xff\xff", id="too long"),
        pytest.param(b"\0\0\0\1\xc1", id="not msgpack"),
        pytest.param(encode(Pong(1)), id="another reply"),
    ],
)
def test_nonsense_instead_of_a_welcome_is_the_peers_error(
    connect: Connect, server: ScriptedServer, nonsense: bytes
) -> None:
    server.greeting = lambda peer, hello: peer.send_bytes(nonsense)
    with pytest.raises(ProtocolError), connect():
        pass


def test_error_of_the_caller_comes_out_as_it_is(connect: Connect, server: ScriptedServer) -> None:
    """And not in a group of exceptions."""
    with pytest.raises(ZeroDivisionError), connect():
        _ = 1 / 0


# Emit.


def test_emit_returns_the_ids_once_stored(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        assert connected.emit([event(1), event(2)]) == ["id-1", "id-2"]
        assert connected.emit(event(3)) == ["id-3"]
    assert stored_ids(server) == ["id-1", "id-2", "id-3"]


def test_emit_takes_events_that_are_packed_already(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        assert connected.emit([msgspec.Raw(msgspec.msgpack.encode(event(1)))]) == ["id-1"]


def test_emit_leaves_the_event_as_it_is(connect: Connect, server: ScriptedServer) -> None:
    """The same object emitted twice is two events, each stamped by the daemon."""
    bare = Event(type="test.bare")
    server.keep = lambda emit: [f"stamped-{emit.id}"]  # type: ignore[method-assign] # the daemon's part
    with connect() as connected:
        assert connected.emit(bare) == ["stamped-1"]
        assert connected.emit(bare) == ["stamped-2"]
    assert bare == Event(type="test.bare")


def test_refused_emit_says_which_event_and_when_to_retry(connect: Connect, server: ScriptedServer) -> None:
    server.script += [refuse("malformed", index=1), refuse("slow_down", retry_after_ms=250)]
    with connect() as connected:
        with pytest.raises(Refused) as malformed:
            connected.emit([event(1), event(2)])
        with pytest.raises(Refused) as slow:
            connected.emit(event(1))
        assert connected.emit(event(1)) == ["id-1"]
    assert (malformed.value.code, malformed.value.index, malformed.value.retryable) == ("malformed", 1, False)
    assert (slow.value.code, slow.value.retry_after, slow.value.retryable) == ("slow_down", 0.25, True)


def test_emit_larger_than_a_frame_costs_no_connection(connect: Connect, server: ScriptedServer) -> None:
    server.limits = Limits(max_frame=1000, max_event=1000, max_events=10, max_in_flight=1000)
    with connect() as connected:
        with pytest.raises(Refused, match="1000") as caught:
            connected.emit(event(1, payload={"x": "x" * 1000}))
        assert caught.value.code == "frame_too_large"
        assert connected.emit(event(2)) == ["id-2"]
    assert len(server.emits) == 1


def test_lost_ack_is_a_lost_connection_and_a_repeat_is_stored_once(
    connect: Connect, server: ScriptedServer
) -> None:
    server.script.append(lose_ack)
    with connect() as connected, pytest.raises(ConnectionLost, match="stored once"):
        connected.emit(event(1))
    with connect() as connected:
        assert connected.emit(event(1)) == ["id-1"]
    assert len(server.emits) == 2
    assert stored_ids(server) == ["id-1"]


def test_late_reply_does_not_disturb_the_next_request(connect: Connect, server: ScriptedServer) -> None:
    """An answer to what nobody waits for any more is thrown away."""
    late: list[Callable[[], None]] = []

    def answer(peer: Peer, ping: Ping) -> None:
        late.append(lambda: peer.send(Pong(ping.id)))
        if len(late) == 2:
            for reply in late:
                reply()

    server.answers[Ping] = answer
    with connect(timeout=1.0) as connected:
        with pytest.raises(TimedOut):
            connected.ping()
        assert connected.ping() > 0
        assert connected.emit(event(1)) == ["id-1"]


def test_connection_that_was_dismissed_stays_over(connect: Connect, server: ScriptedServer) -> None:
    server.script.append(dismiss("shutting_down"))
    with connect() as connected:
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                connected.emit(event(1))
            assert caught.value.code == "shutting_down"
    assert len(server.emits) == 1


@pytest.mark.parametrize("wrong", [Pong(1), Pong(99)])
def test_answer_that_does_not_fit_is_the_peers_error(
    connect: Connect, server: ScriptedServer, wrong: Pong
) -> None:
    server.script.append(lambda peer, emit: peer.send(wrong))
    with connect() as connected, pytest.raises(ProtocolError):
        connected.emit(event(1))


# The other requests.


def test_status_and_dead_letters_are_documents(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        assert connected.status()["op"] == "status"
        listed = connected.dead_letters("drop", [1, 2])
    assert (listed["action"], listed["numbers"]) == ("drop", [1, 2])


def test_get_returns_one_event(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        got = connected.get(seq=7, stream="events")
    assert (got.seq, got.body) == (7, b'{"n":7}')
    assert server.requests == [Get(1, seq=7, stream="events")]


def test_metrics_are_text(connect: Connect, server: ScriptedServer) -> None:
    server.answers[Metrics] = lambda peer, asked: peer.send(Result(asked.id, {"text": "up 1\n"}))
    with connect() as connected:
        assert connected.metrics() == "up 1\n"


def test_get_of_what_is_not_there(connect: Connect, server: ScriptedServer) -> None:
    server.answers[Get] = lambda peer, get: peer.send(error("not_found", id=get.id))
    with connect() as connected, pytest.raises(NotFound):
        connected.get("no-such-id")


# Tail.


def test_tail_gives_all_events_and_ends(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        assert [got.seq for got in connected.tail(last=10)] == list(range(1, 11))
        assert connected.ping() > 0


@pytest.mark.parametrize("credit", [1, 2, 3, 7, 100])
def test_tail_gives_credit_as_it_reads(connect: Connect, server: ScriptedServer, credit: int) -> None:
    """Whatever the credit, all events come, and never more are under way than it allows."""
    server.stream = 50
    with connect() as connected:
        assert [got.seq for got in connected.tail(credit=credit)] == list(range(1, 51))
    given = [request.n for request in server.requests if isinstance(request, Credit)]
    assert all(n <= credit for n in given)
    assert credit + sum(given) >= 50 or credit >= 50


def test_tail_that_is_left_is_cancelled(connect: Connect, server: ScriptedServer) -> None:
    """What is still under way is thrown away, and the connection goes on."""
    server.stream = 50
    with connect() as connected:
        events = connected.tail(follow=True, credit=10)
        assert next(events).seq == 1
        events.close()
        assert connected.ping() > 0
    assert [kind(request) for request in server.requests] == ["tail", "cancel", "ping"]


def test_tail_that_follows_waits_for_more(connect: Connect, server: ScriptedServer) -> None:
    peers: list[Peer] = []
    original = server._handle

    def handle(peer: Peer, request: Request) -> None:
        peers.append(peer)
        original(peer, request)

    server._handle = handle  # type: ignore[method-assign] # to send when no request came
    server.stream = 2
    with connect() as connected:
        events = connected.tail(follow=True)
        assert [next(events).seq, next(events).seq] == [1, 2]
        peers[-1].send(stored_event(1, 3))
        assert next(events).seq == 3
        events.close()


def test_refused_tail_raises_where_it_is_read(connect: Connect, server: ScriptedServer) -> None:
    server.answers[Tail] = lambda peer, tail: peer.send(
        stored_event(tail.id, 1), error("unavailable", id=tail.id)
    )
    with connect() as connected:
        events = connected.tail()
        assert next(events).seq == 1
        with pytest.raises(Refused) as caught:
            next(events)
        assert caught.value.code == "unavailable"
        assert connected.ping() > 0


def test_more_events_than_credit_are_the_peers_error(connect: Connect, server: ScriptedServer) -> None:
    """A client's memory is bounded by its own credit."""

    def flood(peer: Peer, tail: Tail) -> None:
        peer.send(*(stored_event(tail.id, n) for n in range(1, 5)), End(tail.id))

    server.answers[Tail] = flood
    with connect() as connected, pytest.raises(ProtocolError, match="credit"):
        list(connected.tail(credit=2))


# Query and replay.


@pytest.mark.parametrize("name", ["query", "tail", "replay"])
@pytest.mark.parametrize("credit", [1, 3, 100])
def test_every_stream_of_events_lives_by_its_credit(
    connect: Connect, server: ScriptedServer, name: str, credit: int
) -> None:
    """All events come, and leaving early ends it."""
    server.stream = 20
    with connect() as connected:
        assert [got.seq for got in getattr(connected, name)(credit=credit)] == list(range(1, 21))
        events = getattr(connected, name)(credit=3)
        next(events)
        events.close()
        assert connected.ping() > 0
    assert [kind(request) for request in server.requests][-3:] == [name, "cancel", "ping"]


def test_query_asks_for_what_its_keywords_say(connect: Connect, server: ScriptedServer) -> None:
    """One name is as good as a list of one; what is not said is not sent."""
    with connect() as connected:
        list(connected.query(agent="*", types="memory.*", visibility=("public", "internal"), order="oldest"))
        list(connected.query())
    first, second = server.requests
    assert first == Query(
        1,
        agent="*",
        types=["memory.*"],
        visibility=["public", "internal"],
        order="oldest",
        credit=QUERY_CREDIT,
    )
    assert second == Query(2, credit=QUERY_CREDIT)


def test_tail_and_replay_ask_for_what_their_keywords_say(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        list(connected.tail(last=3, types=["msg.in"], session="s", run="r", text="t"))
        list(connected.replay(stream="events", first=7, speed=2.0, to="elsewhere"))
    assert server.requests == [
        Tail(1, last=3, types=["msg.in"], session="s", run="r", text="t"),
        Replay(2, stream="events", first=7, speed=2.0, to="elsewhere"),
    ]


def test_keyword_that_does_not_exist_is_the_callers_mistake(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected, pytest.raises(TypeError, match="typos"):
        connected.query(typos=1)


def test_cursor_is_there_after_the_end(connect: Connect, server: ScriptedServer) -> None:
    """And stays; a stream that was not read to its end has none."""
    server.cursor = "n:42"
    with connect() as connected:
        events = connected.query(limit=10)
        for _ in range(10):
            next(events)
            assert events.cursor is None
        assert list(events) == []
        assert events.cursor == "n:42"
        assert list(events) == []
        assert events.cursor == "n:42"


def test_last_page_has_no_cursor(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        events = connected.query()
        assert len(list(events)) == 10
        assert events.cursor is None


def test_query_that_stalls_is_timed_out(connect: Connect, server: ScriptedServer) -> None:
    """Nothing has to happen for its next event to come, as opposed to that of a tail."""
    server.answers[Query] = lambda peer, query: peer.send(stored_event(query.id, 1))
    with connect(timeout=0.2) as connected:
        events = connected.query()
        assert next(events).seq == 1
        with pytest.raises(TimedOut):
            next(events)


# Recall, context and index.


def test_documents_of_the_memory(connect: Connect, server: ScriptedServer) -> None:
    with connect() as connected:
        assert connected.recall("Vienna", limit=3, around=2, types=["memory.*"])["text"] == "Vienna"
        assert connected.context(session="s", budget=2000, tools=False)["budget"] == 2000
        assert connected.index()["op"] == "index"
        assert connected.index("rebuild")["action"] == "rebuild"
    assert server.requests == [
        Recall(1, "Vienna", limit=3, around=2, types=["memory.*"]),
        Context(2, session="s", budget=2000, tools=False),
        Index(3),
        Index(4, action="rebuild"),
    ]


def test_moving_events_asks_and_puts(connect: Connect, server: ScriptedServer) -> None:
    """The bytes go as they are; a refusal names the event, as that of an emit does."""
    events = [RawEvent("main", f"e-{n}", "old.main.x", b"\xff%d" % n, never_expires=True) for n in range(2)]
    server.script += [refuse("malformed", index=1)]
    with connect() as client:
        assert client.known("main", ["e-0", "e-1"]) == {"known": [], "forgotten": [], "complete": True}
        with pytest.raises(Refused) as refused:
            client.put(events)
        assert (refused.value.code, refused.value.index) == ("malformed", 1)
        raws = [msgspec.Raw(msgspec.msgpack.encode(event)) for event in events]
        assert client.put([events[0], raws[1]]) == ["e-0", "e-1"]
        assert client.known("main", ["e-1", "e-2"])["known"] == ["e-1"]
    assert server.stored["e-1"]["body"] == b"\xff1"
    assert server.stored["e-1"]["neverExpires"] is True


def test_session_start_needs_one_round_trip(connect: Connect, server: ScriptedServer) -> None:
    """Both requests are there before either is answered; the start comes first, so that it counts."""
    held: list[Emit] = []
    server.script.append(lambda peer, emit: held.append(emit))

    def answer(peer: Peer, asked: Context) -> None:
        (emit,) = held
        document = {"text": "## Memory", "complete": True, "session": asked.session}
        peer.send(Ack(emit.id, server.keep(emit)), Result(asked.id, document))

    server.answers[Context] = answer
    run = Run("agent:main:main", run_id="r-1")
    with connect() as connected:
        began = connected.session_start(run, query="hello", budget=4000, trigger="cron")
        assert connected.ping() > 0
    (stored,) = server.stored.values()
    assert began.ids == [stored["id"]]
    assert (stored["type"], stored["session"]) == ("lifecycle.start", run.session)
    assert stored["payload"]["data"] == {"phase": "start", "trigger": "cron"}
    assert began.text == "## Memory"
    assert began.document["session"] == run.session
    assert server.requests[1] == Context(2, session=run.session, query="hello", budget=4000)


def test_answers_of_a_session_start_may_come_in_any_order(connect: Connect, server: ScriptedServer) -> None:
    held: list[Emit] = []
    server.script.append(lambda peer, emit: held.append(emit))
    server.answers[Context] = lambda peer, asked: peer.send(
        Result(asked.id, {"text": ""}), Ack(held[0].id, ["x"])
    )
    with connect() as connected:
        began = connected.session_start(Run("agent:main:main"))
    assert (began.ids, began.text) == (["x"], "")


@pytest.mark.parametrize("refused", ["emit", "context"])
def test_refused_session_start_leaves_the_connection_well(
    connect: Connect, server: ScriptedServer, refused: str
) -> None:
    """Whichever half was refused, the answer to the other disturbs nobody."""
    if refused == "emit":
        server.script.append(refuse("disk_full"))
    else:
        server.answers[Context] = lambda peer, asked: peer.send(error("unavailable", id=asked.id))
    with connect() as connected:
        with pytest.raises(Refused, match="scripted"):
            connected.session_start(Run("agent:main:main"))
        assert connected.ping() > 0


def kind(request: Request) -> str:
    return str(request.__struct_config__.tag)
