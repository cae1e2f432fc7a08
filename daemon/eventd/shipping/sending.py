"""Sends rows to a stream: how many together, and in which way."""

import itertools
import logging
from collections.abc import Sequence

from ..jetstream.publishing import (
    BATCH_BYTES,
    BATCH_ROWS,
    PIPELINE_ROWS,
    Published,
    fits_batch,
    publish_atomic,
    publish_pipelined,
    publish_single,
)
from ..jetstream.refusals import Verdict
from ..jetstream.session import Session
from ..jetstream.stream import Stream
from ..outbox.model import Row
from .reconcile import find_in

logger = logging.getLogger(__name__)

GROWTH = 8  # a batch that went through lets the next one be an eighth larger
SMALLEST_BATCH = 16 * 1024  # bytes; a slow line gets no less at once


class Sender:
    """Knows what a line takes at once, and what may have been stored without our knowing.

    Args:
        route: Name of the route, for the log.
        doubt: See below.

    Attributes:
        doubt: Rows up to this outbox number may be in the stream: sent and not answered, by an earlier life
            too.
        present: Of these the ones that were found in it: outbox number to stream sequence.
    """

    def __init__(self, route: str, doubt: int) -> None:
        self.doubt = doubt
        self.present: dict[int, int] = {}
        self._route = route
        self._batch_rows, self._batch_bytes = BATCH_ROWS, BATCH_BYTES
        self._window = PIPELINE_ROWS

    def batch(self, ahead: Sequence[Row], stream: Stream) -> Sequence[Row]:
        """Return the first rows that can go together: to one stream, and either all are in it or none.

        A tombstone goes alone: what it names has to be erased before.
        """
        if ahead[0].tombstone:
            return ahead[:1]
        rows = ahead[: self._batch_rows]
        room = self._batch_bytes
        mixed = bool(self.present or stream.elsewhere or stream.refused)
        kind = self._kind(rows[0], stream)
        for i, row in enumerate(rows):
            room -= len(row.body)
            if row.tombstone or (i and room < 0) or (mixed and self._kind(row, stream) != kind):
                return rows[:i]
        return rows

    def _kind(self, row: Row, stream: Stream) -> tuple[bool, str, bool]:
        owner = stream.owner(row.subject) if stream.elsewhere else None
        return row.seq in self.present, owner.name if owner else "", bool(stream.refusal(row.subject))

    async def send(
        self, session: Session, stream: Stream, rows: Sequence[Row], after: int | None
    ) -> Published:
        """Publish rows; what is not answered stays in doubt, and makes the next batch smaller.

        Args:
            after: The last sequence that the stream is expected to have; None where nobody can tell.
        """
        try:
            result = await self._publish(session, stream, rows, after)
        except BaseException:
            self.doubt = max(self.doubt, rows[-1].seq)
            self._batch_rows = max(1, self._batch_rows // 2)
            self._batch_bytes = max(SMALLEST_BATCH, self._batch_bytes // 2)
            raise
        if result.verdict in (Verdict.RETRY, Verdict.RECONCILE):
            self.doubt = max(self.doubt, rows[-1].seq)
        elif result.verdict is None and result.stored and not result.stored[0].repeated:
            # Slowly: the size that failed last is likely to fail again.
            self._batch_rows = min(BATCH_ROWS, self._batch_rows + max(1, self._batch_rows // GROWTH))
            self._batch_bytes = min(BATCH_BYTES, self._batch_bytes + self._batch_bytes // GROWTH)
        return result

    async def _publish(
        self, session: Session, stream: Stream, rows: Sequence[Row], after: int | None
    ) -> Published:
        if rows[0].seq in self.present:
            result = Published()
            for row in rows:
                result.store(self.present.pop(row.seq), repeated=True)
            return result
        if stream.refusal(rows[0].subject):
            result = Published()
            for row in rows:
                result.bury(stream.refusal(row.subject), 0)
            return result
        if owner := stream.owner(rows[0].subject):
            return await self._publish_elsewhere(session, owner, rows)
        if not stream.atomic:
            return await self._pipeline(session, stream, rows, after)
        sendable = 0
        for row in rows:
            if not fits_batch(row, session, stream):
                break
            sendable += 1
        if sendable < 2:
            return await publish_single(session, stream, rows[:1], after)
        result = await publish_atomic(session, stream, rows[:sendable], after)
        if result.verdict is Verdict.SPLIT:
            logger.info(
                "a batch was refused (%s): its rows go one by one", result.reason,
                extra={"action": "batch_split", "route": self._route, "rows": sendable},
            )  # fmt: skip
            result = await publish_single(session, stream, rows[:sendable], after)
        return result

    async def _publish_elsewhere(self, session: Session, owner: Stream, rows: Sequence[Row]) -> Published:
        """Publish rows whose subject another stream takes, but for those that it has already."""
        if rows[0].seq <= self.doubt:
            there = await find_in(session, owner, rows)
            known = list(itertools.takewhile(lambda row: row.msg_id in there, rows))
            if known:
                return Published(done=len(known), elsewhere=True)
            rows = list(itertools.takewhile(lambda row: row.msg_id not in there, rows))
        result = await publish_single(session, owner, rows)
        result.elsewhere = True
        return result

    async def _pipeline(
        self, session: Session, stream: Stream, rows: Sequence[Row], after: int | None
    ) -> Published:
        """Send a window of rows; a round that ends early makes the next one start small."""
        result = await publish_pipelined(session, stream, rows[: self._window], after)
        self._window = 1 if result.verdict else min(self._window * 2, PIPELINE_ROWS)
        return result
