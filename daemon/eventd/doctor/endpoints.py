"""Where a route's server is, for somebody who is not the daemon."""

import anyio.to_thread

from ..config.settings import Config
from ..embedded.store import StoreFolder
from ..errors import ConfigError
from ..jetstream.endpoint import Endpoint
from ..routes import Credentials, Route
from .visit import Visit


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
