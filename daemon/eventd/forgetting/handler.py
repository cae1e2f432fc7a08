"""Answers `forget`."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import anyio

from eventd_ipc.messages import Forget, Result, Selected
from eventd_ipc.strict import MAX_ID, agent_fault

from ..access.scopes import Forbidden
from ..errors import NatsError
from ..events.identity import IMPORTED
from ..events.tombstones import Forgotten
from ..events.types import Kind
from ..index import forgetting as indexed
from ..index.forgetting import Known
from ..index.index import Index
from ..index.reads import Reads
from ..indexing.indexer import Indexer
from ..jetstream.deleting import DeletionDenied, check_erasing
from ..jetstream.permissions import PermissionMissing
from ..jetstream.reading import get_message
from ..outbox.forgetting import OutboxFull
from ..outbox.outbox import Outbox
from ..server.operations import RequestRefused, Responder
from .tombstones import Tombstones

PATIENCE = 1.0  # seconds that is waited for the index to take in what is in the outbox
CHECK_TIMEOUT = 5.0  # seconds for looking whether erasing is allowed


class _Meant(NamedTuple):
    """What a request means.

    Attributes:
        forgotten: What a tombstone is to name.
        already: Ids that are forgotten by now.
        unknown: What nobody knows.
        unreachable: Streams of other accounts, in which some of it stands.
    """

    forgotten: list[Forgotten]
    already: list[str]
    unknown: list[Selected]
    unreachable: list[str]


class Forgetting:
    """Looks up what is meant, finds out whether it can be erased, and puts tombstones into the outbox."""

    def __init__(self, outbox: Outbox, index: Index, indexer: Indexer, tombstones: Tombstones) -> None:
        self._outbox = outbox
        self._index = index
        self._indexer = indexer
        self._tombstones = tombstones

    async def answer(self, request: Forget, responder: Responder) -> None:
        """Forget what is named, or say what has become of that. Who may write as the agent may ask.

        Raises:
            Forbidden: They may not.
        """
        if (fault := agent_fault(request.agent)) is not None:
            raise RequestRefused("bad_request", f"agent: {fault}")
        if not responder.identity.may_write_as(request.agent):
            raise Forbidden(
                f"{responder.identity.agent!r} may not write as {request.agent!r}, nor let it forget",
                hint=f"`agents.{responder.identity.agent}.canWriteAs` in config.yml allows both",
            )
        act = self._progress if request.action == "progress" else self._forget
        await responder.send(Result(request.id, await act(request)))

    async def _forget(self, request: Forget) -> dict[str, Any]:
        if not all(_is_named(one) for one in request.events) or not request.events:
            raise RequestRefused(
                "bad_request", "forget takes events, each with an id, or with stream and seq"
            )
        meant = await self._look_up(request.agent, request.events)
        checked = await self._check(request.agent, meant.forgotten)
        made: list[str] = []
        if meant.forgotten:
            try:
                made = await self._tombstones.bury(request.agent, meant.forgotten)
            except OutboxFull as error:
                raise RequestRefused("outbox_full", str(error), hint=error.hint) from error
        return {
            "tombstones": made,
            "events": len({one.id or (one.stream, one.seq) for one in meant.forgotten}),
            "places": sum(bool(one.seq) for one in meant.forgotten),
            "already": meant.already,
            "unknown": [{"id": one.id, "stream": one.stream, "seq": one.seq} for one in meant.unknown],
            "unreachable": meant.unreachable,
            "checked": checked,
        }

    async def _look_up(self, agent: str, events: Sequence[Selected]) -> _Meant:
        """Find all that is known of the events: all places where an id stands, and who else has it."""
        with anyio.move_on_after(PATIENCE):
            await self._index.wait_taken(await self._outbox.flush())
        complete = self._indexer.caught_up  # before looking: what comes in meanwhile is found
        known = await self._index.read(lambda reads: _known(reads, agent, events))
        if any(one.kind == Kind.TOMBSTONE for found in known for one in found):
            raise RequestRefused(
                "forbidden", "a tombstone cannot be forgotten", hint="it holds ids and places, no content"
            )
        # The index may give an event another id than its body has: see `_known`.
        names = [found[0].event_id if found else one.id for one, found in zip(events, known, strict=True)]
        held = await self._outbox.known(agent, names)
        already = await self._outbox.forgotten(agent, names)
        account = self._tombstones.account_of(agent)
        forgotten: dict[Forgotten, None] = {}
        unreachable: dict[str, None] = {}
        unknown: list[Selected] = []
        left = [one for one, found in zip(events, known, strict=True) if not found and one.id not in already]
        there = await self._in_streams(agent, left, held)
        if not complete and any(one.id not in there for one in left):  # accepted once is not known where
            raise NatsError(
                "some of the events are not known, and the index, which may have them, is being built",
                hint="see `eventd index status`, and try again when it is ready",
            )
        for one, name, found in zip(events, names, known, strict=True):
            if not found and name in there:
                forgotten[there[name]] = None
            elif not found and name not in held:
                unknown.append(one)
            elif name not in already:
                near = [place for place in found if place.seq and place.account == account]
                far = [place.stream for place in found if place.seq and place.account != account]
                unreachable.update(dict.fromkeys(far))
                forgotten.update((_named(place), None) for place in near)
                if not near and name:
                    forgotten[Forgotten(name)] = None
        gone = [name for name in dict.fromkeys(names) if name in already]
        return _Meant(list(forgotten), gone, unknown, list(unreachable))

    async def _in_streams(
        self, agent: str, events: Sequence[Selected], held: Collection[str]
    ) -> dict[str, Forgotten]:
        """Return those events that stand at the places that are named for them, by their ids.

        Where the index has let go of what is old, or has not come to it yet, who asks may have found it.

        Args:
            held: Ids of events that were accepted: where NATS is away, it is seen when they are erased.
        """
        streams = {stats.stream for stats in self._outbox.stats.routes.values()}
        shipper = self._tombstones.shipper_of(agent)
        session = None if shipper is None else shipper.link.session
        found: dict[str, Forgotten] = {}
        with anyio.move_on_after(CHECK_TIMEOUT):
            for one in events:
                if one.stream not in streams:
                    continue
                there = one.id in held
                if session is not None:
                    with suppress(NatsError):
                        message = await get_message(session, one.stream, one.seq)
                        there = message is not None and message.msg_id == f"{agent}:{one.id}"
                if there:
                    found[one.id] = Forgotten(one.id, one.stream, one.seq)
        return found

    async def _check(self, agent: str, forgotten: Sequence[Forgotten]) -> bool:
        """Find out whether erasing is allowed; return False where that cannot be told now.

        Raises:
            RequestRefused: It is not; nothing was changed.
        """
        shipper = self._tombstones.shipper_of(agent)
        session = None if shipper is None else shipper.link.session
        if session is None or shipper is None:
            return False
        own = shipper.status.stream or shipper.route.stream
        try:
            with anyio.fail_after(CHECK_TIMEOUT):
                for stream in dict.fromkeys([own, *(one.stream for one in forgotten if one.stream)]):
                    await check_erasing(session, stream)
        except (PermissionMissing, DeletionDenied) as error:
            raise RequestRefused("forbidden", f"nothing is forgotten: {error}", hint=error.hint) from error
        except (NatsError, TimeoutError):
            return False
        return True

    async def _progress(self, request: Forget) -> dict[str, Any]:
        with anyio.move_on_after(PATIENCE):
            await self._index.wait_taken(await self._outbox.flush())
        found = await self._outbox.progress(request.agent, request.tombstones)
        taken = self._index.taken >= self._outbox.last_seq
        return {
            "waiting": found.waiting,
            "done": found.done,
            "dead": [
                {"id": event_id, "number": number, "reason": reason}
                for event_id, number, reason in found.dead
            ],
            "clean": found.scrubbed and taken and not self._index.wiping,
        }


def _is_named(one: Selected) -> bool:
    placed = bool(one.stream) and 0 < one.seq < 2**63
    return len(one.id) <= MAX_ID and (placed or (bool(one.id) and one.seq == 0))


def _known(reads: Reads, agent: str, events: Sequence[Selected]) -> list[list[Known]]:
    """Return what the index has of each event: by its id, else of what stands at its place.

    There it may have another id than in its body: one that `eventd import` has given it.
    """
    found: list[list[Known]] = []
    for one in events:
        there = indexed.places_of(reads, agent, [one.id]) if one.id else []
        if not there and one.seq:
            there = [
                known
                for known in indexed.event_at(reads, agent, one.stream, one.seq)
                if not one.id or not known.event_id or known.event_id.startswith(IMPORTED)
            ]
            ids = [known.event_id for known in there if known.event_id]
            there = indexed.places_of(reads, agent, ids) if ids else there
        found.append(there)
    return found


def _named(place: Known) -> Forgotten:
    return Forgotten(place.event_id, place.stream, place.seq, place.time)
