"""Where a backup is taken from: a daemon that runs, or what one has left on the disk."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from eventd_ipc.blocking import Client
from eventd_ipc.errors import NotRunning

from ..config.settings import Config
from ..doctor.visit import Visit
from ..embedded.server import EmbeddedServer
from ..outbox.outbox import Outbox
from ..paths import outbox_file
from .backlog import AskPage, from_daemon, from_outbox
from .places import Servers
from .running import running

Connect = Callable[[], Client]
"""Connects to the daemon as an administrator."""

LoadConfig = Callable[[Path | None], Config]
"""Loads the configuration; of the file that the daemon uses, where no other one was named."""


class Source(NamedTuple):
    """Everything that there is.

    Attributes:
        ask: Reads the outbox; None where there is none.
        client: A connection to the daemon, where one runs.
    """

    config: Config
    servers: Servers
    ask: AskPage | None
    client: Client | None


@contextlib.asynccontextmanager
async def open_daemon(connect: Connect, load: LoadConfig) -> AsyncIterator[Source]:
    """Find everything with the help of the daemon that runs.

    Raises:
        EventdClientError: None does, or it does not let us.
    """
    with await anyio.to_thread.run_sync(connect) as client:
        status = await anyio.to_thread.run_sync(client.status)
        used = status.get("config")
        config = await anyio.to_thread.run_sync(load, Path(used) if used else None)
        visited = Visit(client.welcome, status)
        yield Source(config, Servers(config, visited), from_daemon(client), client)


@contextlib.asynccontextmanager
async def open_source(connect: Connect, load: LoadConfig) -> AsyncIterator[Source]:
    """Find everything, whether a daemon runs or not.

    Without one the outbox is opened as the daemon would, which keeps one from starting meanwhile, and the
    embedded server is run.

    Raises:
        EventdError, EventdClientError: It cannot be found, or we may not.
    """
    try:
        async with open_daemon(connect, load) as source:
            yield source
        return
    except NotRunning:
        pass
    config = await anyio.to_thread.run_sync(load, None)
    async with contextlib.AsyncExitStack() as stack:
        ask = embedded = None
        path = outbox_file(config.data_dir)
        if path.exists():
            ask = from_outbox(
                await stack.enter_async_context(Outbox.open(path, config.outbox, holder="a backup"))
            )
        if config.uses_embedded and config.embedded_store.exists():
            embedded = EmbeddedServer(config.embedded, config.embedded_store)
            await stack.enter_async_context(running(embedded))
        yield Source(config, Servers(config, Visit(), embedded), ask, None)
