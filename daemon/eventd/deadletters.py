"""Answers `deadletter`: lists, retries and drops the rows that could never be published."""

from collections.abc import Awaitable, Callable
from typing import Any

from eventd_ipc.messages import DeadLetters, Result

from .outbox.model import DeadLetter
from .outbox.outbox import Outbox
from .server.operations import RequestRefused, Responder

MAX_LISTED = 1000  # dead letters in one answer; the next ones are asked for with `after`


def dead_letters_handler(outbox: Outbox) -> Callable[[DeadLetters, Responder], Awaitable[None]]:
    """Return the handler of `deadletter` requests."""

    async def dead_letters(request: DeadLetters, responder: Responder) -> None:
        if request.action == "list":
            letters = await outbox.dead_letters(request.after, min(request.limit, MAX_LISTED))
            await responder.send(Result(request.id, {"letters": [_document(letter) for letter in letters]}))
            return
        if bool(request.numbers) == request.all:
            raise RequestRefused("bad_request", f"{request.action} takes either numbers or all")
        numbers = None if request.all else request.numbers
        act = outbox.retry_dead if request.action == "retry" else outbox.drop_dead
        await responder.send(Result(request.id, {"count": await act(numbers)}))

    return dead_letters


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "route": letter.route,
        "id": letter.msg_id,
        "subject": letter.subject,
        "reason": letter.reason,
        "code": letter.code,
        "died_at": letter.died_at,
        "bytes": len(letter.body),
        "body": letter.body.decode("utf-8", "replace"),
    }
