"""A real nats-server that knows neither batches nor per-message TTL nor stream metadata.

It is taken from `$OLD_NATS_SERVER`, or from PATH where that one is old enough (Debian 12 has 2.9:
`apt-get install nats-server`).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from eventd.jetstream.settings import ATOMIC_SINCE
from eventd.outbox.outbox import Outbox
from eventd.routes import DEFAULT_ROUTE, Route, Server
from support.jetstream import JetStream
from support.nats import NatsServer

from .support import accept, new_row
from .test_shipper import settled, shipping, stored

pytestmark = pytest.mark.anyio


def old_server() -> Path | None:
    """Return a nats-server from before atomic batches, if there is one here."""
    for candidate in (os.environ.get("OLD_NATS_SERVER"), shutil.which("nats-server")):
        if not candidate:
            continue
        shown = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"(\d+)\.(\d+)\.(\d+)", shown)
        if version and tuple(map(int, version.groups())) < ATOMIC_SINCE:
            return Path(candidate)
    return None


OLD = old_server()


@pytest.mark.skipif(OLD is None, reason="no nats-server older than 2.12.1 here (OLD_NATS_SERVER, PATH)")
async def test_an_old_server_gets_everything_once_and_in_order(
    outbox: Outbox, nats_factory: Callable[..., NatsServer]
) -> None:
    """Through a restart of it, and with its memory events, which it cannot keep for ever."""
    server = nats_factory(binary=OLD, sync_interval="")
    route = Route(DEFAULT_ROUTE, Server((server.url,)), "openclaw-events", "openclaw.events")
    number = await outbox.register_route(route.name, route.stream, route.prefix)
    async with shipping(outbox, route, number) as shipper:
        await accept(outbox, *(new_row(number, n) for n in range(600)))
        await settled(shipper)
        assert shipper.status.mode == "pipeline"
        server.kill()
        await accept(outbox, *(replace(new_row(number, n), never_expires=True) for n in range(600, 700)))
        server.start()
        await settled(shipper)
    assert await stored(JetStream(server.url)) == [f"main:{n}" for n in range(700)]
