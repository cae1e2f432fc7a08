"""Answers `reload` and `reroute`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from eventd_ipc.messages import Reload, Reroute, Result

from ..server.operations import RequestRefused, Responder
from ..shipping.fleet import Fleet, NotLeftBehind
from .changes import Change
from .reloader import Reloader


def reload_handler(reloader: Reloader) -> Callable[[Reload, Responder], Awaitable[None]]:
    """Return the handler of `reload` requests."""

    async def reload(request: Reload, responder: Responder) -> None:
        outcome = await reloader.reload("a request", asked=True)
        error = outcome.error
        document = {
            "generation": reloader.status.generation,
            "loaded_at": reloader.status.loaded_at,
            "last_changes": [str(change) for change in reloader.last],
            "changes": _documents(outcome.changes),
            "files": [str(file) for file in outcome.files],
            "needs_restart": _documents(outcome.needs_restart),
            "warnings": list(outcome.warnings),
            "error": None if error is None else {"message": str(error), "hint": error.hint},
        }
        await responder.send(Result(request.id, document))

    return reload


def reroute_handler(fleet: Fleet, reloader: Reloader) -> Callable[[Reroute, Responder], Awaitable[None]]:
    """Return the handler of `reroute` requests."""

    async def reroute(request: Reroute, responder: Responder) -> None:
        try:
            async with reloader.undisturbed():
                moved = await fleet.reroute(request.route, request.stream)
        except NotLeftBehind as error:
            raise RequestRefused("not_found", str(error), hint=error.hint) from error
        await responder.send(Result(request.id, {"count": moved}))

    return reroute


def _documents(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"key": change.key, "before": change.before, "after": change.after, "text": str(change)}
        for change in changes
    ]
