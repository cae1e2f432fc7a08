"""A tombstone's turn: what it names is erased from the stream, nothing else is, and the route goes on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from eventd.events.tombstones import Forgotten, payload
from eventd.jetstream.deleting import DeletionDenied, check_erasing
from eventd.jetstream.endpoint import fixed
from eventd.jetstream.permissions import PermissionMissing
from eventd.jetstream.reading import parse_time
from eventd.jetstream.session import Session
from eventd.outbox.model import NewRow
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Credentials, Route, Server
from eventd.secret import Secret
from eventd.shipping.shipper import Shipper
from support.jetstream import JetStream, Stored
from support.nats import NatsServer
from support.waiting import wait_until_async

from .support import accept, make_stream, new_row, pending, publish

pytestmark = pytest.mark.anyio

STREAM = "openclaw-events"
MARKER = b"xyzzyQUUXforgotten"


@pytest.fixture
def route(nats_server: NatsServer) -> Route:
    """The default route to `nats_server`."""
    return Route(DEFAULT_ROUTE, Server((nats_server.url,)), STREAM, "openclaw.events")


@pytest.fixture
async def number(outbox: Outbox, route: Route) -> int:
    """The route's number in the outbox."""
    return await outbox.register_route(route.name, route.stream, route.prefix)


@asynccontextmanager
async def shipping(outbox: Outbox, route: Route, number: int) -> AsyncIterator[Shipper]:
    """Run a shipper until the end of the block."""
    shipper = Shipper(route, number, outbox, fixed(route.server))
    async with anyio.create_task_group() as group:
        group.start_soon(shipper.run)
        yield shipper
        group.cancel_scope.cancel()


async def settled(shipper: Shipper) -> None:
    with anyio.fail_after(20):
        await shipper.wait_settled()


def secret(number: int, event: int, agent: str = "main") -> NewRow:
    row = new_row(number, event, agent)
    row.body = msgspec.json.encode({"id": str(event), "agent": agent, "payload": MARKER.decode() * 5})
    return row


async def forget(outbox: Outbox, number: int, *named: Forgotten, agent: str = "main") -> int:
    body = msgspec.json.encode({"type": "eventd.tombstone", "payload": payload(named)})
    subject = f"openclaw.events.{agent}.eventd_tombstone"
    tombstone = NewRow(number, agent, f"t-{outbox.last_seq}", subject, True, 1, body)
    return await outbox.forget(tombstone, [one.id for one in named if one.id])


async def stored(jetstream: JetStream) -> list[Stored]:
    return await run_sync(jetstream.read)


def ids(found: Sequence[Stored]) -> list[str]:
    return [message.msg_id for message in found]


def holding(server: NatsServer) -> list[str]:
    """The files of the server's store that hold the content of a forgotten event."""
    files = [file for file in server.store.rglob("*") if file.is_file()]
    return [file.name for file in files if MARKER in file.read_bytes()]


async def test_shipped_events_are_erased(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, nats_server: NatsServer
) -> None:
    """Where the outbox knows that they stand; the server's files hold nothing of them any more."""
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(secret(number, n) if n in (2, 5) else new_row(number, n) for n in range(1, 7)))
        await settled(shipper)
        assert holding(nats_server)
        await forget(outbox, number, Forgotten("2"), Forgotten("5"))
        await accept(outbox, new_row(number, 7))
        await settled(shipper)
        assert ids(await stored(jetstream)) == ["main:1", "main:3", "main:4", "main:6", "main:t-6", "main:7"]
        assert holding(nats_server) == []
        assert (await stored(jetstream))[4].headers["Nats-TTL"] == "never"


async def test_rows_that_wait_are_never_published(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, nats_server: NatsServer
) -> None:
    """Their stubs are, and are erased; order and the others stay."""
    await accept(outbox, *(secret(number, n) if n == 2 else new_row(number, n) for n in range(1, 4)))
    await forget(outbox, number, Forgotten("2"))
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        found = await stored(jetstream)
        assert [(message.seq, message.msg_id) for message in found] == [
            (1, "main:1"), (3, "main:3"), (4, "main:t-3"),
        ]  # fmt: skip
        assert holding(nats_server) == []


async def test_what_was_sent_without_an_answer_is_erased(
    outbox: Outbox, route: Route, number: int, session: Session, jetstream: JetStream
) -> None:
    """It is in the stream with its content, while the outbox has only the stub left: by id it is found."""
    await accept(outbox, new_row(number, 1), secret(number, 2), new_row(number, 3))
    await publish(session, await pending(outbox, number))
    await forget(outbox, number, Forgotten("2"))
    async with shipping(outbox, route, number) as shipper:
        await settled(shipper)
        assert ids(await stored(jetstream)) == ["main:1", "main:3", "main:t-3"]


async def test_only_what_is_meant_is_erased(
    outbox: Outbox, route: Route, number: int, session: Session, jetstream: JetStream
) -> None:
    """A place is believed with the id, or the time, of what stands there; an id means one agent's."""
    await make_stream(session)
    await run_sync(jetstream.publish, "openclaw.events.main.custom", 3, "main")  # without message ids
    times = [await _time_of(jetstream, seq) for seq in (1, 2, 3)]
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1), new_row(number, 1, "bob"), new_row(number, 2))
        await settled(shipper)
        times.append(await _time_of(jetstream, 5))
        await forget(
            outbox, number,
            Forgotten("main-0", STREAM, 1, times[0]),  # the very message
            Forgotten("", STREAM, 5, times[3]),  # that of bob
            Forgotten("", STREAM, 2, times[1] + 7),  # another one stood there
            Forgotten("", STREAM, 3),  # nobody knows
            Forgotten("1", STREAM, 5),  # bob's
            Forgotten("9", STREAM, 6),  # has another id
            Forgotten("8", STREAM, 99), Forgotten("8", "no-such-stream", 1),
            Forgotten("8", "no.stream", 1), Forgotten("8", "no stream", 1), Forgotten("8", ">", 1),
        )  # fmt: skip
        await settled(shipper)
        assert [message.seq for message in await stored(jetstream)] == [2, 3, 5, 6, 7]
        assert outbox.stats.routes[number].dead_rows == 0


async def _time_of(jetstream: JetStream, seq: int) -> int:
    answer = await run_sync(jetstream.api, f"STREAM.MSG.GET.{STREAM}", {"seq": seq})
    return parse_time(answer["message"]["time"])


async def test_a_rollback_brings_nothing_back(
    outbox: Outbox,
    route: Route,
    number: int,
    nats_server: NatsServer,
    jetstream: JetStream,
    short_tmp: Path,
) -> None:
    """What the server lost is shipped again as a stub, the tombstone runs again, and erases that."""
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1))
        await settled(shipper)
        await run_sync(nats_server.stop)
        copy = await run_sync(nats_server.copy_store, short_tmp / "copy")
        await run_sync(nats_server.start)
        await accept(outbox, new_row(number, 2), secret(number, 3), new_row(number, 4))
        await settled(shipper)
        await forget(outbox, number, Forgotten("3", STREAM, 3))
        await settled(shipper)
        await run_sync(nats_server.kill)
        await run_sync(nats_server.restore_store, copy)
        await run_sync(nats_server.start)
        await accept(outbox, new_row(number, 5))
        await settled(shipper)
        assert shipper.status.repairs == 1
        assert ids(await stored(jetstream)) == ["main:1", "main:2", "main:4", "main:t-4", "main:5"]
        assert holding(nats_server) == []


async def test_a_stream_that_never_lets_go_makes_a_dead_letter(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """It names the setting; what comes behind is shipped."""
    await run_sync(lambda: jetstream.make(STREAM, deny_delete=True))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1))
        await settled(shipper)
        dead = await forget(outbox, number, Forgotten("1"))
        await accept(outbox, new_row(number, 2))
        await settled(shipper)
        [letter] = await outbox.dead_letters(0, 10)
        assert letter.number == dead
        assert "deny_delete" in letter.reason
        assert ids(await stored(jetstream)) == ["main:1", "main:2"]


LIMITED = """
authorization {{ users = [
  {{user: op, password: op}}
  {{user: eventd, password: pw, permissions: {{
    publish: {{allow: [">"], deny: [{deny}]}}, subscribe: {{allow: [">"]}}
  }}}}
] }}
"""
DELETE = f"$JS.API.STREAM.MSG.DELETE.{STREAM}"


async def test_a_missing_right_makes_a_dead_letter_to_retry(outbox: Outbox, short_tmp: Path) -> None:
    """It names the subject. Once that is granted, the retried one erases."""
    server = NatsServer(short_tmp / "n", config=LIMITED.format(deny=f'"{DELETE}"'))
    login = Credentials(user="eventd", password=Secret("pw"))
    with server.start():
        jetstream = JetStream(server.url, user="op", password="op")
        route = Route(DEFAULT_ROUTE, Server((server.url,), login), STREAM, "openclaw.events")
        number = await outbox.register_route(route.name, route.stream, route.prefix)
        async with shipping(outbox, route, number) as shipper:
            await accept(outbox, new_row(number, 1))
            await settled(shipper)
            session = shipper.link.session
            assert session is not None
            with pytest.raises(PermissionMissing, match=r"MSG\.DELETE"):
                await check_erasing(session, STREAM)
            dead = await forget(outbox, number, Forgotten("1"))
            await accept(outbox, new_row(number, 2))
            await settled(shipper)
            [letter] = await outbox.dead_letters(0, 10)
            assert DELETE in letter.reason
            await run_sync(server.reload, LIMITED.format(deny=""))
            await outbox.retry_dead([dead])
            await settled(shipper)
            assert ids(await stored(jetstream)) == ["main:2", "main:t-1"]


async def test_the_right_is_looked_at_without_touching_anything(
    session: Session, jetstream: JetStream
) -> None:
    await check_erasing(session, STREAM)  # there is no stream yet
    await make_stream(session)
    await run_sync(jetstream.publish, "openclaw.events.main.custom")
    await check_erasing(session, STREAM)
    assert len(await stored(jetstream)) == 1
    await run_sync(lambda: jetstream.make("kept", "kept.>", deny_delete=True))
    with pytest.raises(DeletionDenied, match="deny_delete"):
        await check_erasing(session, "kept")
    await run_sync(lambda: jetstream.edit("kept", sealed=True))
    with pytest.raises(DeletionDenied, match="sealed"):
        await check_erasing(session, "kept")


async def test_others_do_not_wait_for_long(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes longer than a slice goes behind what waits, as often as need be; all is erased at last."""
    monkeypatch.setattr("eventd.shipping.erasing.SLICE", 0.0)
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(1, 101)))
        await settled(shipper)
        for first in (1, 51):
            names = [Forgotten(str(n), STREAM, n) for n in range(first, first + 50)]
            await forget(outbox, number, *names)
        await accept(outbox, *(new_row(number, n, "bob") for n in range(1, 6)))
        await wait_until_async(lambda: not outbox.stats.routes[number].pending_rows)
        found = ids(await stored(jetstream))
        assert sorted(found[5:]) == ["main:t-100", "main:t-101"], "bob's come first"
        assert found[:5] == [f"bob:{n}" for n in range(1, 6)]
        assert outbox.stats.routes[number].dead_rows == 0


async def test_one_that_is_alone_is_not_sent_round_in_circles(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventd.shipping.erasing.SLICE", 0.0)
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(1, 101)))
        await settled(shipper)
        seq = await forget(outbox, number, *(Forgotten(str(n), STREAM, n) for n in range(1, 101)))
        await settled(shipper)
        assert ids(await stored(jetstream)) == ["main:t-100"]
        assert outbox.last_seq == seq
