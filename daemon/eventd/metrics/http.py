"""The little of HTTP/1.1 that a scrape needs: one GET, one answer, and the connection ends. Does no I/O.

A library such as h11 would bring keep-alive, bodies and chunks, none of which is used here, to the one place
of the daemon that anybody on the machine may connect to. What cannot be understood is refused instead.
"""

import ipaddress
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 8 * 1024  # bytes of a request up to its empty line; Prometheus sends about 300
END = b"\r\n\r\n"

TEXT = "text/plain; charset=utf-8"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class BadRequest(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The answer to it.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        path: Without the query.
        host: The header `Host`; "" without one.
    """

    method: str
    path: str
    host: str


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    body: str
    status: HTTPStatus = HTTPStatus.OK
    kind: str = TEXT
    allow: str = ""

    def encode(self, *, head_only: bool = False) -> bytes:
        """Return the bytes to send; without the body for HEAD."""
        body = self.body.encode()
        head = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        if self.allow:
            head.append(f"Allow: {self.allow}")
        return "\r\n".join(head).encode() + END + (b"" if head_only else body)


def parse(head: bytes) -> Request:
    """Read a request up to its empty line; anything that follows is not looked at.

    Raises:
        BadRequest: It is no request, or of another HTTP.
    """
    line, *fields = head.partition(END)[0].split(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or not line.isascii() or not line.decode().isprintable():
        raise BadRequest(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
    method, target, version = line.decode().split(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 is spoken here")
    named = [field.partition(b":") for field in fields]
    hosts = [value.strip() for name, _, value in named if name.lower() == b"host"]
    if len(hosts) > 1:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "there is more than one Host")
    return Request(method, target.partition("?")[0], hosts[0].decode("latin-1") if hosts else "")


def is_loopback(host: str) -> bool:
    """Whether the header `Host` names this machine itself.

    A page in a browser can make its own name mean 127.0.0.1 and so read what is served here; the browser then
    sends that name.
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").lower()
    if name in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
