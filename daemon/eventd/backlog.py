"""Answers `backlog`: what the outbox holds that is in no stream, read page by page for a backup."""

from collections.abc import Awaitable, Callable
from typing import Any

from eventd_ipc.messages import Backlog, Result

from .outbox.model import DeadLetter, RouteStats, Row
from .outbox.outbox import Outbox
from .server.operations import RequestRefused, Responder

MAX_ROWS = 1000  # rows of one page
MAX_BYTES = 2 * 1024 * 1024  # bytes of their bodies, unless it is a single one

Page = dict[str, Any]
"""`rows`, and in `next` the keys that the request of the page behind it has; without it there is none."""


def backlog_handler(outbox: Outbox) -> Callable[[Backlog, Responder], Awaitable[None]]:
    """Return the handler of `backlog` requests."""

    async def backlog(request: Backlog, responder: Responder) -> None:
        if request.limit < 1 or request.after < 0 or request.route < 0:
            raise RequestRefused("bad_request", "limit is a number of rows, from 1; route and after from 0")
        limit = min(request.limit, MAX_ROWS)
        if request.dead:
            page = await dead_letters(outbox, request.after, limit)
        else:
            page = await pending(outbox, request.route, request.after, limit)
        await responder.send(Result(request.id, page))

    return backlog


async def pending(outbox: Outbox, route: int, after: int, limit: int = MAX_ROWS) -> Page:
    """Return pending rows, route by route, in accept order; the last page says how far the routes are.

    Args:
        route, after: Begin with this route, behind this row of it.
    """
    for number, stats in sorted(outbox.stats.routes.items()):
        if number < route:
            continue
        begin = after if number == route else 0
        if rows := await outbox.pending(number, after=begin, limit=limit, max_bytes=MAX_BYTES):
            documents = [_row(row, stats.name, stats.stream) for row in rows]
            return {"rows": documents, "next": {"route": number, "after": rows[-1].seq}}
    return {"rows": [], "routes": [await _route(outbox, stats) for stats in outbox.stats.routes.values()]}


async def dead_letters(outbox: Outbox, after: int, limit: int = MAX_ROWS) -> Page:
    """Return dead letters with a greater number than `after`, the oldest first."""
    rows: list[Page] = []
    room = MAX_BYTES
    for letter in await outbox.dead_letters(after, limit):
        room -= len(letter.body)
        if rows and room < 0:
            break
        rows.append(_letter(letter))
    return {"rows": rows, "next": {"dead": True, "after": rows[-1]["number"]}} if rows else {"rows": []}


async def _route(outbox: Outbox, stats: RouteStats) -> Page:
    position = await outbox.position(stats.number)
    return {
        "name": stats.name,
        "stream": stats.stream,
        "prefix": stats.prefix,
        "pending": stats.pending_rows,
        "settled": position.settled,
        "streamSeq": position.stream_seq,
    }


def _row(row: Row, route: str, stream: str) -> Page:
    return {
        "number": row.seq,
        "route": route,
        "stream": stream,
        "msgId": row.msg_id,
        "subject": row.subject,
        "neverExpires": row.never_expires,
        "time": row.accepted_at,
        "body": row.body,
    }


def _letter(letter: DeadLetter) -> Page:
    return {
        "number": letter.number,
        "route": letter.route,
        "msgId": letter.msg_id,
        "subject": letter.subject,
        "neverExpires": letter.never_expires,
        "time": letter.died_at,
        "body": letter.body,
        "reason": letter.reason,
        "code": letter.code,
    }
