"""Where a route's server is, for somebody who is not the daemon, and whether anybody listens there."""

import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from ..config.settings import Config
from ..config.urls import DEFAULT_PORT
from ..embedded.store import StoreFolder
from ..errors import ConfigError
from ..jetstream.endpoint import Endpoint
from ..routes import Credentials, Route
from .visit import Visit

DIAL_TIMEOUT = 4.0  # seconds for one server to take a connection


async def endpoint_of(config: Config, route: Route, visited: Visit) -> Endpoint:
    """Return where a route's server is, and how to log in.

    Raises:
        ConfigError: That cannot be known now.
    """
    server = route.server
    if not server.embedded:
        return Endpoint(server.urls, server.credentials, server.tls, server.js_domain)
    if visited.welcome is None:
        raise ConfigError("the embedded nats-server runs only together with the daemon")
    store = StoreFolder(config.embedded_store)

    def login() -> Endpoint:
        port = visited.part("embedded").get("port") or config.embedded.port or store.last_port()
        store.nkey.reveal()  # tells now whether this user may
        return Endpoint((f"nats://127.0.0.1:{port}",), Credentials(nkey_seed=store.nkey))

    return await anyio.to_thread.run_sync(login)


async def dial(urls: tuple[str, ...]) -> Mapping[str, str]:
    """Return for each server why it takes no connection, "" for one that does.

    nats-py says of one that refuses only that it did not answer in time, and takes seconds for it.
    """
    found = dict.fromkeys(urls, "")

    async def one(url: str) -> None:
        parts = urlsplit(url)
        try:
            with anyio.fail_after(DIAL_TIMEOUT):
                async with await anyio.connect_tcp(parts.hostname or "", parts.port or DEFAULT_PORT):
                    pass
        except TimeoutError:
            found[url] = f"no answer within {DIAL_TIMEOUT:g} s"
        except OSError as error:
            found[url] = _reason(error)

    async with anyio.create_task_group() as tasks:
        for url in urls:
            tasks.start_soon(one, url)
    return found


def _reason(error: OSError) -> str:
    """Return the system's own words; they are in the cause where several addresses were tried."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup) or cause.__cause__ is not None:
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__ or cause
    if isinstance(cause, socket.gaierror):
        return "there is no host of that name"
    return os.strerror(cause.errno).lower() if isinstance(cause, OSError) and cause.errno else str(error)
