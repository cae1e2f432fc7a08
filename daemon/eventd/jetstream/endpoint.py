"""Where a connection goes and as whom: resolved afresh for every attempt to connect."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread

from ..errors import ConfigError
from ..routes import Credentials, Server, Tls


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Servers that are tried in turn, and what they all take as credentials."""

    urls: tuple[str, ...]
    credentials: Credentials = field(default_factory=Credentials)
    tls: Tls | None = None
    js_domain: str | None = None

    async def options(self) -> dict[str, Any]:
        """Return the keyword arguments for nats-py; secret files are read now.

        Raises:
            ConfigError: A file with a secret or a certificate cannot be read.
        """
        return await anyio.to_thread.run_sync(self._options)

    def _options(self) -> dict[str, Any]:
        login = self.credentials
        options: dict[str, Any] = {}
        if login.user is not None:
            options["user"] = login.user
            options["password"] = login.password.reveal() if login.password else ""
        elif login.token is not None:
            options["token"] = login.token.reveal()
        elif login.creds_file is not None:
            if not login.creds_file.is_file():
                raise ConfigError(
                    f"the credentials file {login.creds_file} is not there",
                    hint="make it with `nsc generate creds`, or correct credsFile in config.yml",
                )
            options["user_credentials"] = str(login.creds_file)
        elif login.nkey_seed is not None:
            options["nkeys_seed_str"] = login.nkey_seed.reveal()
        if self.tls is not None or any(url.startswith("tls:") for url in self.urls):
            options["tls"] = _tls_context(self.tls or Tls())
            if self.tls is not None and self.tls.server_name:
                options["tls_hostname"] = self.tls.server_name
        return options


Resolve = Callable[[], Awaitable[Endpoint]]
"""Answers where to connect now; may wait (for the embedded server to be up)."""


def fixed(server: Server) -> Resolve:
    """Return a `Resolve` for a server whose address stands in the configuration."""
    endpoint = Endpoint(server.urls, server.credentials, server.tls, server.js_domain)

    async def resolve() -> Endpoint:
        return endpoint

    return resolve


def _tls_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        if tls.cert_file is not None:
            context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot use the TLS files of the configuration: {error}",
            hint="check tls.caFile, tls.certFile and tls.keyFile",
        ) from error
    return context
