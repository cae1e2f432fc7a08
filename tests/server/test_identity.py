"""Who a connection is: proved at hello, kept to in each request, and looked at again when a token changes."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from eventd.access.gate import Gate
from eventd.access.scopes import Forbidden
from eventd.access.tokens import TokenFolder
from eventd.config.settings import AccessSettings, AgentAccess, Rate, RateSettings
from eventd.paths import token_folder
from eventd.secret import Secret
from eventd.server.audit import LOUD
from eventd.server.context import HELLOS
from eventd.server.operations import Operations, Responder, StreamResponder
from eventd_ipc.messages import Ack, End, Error, Hello, Ping, Pong, Query, Result, Status, Tail
from server.support import PATIENCE, Client, Running, emit, event, ids_of, serving
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

ALICE = AgentAccess(token=Secret("alice-s3cret"), can_write_as=frozenset({"bob"}))
RULES = AccessSettings(agents={"alice": ALICE, "bob": AgentAccess(token=Secret("bob-s3cret"))})


def denials(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what the audit trail has."""
    return [vars(record) for record in caplog.records if vars(record).get("action") == "access_denied"]


async def refusal(running: Running, agent: str, token: str | None = None) -> Error:
    """Say hello in vain; return why."""
    async with await Client.connect(running.path) as client:
        await client.send(Hello(protocol=1, agent=agent, token=token))
        (answer,) = await client.rest()
    assert isinstance(answer, Error)
    return answer


class Doors:
    """Keeps hellos in the gate until they are let on, as a slow disk would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside = 0
        self.most = 0
        self._open = threading.Event()
        self._lock = threading.Lock()
        admit = Gate.admit

        def slow(gate: Gate, *args: Any) -> Any:
            with self._lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            try:
                return admit(gate, *args)
            finally:
                self._open.wait(PATIENCE)
                with self._lock:
                    self.inside -= 1

        monkeypatch.setattr(Gate, "admit", slow)

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    doors = Doors(monkeypatch)
    yield doors
    doors.open()


async def test_welcome_says_who_one_is_and_what_is_answered(short_tmp: Path) -> None:
    """An agent learns that it is no administrator before it asks for what only they get."""
    table = Operations()
    table.add(Status, echo, admin=True)
    table.add(Query, nothing, stream=True)
    async with serving(short_tmp, table, access=RULES) as running:
        running.server.context.gate.prepare()
        admins = (short_tmp / "admin.token").read_text().strip()
        async with await Client.connect(running.path) as client:
            welcome = await client.greet("alice", "alice-s3cret")
            assert (welcome.agent, welcome.proof, welcome.admin) == ("alice", "token", False)
            assert welcome.can == ["cancel", "credit", "emit", "ping", "query"]
        async with await Client.connect(running.path) as client:
            welcome = await client.greet("alice", admins)
            assert (welcome.agent, welcome.proof, welcome.admin) == ("alice", "admin", True)
            assert "status" in welcome.can


async def echo(request: Any, responder: Responder) -> None:
    await responder.send(Result(request.id, {"agent": responder.identity.agent}))


async def nothing(request: Any, responder: StreamResponder) -> None:
    pass


async def test_what_is_for_administrators_is_forbidden_to_others(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler is not even asked; the audit trail says who wanted what."""
    table = Operations()
    table.add(Status, echo, admin=True)
    table.add(Tail, nothing, stream=True, admin=True)
    async with serving(short_tmp, table, access=RULES) as running:
        async with await running.client("alice", "alice-s3cret") as client:
            await client.send(Status(1), Tail(2), Ping(3))
            replies = await client.replies(3)
        assert ids_of(replies) == [("error", 1), ("error", 2), ("pong", 3)]
        assert {reply.code for reply in replies if isinstance(reply, Error)} == {"forbidden"}
        assert running.stats.refused["forbidden"] == 2
    assert [(line["request"], line["agent"]) for line in denials(caplog)] == [
        ("status", "alice"),
        ("tail", "alice"),
    ]


async def test_what_a_handler_forbids_is_in_the_audit_trail(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the hint for the client, and the reason for the operator."""

    async def forbid(request: Any, responder: Responder) -> None:
        raise Forbidden("'alice' may not read that", hint="ask for less")

    table = Operations()
    table.add(Status, forbid)
    async with (
        serving(short_tmp, table, access=RULES) as running,
        await running.client("alice", "alice-s3cret") as client,
    ):
        await client.send(Status(1))
        answer = await client.reply()
    assert isinstance(answer, Error)
    assert (answer.code, answer.hint, answer.retryable) == ("forbidden", "ask for less", False)
    (line,) = denials(caplog)
    assert (line["request"], line["agent"]) == ("status", "alice")
    assert "may not read that" in line["message"]


async def test_a_client_that_tries_on_and_on_does_not_fill_the_log(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first denials of a connection are logged one by one, then each tenfold; all are answered."""
    async with (
        serving(short_tmp, access=RULES) as running,
        await running.client("bob", "bob-s3cret") as client,
    ):
        for start in range(0, 1000, 100):
            forged = [emit(start + n, event(agent="alice")) for n in range(100)]
            await client.send(*forged)
            replies = await client.replies(100)
            assert ids_of(replies) == [("error", start + n) for n in range(100)]
        assert running.stats.refused["forbidden"] == 1000
    assert [line["denials"] for line in denials(caplog)] == [*range(1, LOUD + 1), 100, 1000]


@pytest.mark.parametrize("size", [1, 40_000])
async def test_who_may_write_as_whom_holds_for_small_and_large_frames(short_tmp: Path, size: int) -> None:
    """Large ones are admitted in a thread."""
    payload = {"text": "x" * size}
    async with (
        serving(short_tmp, access=RULES) as running,
        await running.client("alice", "alice-s3cret") as client,
    ):
        for number, agent in enumerate(("alice", "bob", "eve")):
            await client.send(emit(number, event(agent=agent, payload=payload)))
        assert ids_of(await client.replies(3)) == [("ack", 0), ("ack", 1), ("error", 2)]


# What has changed since hello.


async def test_a_client_is_left_alone_while_nothing_has_changed_for_it(short_tmp: Path) -> None:
    """Whatever has changed for others."""
    tokens = TokenFolder(token_folder(short_tmp))
    async with (
        serving(short_tmp, access=RULES) as running,
        await running.client("alice", "alice-s3cret") as alice,
    ):
        tokens.make("eve")
        for _ in range(3):
            await running.server.recheck()
        await alice.send(emit(1))
        assert ids_of([await alice.reply()]) == [("ack", 1)]


@pytest.mark.parametrize("less", [False, True], ids=["more rights", "fewer rights"])
async def test_a_client_stays_when_its_rights_change(short_tmp: Path, less: bool) -> None:
    """From the next request on it has those of now. A stream that was begun with more rights ends."""

    async def follow(request: Any, responder: StreamResponder) -> None:
        await anyio.sleep_forever()

    table = Operations()
    table.add(Tail, follow, stream=True)
    rules = {name: replace(rule, can_read=frozenset({"bob"})) for name, rule in RULES.agents.items()}
    many = AccessSettings(agents=rules)
    few = AccessSettings(agents={"alice": replace(rules["alice"], can_read=frozenset())})
    before, now = (many, few) if less else (few, many)
    async with (
        serving(short_tmp, table, access=before) as running,
        await running.client("alice", "alice-s3cret") as alice,
    ):
        await alice.send(Tail(1))
        await wait_until_async(lambda: running.server.context.stats.streams == 1)
        running.server.context.gate.configure(now)
        await running.server.recheck()
        await alice.send(emit(2))
        replies = await alice.replies(2 if less else 1)
        assert ids_of(replies) == [*([("error", 1)] if less else []), ("ack", 2)]
        if less:
            assert isinstance(replies[0], Error)
            assert replies[0].code == "unavailable"
        assert running.server.context.stats.streams == (0 if less else 1)


async def test_who_is_not_let_in_any_more_is_told_when_all_under_way_is_done(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Emits that wait for the disk get their acks, requests their answers, streams their end."""
    asked, answer = anyio.Event(), anyio.Event()

    async def slow(request: Any, responder: Responder) -> None:
        asked.set()
        await answer.wait()
        await echo(request, responder)

    async def follow(request: Any, responder: StreamResponder) -> None:
        await anyio.sleep_forever()

    table = Operations()
    table.add(Status, slow)
    table.add(Tail, follow, stream=True)
    tokens = TokenFolder(token_folder(short_tmp))
    token = tokens.make("eve")
    async with serving(short_tmp, table, access=RULES) as running, await running.client("eve", token) as eve:
        running.dam.shut()
        await eve.send(emit(1), Status(2), Tail(3), emit(4))
        await asked.wait()
        await wait_until_async(lambda: running.dam.emits == 2)
        tokens.revoke("eve")
        await running.server.recheck()
        await running.server.recheck()  # a client that is going already is not told twice
        running.dam.open()
        answer.set()
        replies = await eve.rest()
    assert sorted(ids_of(replies[:-1])) == [("ack", 1), ("ack", 4), ("error", 3), ("result", 2)]
    last = replies[-1]
    assert isinstance(last, Error)
    assert (last.code, last.id) == ("unauthorised", None)
    assert len(denials(caplog)) == 1


async def test_a_token_that_changes_during_hello_is_looked_at_again(short_tmp: Path, doors: Doors) -> None:
    """Who was found to be right a moment ago is not welcomed with a token that was revoked meanwhile."""
    tokens = TokenFolder(token_folder(short_tmp))
    token = tokens.make("eve")
    async with serving(short_tmp, access=RULES) as running, await Client.connect(running.path) as eve:
        await eve.send(Hello(protocol=1, agent="eve", token=token))
        await wait_until_async(lambda: doors.inside == 1)
        tokens.revoke("eve")
        assert running.server.context.gate.look()
        await running.server.recheck()  # eve is not in yet, so there is nobody to dismiss
        doors.open()
        (answer,) = await eve.rest()
        assert isinstance(answer, Error)
        assert answer.code == "unauthorised"


async def test_who_is_looked_at_again_while_the_daemon_stops_is_told_that_it_stops(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client told `unauthorised` would not come back so soon."""
    tokens = TokenFolder(token_folder(short_tmp))
    token = tokens.make("eve")
    async with serving(short_tmp, access=RULES) as running, await running.client("eve", token) as eve:
        doors = Doors(monkeypatch)
        tokens.revoke("eve")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.server.recheck)
            await wait_until_async(lambda: doors.inside == 1)
            running.server.stop_intake()
            (answer,) = await eve.rest()
            doors.open()
        assert isinstance(answer, Error)
        assert answer.code == "shutting_down"
    assert not denials(caplog)


async def test_who_leaves_while_it_is_looked_at_again_is_gone(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to dismiss, and the server goes on."""
    tokens = TokenFolder(token_folder(short_tmp))
    token = tokens.make("eve")
    async with serving(short_tmp, access=RULES) as running:
        eve = await running.client("eve", token)
        doors = Doors(monkeypatch)
        tokens.revoke("eve")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.server.recheck)
            await wait_until_async(lambda: doors.inside == 1)
            await eve.aclose()
            await wait_until_async(lambda: not running.server.connections)
            doors.open()
        async with await running.client("alice", "alice-s3cret"):
            pass


# A gate that is slow, or broken.


async def test_a_flood_of_hellos_leaves_threads_to_all_others(short_tmp: Path, doors: Doors) -> None:
    """However slow the disk with the tokens is: who is in is served, also where that takes a thread."""
    async with serving(short_tmp, access=RULES, max_connections=200) as running:
        doors.open()
        async with await running.client("alice", "alice-s3cret") as alice:
            doors.shut()
            flood = [await Client.connect(running.path) for _ in range(100)]
            for client in flood:
                await client.send(Hello(protocol=1, agent="bob", token="wrong"))
            await wait_until_async(lambda: doors.inside == HELLOS)
            await anyio.to_thread.run_sync(lambda: None)
            await alice.send(emit(1), emit(2, event(payload={"text": "x" * 40_000})), Ping(3))
            assert sorted(ids_of(await alice.replies(3))) == [("ack", 1), ("ack", 2), ("pong", 3)]
            doors.open()
            for client in flood:
                (answer,) = await client.rest()
                assert isinstance(answer, Error)
                assert answer.code == "unauthorised"
                await client.aclose()
    assert doors.most == HELLOS


async def test_a_bug_in_the_gate_lets_nobody_in_and_ends_nothing(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Closed rather than open; the log has the traceback, the stranger nothing of it."""

    def admit(*_: object) -> None:
        raise ZeroDivisionError("bug")

    async with serving(short_tmp, access=RULES) as running:
        monkeypatch.setattr(Gate, "admit", admit)
        answer = await refusal(running, "alice", "alice-s3cret")
        assert answer.code == "unauthorised"
        assert "bug" not in answer.message
        assert "ZeroDivisionError" in caplog.text
        monkeypatch.undo()
        async with await running.client("alice", "alice-s3cret"):
            pass


async def test_what_a_stranger_is_told_is_less_than_the_log_has(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A path of the daemon's is none of theirs."""
    secret = short_tmp / "missing"
    access = AccessSettings(agents={"alice": AgentAccess(token=Secret(path=secret))})
    async with serving(short_tmp, access=access) as running:
        answer = await refusal(running, "alice", "alice-s3cret")
    assert str(secret) not in f"{answer.message} {answer.hint}"
    assert [str(secret) in line["message"] for line in denials(caplog)] == [True]


@pytest.mark.parametrize(
    ("agent", "token", "denied"),
    [("alice", None, 0), ("nobody", None, 0), ("alice", "x", 1), ("nobody", "x", 1), ("nobody", "", 0)],
)
async def test_a_hello_with_a_token_in_vain_is_in_the_audit_trail(
    short_tmp: Path, caplog: pytest.LogCaptureFixture, agent: str, token: str | None, denied: int
) -> None:
    """One without may just not know that it needs one: a command tries so first."""
    caplog.set_level(logging.INFO)
    async with serving(short_tmp, access=RULES) as running:
        assert (await refusal(running, agent, token)).code == "unauthorised"
    assert [line["agent"] for line in denials(caplog)] == [agent] * denied
    assert "x" not in {vars(record).get("token") for record in caplog.records}


# A limit on how much an agent sends.


async def test_a_connection_that_was_told_to_wait_rests_and_goes_on(short_tmp: Path) -> None:
    """Each emit is taken or refused as a whole, in order; who waits as long as told is let through."""
    limits = RateSettings(agents={"alice": Rate(per_second=50.0, burst=3)})
    async with (
        serving(short_tmp, access=RULES, rates=limits) as running,
        await running.client("alice", "alice-s3cret") as alice,
        await running.client("bob", "bob-s3cret") as bob,
    ):
        await alice.send(*map(emit, range(10)))
        for number in range(100, 150):
            await bob.send(emit(number))
            assert ids_of([await bob.reply()]) == [("ack", number)]
        replies = await alice.replies(10)
        assert [reply.id for reply in replies if isinstance(reply, Ack | Error)] == list(range(10))
        refused = [reply for reply in replies if isinstance(reply, Error)]
        assert [type(reply) for reply in replies[:3]] == [Ack] * 3
        assert {reply.code for reply in refused} == {"slow_down"}
        assert all(reply.retryable and reply.retry_after_ms for reply in refused)
        number = 10
        await alice.send(emit(number))
        while isinstance(answer := await alice.reply(), Error):
            assert answer.retry_after_ms
            await anyio.sleep(answer.retry_after_ms / 1000)
            number += 1
            await alice.send(emit(number))
        assert isinstance(answer, Ack)
        assert running.stats.refused["slow_down"] >= len(refused)


async def test_a_connection_that_rests_can_be_stopped(short_tmp: Path) -> None:
    """A daemon that stops does not wait for the rest to be over. What was not read is not even refused."""
    limits = RateSettings(agents={"alice": Rate(per_second=0.001, burst=1)})
    async with (
        serving(short_tmp, access=RULES, rates=limits) as running,
        await running.client("alice", "alice-s3cret") as alice,
    ):
        await alice.send(*map(emit, range(1000)))
        assert ids_of(await alice.replies(2)) == [("ack", 0), ("error", 1)]
        running.server.stop_intake()
        *_, last = await alice.rest()
        assert isinstance(last, Error)
        assert last.code == "shutting_down"
        assert running.stats.refused["slow_down"] < 10


async def test_other_requests_of_a_limited_agent_are_answered(short_tmp: Path) -> None:
    """A limit is on events that are sent. What waits behind a refused emit comes after the rest."""
    table = Operations()
    table.add(Status, echo)
    table.add(Query, nothing, stream=True)
    limits = RateSettings(agents={"alice": Rate(per_second=0.001, burst=1)})
    async with (
        serving(short_tmp, table, access=RULES, rates=limits) as running,
        await running.client("alice", "alice-s3cret") as alice,
    ):
        await alice.send(emit(1), emit(2), Ping(3), Status(4), Query(5))
        replies = await alice.replies(5)
        assert {type(reply) for reply in replies} == {Ack, Error, Pong, Result, End}
