"""What is believed after a (re)connect: rollbacks are found, deletions left alone, sent rows looked up."""

from itertools import accumulate
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from eventd.errors import LinkLost
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.publishing import BATCH_ROWS
from eventd.jetstream.session import Session, open_session
from eventd.outbox.model import Run
from eventd.outbox.outbox import Outbox
from eventd.outbox.settings import OutboxSettings
from eventd.shipping.reconcile import MAX_FILTERS, Reconciled, Repair, reconcile
from support.jetstream import JetStream
from support.nats import NatsServer

from .support import ROUTE, accept, make_stream, new_row, pending, publish, settle

pytestmark = pytest.mark.anyio

EVERY_ROW = 10**9  # an outbox number above all others


async def look(session: Session, outbox: Outbox, route: int, doubt: int = EVERY_ROW) -> Reconciled:
    """Reconcile; rows up to `doubt` may have been sent."""
    return await reconcile(session, await make_stream(session), outbox, route, doubt)


async def registered(outbox: Outbox) -> int:
    return await outbox.register_route(ROUTE.name, ROUTE.stream, ROUTE.prefix)


async def claim(session: Session, outbox: Outbox, runs: list[int], held: int) -> int:
    """Settle runs of such sizes as if they were stored, although the stream has only the first `held`.

    Another writer's message stands before each run but the first, so that they stay apart.
    """
    route = await registered(outbox)
    stream = await make_stream(session)
    await outbox.note_stream(route, stream.identity)
    number = 0
    for gap, size in enumerate(runs):
        await accept(outbox, *(new_row(route, number + n) for n in range(size)))
        rows = await pending(outbox, route)
        if gap and held >= number:
            await session.request("openclaw.events.foreign.custom", b"{}")
        await publish(session, rows[: max(0, held - number)])
        await settle(outbox, route, rows, number + gap + 1)
        number += size
    assert len(await outbox.runs(route)) in (0, len(runs))
    return route


async def test_a_new_route_starts_at_the_beginning(session: Session, outbox: Outbox) -> None:
    found = await look(session, outbox, await registered(outbox))
    assert (found.position.settled, found.position.stream_seq) == (0, 0)
    assert (found.present, found.repair) == ({}, None)
    assert found.position.stream_created == (await make_stream(session)).identity


async def test_a_stream_that_holds_everything_is_believed(session: Session, outbox: Outbox) -> None:
    route = await claim(session, outbox, [10, 5], held=15)
    found = await look(session, outbox, route)
    assert found.repair is None
    assert (found.position.settled, found.position.stream_seq) == (15, 16)


@pytest.mark.parametrize("held", [0, 1, 6, 7, 8, 9, 10, 19, 20, 21, 28, 29])
async def test_the_newest_row_that_the_stream_holds_becomes_the_watermark(
    session: Session, outbox: Outbox, held: int
) -> None:
    """Whether it ends a run, stands inside of one, or there is none; one more row and nothing is repaired."""
    sizes = [7, 1, 2, 10, 10]
    route = await claim(session, outbox, sizes, held)
    found = await look(session, outbox, route)
    gaps = [end for end in accumulate(sizes) if end < held]
    assert found.repair is not None
    assert found.repair.reopened == 30 - held
    assert found.repair.lost_before == 0
    assert (found.position.settled, found.position.stream_seq) == (held, held + len(gaps))
    assert [row.msg_id for row in await pending(outbox, route)] == [f"main:{n}" for n in range(held, 30)]


async def test_a_repair_is_not_found_a_second_time(session: Session, outbox: Outbox) -> None:
    """What was re-opened and is shipped again is settled again."""
    route = await claim(session, outbox, [10], held=4)
    assert (await look(session, outbox, route)).repair is not None
    rows = await pending(outbox, route)
    await publish(session, rows)
    await settle(outbox, route, rows, 5)
    assert (await look(session, outbox, route)).repair is None


async def test_another_message_at_our_sequence_gives_a_rollback_away(
    session: Session, outbox: Outbox, jetstream: JetStream
) -> None:
    """Another writer has filled up what was lost, so the last sequence is not lower than ours."""
    route = await claim(session, outbox, [10, 10], held=12)
    await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 20)
    found = await look(session, outbox, route)
    assert found.repair is not None
    assert "another message" in found.repair.reason
    assert (found.position.settled, found.position.stream_seq) == (12, 13)


async def test_a_stream_that_was_made_anew_is_filled_from_the_oldest_retained_row(
    session: Session, outbox: Outbox, jetstream: JetStream
) -> None:
    """What stands there now, with the same sequences, is not taken for what stood there before."""
    route = await claim(session, outbox, [10, 10], held=20)
    await run_sync(jetstream.delete)
    await make_stream(session)
    await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 30)
    found = await look(session, outbox, route)
    assert found.repair is not None
    assert "anew" in found.repair.reason
    assert (found.repair.reopened, found.position.settled, found.position.stream_seq) == (20, 0, 0)


async def test_in_a_stream_made_anew_rows_that_are_there_already_are_found(
    session: Session, outbox: Outbox, jetstream: JetStream
) -> None:
    """Somewhere behind other messages, and whatever the duplicate window is."""
    route = await claim(session, outbox, [10], held=10)
    await run_sync(jetstream.delete)
    await make_stream(session)
    await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 2)
    await outbox.rewind(route, to=0, stream_seq=0)
    rows = await pending(outbox, route)
    await publish(session, rows[6:8])
    await settle(outbox, route, rows, 1)
    found = await look(session, outbox, route)
    assert found.repair is not None
    assert found.present == {rows[6].seq: 3, rows[7].seq: 4}


@pytest.mark.parametrize("deleted", [[16], [15, 16], [1, 2, 3], [5, 12], list(range(1, 17))])
async def test_deletions_are_not_repaired(
    session: Session, outbox: Outbox, jetstream: JetStream, deleted: list[int]
) -> None:
    """The stream went on beyond what is missing: age, purge, or by hand."""
    route = await claim(session, outbox, [10, 5], held=15)
    for seq in deleted:
        await run_sync(jetstream.delete_message, seq)
    found = await look(session, outbox, route)
    assert found.repair is None
    assert (found.position.settled, found.position.stream_seq) == (15, 16)


async def test_a_purge_is_not_repaired(session: Session, outbox: Outbox, jetstream: JetStream) -> None:
    route = await claim(session, outbox, [10, 5], held=15)
    await run_sync(jetstream.purge)
    assert (await look(session, outbox, route)).repair is None


async def test_deletions_do_not_hide_how_far_a_rollback_went(
    session: Session, outbox: Outbox, jetstream: JetStream
) -> None:
    """A deleted message counts as held: it had been there."""
    route = await claim(session, outbox, [10, 10], held=12)
    for seq in (5, 11, 12, 13):
        await run_sync(jetstream.delete_message, seq)
    found = await look(session, outbox, route)
    assert found.repair is not None
    assert (found.repair.reopened, found.position.settled) == (8, 12)


async def test_what_is_not_retained_any_more_is_counted_as_lost(session: Session, short_tmp: Path) -> None:
    """The stream went back to before the oldest retained row: the rest comes back, the gap is told."""
    async with Outbox.open(short_tmp / "short.db", OutboxSettings(min_free=0, retain=0.0)) as outbox:
        route = await claim(session, outbox, [10], held=4)
        while await outbox.runs(route):
            await anyio.sleep(0.01)
        found = await look(session, outbox, route)
        assert found.repair is not None
        assert (found.repair.reopened, found.repair.lost_before) == (0, 6)
        assert (found.position.settled, found.position.stream_seq) == (10, 4)
        assert (await look(session, outbox, route)).repair is None


async def test_runs_that_are_let_go_of_meanwhile_end_nothing(
    session: Session, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention does not wait for a look at the stream; then what is left is looked at."""
    async with Outbox.open(short_tmp / "short.db", OutboxSettings(min_free=0, retain=60.0)) as outbox:
        route = await claim(session, outbox, [10], held=10)
        before = [await outbox.runs(route)]
        await outbox.configure(OutboxSettings(min_free=0, retain=0.0), [route])
        while await outbox.runs(route):
            await anyio.sleep(0.01)
        read_now = outbox.runs

        async def read_before(route: int) -> list[Run]:
            return before.pop() if before else await read_now(route)

        monkeypatch.setattr(outbox, "runs", read_before)
        found = await look(session, outbox, route)
        assert not before
        assert (found.repair, found.position.settled) == (None, 10)


async def test_only_rows_in_doubt_are_looked_up(session: Session, outbox: Outbox) -> None:
    """What was never sent cannot be there, and a busy stream takes long to read."""
    route = await registered(outbox)
    await accept(outbox, *(new_row(route, n) for n in range(5)))
    await publish(session, (await pending(outbox, route))[:3])
    assert (await look(session, outbox, route, doubt=0)).present == {}


async def test_all_rows_in_doubt_are_looked_up_not_only_a_batch(session: Session, outbox: Outbox) -> None:
    """After a repair that was broken off, what is there already can lie far behind the first row."""
    route = await registered(outbox)
    await accept(outbox, *(new_row(route, n) for n in range(BATCH_ROWS + 20)))
    rows = await outbox.pending(route, after=0, limit=BATCH_ROWS + 20, max_bytes=10**9)
    await publish(session, rows[-5:])
    found = await look(session, outbox, route)
    assert found.present == {row.seq: n for n, row in enumerate(rows[-5:], 1)}


@pytest.mark.parametrize("agents", [1, 3, MAX_FILTERS + 1])
async def test_rows_in_doubt_are_looked_up(
    session: Session, outbox: Outbox, jetstream: JetStream, agents: int
) -> None:
    """Among other writers' messages, and however many subjects they have."""
    route = await registered(outbox)
    rows = [new_row(route, n, f"agent{n % agents}") for n in range(2 * agents)]
    await accept(outbox, *rows)
    await run_sync(jetstream.make)
    await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 3)
    sent = await pending(outbox, route)
    await publish(session, sent[:agents])
    await run_sync(jetstream.publish, "openclaw.events.foreign.custom", 3)
    found = await look(session, outbox, route)
    assert found.present == {row.seq: n + 4 for n, row in enumerate(sent[:agents])}


async def test_only_what_came_after_the_watermark_is_looked_at(session: Session, outbox: Outbox) -> None:
    """What is settled is no news, and reading it again would take its time."""
    route = await claim(session, outbox, [10], held=10)
    await accept(outbox, *(new_row(route, n) for n in range(10, 15)))
    rows = await pending(outbox, route)
    await publish(session, rows[:2])
    found = await look(session, outbox, route)
    assert found.present == {rows[0].seq: 11, rows[1].seq: 12}
    assert found.position.settled == 10


async def test_a_route_that_moves_to_another_stream_takes_only_what_is_pending(
    session: Session, outbox: Outbox, jetstream: JetStream
) -> None:
    """What was settled stays where it is; the old position means nothing in the new stream."""
    await run_sync(jetstream.make, "old", "old.>")
    route = await registered(outbox)
    await outbox.note_stream(route, "old 2026-01-01T00:00:00Z")
    await accept(outbox, *(new_row(route, n) for n in range(10)))
    rows = await pending(outbox, route)
    await settle(outbox, route, rows[:6], 101)
    found = await look(session, outbox, route)
    assert found.repair is None
    assert (found.position.settled, found.position.stream_seq) == (rows[5].seq, 0)
    assert await pending(outbox, route) == rows[6:]


async def test_a_repair_that_is_broken_off_is_taken_up_again(
    nats_server: NatsServer, session: Session, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost between setting the watermark back and looking for what is there already."""
    route = await claim(session, outbox, [10], held=4)

    async def lost(*_: object, **__: object) -> dict[int, int]:
        raise LinkLost("connection lost")

    repairs: list[Repair] = []
    with monkeypatch.context() as patch:
        patch.setattr("eventd.shipping.reconcile._present", lost)
        with pytest.raises(LinkLost):
            await reconcile(session, await make_stream(session), outbox, route, EVERY_ROW, repairs.append)
    assert [repair.reopened for repair in repairs] == [6]  # told now, since it is not found again
    async with open_session(Endpoint((nats_server.url,)), "test") as fresh:
        found = await look(fresh, outbox, route)
    assert found.repair is None
    assert (found.position.settled, found.position.stream_seq) == (4, 4)
    assert [row.msg_id for row in await pending(outbox, route)] == [f"main:{n}" for n in range(4, 10)]
