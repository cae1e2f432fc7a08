"""Erases what a tombstone names, before the tombstone itself is published.

By then everything older of the route is settled, so it is known where each event came to stand: from the
tombstone, and from the outbox, which knows more where rows waited when they were forgotten, or had to be sent
once more after a rollback. Nothing is erased that is not what is meant: it bears the event's own id, or was
stored at the very millisecond that the tombstone names.
"""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import anyio

from ..config.names import stream_fault
from ..errors import NatsError
from ..events.tombstones import forgotten_in
from ..jetstream.deleting import DeletionDenied, erase_message
from ..jetstream.permissions import PermissionMissing
from ..jetstream.reading import Message, get_message
from ..jetstream.session import ApiError, Session
from ..jetstream.stream import Stream
from ..jetstream.streams import STREAM_NOT_FOUND
from ..outbox.model import Row
from ..outbox.outbox import Outbox

logger = logging.getLogger(__name__)

AT_ONCE = 16  # requests under way
SLICE = 1.0  # seconds for which other events of the route wait; the server takes up to 20 ms to overwrite one


class Target(NamedTuple):
    """A message that may have to be erased.

    Attributes:
        agent: Whose it has to be.
        msg_id: What it has to bear, "" for an event without an id.
        time: When the stream took it, Unix ms; 0 where that is not known.
    """

    stream: str
    seq: int
    agent: str
    msg_id: str
    time: int

    def is_meant(self, message: Message) -> bool:
        """Whether a message is the one that is to be erased."""
        if self.msg_id and message.msg_id == self.msg_id:
            return True
        owner, colon, _ = message.msg_id.partition(":")
        return bool(self.time) and message.time == self.time and (not colon or owner == self.agent)


class Erased(NamedTuple):
    """How far the erasing has come.

    Attributes:
        done: Whether nothing is left.
        denied: Why it is not allowed; "" where it is.
    """

    done: bool
    denied: str = ""


async def erase(
    session: Session, stream: Stream, outbox: Outbox, tombstone: Row, done: set[Target]
) -> Erased:
    """Erase what a tombstone names from the streams of this account, for `SLICE` seconds at the most.

    What is gone already is fine.

    Args:
        done: What was erased in earlier slices; what is erased now is added.

    Raises:
        ApiError, RequestTimeout, NoResponders, LinkLost: It has to be tried again.
    """
    targets = [target for target in await _targets(stream, outbox, tombstone) if target not in done]
    end = anyio.current_time() + SLICE
    try:
        for start in range(0, len(targets), AT_ONCE):
            if start and anyio.current_time() > end:
                return Erased(done=False)
            await _erase_some(session, targets[start : start + AT_ONCE])
            done.update(targets[start : start + AT_ONCE])
    except (PermissionMissing, DeletionDenied) as error:
        if isinstance(error, PermissionMissing) and error.answers:
            raise  # nothing at all can be done on this connection
        return Erased(done=False, denied=f"forgotten events cannot be erased from their stream: {error}")
    if targets:
        logger.info(
            "erased what a tombstone names from its stream",
            extra={"action": "erased", "stream": stream.name, "places": len(targets)},
        )
    return Erased(done=True)


async def _targets(stream: Stream, outbox: Outbox, tombstone: Row) -> list[Target]:
    named = forgotten_in(tombstone.body)
    agent = tombstone.msg_id.partition(":")[0]  # an agent's name has no colon
    ids = list(dict.fromkeys(one.id for one in named if one.id))
    found = [
        Target(one.stream, one.seq, agent, f"{agent}:{one.id}" if one.id else "", one.time)
        for one in named
        if one.seq and stream_fault(one.stream) is None  # anything may be named in a tombstone that is put
    ]
    for event_id, place, seq in await outbox.places(agent, ids):
        name, _, server = place.rpartition("@")
        if server == stream.server:
            found.append(Target(name, seq, agent, f"{agent}:{event_id}", 0))
    return list(dict.fromkeys(found))


async def _erase_some(session: Session, targets: Iterable[Target]) -> None:
    """Erase messages side by side.

    Raises:
        NatsError: The first one's, once nothing is under way any more.
    """
    errors: list[NatsError] = []

    async def run(target: Target) -> None:
        try:
            await _erase_one(session, target)
        except NatsError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for target in targets:
            tasks.start_soon(run, target, name=f"erase {target.stream} {target.seq}")
    if errors:
        raise errors[0]


async def _erase_one(session: Session, target: Target) -> None:
    try:
        message = await get_message(session, target.stream, target.seq)
    except ApiError as error:
        if error.err_code == STREAM_NOT_FOUND:
            return
        raise
    if message is not None and target.is_meant(message):
        await erase_message(session, target.stream, target.seq)
