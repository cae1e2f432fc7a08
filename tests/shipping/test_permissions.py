"""A route whose login lacks a permission: it stalls, says which one, and goes on once it is granted."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio
import pytest
from anyio.to_thread import run_sync

from eventd.jetstream.session import REQUEST_TIMEOUT
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Credentials, Route, Server, StreamSettings
from eventd.secret import Secret
from eventd.shipping.shipper import Shipper
from eventd.shipping.state import State
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until_async

from .support import accept, new_row
from .test_shipper import settled, shipping, stored

pytestmark = pytest.mark.anyio

STREAM, PREFIX = "openclaw-events", "openclaw.events"
ADMIN = {"user": "admin", "password": "right"}
OWN_API = [
    f"$JS.API.{verb}"
    for verb in (
        f"STREAM.INFO.{STREAM}",
        f"STREAM.MSG.GET.{STREAM}",
        f"CONSUMER.CREATE.{STREAM}.>",
        f"CONSUMER.MSG.NEXT.{STREAM}.>",
        f"CONSUMER.DELETE.{STREAM}.>",
    )
]
PUBLISH = [f"{PREFIX}.>", *OWN_API]
SUBSCRIBE = ["_INBOX.eventd_%2A.>"]
AT_ONCE = REQUEST_TIMEOUT / 2  # seconds; far below what a silent denial would take


def permitted(publish: Sequence[str] = PUBLISH, subscribe: Sequence[str] = SUBSCRIBE) -> str:
    """Return a configuration with an administrator, and a login that may do this."""
    permissions = f"publish: {json.dumps(publish)}, subscribe: {json.dumps(subscribe)}"
    return (
        "accounts { A: { jetstream: enabled, users: [ { user: admin, password: right }, "
        f"{{ user: eventd, password: right, permissions: {{ {permissions} }} }} ] }} }}"
    )


@pytest.fixture
def server(nats_factory: Callable[..., NatsServer]) -> NatsServer:
    """A server on which eventd may do what its stream needs."""
    return nats_factory(config=permitted())


@pytest.fixture
def jetstream(server: NatsServer) -> JetStream:
    """The administrator."""
    return JetStream(server.url, **ADMIN)


@pytest.fixture
def route(server: NatsServer) -> Route:
    """A route whose stream is not eventd's, and has another age than is configured."""
    login = Credentials(user="eventd", password=Secret("right"))
    return Route(DEFAULT_ROUTE, Server((server.url,), login), STREAM, PREFIX, StreamSettings(max_age=3600.0))


@pytest.fixture
async def number(outbox: Outbox, route: Route) -> int:
    """The route's number in the outbox."""
    return await outbox.register_route(route.name, route.stream, route.prefix)


async def stalled(shipper: Shipper, subject: str) -> None:
    """Wait until status names a subject as what is missing."""
    async with anyio.create_task_group() as group:
        group.cancel_scope.deadline = anyio.current_time() + AT_ONCE
        await wait_until_async(lambda: shipper.status.state is State.STALLED, what="it has stalled")
        group.cancel_scope.cancel()
    assert "no permission" in shipper.status.reason
    assert subject in shipper.status.reason


async def test_a_stream_of_somebody_else_is_shipped_to_under_least_privilege(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """It differs from what is configured; STREAM.UPDATE is not even tried."""
    await run_sync(lambda: jetstream.make(STREAM, allow_atomic=True))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1), new_row(number, 2))
        await settled(shipper)
        assert shipper.link.session is not None
        assert shipper.link.session.permissions.denied == {}
        assert any("not what is configured" in note for note in shipper.status.notes)
    assert await stored(jetstream) == ["main:1", "main:2"]


async def test_a_publish_that_is_denied_stalls_the_route_until_it_is_granted(
    outbox: Outbox, route: Route, number: int, server: NatsServer, jetstream: JetStream
) -> None:
    await run_sync(lambda: jetstream.make(STREAM, allow_atomic=True))
    await run_sync(server.reload, permitted(publish=[f"{PREFIX}.tim.>", *OWN_API]))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1, "tim"), new_row(number, 2, "main"))
        await stalled(shipper, f"publish to {PREFIX}.main.custom")
        await run_sync(server.reload, permitted())
        await settled(shipper)
    assert await stored(jetstream) == ["tim:1", "main:2"]


async def test_answers_that_are_denied_stall_the_route_until_they_are_granted(
    outbox: Outbox,
    route: Route,
    number: int,
    server: NatsServer,
    jetstream: JetStream,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A new connection is made for it, since a subscription that was denied is not made again.

    However often that is tried, it is told once.
    """
    await run_sync(lambda: jetstream.make(STREAM, allow_atomic=True))
    await run_sync(server.reload, permitted(subscribe=["_INBOX.other.>"]))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1))
        await stalled(shipper, "subscribe to _INBOX.eventd_%2A.>")
        await wait_until_async(lambda: shipper.link.status.connects >= 3, 30.0, what="it has tried again")
        told = [getattr(record, "action", "") for record in caplog.records]
        assert (told.count("route_stalled"), told.count("nats_denied")) == (1, 0)
        await run_sync(server.reload, permitted())
        await settled(shipper)
        assert shipper.status.state is not State.STALLED
    assert await stored(jetstream) == ["main:1"]


async def test_a_stream_that_may_not_be_made_is_waited_for(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """The administrator makes it; the remedy names the command."""
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1))
        await stalled(shipper, f"publish to $JS.API.STREAM.CREATE.{STREAM}")
        await run_sync(lambda: jetstream.make(STREAM, allow_atomic=True))
        await settled(shipper)
    assert await stored(jetstream) == ["main:1"]


@pytest.mark.parametrize("subject", OWN_API[:2])
async def test_a_look_at_the_stream_that_is_denied_stalls_the_route(
    outbox: Outbox, route: Route, number: int, server: NatsServer, jetstream: JetStream, subject: str
) -> None:
    """Whatever of it is missing: INFO at once, MSG.GET when there is something to compare."""
    await run_sync(lambda: jetstream.make(STREAM, allow_atomic=True))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 1))
        await settled(shipper)
    await run_sync(server.reload, permitted(publish=[p for p in PUBLISH if p != subject]))
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, new_row(number, 2))
        await stalled(shipper, f"publish to {subject}")
        await run_sync(server.reload, permitted())
        await settled(shipper)
    assert await stored(jetstream) == ["main:1", "main:2"]


async def test_an_agent_that_the_shared_stream_does_not_list_is_named_with_the_remedy(
    outbox: Outbox, route: Route, number: int, jetstream: JetStream
) -> None:
    """In one account the default stream lists its agents, and the daemon may not add to the list."""
    await run_sync(lambda: jetstream.make(STREAM, f"{PREFIX}.main.>", allow_atomic=True))
    async with shipping(outbox, replace(route, shared_account=True), number) as shipper:
        await accept(outbox, new_row(number, 1, "tim"))
        await settled(shipper)
        [letter] = await outbox.dead_letters(0, 10)
        assert f"{PREFIX}.tim.>" in letter.reason
        assert "--agent NAME" in letter.reason
        await run_sync(lambda: jetstream.edit(STREAM, subjects=[f"{PREFIX}.main.>", f"{PREFIX}.tim.>"]))
        assert await outbox.retry_dead(None) == 1
        await settled(shipper)
        assert not await outbox.dead_letters(0, 10)
