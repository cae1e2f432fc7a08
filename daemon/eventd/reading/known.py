"""Answers `known`: which ids an agent has used, so that what is moved in again is not stored twice."""

from eventd_ipc.messages import Known, Result
from eventd_ipc.strict import MAX_ID

from ..access.scopes import Forbidden
from ..index.forgetting import forgotten as forgotten_ids
from ..index.index import Index
from ..indexing.indexer import Indexer
from ..outbox.outbox import Outbox
from ..server.operations import Responder
from .filters import check_agent


class KnownIds:
    """Looks for ids in the outbox's ledger, and beyond what that reaches back in the index."""

    def __init__(self, outbox: Outbox, index: Index, indexer: Indexer) -> None:
        self._outbox = outbox
        self._index = index
        self._indexer = indexer

    async def answer(self, request: Known, responder: Responder) -> None:
        """Send which of the ids are known. Who may write as the agent may ask.

        Raises:
            Forbidden: They may not.
        """
        check_agent(request.agent)
        if not responder.identity.may_write_as(request.agent):
            raise Forbidden(
                f"{responder.identity.agent!r} may not write as {request.agent!r}, nor ask for its ids",
                hint=f"`agents.{responder.identity.agent}.canWriteAs` in config.yml allows both",
            )
        complete = self._indexer.caught_up  # before looking: what comes in meanwhile is found
        ids = [event_id for event_id in request.ids if len(event_id) <= MAX_ID]
        known = await self._outbox.known(request.agent, ids)
        forgotten = await self._outbox.forgotten(request.agent, ids)
        left = [event_id for event_id in ids if event_id not in known]
        if left:
            known |= await self._index.read(lambda reads: reads.known(request.agent, left))
            forgotten |= await self._index.read(lambda reads: forgotten_ids(reads, request.agent, left))
        document = {
            "known": [event_id for event_id in ids if event_id in known - forgotten],
            "forgotten": [event_id for event_id in ids if event_id in forgotten],
            "complete": complete,
        }
        await responder.send(Result(request.id, document))
