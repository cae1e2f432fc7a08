"""What is denied, told at once: by a real nats-server whose permissions change while it runs."""

from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.permissions import PermissionMissing, Permissions
from eventd.jetstream.publishing import publish_atomic, publish_pipelined, publish_single
from eventd.jetstream.reading import open_reader
from eventd.jetstream.session import REQUEST_TIMEOUT, Session, inbox_prefix, open_session
from eventd.jetstream.stream import Stream
from eventd.jetstream.streams import Subjects, ensure_stream
from eventd.outbox.model import Row
from eventd.routes import DEFAULT_ROUTE, Credentials, Route, Server
from eventd.secret import Secret
from support.nats import NatsServer
from support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NatsFactory = Callable[..., NatsServer]

ROUTE = Route(DEFAULT_ROUTE, Server(("nats://unused",)), "events", "ev")
LOGIN = Credentials(user="agent", password=Secret("right"))
ALL = '">"'
AT_ONCE = REQUEST_TIMEOUT / 2  # seconds; far below what a silent denial would take


def permitted(publish: str = ALL, subscribe: str = ALL) -> str:
    """Return a server configuration with one user who may do this."""
    return (
        "authorization { users: [ { user: agent, password: right, permissions: "
        f"{{ publish: [{publish}], subscribe: [{subscribe}] }} }} ] }}"
    )


@pytest.fixture
def server(nats_factory: NatsFactory) -> NatsServer:
    """A server on which the user may do everything at first."""
    return nats_factory(config=permitted())


@pytest.fixture
async def session(server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(Endpoint((server.url,), LOGIN), "test") as session:
        yield session


@pytest.fixture
async def stream(session: Session) -> Stream:
    """An empty stream."""
    found = await ensure_stream(session, ROUTE, Subjects("ev.>"))
    assert found is not None
    return found


def rows(*agents: str) -> list[Row]:
    return [Row(n, f"{agent}:{n}", f"ev.{agent}.Note", False, 0, b"{}") for n, agent in enumerate(agents)]


async def test_a_denied_request_fails_at_once_and_names_the_subject(
    server: NatsServer, session: Session
) -> None:
    server.reload(permitted(publish='"$JS.API.INFO"'))
    with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing) as caught:
        await session.api("STREAM.INFO.Events")
    assert caught.value.subject == "$JS.API.STREAM.INFO.Events"
    assert "publish to $JS.API.STREAM.INFO.Events" in str(caught.value)
    assert "eventd nats-config" in caught.value.hint
    assert list(session.permissions.denied) == ["$js.api.stream.info.events"]
    assert (await session.api("INFO"))["streams"] == 0, "the connection goes on"


async def test_a_denied_request_in_a_domain_is_told_as_the_server_calls_it(nats_factory: NatsFactory) -> None:
    """It maps its own domain into $JS.API before it looks at permissions, and that is what to grant."""
    config = f"jetstream: {{ domain: hub }}\n{permitted(publish='"$JS.hub.API.>"')}"
    server = nats_factory(config=config)
    async with open_session(Endpoint((server.url,), LOGIN, js_domain="hub"), "test") as session:
        with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing) as caught:
            await session.api("INFO")
    assert caught.value.subject == "$JS.API.INFO"


async def test_a_permission_that_is_granted_is_used_by_the_next_request(
    server: NatsServer, session: Session
) -> None:
    server.reload(permitted(publish='"none"'))
    with pytest.raises(PermissionMissing):
        await session.api("INFO")
    server.reload(permitted())
    assert (await session.api("INFO"))["streams"] == 0
    assert session.permissions.denied == {}


async def test_a_connection_whose_answers_are_denied_says_so_from_then_on(
    server: NatsServer, session: Session
) -> None:
    """nats-py subscribes once for all answers, so only a new connection helps."""
    server.reload(permitted(subscribe='"_INBOX.another.>"'))
    for _ in range(2):
        with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing) as caught:
            await session.api("INFO")
        assert caught.value.answers
        assert caught.value.subject == "_INBOX.eventd_test.>"
    server.reload(permitted())
    async with open_session(Endpoint((server.url,), LOGIN), "test") as again:
        assert (await again.api("INFO"))["streams"] == 0


@pytest.mark.parametrize("publish", [publish_atomic, publish_single, publish_pipelined])
@pytest.mark.parametrize("denied", [0, 1, 2])
async def test_a_row_that_may_not_be_published_is_named_whichever_way_it_goes(
    server: NatsServer, session: Session, stream: Stream, publish: Callable[..., object], denied: int
) -> None:
    """Of a batch only the last row is answered; the others must not pass as merely late."""
    agents = ["good"] * 3
    agents[denied] = "bad"
    server.reload(permitted(publish='"ev.good.>", "$JS.API.>"'))
    with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing, match=r"publish to ev\.bad\.Note"):
        await publish(session, stream, rows(*agents))  # type: ignore[misc]


async def test_a_reader_that_may_not_pull_says_so(
    server: NatsServer, session: Session, stream: Stream
) -> None:
    await publish_atomic(session, stream, rows("a", "b"))
    server.reload(permitted(publish='"$JS.API.CONSUMER.CREATE.>"'))
    async with open_reader(session, stream.name) as reader:
        with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing, match=r"CONSUMER\.MSG\.NEXT"):
            await reader.page()


async def test_a_reader_whose_inbox_is_denied_says_so(
    server: NatsServer, session: Session, stream: Stream
) -> None:
    await publish_atomic(session, stream, rows("a"))
    async with open_reader(session, stream.name) as reader:
        server.reload(permitted(subscribe='"none"'))
        with anyio.fail_after(AT_ONCE), pytest.raises(PermissionMissing) as caught:
            await reader.page()
        assert caught.value.answers


async def test_somebody_elses_denial_ends_no_wait() -> None:
    """Only what a wait depends on concerns it."""
    permissions = Permissions("_INBOX.eventd_a")
    with permissions.needed("ev.a.x"):
        assert permissions.note('nats: permissions violation for publish to "ev.b.x"')
        assert permissions.note('nats: permissions violation for subscription to "_inbox.eventd_ab.>"')
        await anyio.lowlevel.checkpoint()
    assert not permissions.note("nats: maximum payload violation")


async def test_what_is_denied_before_the_wait_is_over_counts_although_an_answer_came() -> None:
    """An answer to a batch that lacks its denied row is no answer to the batch."""
    permissions = Permissions("_INBOX.eventd_a")
    with pytest.raises(PermissionMissing, match=r'to ev\."a\.x'), permissions.needed('ev."a.x'):
        permissions.note(r'nats: Permissions Violation for Publish to "ev.\"A.x"')


@pytest.mark.parametrize(("one", "other"), [("a.b", "a_b"), ("default", DEFAULT_ROUTE), ("a", "a%2E")])
def test_no_two_routes_share_an_inbox(one: str, other: str) -> None:
    """Who may read the answers of one could otherwise read those of the other."""
    assert inbox_prefix(one) != inbox_prefix(other)
    assert inbox_prefix(DEFAULT_ROUTE) == "_INBOX.eventd_%2A"


async def test_the_inbox_of_any_agent_works(nats_server: NatsServer) -> None:
    for route in (DEFAULT_ROUTE, "ü $.>*"):
        async with open_session(Endpoint((nats_server.url,)), route) as session:
            assert session.new_inbox().startswith(f"{inbox_prefix(route)}.")
            await wait_until_async(lambda: session.api("INFO"))
