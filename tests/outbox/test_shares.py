"""What each route may fill of the outbox: never so much that another one finds no room."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from eventd.outbox import deadletters, settling
from eventd.outbox.files import Files
from eventd.outbox.model import Death, Refusal, Settlement
from eventd.outbox.settings import OutboxSettings
from eventd.outbox.shares import share_of
from eventd.outbox.store import Store
from eventd.outbox.upkeep import Prune
from outbox.support import KIB, opened, outbox_at, pending, register, row, settle, store_rows, submit

ROOM = OutboxSettings(max_bytes=500 * KIB, min_free=0)
ROW = KIB  # bytes of a row's body


@pytest.fixture
def path(short_tmp: Path) -> Path:
    return short_tmp / "outbox.db"


def add_routes(store: Store, count: int) -> None:
    for number in range(1, count + 1):
        assert register(store, f"r{number}", f"S{number}", f"p.r{number}") == number


class Filler:
    """Gives routes rows until one is refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._number = 0

    def add(self, *routes: int) -> list[Refusal | None]:
        """Submit a row of each route, all of them in one transaction."""
        groups = []
        for route in routes:
            self._number += 1
            groups.append([row(self._number, route=route, agent=f"a{route}", size=ROW)])
        return store_rows(self._store, *groups)

    def fill(self, *routes: int) -> list[Refusal]:
        """Add rows of these routes in turn until all of them are refused; return the last refusals."""
        while True:
            refusals = self.add(*routes)
            if all(refusals):
                return [refusal for refusal in refusals if refusal]


def parts(store: Store, routes: Sequence[int]) -> list[float]:
    """Which part of the outbox each of these routes holds, in percent."""
    held = [store.route(route).stats.held_bytes for route in routes]
    return [round(size * 100 / store.settings.max_bytes) for size in held]


def test_a_route_that_is_alone_may_fill_everything(path: Path) -> None:
    """Nobody else needs the room; the refusal speaks of the outbox as a whole."""
    with opened(path, ROOM) as store:
        add_routes(store, 1)
        (refusal,) = Filler(store).fill(1)
        assert parts(store, [1]) == [100]
        assert refusal.message == "too much is waiting to be shipped"


@pytest.mark.parametrize(("dead", "percent"), [(1, 80), (2, 44), (3, 31), (10, 10)])
def test_routes_that_are_not_shipped_leave_room_for_the_others(path: Path, dead: int, percent: int) -> None:
    """Each stops at its share, whoever came first; another route is taken as long as there is room for it."""
    with opened(path, ROOM) as store:
        add_routes(store, dead + 1)
        filler, stuck, well = Filler(store), range(1, dead + 1), dead + 1
        filler.fill(*stuck)
        assert parts(store, stuck) == pytest.approx([percent] * dead, abs=1)
        for _ in range(20):
            taken, *refused = filler.add(well, *stuck)
            assert taken is None
            assert all(refused)
            settle(store, store.last_seq, route=well)


def test_who_came_first_gives_way_to_who_comes_next(path: Path) -> None:
    """Nothing that it holds is dropped, but it gets nothing more before it holds less than its new share."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        filler = Filler(store)
        filler.fill(1)
        waiting = pending(store, 1)
        filler.fill(2)
        assert parts(store, [1, 2]) == pytest.approx([80, 16], abs=1)
        assert pending(store, 1) == waiting
        settle(store, waiting[len(waiting) // 10].seq, route=1)
        assert [refusal is None for refusal in filler.add(1, 2)] == [False, True]
        settle(store, waiting[len(waiting) // 3].seq, route=1)
        assert filler.add(1, 2) == [None, None]


def test_a_refusal_names_the_route_and_what_is_left_to_it(path: Path) -> None:
    """The agent's author learns whose server is to be looked at."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        (refusal,) = Filler(store).fill(2)
        assert (refusal.code, refusal.route) == ("outbox_full", 2)
        assert "stream S2" in refusal.message
        assert str(share_of(store, 2)) in refusal.message
        assert "this route's server" in refusal.hint


def test_an_emit_for_two_routes_is_stored_in_whole_or_not_at_all(path: Path) -> None:
    """Where one of them is full, the other's part is refused with it."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        Filler(store).fill(1)
        both = [row(9001, route=2, agent="a2"), row(9002, route=1, agent="a1", size=2 * ROW)]
        (refusal,) = store_rows(store, both)
        assert refusal is not None
        assert refusal.route == 1
        assert pending(store, 2) == []


def test_what_is_refused_does_not_change_the_order_of_the_rest(path: Path) -> None:
    """In a group with refused submissions and repeats, rows keep the order in which they were handed in."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        Filler(store).fill(1)
        large = [row(9000, route=1, agent="a1", size=2 * ROW)]
        groups = [[row(number, route=2, agent="a2")] for number in (5, 3, 5, 4, 3, 6)]
        refusals = store_rows(store, groups[0], large, *groups[1:])
        assert [refusal is None for refusal in refusals] == [True, False, *[True] * 5]
        assert [found.msg_id[-36:] for found in pending(store, 2)] == [
            group[0].event_id for group in (groups[0], groups[1], groups[3], groups[5])
        ]
        assert store.totals.repeated == 2
        (conflict,) = store_rows(store, [row(5, route=2, agent="a2", digest=77)])
        assert conflict is not None
        assert conflict.code == "id_conflict"


def test_ids_that_conflict_within_a_group_are_told_apart(path: Path) -> None:
    """The second event under an id is refused although the first one is not stored yet."""
    with opened(path, ROOM) as store:
        add_routes(store, 1)
        first, second, third = store_rows(store, [row(1)], [row(1, digest=99)], [row(1)])
        assert (first, third) == (None, None)
        assert second is not None
        assert second.code == "id_conflict"
        assert len(pending(store)) == 1


def test_dead_letters_count_for_their_route(path: Path) -> None:
    """They hold room until they are retried or dropped; dropping them gives it back."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        filler = Filler(store)
        filler.fill(1)
        everything = [found.seq for found in pending(store, 1)]
        with store.transaction():
            deaths = tuple(Death(seq, "too large", 10054) for seq in everything)
            settling.settle(store, Settlement(1, everything[-1], (), deaths))
        assert [refusal is None for refusal in filler.add(1, 2)] == [False, True]
        with store.transaction():
            deadletters.drop(store, everything[:50])
        assert filler.add(1, 2) == [None, None]


def test_retained_rows_count_for_nobody(path: Path) -> None:
    """They go where the room is needed, before any event is refused."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        filler = Filler(store)
        filler.fill(1)
        settle(store, store.last_seq)
        filler.fill(1)
        assert parts(store, [1]) == pytest.approx([80], abs=1)
        while Prune().step(store):
            pass
        assert store.totals.used_bytes + store.totals.retained_bytes <= ROOM.max_bytes


def test_a_route_with_a_backlog_only_counts_as_one(path: Path) -> None:
    """Until it is shipped the configured route leaves it room; then it may fill everything again."""
    with opened(path, ROOM) as store:
        add_routes(store, 2)
        store_rows(store, [row(1, route=2)])
    with opened(path, ROOM) as store:
        register(store, "r1", "S1", "p.r1")
        filler = Filler(store)
        filler.fill(1)
        assert parts(store, [1]) == [80]
        settle(store, 1, route=2)
        filler.fill(1)
        assert parts(store, [1]) == [100]


@pytest.mark.parametrize("end", ["killed", "damaged"])
def test_shares_hold_over_a_restart(path: Path, end: str) -> None:
    """What routes hold is counted anew, also in an outbox that had to be salvaged."""
    with opened(path, ROOM) as store:
        add_routes(store, 3)
        filler = Filler(store)
        filler.fill(1, 2)
        held = [store.route(route).stats.held_bytes for route in (1, 2, 3)]
    if end == "damaged":
        Files(path).damaged.write_text("a test says so")
    with opened(path, ROOM) as store:
        add_routes(store, 3)
        assert [store.route(route).stats.held_bytes for route in (1, 2, 3)] == held
        refused = store_rows(
            store, *[[row(9000 + route, route=route, agent=f"a{route}", size=2 * ROW)] for route in (1, 2, 3)]
        )
        assert [refusal is None for refusal in refused] == [False, False, True]


@pytest.mark.anyio
async def test_stats_tell_which_route_is_full(path: Path) -> None:
    """Since its first refusal, and until it holds clearly less than it may."""
    async with outbox_at(path, OutboxSettings(max_bytes=10 * KIB, min_free=0)) as outbox:
        for name in ("*", "other"):
            await outbox.register_route(name, name, "p")
        large = [row(number, size=7 * KIB + 200) for number in (1, 2)]
        assert await submit(outbox, large[:1]) == [None]
        assert outbox.stats.routes[1].nearly_full
        assert not outbox.stats.routes[1].full
        assert await submit(outbox, large[1:]) != [None]
        assert (outbox.stats.routes[1].full, outbox.stats.routes[2].full) == (True, False)
        await outbox.settle(Settlement(1, 1))
        assert not outbox.stats.routes[1].full
        assert outbox.stats.routes[1].max_bytes == 8 * KIB
