"""Answers `deadletter`: lists, retries and drops the rows that could never be published."""

from collections.abc import Awaitable, Callable
from typing import Any

from eventd_ipc.messages import DeadLetters, Result

from .outbox.model import DeadLetter
from .outbox.outbox import Outbox
from .server.operations import RequestRefused, Responder

MAX_LISTED = 1000  # dead letters in one answer; the next ones are asked for with `after`
MAX_LISTED_BYTES = 4 * 1024 * 1024  # bytes of their bodies in one answer, unless it is a single one
READ_AT_ONCE = 16  # dead letters; bounds what is in memory while an answer is put together


def dead_letters_handler(outbox: Outbox) -> Callable[[DeadLetters, Responder], Awaitable[None]]:
    """Return the handler of `deadletter` requests."""

    async def dead_letters(request: DeadLetters, responder: Responder) -> None:
        if request.action == "list":
            if request.limit < 1:
                raise RequestRefused("bad_request", "limit is a number of dead letters, from 1")
            letters = await _page(outbox, request.after, min(request.limit, MAX_LISTED))
            await responder.send(Result(request.id, {"letters": [_document(letter) for letter in letters]}))
            return
        if bool(request.numbers) == request.all:
            raise RequestRefused("bad_request", f"{request.action} takes either numbers or all")
        numbers = None if request.all else request.numbers
        act = outbox.retry_dead if request.action == "retry" else outbox.drop_dead
        await responder.send(Result(request.id, {"count": await act(numbers)}))

    return dead_letters


async def _page(outbox: Outbox, after: int, limit: int) -> list[DeadLetter]:
    """Return up to `limit` dead letters; fewer where they are large, but one if there is any."""
    page: list[DeadLetter] = []
    room = MAX_LISTED_BYTES
    while len(page) < limit:
        letters = await outbox.dead_letters(after, min(READ_AT_ONCE, limit - len(page)))
        for letter in letters:
            room -= len(letter.body)
            if page and room < 0:
                return page
            page.append(letter)
        if not letters:
            break
        after = letters[-1].number
    return page


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "route": letter.route,
        "id": letter.msg_id,
        "subject": letter.subject,
        "reason": letter.reason,
        "code": letter.code,
        "diedAt": letter.died_at,
        "bytes": len(letter.body),
        "body": letter.body.decode("utf-8", "replace"),
    }
