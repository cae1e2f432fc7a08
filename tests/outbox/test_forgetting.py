"""Forgotten events: nothing is left of them in the outbox, their ids are refused, and shipping goes on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from eventd.events.tombstones import STUB, Forgotten, forgotten_in, payload, stub
from eventd.outbox import deadletters, feeding, forgetting, settling, upkeep
from eventd.outbox.checks import FORGOTTEN_DIGEST, ledger_key
from eventd.outbox.files import Files
from eventd.outbox.forgetting import OutboxFull, Place
from eventd.outbox.model import Death, NewRow, Run, Settlement
from eventd.outbox.store import Store
from support.waiting import wait_until_async

from .support import (
    ALL,
    SETTINGS,
    all_pending,
    event_id,
    msg_id,
    opened,
    outbox_at,
    pending,
    register,
    row,
    rows,
    settle,
    store_rows,
    submit,
)

MARKER = b"xyzzyQUUXforgotten"
TOMBSTONE_ID = event_id(9999)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def secret(number: int, *, size: int = 60, agent: str = "main") -> NewRow:
    """An event whose content can be found in files."""
    made = row(number, agent=agent)
    made.body = (b'{"secret":"' + MARKER * max(1, size // len(MARKER)) + b'"}').ljust(size)
    return made


def tombstone(*numbers: int, name: str = TOMBSTONE_ID, agent: str = "main", route: int = 1) -> NewRow:
    body = str(payload([Forgotten(event_id(number)) for number in numbers])).encode()
    return NewRow(route, agent, name, f"p.{agent}.eventd_tombstone", True, 1, body)


def forget(store: Store, *numbers: int, agent: str = "main", route: int = 1) -> int:
    made = tombstone(*numbers, agent=agent, route=route)
    with store.transaction():
        return forgetting.forget(store, made, [event_id(number) for number in numbers])


def scrub(store: Store) -> None:
    """Let the upkeep do all that it has to do about forgotten events."""
    while upkeep.Scrub().step(store):
        pass


def left_in(path: Path) -> list[str]:
    """The files of an outbox that hold the content of a forgotten event."""
    files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
    return [file.name for file in files if MARKER in file.read_bytes()]


def bodies(store: Store) -> list[bytes]:
    return [found.body for found in pending(store)]


def digest_of(store: Store, number: int, agent: str = "main") -> object:
    found = store.first("known_digest", (store.agents.get(agent, 0), ledger_key(event_id(number))))
    return None if found is None else found[0]


def totals(store: Store) -> list[tuple[int, ...]]:
    return [
        (
            state.stats.pending_rows, state.stats.pending_bytes, state.stats.retained_rows,
            state.stats.retained_bytes, state.stats.dead_rows, state.stats.dead_bytes,
        )
        for state in store.routes()
    ]  # fmt: skip


def test_a_pending_row_becomes_a_stub_in_its_place(path: Path) -> None:
    """Same number, id, subject and order; the tombstone comes behind all that waits."""
    with opened(path) as store:
        register(store)
        store_rows(store, [row(1), secret(2), row(3)])
        before = pending(store)
        number = forget(store, 2)
        after = pending(store)
        assert number == 4
        assert [(r.seq, r.msg_id, r.subject) for r in after[:3]] == [
            (r.seq, r.msg_id, r.subject) for r in before
        ]
        assert [r.body for r in after[:3]] == [before[0].body, stub("main", event_id(2)), before[2].body]
        assert STUB.encode() in after[1].body
        assert [r.tombstone for r in after] == [False, False, False, True]
        assert after[3].never_expires


@pytest.mark.parametrize("size", [5, 60, 9000])
@pytest.mark.parametrize("settled", [0, 1, 3])
def test_totals_are_those_of_the_rows(path: Path, size: int, settled: int) -> None:
    """After a restart they are counted anew, and come out the same, whatever the size was."""
    with opened(path) as store:
        register(store)
        store_rows(store, [row(1), secret(2, size=size), row(3)])
        if settled:
            settle(store, settled)
        forget(store, 1, 2)
        found = totals(store)
    with opened(path) as store:
        assert totals(store) == found
        settle(store, store.last_seq)
        store.settings = replace(SETTINGS, retain=0.0)
        store.taken = ALL
        while upkeep.Prune().step(store):
            pass
        assert totals(store) == [(0,) * 6]


def test_a_tombstone_that_is_appended_is_one(path: Path) -> None:
    """Between others, as an import has it."""
    with opened(path) as store:
        register(store)
        made = tombstone(2)
        made.tombstone = True
        store_rows(store, [row(1), made, row(3)])
        assert [(r.tombstone, r.never_expires) for r in pending(store)] == [
            (False, False), (True, True), (False, False),
        ]  # fmt: skip


def test_an_id_is_refused_for_good(path: Path) -> None:
    """Whether its row was there or never was; with the same content, and with other content."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 2))
        forget(store, 1, 7)
    with opened(path) as store:
        refusals = store_rows(
            store, [row(1)], [row(7)], [row(1, digest=5)], [row(2)], [row(3), row(7)], [row(4)]
        )
        assert [refusal and (refusal.code, refusal.index) for refusal in refusals] == [
            ("forgotten", 0), ("forgotten", 0), ("forgotten", 0), None, ("forgotten", 1), None,
        ]  # fmt: skip
        assert [r.msg_id for r in pending(store)] == [msg_id(1), msg_id(2), f"main:{TOMBSTONE_ID}", msg_id(4)]


def test_the_same_id_of_another_agent_is_left_alone(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, [secret(1), row(1, agent="bob")])
        forget(store, 1)
        assert digest_of(store, 1) == FORGOTTEN_DIGEST
        assert digest_of(store, 1, "bob") == 2
        assert bodies(store)[1] == row(1, agent="bob").body
        assert store_rows(store, [row(1, agent="bob")]) == [None]


def test_ids_of_forgotten_events_never_age(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 3))
        settle(store, 3)
        forget(store, 2, 8)
        settle(store, 4)
        with store.transaction():
            store.run("delete_range", (1, 1, 4))
        for query in ("sweep", "sweep_rest"):
            values = {"agent": -1, "key": b"", "floor": ALL, "last_agent": 99, "last_key": b"\xff" * 20}
            wanted = values if query == "sweep" else dict(list(values.items())[:3])
            with store.transaction():
                store.run(query, wanted)
        assert [digest_of(store, number) for number in (1, 2, 3, 8)] == [None, -1, None, -1]


def test_a_dead_letter_is_dropped(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, [secret(1), row(2)])
        death = Settlement(1, 2, (Run(2, 2, 1, 1),), (Death(1, "too large", 1),))
        with store.transaction():
            settling.settle(store, death)
        forget(store, 1)
        assert deadletters.listing(store, 0, ALL).letters == []
        assert totals(store)[0][4:] == (0, 0)
        scrub(store)
        assert left_in(path) == []
    with opened(path) as store:
        assert store.totals.lost_events == 0


@pytest.mark.parametrize("size", [60, 3000, 20_000])
def test_nothing_is_left_in_the_files(path: Path, size: int) -> None:
    """Not of a row that waits, of a retained one, of one that was pruned before; in no page and no log."""
    with opened(path) as store:
        register(store)
        for number in range(1, 31):
            store_rows(store, [secret(number, size=size) if number % 3 == 0 else row(number, size=size)])
        settle(store, 20)
        with store.transaction():  # as the pruning does, with settled rows that are old
            store.run("delete_range", (1, 1, 10))
            store.run("delete_run", (1, 1))
            held = store.rows("rows_after", (1, 10, 10))
            settling.put_run(store, settling.RunRecord(1, 11, 20, 10, 11, 1, sum(len(r[8]) for r in held)))
        store.checkpoint()
        assert left_in(path)
        forget(store, *range(3, 31, 3))
        scrub(store)
        assert left_in(path) == []
        assert not store.scrubbing


def test_scrubbing_goes_on_after_a_crash(path: Path) -> None:
    """The transaction that forgets is all that is needed: the next life cleans up."""
    with opened(path) as store:
        register(store)
        store_rows(store, [secret(1, size=5000)])
        forget(store, 1)
        assert left_in(path)  # in the log, which still has the transaction before
    with opened(path) as store:
        assert store.scrubbing
        scrub(store)
        assert left_in(path) == []
    with opened(path) as store:
        assert not store.scrubbing


def test_the_index_gets_no_stubs(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 3))
        forget(store, 3)
        feed = feeding.accepted(store, 0, ALL, ALL)
        assert [accepted.event_id for accepted in feed.rows] == [event_id(1), event_id(2), TOMBSTONE_ID]
        assert feed.upto == 4


def test_places_are_counted_out_of_runs(path: Path) -> None:
    """Also where rows of other routes stand between them."""
    with opened(path) as store:
        register(store)
        register(store, "other", "T", "q")
        with store.transaction():
            store.note_stream(1, "S@server 2026")
        for number in range(1, 9):
            store_rows(store, [row(number, route=1 + number % 2)])
        settle(store, 8, route=1, stream_seq=101)
        forget(store, 4, 8, 3)
        ids = [event_id(number) for number in (2, 4, 8, 3, 77)]
        assert forgetting.places(store, "main", ids) == [
            Place(event_id(2), "S@server", 101),
            Place(event_id(4), "S@server", 102),
            Place(event_id(8), "S@server", 104),
        ]
        found = feeding.settled(store, 1, 0)
        assert found.partial == set(found.runs)
        assert not feeding.settled(store, 2, 0).partial


def test_rows_that_a_tombstone_will_look_for_are_kept(path: Path) -> None:
    """Until it is settled: they tell where the events came to stand."""
    settings = replace(SETTINGS, retain=0.0)
    with opened(path, settings) as store:
        register(store)
        store_rows(store, rows(1, 3))
        number = forget(store, 2)
        settle(store, 3)
        store.taken = ALL
        assert not upkeep.Prune().step(store)
        settle(store, number)
        assert upkeep.Prune().step(store)
        assert totals(store)[0][2] == 0


def test_a_tombstone_cannot_be_forgotten(path: Path) -> None:
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 1))
        forget(store, 1)
        with store.transaction():
            forgetting.mark(store, "main", [TOMBSTONE_ID])
        assert pending(store)[-1].tombstone
        assert b"forgotten" in pending(store)[-1].body
        assert forgetting.unmarked(store, "main", [TOMBSTONE_ID]) == []


def test_marks_of_a_salvaged_outbox_outlive_older_copies(path: Path) -> None:
    """A damaged file holds old versions of rows; what is forgotten stays so, and is scrubbed again."""
    with opened(path) as store:
        register(store)
        store_rows(store, [secret(1), row(2)])
        forget(store, 1)
    Files(path).damaged.write_text("for the test")
    with opened(path) as store:
        assert store.totals.quarantines == 1
        assert store_rows(store, [row(1)])[0] is not None
        with store.transaction():
            forgetting.mark(store, "main", forgetting.unmarked(store, "main", [event_id(1)]))
        scrub(store)
        assert MARKER not in b"".join(bodies(store))
        assert left_in(path) == []
        assert [r.tombstone for r in pending(store)] == [False, False, True]


def test_progress_follows_a_tombstone(path: Path) -> None:
    """Waiting, dead, waiting again under another number, done."""
    with opened(path) as store:
        register(store)
        store_rows(store, rows(1, 1))
        number = forget(store, 1)

        def look() -> tuple[Sequence[object], ...]:
            found = forgetting.progress(store, "main", [TOMBSTONE_ID])
            return found.waiting, found.dead, found.done

        assert look() == ([TOMBSTONE_ID], [], [])
        settle(store, 1)
        with store.transaction():
            settling.settle(store, Settlement(1, number, (), (Death(number, "may not", 0),)))
        assert look() == ([], [(TOMBSTONE_ID, number, "may not")], [])
        with store.transaction():
            deadletters.retry(store, [number])
        assert look() == ([TOMBSTONE_ID], [], [])
        assert pending(store)[-1].tombstone
        settle(store, store.last_seq)
        assert look() == ([], [], [TOMBSTONE_ID])


def test_a_full_outbox_refuses_and_changes_nothing(path: Path) -> None:
    with opened(path, replace(SETTINGS, max_bytes=1000)) as store:
        register(store)
        store_rows(store, [secret(1, size=700)])
        with pytest.raises(OutboxFull):
            forget(store, 1)
        assert MARKER in bodies(store)[0]
        assert digest_of(store, 1) == 2


@pytest.mark.anyio
async def test_the_running_outbox_scrubs_by_itself(path: Path) -> None:
    async with outbox_at(path) as outbox:
        number = await outbox.register_route("*", "S", "p")
        await submit(outbox, [secret(1, size=9000), row(2)])
        assert outbox.forgets == 0
        seq = await outbox.forget(tombstone(1, route=number), [event_id(1)])
        assert (seq, outbox.forgets) == (3, 1)

        async def scrubbed() -> bool:
            return (await outbox.progress("main", [TOMBSTONE_ID])).scrubbed

        await wait_until_async(scrubbed)
        assert left_in(path) == []
        assert len(await all_pending(outbox)) == 3
        await outbox.mark_forgotten("main", [event_id(1)])
        assert outbox.forgets == 1, "nothing was left to do"
        await outbox.mark_forgotten("main", [event_id(2)])
        assert [refusal and refusal.code for refusal in await submit(outbox, [row(2)])] == ["forgotten"]
        assert await outbox.forgotten("main", [event_id(1), event_id(5)]) == {event_id(1)}


def test_what_a_tombstone_names_is_read_back() -> None:
    named = [Forgotten("a"), Forgotten("b", "S", 7), Forgotten("", "S", 8, 1234)]
    body = msgspec.json.encode({"type": "eventd.tombstone", "payload": payload(named)})
    assert forgotten_in(body) == named
    for bad in (
        b"",
        b"{}",
        b'{"payload":{"forgotten":[{"seq":"x"}]}}',
        b'{"payload":{"forgotten":7}}',
        b"\xff",
    ):
        assert forgotten_in(bad) == []
    assert forgotten_in(b'{"payload":{"forgotten":[{},{"stream":"S"},{"seq":4}]}}') == []
    huge = b'{"payload":{"forgotten":[{"id":"a","seq":9223372036854775808},{"id":"b","time":-1},{"id":"c"}]}}'
    assert forgotten_in(huge) == [Forgotten("c")]
