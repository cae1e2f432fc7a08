"""What the endpoint shows: the metrics, and the health for whoever restarts or routes by it."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import anyio.to_thread

from .endpoint import Page
from .exposition import exposition
from .http import EXPOSITION, Response


def pages(
    document: Callable[[], Awaitable[Mapping[str, Any]]], health: Callable[[], Mapping[str, Any]]
) -> dict[str, Page]:
    """Return the pages by their path.

    Args:
        document: The status document.
        health: Its part about the health alone: `{state, reasons}`.
    """

    async def metrics() -> Response:
        text = await anyio.to_thread.run_sync(exposition, await document())
        return Response(text, kind=EXPOSITION)

    async def healthy() -> Response:
        """Answer 503 only while events are refused: to start it anew heals nothing of what is `degraded`."""
        found = health()
        status = HTTPStatus.SERVICE_UNAVAILABLE if found["state"] == "failing" else HTTPStatus.OK
        return Response("\n".join([found["state"], *found["reasons"], ""]), status)

    return {"/metrics": metrics, "/health": healthy}
