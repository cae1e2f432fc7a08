"""The outbox as the event loop sees it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import apsw
import pytest
from msgspec import structs

from eventd.errors import AlreadyRunning, DiskFailure, OutboxError
from eventd.outbox import writer
from eventd.outbox.appending import append
from eventd.outbox.files import Files
from eventd.outbox.model import Death, Run, Settlement, Submission
from eventd.outbox.outbox import DEAD_STEP, Outbox
from eventd.outbox.settings import MIB, OutboxSettings, Tuning
from eventd.outbox.store import Store
from outbox.support import (
    ALL,
    TUNING,
    all_pending,
    msg_id,
    number_of,
    outbox_at,
    row,
    rows,
    submit,
)
from outbox.vfs import Faulty, sync_failure

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(short_tmp: Path) -> Path:
    return short_tmp / "data" / "outbox.db"


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


async def settle_all(outbox: Outbox) -> None:
    waiting = await all_pending(outbox)
    run = Run(waiting[0].seq, waiting[-1].seq, len(waiting), 1)
    await outbox.settle(Settlement(1, waiting[-1].seq, (run,)))


async def test_rows_come_back_in_accept_order(path: Path) -> None:
    """Accept order is the order of the calls of submit, over all submissions of each."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        order: list[int] = []
        finished = anyio.Event()

        def done(submissions: list[Submission]) -> None:
            order.extend(number_of(new.body) for one in submissions for new in one.rows)
            if len(order) == 300:
                finished.set()

        for first in range(0, 300, 10):
            outbox.submit([Submission([row(n)]) for n in range(first, first + 10)], done)
        with anyio.fail_after(10):
            await finished.wait()
        assert order == list(range(300))
        found = await all_pending(outbox)
        assert [number_of(found_row.body) for found_row in found] == order
        assert [found_row.seq for found_row in found] == list(range(1, 301))
        assert (found[7].msg_id, found[7].subject, found[7].body) == (msg_id(7), "p.main.t", row(7).body)
        assert outbox.stats.commits < 30, "a group takes what is queued"


async def test_everything_is_there_after_a_restart(path: Path) -> None:
    """Pending rows, watermark, the stream's identity and the route's number outlive the process."""
    async with outbox_at(path) as outbox:
        assert await outbox.register_route("*", "S", "p") == 1
        assert await outbox.register_route("coder", "S2", "p.coder") == 2
        await submit(outbox, rows(1, 5))
        await outbox.settle(Settlement(1, 3, (Run(1, 3, 3, 41),)))
        await outbox.note_stream(1, "2026-01-01")
    async with outbox_at(path) as outbox:
        assert await outbox.register_route("coder", "S2", "p.coder") == 2
        position = await outbox.position(1)
        assert (position.settled, position.stream_seq, position.stream_created) == (3, 43, "2026-01-01")
        assert [number_of(found.body) for found in await all_pending(outbox)] == [4, 5]
        assert await outbox.runs(1) == [Run(1, 3, 3, 41)]
        assert await outbox.row_in_run(1, Run(1, 3, 3, 41), 2) == (3, msg_id(3))
        stats = outbox.stats.routes[1]
        assert (stats.pending_rows, stats.retained_rows, stats.dead_rows) == (2, 3, 0)


async def test_pending_is_bounded_in_rows_and_bytes_but_never_empty(path: Path) -> None:
    """A batch has a byte budget; a row that alone exceeds it still comes."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 10, size=1000))
        assert len(await outbox.pending(1, after=0, limit=4, max_bytes=ALL)) == 4
        assert len(await outbox.pending(1, after=0, limit=10, max_bytes=3500)) == 3
        assert len(await outbox.pending(1, after=8, limit=10, max_bytes=1)) == 1
        assert await outbox.pending(1, after=10, limit=10, max_bytes=ALL) == []


async def test_a_call_does_not_wait_for_all_rows_that_are_queued_before_it(path: Path) -> None:
    """Otherwise a busy intake would keep shipping from the rows that it could take away."""
    async with outbox_at(path, tuning=replace(TUNING, group_rows=100)) as outbox:
        await outbox.register_route("*", "S", "p")
        finished = anyio.Event()
        for first in range(0, 5000, 100):
            done = (lambda _: finished.set()) if first == 4900 else (lambda _: None)
            outbox.submit([Submission(rows(first, first + 99))], done)
        assert len(await all_pending(outbox)) < 5000
        with anyio.fail_after(30):
            await finished.wait()
        assert len(await all_pending(outbox)) == 5000


async def test_a_repeat_is_acknowledged_and_stored_once(path: Path) -> None:
    """Same agent, id and content: in an earlier commit, the same group, or the same submission."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        assert await submit(outbox, [row(1)]) == [None]
        assert await submit(outbox, [row(1), row(2)], [row(2)], [row(3), row(3)]) == [None] * 3
        assert [number_of(found.body) for found in await all_pending(outbox)] == [1, 2, 3]
        stats = outbox.stats
        assert (stats.accepted, stats.repeated, stats.ledger_ids) == (3, 3, 3)


async def test_an_id_with_other_content_is_a_conflict(path: Path) -> None:
    """The whole submission is refused, naming the row; the ones around it are stored."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        refusals = await submit(outbox, [row(2)], [row(3), row(1, digest=99)], [row(4)])
        assert refusals[0] is None
        assert refusals[2] is None
        assert refusals[1] is not None
        assert (refusals[1].code, refusals[1].index) == ("id_conflict", 1)
        assert [number_of(found.body) for found in await all_pending(outbox)] == [1, 2, 4]
        assert await submit(outbox, [row(1, agent="other", digest=99)]) == [None], "ids are per agent"


async def test_repeats_are_known_after_rows_are_pruned(path: Path) -> None:
    """The ledger outlives the row, also through a restart."""
    async with outbox_at(path, OutboxSettings(retain=0, min_free=0)) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        await settle_all(outbox)
        with anyio.fail_after(10):
            while outbox.stats.routes[1].retained_rows:
                await anyio.sleep(0.01)
    async with outbox_at(path) as outbox:
        assert await submit(outbox, [row(1)]) == [None]
        assert await all_pending(outbox) == []
        assert await submit(outbox, [row(2)]) == [None]
        (found,) = await all_pending(outbox)
        assert found.seq == 2, "numbers are not used again although everything was pruned"


async def test_an_empty_submission_keeps_its_place(path: Path) -> None:
    """A refused emit waits in the queue for its turn, and its refusal is left alone."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        assert await submit(outbox, [], [row(1)], []) == [None, None, None]


async def test_over_the_cap_events_are_refused_until_some_are_shipped(path: Path) -> None:
    """Shipping goes on meanwhile, and intake resumes by itself."""
    async with outbox_at(path, OutboxSettings(max_bytes=5000, min_free=0)) as outbox:
        await outbox.register_route("*", "S", "p")
        assert await submit(outbox, rows(1, 4, size=1000)) == [None]
        (refusal,) = await submit(outbox, [row(5, size=1000)])
        assert refusal is not None
        assert refusal.code == "outbox_full"
        assert outbox.stats.refused == {"outbox_full": 1}
        assert await submit(outbox, [row(1, size=1000)]) == [None], "a repeat needs no room"
        await settle_all(outbox)
        assert await submit(outbox, [row(5, size=1000)]) == [None]


async def test_watch_wakes_at_the_commit_that_brings_rows(path: Path) -> None:
    """Also a rewind and a retried dead letter bring rows. Another route's rows do not wake."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await outbox.register_route("other", "S2", "p.other")
        other = outbox.watch(2)
        for action in range(3):
            woken = outbox.watch(1)
            assert not woken.is_set()
            if action == 0:
                await submit(outbox, rows(1, 3))
            elif action == 1:
                await outbox.settle(Settlement(1, 3, (Run(1, 2, 2, 1),), (Death(3, "bad", 0),)))
                assert not woken.is_set()
                await outbox.rewind(1, to=0, stream_seq=0)
            else:
                await outbox.retry_dead(None)
            with anyio.fail_after(5):
                await woken.wait()
        assert not other.is_set()


async def test_rewind_reopens_rows_in_order_and_cuts_runs(path: Path) -> None:
    """A repair sends again what the stream lost: runs end at the new watermark."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 10))
        await outbox.settle(Settlement(1, 4, (Run(1, 4, 4, 1),)))
        await outbox.settle(Settlement(1, 10, (Run(5, 10, 6, 21),)))
        assert await outbox.rewind(1, to=6, stream_seq=22) == 4
        assert await outbox.runs(1) == [Run(1, 4, 4, 1), Run(5, 6, 2, 21)]
        assert (await outbox.position(1)).stream_seq == 22
        assert [found.seq for found in await all_pending(outbox)] == [7, 8, 9, 10]
        with pytest.raises(OutboxError, match="cannot be rewound"):
            await outbox.rewind(1, to=7, stream_seq=0)


async def test_runs_grow_together_where_the_stream_has_no_gap(path: Path) -> None:
    """One row a batch is the slow way; the bookkeeping must not grow with it."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 4))
        for seq, at in ((1, 7), (2, 8), (3, 10), (4, 11)):
            await outbox.settle(Settlement(1, seq, (Run(seq, seq, 1, at),)))
        assert await outbox.runs(1) == [Run(1, 2, 2, 7), Run(3, 4, 2, 10)]


@pytest.mark.parametrize(
    "settlement",
    [
        Settlement(1, 99, ()),
        Settlement(1, 3, (Run(1, 3, 2, 1),)),
        Settlement(1, 3, (Run(2, 3, 2, 1), Run(1, 1, 1, 3))),
        Settlement(1, 2, (Run(1, 3, 3, 1),)),
        Settlement(1, 2, (), (Death(3, "bad", 0),)),
        Settlement(7, 1, ()),
    ],
)
async def test_a_settlement_that_does_not_fit_changes_nothing(path: Path, settlement: Settlement) -> None:
    """A wrong watermark would skip events for ever, so it is refused; others in the group go on."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        with pytest.raises(OutboxError):
            await outbox.settle(settlement)
        assert len(await all_pending(outbox)) == 3
        assert outbox.stats.routes[1].pending_rows == 3
        assert await submit(outbox, [row(4)]) == [None]


async def test_find_knows_rows_by_their_message_id(path: Path) -> None:
    """Pending and retained rows of this route; agents and ids may contain colons."""
    odd = structs.replace(row(3), agent="a:b", event_id="c:d")
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await outbox.register_route("other", "S2", "p.other")
        await submit(outbox, [row(1), row(2), odd, row(4, route=2)])
        await outbox.settle(Settlement(1, 1, (Run(1, 1, 1, 1),)))
        asked = [msg_id(1), msg_id(2), "a:b:c:d", msg_id(4), "main:never", "plain"]
        assert await outbox.find(1, asked) == {msg_id(1): 1, msg_id(2): 2, "a:b:c:d": 3}


async def test_dead_letters_are_listed_retried_and_dropped(path: Path) -> None:
    """A retried one enters at the tail with a new number; its id stays known all the time."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        deaths = (Death(1, "too large", 10054), Death(3, "bad subject", 0))
        await outbox.settle(Settlement(1, 3, (Run(2, 2, 1, 1),), deaths))
        one, three = await outbox.dead_letters(0, 10)
        assert (one.number, one.route, one.msg_id, one.reason, one.code) == (
            1,
            "*",
            msg_id(1),
            "too large",
            10054,
        )
        assert one.body == row(1).body
        assert [letter.number for letter in await outbox.dead_letters(1, 10)] == [three.number]
        assert await submit(outbox, [row(1)]) == [None]
        assert await all_pending(outbox) == []
        assert await outbox.retry_dead([1, 77]) == 1
        (found,) = await all_pending(outbox)
        assert (found.seq, found.msg_id, found.body) == (4, msg_id(1), row(1).body)
        assert await outbox.find(1, [msg_id(1)]) == {msg_id(1): 4}
        assert await outbox.drop_dead(None) == 1
        assert await outbox.dead_letters(0, 10) == []
        assert await submit(outbox, [row(3)]) == [None]
        assert len(await all_pending(outbox)) == 1


@pytest.mark.parametrize("act", ["retry_dead", "drop_dead"])
async def test_unknown_numbers_do_not_hide_those_behind_them(act: str, path: Path) -> None:
    """An operator's list may hold any numbers in any order."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 2))
        await outbox.settle(Settlement(1, 2, (), (Death(1, "too large", 0), Death(2, "too large", 0))))
        unknown = [10**6] * DEAD_STEP
        assert await getattr(outbox, act)([*unknown, 1, *unknown, 2, 0, -1]) == 2


async def test_many_large_dead_letters_are_retried_in_small_transactions(path: Path) -> None:
    """Dead letters are often the too large ones; the log stays within its bound all the same."""
    async with outbox_at(path, tuning=Tuning(wal_max=4 * MIB)) as outbox:
        await outbox.register_route("*", "S", "p")
        for first in range(0, 40, 4):
            await submit(outbox, rows(first, first + 3, size=256 * 1024))
        await outbox.settle(Settlement(1, 40, (), tuple(Death(seq, "too large", 0) for seq in range(1, 41))))
        assert await outbox.retry_dead(None) == 40
        assert outbox.stats.wal_bytes <= 4 * MIB
        assert len(await outbox.pending(1, after=0, limit=ALL, max_bytes=100 * MIB)) == 40


async def test_a_damaged_row_is_never_shipped(path: Path) -> None:
    """It becomes a dead letter, counts as lost, and is not retried; the rows around it go on."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3, size=3000))
    data = bytearray(path.read_bytes())
    data[data.index(row(2).body[:30]) + 1000] ^= 4
    path.write_bytes(data)
    async with outbox_at(path) as outbox:
        assert [number_of(found.body) for found in await all_pending(outbox)] == [1, 3]
        (letter,) = await outbox.dead_letters(0, 10)
        assert (letter.number, letter.msg_id) == (2, msg_id(2))
        assert letter.reason.startswith("damaged")
        assert outbox.stats.lost_events == 1
        assert await outbox.retry_dead(None) == 0
        assert await outbox.drop_dead(None) == 1
        await outbox.settle(Settlement(1, 3, (Run(1, 3, 2, 1),)))
    async with outbox_at(path) as outbox:
        assert outbox.stats.lost_events == 1


async def test_a_cancelled_caller_disturbs_nobody(path: Path) -> None:
    """What was queued is done; only nobody hears of it."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await outbox.settle(Settlement(1, 3, (Run(1, 3, 3, 1),)))
            with anyio.move_on_after(0):
                await outbox.pending(1, after=0, limit=1, max_bytes=1)
        assert await submit(outbox, [row(4)]) == [None]
        with anyio.move_on_after(0):
            await outbox.settle(Settlement(1, 4, (Run(4, 4, 1, 9),)))
        assert await submit(outbox, [row(5)]) == [None]
        assert len(await all_pending(outbox)) in (1, 2, 5)


async def test_a_failing_acknowledgement_disturbs_nobody(path: Path) -> None:
    """The callback of one connection must not cost another one its acks."""

    def fail(_: list[Submission]) -> None:
        raise RuntimeError("connection is gone")

    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        outbox.submit([Submission([row(1)])], fail)
        assert await submit(outbox, [row(2)]) == [None]
        assert len(await all_pending(outbox)) == 2


async def test_closing_finishes_what_is_queued(path: Path) -> None:
    """Every submission of before the close is on disk and told so; the log is emptied."""
    acked = 0

    def done(submissions: list[Submission]) -> None:
        nonlocal acked
        acked += len(submissions)

    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        for number in range(500):
            outbox.submit([Submission([row(number)])], done)
    assert acked == 500
    assert Files(path).wal.stat().st_size == 0
    with pytest.raises(OutboxError, match="closed"):
        await outbox.position(1)
    async with outbox_at(path) as outbox:
        assert len(await all_pending(outbox)) == 500


async def test_closing_cannot_be_cancelled_half_way(path: Path) -> None:
    """A cancelled daemon still closes its outbox in order."""
    with anyio.CancelScope() as scope:
        async with outbox_at(path) as outbox:
            await outbox.register_route("*", "S", "p")
            outbox.submit([Submission([row(1)])], lambda _: None)
            scope.cancel()
            await anyio.sleep_forever()
    assert Files(path).wal.stat().st_size == 0
    async with outbox_at(path) as outbox:
        assert len(await all_pending(outbox)) == 1


async def test_a_second_daemon_is_refused_and_told_who_holds_it(path: Path) -> None:
    """By process and socket; and once that one is gone the outbox is free."""
    async with outbox_at(path):
        with pytest.raises(AlreadyRunning, match=r"outbox\.db is in use by process \d+ since"):
            async with outbox_at(path):
                pass
    async with outbox_at(path):
        pass


async def test_only_the_user_can_read_it(path: Path) -> None:
    """Events are private: 0600 for every file, 0700 for the folder."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        assert path.parent.stat().st_mode & 0o777 == 0o700
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert "outbox.db-wal" in modes
        assert "outbox.db-shm" not in modes, "a full disk could refuse to grow it"
        assert set(modes.values()) == {0o600}


async def test_a_failed_sync_is_not_retried_and_nothing_is_acknowledged(path: Path, faulty: Faulty) -> None:
    """After a failed fsync nobody knows what is on disk: no ack, no second try, the daemon's task fails."""
    acked: list[Submission] = []
    async with outbox_at(path, tuning=Tuning(wal_max=TUNING.wal_max, vfs=faulty.name)) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        faulty.fail_sync = sync_failure()
        outbox.submit([Submission([row(2)])], acked.extend)
        with pytest.raises(DiskFailure, match="did not confirm"), anyio.fail_after(10):
            await outbox.watch_failure()
        faulty.fail_sync = None
        outbox.submit([Submission([row(3)])], acked.extend)
        with pytest.raises(DiskFailure):
            await outbox.position(1)
    assert acked == []
    async with outbox_at(path) as outbox:
        found = {number_of(found.body) for found in await all_pending(outbox)}
        assert 1 in found
        assert 3 not in found
        assert outbox.stats.lost_events == 0


async def test_what_is_on_disk_is_acknowledged_though_the_next_group_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups that wait for each other are reported late, not lost, and never out of order."""
    acked: list[Submission] = []
    async with outbox_at(path, tuning=replace(TUNING, group_rows=1)) as outbox:
        await outbox.register_route("*", "S", "p")
        groups = 0

        def third_fails(store: Store, submissions: Sequence[Submission], at: int) -> None:
            nonlocal groups
            groups += 1
            if groups == 3:
                raise apsw.IOError("disk I/O error")
            append(store, submissions, at)

        monkeypatch.setattr(writer, "append", third_fails)
        for number in range(1, 6):
            outbox.submit([Submission([row(number)], number)], acked.extend)
        with pytest.raises(DiskFailure), anyio.fail_after(10):
            await outbox.watch_failure()
    assert [submission.context for submission in acked] == [1, 2]


async def test_damage_at_run_time_leads_to_a_salvage_at_the_next_start(path: Path, faulty: Faulty) -> None:
    """The file cannot be trusted any more: stop, leave a note, and let the next start save what it can."""
    async with outbox_at(path, tuning=Tuning(wal_max=TUNING.wal_max, vfs=faulty.name)) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, [row(1)])
        faulty.fail_write = apsw.CorruptError("malformed")
        outbox.submit([Submission([row(2)])], lambda _: None)
        with pytest.raises(DiskFailure, match="damaged"), anyio.fail_after(10):
            await outbox.watch_failure()
        faulty.fail_write = None
    async with outbox_at(path) as outbox:
        assert outbox.stats.quarantines == 1
        assert [number_of(found.body) for found in await all_pending(outbox)] == [1]


async def test_stats_tell_what_is_there(path: Path) -> None:
    """A snapshot for status, counters since the start and totals from the file."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 4))
        await outbox.settle(Settlement(1, 2, (Run(1, 1, 1, 1),), (Death(2, "bad", 0),)))
        stats = outbox.stats
        route = stats.routes[1]
        assert (stats.path, stats.last_seq, stats.accepted, stats.ledger_ids) == (str(path), 4, 4, 4)
        assert (route.name, route.stream, route.prefix) == ("*", "S", "p")
        assert (route.pending_rows, route.retained_rows, route.dead_rows) == (2, 1, 1)
        assert route.oldest_pending_at is not None
        assert route.retained_since is not None
        assert stats.commits >= 3
        assert stats.commit_ms > 0
        assert stats.wal_bytes > 0
        assert not stats.disk_full


async def test_whose_rows_wait(path: Path) -> None:
    """The oldest of an agent and the newest of each; an agent whose name begins like another's is another."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await outbox.register_route("other", "S", "p")
        ours = [row(n, agent=agent) for n, agent in enumerate(["a", "ab", "a", "b", "ab"], 1)]
        await submit(outbox, [*ours, row(6, agent="b", route=2)])
        assert await outbox.pending_agents(1) == {"a": 3, "ab": 5, "b": 4}
        assert [await outbox.first_pending(1, agent, after=0) for agent in ("a", "ab", "b", "c", None)] == [
            1, 2, 4, None, 1,
        ]  # fmt: skip
        assert await outbox.first_pending(1, "a", after=1) == 3
        await outbox.settle(Settlement(1, 3, (Run(1, 3, 3, 1),)))
        assert await outbox.pending_agents(1) == {"ab": 5, "b": 4}
        assert await outbox.first_pending(1, "a", after=0) is None
        assert await outbox.first_pending(1, None, after=0) == 4
        assert await outbox.pending_agents(2) == {"b": 6}


async def test_ids_that_were_accepted_are_known(path: Path) -> None:
    """Pending or settled, of the agent that is asked about alone."""
    async with outbox_at(path) as outbox:
        await outbox.register_route("*", "S", "p")
        await submit(outbox, rows(1, 3))
        accepted = [each.event_id for each in rows(1, 3)]
        asked = [*accepted, "another"]
        assert await outbox.known("main", asked) == set(accepted)
        await settle_all(outbox)
        assert await outbox.known("main", asked) == set(accepted)
        assert await outbox.known("nobody", asked) == set()
        assert await outbox.known("main", []) == set()
