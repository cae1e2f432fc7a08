"""Where something may listen that tells who the agents are: on loopback, or at the path of a Unix socket."""

import ipaddress
import re
from pathlib import Path

from .settings import TcpAddress

_HOST_PORT = re.compile(r"(?:\[(?P<six>[^\]/]*)\]|(?P<host>[^:/]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_LARGEST_PORT = 65535


def parse_listen(text: str) -> TcpAddress | Path:
    """Return an address, or what is no `host:port` as a path, which is not made absolute.

    Raises:
        ValueError: It is neither, or not of this machine alone.
    """
    if not text or text.isdigit():
        raise ValueError("has to be an address with a port, like 127.0.0.1:9464, or the path of a socket")
    found = _HOST_PORT.fullmatch(text)
    if found is None:
        return Path(text)
    host = found["six"] or found["host"] or ""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            "only loopback addresses are taken, like 127.0.0.1:9464, since it tells who the agents are; "
            "put a proxy with a login before it to reach it from elsewhere"
        )
    if int(found["port"]) > _LARGEST_PORT:
        raise ValueError(f"a port is at most {_LARGEST_PORT}")
    return TcpAddress(host, int(found["port"]))
