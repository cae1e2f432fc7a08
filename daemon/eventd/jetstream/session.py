"""One NATS connection, from its login to its loss. A lost session is never revived: `Link` makes a new one.

nats-py is supervised, not trusted. Its own reconnecting is switched off, because it can stop for good (after
any -ERR, after 60 attempts, when a callback raises) while it looks alive; its callbacks are wrapped; every
wait has our own deadline; its tasks are watched, because a dead read loop leaves `is_connected` true for
minutes; and `Session.probe` finds a connection that is dead without anybody's knowledge.
"""

import json
import logging
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import nats.aio.client
import nats.aio.msg
import nats.aio.subscription
import nats.errors

from ..errors import LinkLost, NatsError
from ..routes import DEFAULT_ROUTE
from ..secret import redact
from ..subjects import encode_token
from .client import Client
from .endpoint import Endpoint
from .permissions import API, Permissions

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0  # seconds for one server to accept and to log us in
ASK_AGAIN = 2.0  # seconds after which a question that changes nothing is asked anew
REQUEST_TIMEOUT = 10.0  # seconds for an answer of the JetStream API or for a publish ack
CLOSE_TIMEOUT = 2.0  # seconds for closing; a black-holed connection never finishes by itself
PROBE_TIMEOUT = 5.0  # seconds for one PING to come back
OUTGOING_BUFFER = 4 * 1024 * 1024  # bytes nats-py may hold before publishing waits for the socket
NEVER = 10**9  # seconds; nats-py's own pings are off, `Session.probe` replaces them


class ApiError(NatsError):
    """JetStream refused a request.

    Attributes:
        err_code: JetStream's own number, as in nats-server's `errors.json`; 0 when it gave none.
    """

    def __init__(self, err_code: int, description: str, *, hint: str = "") -> None:
        super().__init__(f"{description} (JetStream error {err_code})", hint=hint)
        self.err_code = err_code
        self.description = description


class NoResponders(NatsError):
    """Nobody listens on the subject: no stream takes it, or JetStream is off or has no leader now."""


class RequestTimeout(NatsError):
    """No answer within the deadline; the request may have been carried out."""


class Session:
    """A live connection and the requests that can be made on it.

    Attributes:
        lost: Set once the connection is gone.
        reason: Why it is gone, for a person; "" before.
        permissions: What the server denied us.
    """

    def __init__(self, client: nats.aio.client.Client, url: str, js_domain: str | None, inbox: str) -> None:
        self._client = client
        self.url = url
        self.api_prefix = api_prefix(js_domain)
        self.lost = anyio.Event()
        self.reason = ""
        self.permissions = Permissions(inbox, self.api_prefix)
        self.last_error = ""

    @property
    def server_version(self) -> tuple[int, int, int]:
        """Version of the connected server; (0, 0, 0) when it does not look like one."""
        match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", str(self._client._server_info.get("version", "")))
        return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)

    @property
    def server_info(self) -> Mapping[str, Any]:
        """What the server said about itself when it greeted us (INFO)."""
        return dict(self._client._server_info)

    @property
    def max_payload(self) -> int:
        """Largest message in bytes, headers included, that the server takes."""
        return self._client.max_payload

    async def publish(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Hand a message to the connection's buffer; it says nothing about arrival.

        Raises:
            LinkLost: The connection is gone.
            NatsError: nats-py refuses the message itself (subject, headers, size).
        """
        try:
            await self._client.publish(subject, body, reply, headers=dict(headers) if headers else None)
        except _GONE as error:
            raise self._link_lost() from error
        except Exception as error:
            raise NatsError(f"cannot publish to {subject}: {redact(str(error))}") from error

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> nats.aio.msg.Msg:
        """Send a request and return its answer.

        Raises:
            NoResponders: Nobody listens.
            PermissionMissing: The login may not ask this, or not receive the answer.
            RequestTimeout: No answer within `timeout` seconds; it may have been carried out.
            LinkLost: The connection is gone.
        """
        with self.permissions.needed(subject):
            return await self._request(subject, body, headers, timeout)

    async def _request(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None, timeout: float
    ) -> nats.aio.msg.Msg:
        try:
            with anyio.fail_after(timeout + 1.0):  # nats-py's own limit does not cover its sending
                return await self._client.request(
                    subject, body, timeout=timeout, headers=dict(headers) if headers else None
                )
        except nats.errors.NoRespondersError as error:
            raise NoResponders(f"nobody answers on {subject}") from error
        except (TimeoutError, nats.errors.TimeoutError) as error:
            if self.lost.is_set():
                raise self._link_lost() from error
            raise RequestTimeout(f"no answer on {subject} within {timeout:g} s") from error
        except _GONE as error:
            raise self._link_lost() from error
        except Exception as error:  # a fault within nats-py ends this connection, never the daemon
            raise NatsError(f"cannot send the request {subject}: {redact(str(error))}") from error

    async def api(
        self, verb: str, body: Mapping[str, Any] | None = None, timeout: float = REQUEST_TIMEOUT
    ) -> dict[str, Any]:
        """Call the JetStream API, e.g. `api("STREAM.INFO.events")`, and return the decoded answer.

        Raises:
            ApiError: JetStream refused.
            NoResponders, PermissionMissing, RequestTimeout, LinkLost: As for `request`.
        """
        payload = json.dumps(body).encode() if body is not None else b""
        answer = await self.request(f"{self.api_prefix}.{verb}", payload, timeout=timeout)
        return decode_answer(answer.data)

    async def ask(
        self, verb: str, body: Mapping[str, Any] | None = None, timeout: float = REQUEST_TIMEOUT
    ) -> dict[str, Any]:
        """Do as `api` does with a question that changes nothing: ask it again while no answer comes.

        In a cluster only the leader of a stream answers about it, and while one is elected nobody does.
        """
        with anyio.move_on_after(timeout):
            while True:
                try:
                    return await self.api(verb, body, min(ASK_AGAIN, timeout))
                except RequestTimeout:
                    continue
        raise RequestTimeout(f"no answer on {self.api_prefix}.{verb} within {timeout:g} s")

    async def subscribe(self, subject: str, *, max_messages: int) -> nats.aio.subscription.Subscription:
        """Subscribe; at most `max_messages` wait in memory."""
        try:
            return await self._client.subscribe(subject, pending_msgs_limit=max_messages)
        except Exception as error:
            raise self._link_lost() from error

    def new_inbox(self) -> str:
        """Return a fresh reply subject below this connection's own inbox prefix."""
        return str(self._client.new_inbox())

    async def probe(self, timeout: float = PROBE_TIMEOUT) -> float:
        """Do one PING/PONG round trip and return its seconds.

        Raises:
            LinkLost: No PONG within `timeout` seconds: the connection is dead, whatever it looks like.
        """
        start = anyio.current_time()
        try:
            with anyio.fail_after(timeout):
                self._check_tasks()
                await self._client.flush(timeout=math.ceil(timeout) + 1)
        except Exception as error:
            self.mark_lost(str(error) if isinstance(error, LinkLost) else f"no PONG within {timeout:g} s")
            raise self._link_lost() from error
        if self.lost.is_set() or not self._client.is_connected:
            self.mark_lost("connection closed")
            raise self._link_lost()
        return anyio.current_time() - start

    def watch_tasks(self) -> None:
        """Notice at once when nats-py reads or writes no more, and take in the exception that ended it."""
        for task in self._tasks():
            if task is not None:
                task.add_done_callback(self._note_end)

    def _note_end(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.last_error = redact(str(error)) or type(error).__name__
        self.mark_lost(self.last_error or "nats-py has stopped reading or writing")

    def _tasks(self) -> "tuple[asyncio.Task[Any] | None, ...]":
        return (self._client._reading_task, self._client._flusher_task)

    def _check_tasks(self) -> None:
        """Raise when nats-py reads or writes no more: its `flush` would return at once, without a PING."""
        for task in self._tasks():
            if task is None or task.done():
                raise LinkLost("nats-py has stopped reading or writing")

    def mark_lost(self, reason: str) -> None:
        """Declare the connection gone; the first reason stays."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def close(self) -> None:
        """Close the connection, within a deadline, whatever state it is in."""
        self.mark_lost("closed by us")
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            try:
                await self._client.close()
            except Exception as error:  # nats-py raises anything here, and it is over anyway
                logger.debug("closing a connection: %s", error, extra={"action": "nats_close_failed"})

    def note_error(self, error: Exception) -> None:
        """Take in what nats-py reports outside of a call."""
        text = redact(str(error))
        if not self.permissions.note(text):
            self.last_error = text
            logger.debug("nats-py reports: %s", text, extra={"action": "nats_error", "url": self.url})

    def _link_lost(self) -> LinkLost:
        return LinkLost(f"connection to {self.url} lost: {self.reason or self.last_error or 'closed'}")


_GONE = (
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.StaleConnectionError,
    nats.errors.OutboundBufferLimitError,
    ConnectionError,
)


def decode_answer(data: bytes) -> dict[str, Any]:
    """Decode an answer of the JetStream API or a publish ack.

    Raises:
        ApiError: It is a refusal, or no JSON object.
    """
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise ApiError(0, f"JetStream sent something that is not JSON: {data[:80]!r}") from error
    if not isinstance(answer, dict):
        raise ApiError(0, f"JetStream sent something that is not an object: {data[:80]!r}")
    refusal = answer.get("error")
    if isinstance(refusal, dict):
        code = refusal.get("err_code")
        description = refusal.get("description") or f"status {refusal.get('code')}"
        raise ApiError(code if isinstance(code, int) else 0, str(description))
    if refusal:
        raise ApiError(0, f"somebody who is not JetStream answered: {data[:80]!r}")
    return answer


def api_prefix(js_domain: str | None) -> str:
    """Return what the subjects of the JetStream API begin with."""
    return f"$JS.{js_domain}.API" if js_domain else API


def inbox_prefix(route: str) -> str:
    """Return the reply subjects' prefix of a route's connections: its own, so that it alone can be permitted.

    No two routes share one, and no agent can have a name that makes it the default route's. It lies below
    `_INBOX`, in which no stream's subjects can lie.
    """
    return f"_INBOX.eventd_{encode_token(route)}"


@asynccontextmanager
async def open_session(endpoint: Endpoint, route: str, first: int = 0) -> AsyncIterator[Session]:
    """Connect to the first server of `endpoint` that accepts us; close on leaving.

    Args:
        endpoint: Where and as whom.
        route: For which route: it names the connection in the server's list, and its inbox.
        first: Which of the servers is tried first; the others follow in their order.

    Raises:
        NatsError: No server accepted; the message says why, for each.
        ConfigError: A secret or TLS file cannot be read.
    """
    options = await endpoint.options()
    failures = []
    first %= len(endpoint.urls)
    for url in endpoint.urls[first:] + endpoint.urls[:first]:
        try:
            session = await _connect(url, endpoint, route, options)
        except NatsError as error:
            failures.append(str(error))
            continue
        try:
            yield session
        finally:
            await session.close()
        return
    raise NatsError("; ".join(failures), hint="is nats-server running there, and are the credentials right?")


def take_ready(subscription: nats.aio.subscription.Subscription) -> nats.aio.msg.Msg | None:
    """Return a message that has come already; None where there is none.

    nats-py's `next_msg` makes a task for each message, which takes as long as all the rest of reading it.
    """
    if not subscription.pending_msgs:
        return None
    message: nats.aio.msg.Msg = subscription._pending_queue.get_nowait()
    subscription._pending_size -= len(message.data)
    subscription._pending_queue.task_done()
    return message


async def _connect(url: str, endpoint: Endpoint, route: str, options: Mapping[str, Any]) -> Session:
    client = Client()
    inbox = inbox_prefix(route)
    session = Session(client, url, endpoint.js_domain, inbox)
    attempt = anyio.CancelScope()

    # A callback that raises would end nats-py's own tasks for good, so these only take notes.
    async def on_error(error: Exception) -> None:
        session.note_error(error)
        attempt.cancel()  # else nats-py tries on until the time is up, and the reason is lost

    async def on_closed() -> None:
        session.mark_lost(session.last_error or "closed by the server")

    try:
        with anyio.fail_after(CONNECT_TIMEOUT + 1.0), attempt:
            await client.connect(
                servers=[url],
                name=f"eventd_{'default' if route == DEFAULT_ROUTE else route}",
                allow_reconnect=False,
                max_reconnect_attempts=0,
                connect_timeout=math.ceil(CONNECT_TIMEOUT),
                ping_interval=NEVER,
                pending_size=OUTGOING_BUFFER,
                inbox_prefix=inbox,
                error_cb=on_error,
                closed_cb=on_closed,
                disconnected_cb=on_closed,
                **options,
            )
        if attempt.cancel_called:
            raise NatsError(session.last_error)
        session.watch_tasks()
    except Exception as error:  # whatever a server can make nats-py raise is this server's failure
        await session.close()
        reason = "no answer in time" if isinstance(error, TimeoutError) else redact(str(error))
        raise NatsError(f"cannot connect to {url}: {reason or type(error).__name__}") from error
    except BaseException:
        await session.close()
        raise
    return session
