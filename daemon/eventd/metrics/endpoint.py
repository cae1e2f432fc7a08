"""Serves the metrics by HTTP, where that is configured. Whatever goes wrong here, events are taken."""

import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import anyio

from eventd_ipc.backoff import Backoff

from ..config.settings import TcpAddress
from ..errors import EventdError
from ..server.listener import Listener
from ..server.stream import PeerStalled, Stream
from .http import END, MAX_HEAD, BadRequest, Request, Response, is_loopback, parse

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 8  # at a time; more wait in the kernel's queue until one ends
BACKLOG = 16  # connections in that queue
REQUEST_TIMEOUT = 5.0  # seconds for a request to come
ANSWER_TIMEOUT = 20.0  # seconds for the answer to be made and to be taken
LINGER = 1.0  # seconds; closing before the client has sent all would take the answer away from it
RETRY_FIRST = 0.5  # seconds before a place that is taken is tried again
RETRY_LONGEST = 30.0  # seconds
CHUNK = 64 * 1024  # bytes

Page = Callable[[], Awaitable[Response]]


@dataclass(slots=True)
class EndpointStatus:
    """What a person wants to know about the endpoint.

    Attributes:
        listen: Where it listens, or would; with the port that it got, where that was left open.
        problem: Why it does not, or "".
    """

    listen: str
    problem: str = ""


class MetricsEndpoint:
    """A tiny HTTP server for a few pages.

    Args:
        place: A loopback address, or the path of a Unix socket (0600); None: nobody is served.
    """

    def __init__(self, place: TcpAddress | Path | None) -> None:
        self._life = anyio.CancelScope()  # of what is served at one place
        self._slots: anyio.Semaphore
        self._place: TcpAddress | Path | None = None
        self._status = EndpointStatus("")
        self.configure(place)

    @property
    def status(self) -> EndpointStatus | None:
        """A live view; copy it to keep it. None where nobody is to be served."""
        return self._status if self._place is not None else None

    def configure(self, place: TcpAddress | Path | None) -> None:
        """Serve at another place from now on."""
        if place != self._place:
            self._place = place
            self._status = EndpointStatus(str(place))
            self._life.cancel()

    async def run(self, pages: Mapping[str, Page]) -> None:
        """Serve until cancelled; a place that is taken is tried again and again.

        A daemon that takes events must not end for want of a port for its metrics.
        """
        while True:
            with anyio.CancelScope() as self._life:
                if self._place is not None:
                    await self._serve_at(self._place, pages)
                await anyio.sleep_forever()

    async def _serve_at(self, place: TcpAddress | Path, pages: Mapping[str, Page]) -> None:
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        while True:
            try:
                listener = self._bind(place)
            except (OSError, EventdError) as error:
                self._note(f"cannot serve metrics on {place}: {_reason(error)}")
                await anyio.sleep(backoff.pause())
            else:
                self._status.problem = ""
                where = self._status.listen
                logger.info("metrics are served on %s", where, extra={"action": "metrics_ready"})
                with listener:
                    await self._accept(listener, pages)

    def _bind(self, place: TcpAddress | Path) -> Listener:
        if isinstance(place, Path):
            return Listener.bind(place)
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
        self._status.listen = str(TcpAddress(place.host, bound.getsockname()[1]))
        return Listener.adopt(bound)

    def _note(self, problem: str) -> None:
        if problem != self._status.problem:
            logger.error("%s", problem, extra={"action": "metrics_not_served"})
        self._status.problem = problem

    async def _accept(self, listener: Listener, pages: Mapping[str, Page]) -> None:
        self._slots = anyio.Semaphore(MAX_CONNECTIONS)
        async with anyio.create_task_group() as tasks:
            while True:
                await self._slots.acquire()
                stream, _ = await listener.accept()
                tasks.start_soon(self._serve, stream, pages, name="metrics request")

    async def _serve(self, stream: Stream, pages: Mapping[str, Page]) -> None:
        try:
            with stream:
                await self._answer(stream, pages)
        except (anyio.EndOfStream, anyio.BrokenResourceError, PeerStalled, TimeoutError):
            pass  # it left, or was too slow; nobody is there to be told
        except Exception:
            logger.exception("a request for metrics failed", extra={"action": "metrics_failed"})
        finally:
            self._slots.release()

    async def _answer(self, stream: Stream, pages: Mapping[str, Page]) -> None:
        head_only = False
        try:
            with anyio.fail_after(REQUEST_TIMEOUT):
                request = parse(await _head(stream))
            head_only = request.method == "HEAD"
            self._check(request, pages)
        except BadRequest as error:
            allow = "GET, HEAD" if error.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
            response = Response(f"{error}\n", error.status, allow=allow)
        except TimeoutError:
            response = Response("the request did not come\n", HTTPStatus.REQUEST_TIMEOUT)
        else:
            with anyio.fail_after(ANSWER_TIMEOUT):
                response = await pages[request.path]()
        with anyio.fail_after(ANSWER_TIMEOUT):
            await _send(stream, response.encode(head_only=head_only))
        stream.end()
        with anyio.move_on_after(LINGER):
            while True:
                await stream.receive(CHUNK)

    def _check(self, request: Request, pages: Mapping[str, Page]) -> None:
        """Refuse what is not meant for us.

        Raises:
            BadRequest: It is not.
        """
        if isinstance(self._place, TcpAddress) and not is_loopback(request.host):
            raise BadRequest(HTTPStatus.MISDIRECTED_REQUEST, "the Host has to be a loopback address")
        if request.path not in pages:
            raise BadRequest(HTTPStatus.NOT_FOUND, f"there is {' and '.join(pages)}, and nothing else")
        if request.method not in ("GET", "HEAD"):
            raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, "this can only be read")


async def _head(stream: Stream) -> bytes:
    head = bytearray()
    while END not in head:
        if len(head) > MAX_HEAD:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_HEAD} bytes")
        head += await stream.receive(MAX_HEAD)
    return bytes(head)


async def _send(stream: Stream, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[await stream.send_some(rest, ANSWER_TIMEOUT) :]


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
