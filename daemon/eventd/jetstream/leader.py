"""Requests that the leader of a stream answers, in a cluster where another one may be elected meanwhile.

A leader that dies takes with it what it has not answered: nobody says so, and the ack would be waited for
until its deadline, twice as long as an election takes. So whoever waits looks after the leader, too.
"""

from collections.abc import Mapping

import anyio
import nats.aio.msg

from ..errors import LinkLost, NatsError
from .replicas import NoLeader, NoQuorum, Replicas
from .session import Session
from .stream import Stream

WATCH_INTERVAL = 1.0  # seconds between two looks at who leads, while an ack does not come
LOOK_TIMEOUT = 2.0  # seconds for one answer


class LeaderChanged(NatsError):
    """The stream has another leader than when it was looked at: what was under way may be stored or not."""


async def request_of_leader(
    session: Session, stream: Stream, subject: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> nats.aio.msg.Msg:
    """Send a request to the leader of a stream and return its answer.

    Raises:
        LeaderChanged: There is another leader; no answer has come until then.
        NoQuorum: The leader is cut off from the other replicas; none will come.
        NoResponders, PermissionMissing, RequestTimeout, LinkLost: As for `Session.request`.
    """
    if not stream.replicated:
        return await session.request(subject, body, headers, timeout=timeout)
    outcome: nats.aio.msg.Msg | NatsError | None = None
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            nonlocal outcome
            try:
                outcome = await session.request(subject, body, headers, timeout=timeout)
            except NatsError as error:
                outcome = error
            group.cancel_scope.cancel()

        async def watch() -> None:
            nonlocal outcome
            outcome = await _no_more(session, stream)
            group.cancel_scope.cancel()

        group.start_soon(ask, name="request")
        group.start_soon(watch, name="leader")
    assert outcome is not None  # noqa: S101 - one of the two has ended
    if isinstance(outcome, NatsError):
        raise outcome
    return outcome


async def _no_more(session: Session, stream: Stream) -> NatsError:
    """Return as soon as no answer of the leader can be expected any more, with the reason."""
    while True:
        await anyio.sleep(WATCH_INTERVAL)
        try:
            replicas = Replicas.of(await session.api(f"STREAM.INFO.{stream.name}", timeout=LOOK_TIMEOUT))
            replicas.check(stream.name)
        except NoLeader:
            continue
        except (NoQuorum, LinkLost) as error:
            return error
        except NatsError:
            continue  # nobody leads now
        if replicas.term != stream.replicas.term:
            return LeaderChanged(f"stream {stream.name} has elected another leader")
