"""G5: whatever happens to the files, the outbox opens, and acknowledged − reported lost = stored."""

import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from eventd.errors import OutboxError
from eventd.outbox import deadletters, salvage, settling
from eventd.outbox.checks import seal
from eventd.outbox.connection import SCHEMA, facts, set_fact
from eventd.outbox.files import Files
from eventd.outbox.model import Death, Settlement
from eventd.outbox.pages import PageReader
from eventd.outbox.remains import Remains, Trust
from eventd.outbox.store import Store
from outbox import history
from outbox.history import Truth
from outbox.support import (
    ALL,
    SETTINGS,
    TUNING,
    number_of,
    opened,
    pending,
    register,
    row,
    rows,
    settle,
    store_rows,
)

CASES = 300 if os.environ.get("EVENTD_FAULTS") == "full" else 24
ENDINGS = ("closed", "killed")


@dataclass
class Specimen:
    """A healthy set of files and what is in it."""

    folder: Path
    truth: Truth

    def copy(self, to: Path) -> Files:
        shutil.copytree(self.folder, to)
        return Files(to / "outbox.db")


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Specimen]:
    """One specimen by how it ended and how many routes it has."""
    made = {}
    for ending in ENDINGS:
        for routes in (1, 2):
            folder = tmp_path_factory.mktemp(f"{ending}{routes}") / "outbox"
            folder.mkdir()
            truth = history.make(folder / "outbox.db", closed=ending == "closed", routes=routes)
            made[ending, routes] = Specimen(folder, truth)
    return made


@dataclass
class Holding:
    """What a store has, by event number.

    Attributes:
        kept: Pending, retained and dead events with their bodies.
        lost: How many it says are lost.
    """

    kept: dict[int, bytes]
    lost: int


def hold(store: Store) -> Holding:
    """Read everything there is, as shippers and operators would."""
    kept: dict[int, bytes] = {}
    for state in store.routes():
        reading = settling.pending(store, state.stats.number, 0, ALL, 100 * ALL)
        with store.transaction():
            deadletters.bury_damaged(store, state.stats.number, reading.damaged)
        kept |= {number_of(row.body): row.body for row in reading.rows}
        records = store.rows("rows_after", (state.stats.number, 0, ALL))
        settled = [record for record in records if record[0] <= state.settled]
        assert len(settled) == sum(run.count for run in settling.runs(store, state.stats.number))
        retained = (settling.checked_row(record) for record in settled)
        kept |= {number_of(row.body): row.body for row in retained if row is not None}
    listing = deadletters.listing(store, 0, ALL)
    with store.transaction():
        deadletters.condemn(store, listing.damaged)
    kept |= {
        number_of(letter.body): letter.body
        for letter in listing.letters
        if not letter.reason.startswith(deadletters.DAMAGED)
    }
    return Holding(kept, store.totals.lost_events)


def check(truth: Truth, holding: Holding, *, exact: bool = True) -> None:
    """The oracle."""
    for number, body in holding.kept.items():
        assert truth.bodies[number] == body, "an event that was never accepted, or not like this"
    missing = truth.due - holding.kept.keys()
    assert holding.lost >= len(missing), "a loss that is not reported"
    if exact:
        # A retried dead letter has two numbers; if the newer one goes, the older one comes back.
        assert holding.lost <= len(missing) + truth.retried, "a loss that is none"


def flip_bits(path: Path, chance: random.Random, most: int = 12) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, most)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def overwrite_page(path: Path, chance: random.Random) -> None:
    """Lose a whole page: as zeros, or as something else."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data) // 4096) * 4096
    data[at : at + 4096] = bytes(4096) if chance.random() < 0.5 else chance.randbytes(4096)
    path.write_bytes(data)


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (flip_bits, truncate, overwrite_page, remove)


@pytest.mark.parametrize("case", range(CASES))
def test_a_damaged_outbox_opens_and_accounts_for_every_event(
    case: int, specimens: dict[tuple[str, int], Specimen], short_tmp: Path
) -> None:
    """Bits, pages, tails or whole files are gone: what is left is right, what is not is reported."""
    chance = random.Random(case)
    ending, routes = ENDINGS[case % 2], case // 2 % 2 + 1
    specimen = specimens[ending, routes]
    files = specimen.copy(short_tmp / "outbox")
    targets = [files.db] if ending == "closed" else [files.db, files.wal, files.wal]
    for target in {chance.choice(targets) for _ in range(chance.randint(1, 2))}:
        # Both files at once would leave nothing to tell what was lost but the mark: a case of its own.
        chance.choice(DAMAGES if len(targets) == 1 or target == files.wal else DAMAGES[:3])(target, chance)
    with opened(files.db) as store:
        first = hold(store)
    check(specimen.truth, first)
    with opened(files.db) as store:
        again = hold(store)
        assert store_rows(store, [row(1000)]) == [None]
    assert again == first, "opening once more changes nothing"


@pytest.mark.parametrize("case", range(max(6, CASES // 4)))
def test_without_the_mark_no_loss_is_kept_quiet_either(
    case: int, specimens: dict[tuple[str, int], Specimen], short_tmp: Path
) -> None:
    """If the second witness is damaged too, more may be reported than was lost; never less, as far as the
    file itself can tell: its log is whole here."""
    chance = random.Random(case)
    specimen = specimens["closed", case % 2 + 1]
    files = specimen.copy(short_tmp / "outbox")
    chance.choice((flip_bits, overwrite_page))(files.db, chance)
    files.mark.write_bytes(chance.randbytes(40_000))
    with opened(files.db) as store:
        check(specimen.truth, hold(store), exact=False)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_damaged_mark_alone_does_no_harm(
    ending: str, specimens: dict[tuple[str, int], Specimen], short_tmp: Path
) -> None:
    """The database is the truth; the mark is only asked when that fails."""
    specimen = specimens[ending, 2]
    files = specimen.copy(short_tmp / "outbox")
    flip_bits(files.mark, random.Random(1), 2000)
    with opened(files.db) as store:
        holding = hold(store)
    assert holding.lost == 0
    assert not files.quarantine.exists()
    check(specimen.truth, holding)


def test_a_healthy_outbox_is_not_salvaged(
    specimens: dict[tuple[str, int], Specimen], short_tmp: Path
) -> None:
    """The oracle itself: without damage nothing is lost, and nothing goes to the quarantine."""
    for key, specimen in specimens.items():
        files = specimen.copy(short_tmp / f"{key}")
        with opened(files.db) as store:
            check(specimen.truth, holding := hold(store))
        assert holding.lost == 0
        assert not files.quarantine.exists()


def report_of(files: Files) -> dict[str, Any]:
    (report,) = files.quarantine.glob(f"*/{salvage.REPORT}")
    document: dict[str, Any] = json.loads(report.read_text())
    return document


def test_the_report_names_what_was_lost(short_tmp: Path) -> None:
    """A truncated log takes the newest rows; the mark still knows their numbers."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
        size = files.wal.stat().st_size
        store_rows(store, [row(2), row(3)])
    os.truncate(files.wal, size)
    with opened(files.db) as store:
        assert [number_of(row.body) for row in pending(store)] == [1]
        assert store.totals.lost_events == 2
        assert store.totals.quarantines == 1
    report = report_of(files)
    assert report["lost"]["rows"] == [[2, 3]]
    assert report["lost"]["count"] == 2
    assert report["saved"] == {"pending": 1, "retained": 0, "dead": 0}
    kept = {path.name for path in next(files.quarantine.iterdir()).iterdir()}
    assert {"outbox.db", "outbox.db-wal", salvage.REPORT} <= kept


def test_rows_behind_damage_in_the_log_are_saved(short_tmp: Path) -> None:
    """SQLite takes the log for one that ends at the first bad frame; here only what is in that one goes."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store.checkpoint(truncate=True)
        for number in range(30):
            store_rows(store, [row(number, size=3000)])
    log = bytearray(files.wal.read_bytes())
    log[log.index(row(10, size=3000).body) + 20] ^= 1
    files.wal.write_bytes(log)
    with opened(files.db) as store:
        left = {number_of(found.body) for found in pending(store)}
        assert len(left) >= 28
        assert store.totals.lost_events == 30 - len(left) > 0


def test_a_stale_dead_letter_does_not_come_back(short_tmp: Path) -> None:
    """A freed page can still hold a letter that was retried since; its id points to the newer row."""
    old, new = Files(short_tmp / "old.db"), Files(short_tmp / "new.db")
    with opened(old.db) as store:
        register(store)
        store_rows(store, [row(1), row(2)])
        with store.transaction():
            deaths = (Death(1, "too large", 0), Death(2, "too large", 0))
            settling.settle(store, Settlement(1, 2, (), deaths))
        stale = store.rows("dead_letter", (1,))[0]
        with store.transaction():
            deadletters.retry(store, [1])
    remains = Remains(apsw.Connection(str(new.db)))
    with PageReader(old.db, old.wal) as reader:
        for rowid, record in reader.records():
            remains.take(rowid, record)
    remains.take(stale[0], (None, *stale[1:]))
    remains.sort_out(None, [])
    assert [number for number, *_ in remains.rows("dead_after", (0, ALL))] == [2]
    assert [seq for seq, *_ in remains.rows("rows_after", (1, 0, ALL))] == [3]
    remains.db.close()


def test_agents_are_named_again_by_their_rows(short_tmp: Path) -> None:
    """Without an agent's record the ledger's ids would be nobody's; rows tell whose they are."""
    old, new = Files(short_tmp / "old.db"), Files(short_tmp / "new.db")
    with opened(old.db) as store:
        register(store)
        for agent in ("main", "coder", "gone"):
            store_rows(store, [row(number, agent=agent) for number in range(5)])
        for upto in (5, 10, 15):
            settle(store, upto, stream_seq=upto * 10)
        store.run("delete_range", (1, 11, 15))
    remains = Remains(apsw.Connection(str(new.db)))
    with PageReader(old.db, old.wal) as reader:
        for rowid, record in reader.records():
            if len(record) != 3 or not isinstance(record[1], str):
                remains.take(rowid, record)
    remains.sort_out(None, [])
    assert {remains.agent(1), remains.agent(2), remains.agent(3)} == {"main", "coder", ""}
    assert remains.value("ledger_ids") == 10
    remains.db.close()


@pytest.mark.parametrize(("schema", "code"), [(2, None), (3, "id_conflict")])
def test_digests_of_older_versions_are_not_salvaged(short_tmp: Path, schema: int, code: str | None) -> None:
    """They are of another kind: the same event, sent again, would be a conflict."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, rows(1, 3))
        with store.transaction():
            set_fact(store.db, "schema", schema)
    files.damaged.write_text("says a test")
    with opened(files.db) as store:
        assert [found.seq for found in pending(store)] == [1, 2, 3]
        assert facts(store.db)["schema"] == SCHEMA
        (refusal,) = store_rows(store, [row(2, digest=99)])
        assert (refusal and refusal.code) == code


def test_a_foreign_shared_memory_file_does_no_harm(short_tmp: Path) -> None:
    """Another program may have left one; the outbox does not use any."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
    files.db.with_name("outbox.db-shm").write_bytes(b"\x5a" * 32768)
    with opened(files.db) as store:
        assert len(pending(store)) == 1
    assert not files.quarantine.exists()


def test_a_lost_event_is_named_and_its_id_can_be_used_again(short_tmp: Path) -> None:
    """The ledger tells which event a lost row was; then it forgets the id, for the event is not here."""
    files = Files(short_tmp / "outbox.db")
    large = row(2, size=20_000)
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1), large, row(3)])
        store.checkpoint(truncate=True)
    data = bytearray(files.db.read_bytes())
    data[data.index(large.body[:50]) + 4] ^= 1
    data[100 + 8] ^= 0xFF  # and the file's schema, so that it is noticed at once
    files.db.write_bytes(data)
    with opened(files.db) as store:
        assert [number_of(row.body) for row in pending(store)] == [1, 3]
        assert store_rows(store, [large]) == [None]
        assert pending(store)[-1].seq == 4, "numbers are never used twice"
    (event,) = report_of(files)["lost"]["events"]
    assert (event["seq"], event["agent"], event["id"]) == (2, "main", large.event_id)


def test_a_loss_is_reported_once(short_tmp: Path) -> None:
    """A second salvage does not count the events again that the first one reported."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
        size = files.wal.stat().st_size
        store_rows(store, [row(2)])
    os.truncate(files.wal, size)
    for _ in range(2):
        with opened(files.db) as store:
            assert store.totals.lost_events == 1
        files.damaged.write_text("again")


def test_the_damage_marker_leads_to_a_salvage(short_tmp: Path) -> None:
    """A daemon that runs into damage leaves a note; the next start salvages and removes it."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
    files.damaged.write_text("row 1 is not a row any more")
    with opened(files.db) as store:
        assert len(pending(store)) == 1
        assert store.totals.lost_events == 0
    assert not files.damaged.exists()
    assert report_of(files)["reason"] == "row 1 is not a row any more"


def test_an_index_that_is_wrong_about_a_route_is_not_believed(short_tmp: Path) -> None:
    """One bit in the rowid of an index entry: one route under two numbers. The sealed record is right."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store, "default", "openclaw-events", "openclaw.events")
        store_rows(store, *[[row(number)] for number in range(20)])
        store.checkpoint(truncate=True)
    data = bytearray(files.db.read_bytes())
    entry = b"\x09defaultopenclaw-eventsopenclaw.events"  # 9: the serial type of the integer 1
    assert data.count(entry) == 1
    data[data.index(entry)] ^= 1
    files.db.write_bytes(data)
    with opened(files.db) as store:
        assert len(pending(store)) == 20
        assert [names[0] for names in store.identities()] == [1]
        assert store.totals.lost_events == 0
    assert report_of(files)["believed"] == "all"


@pytest.mark.parametrize("witness", ["sealed", "mark", "index"])
def test_a_route_is_named_by_the_most_trusted_witness(witness: str, short_tmp: Path) -> None:
    """Each number and each set of names counts once."""
    remains = Remains(apsw.Connection(str(short_tmp / "new.db")))
    values = (2, "r", "S", "p", 0, 0, "", 0)
    if witness == "sealed":
        remains.take(2, (None, *values[1:], seal("routes", *values)))
    remains.take(None, ("r", "S", "p", 7))
    remains.take(None, ("other", "S", "p", 3))
    remains.sort_out(None, [(3, "r", "S", "p")] if witness == "mark" else [])
    names = {number: state.stats.name for number, state in remains.routes.items()}
    assert names == {"sealed": {2: "r", 3: "other"}, "mark": {3: "r"}, "index": {7: "r", 3: "other"}}[witness]
    remains.db.close()


@pytest.mark.parametrize("trusted", [Trust.SEALED, Trust.FACTS])
def test_a_salvage_that_fails_is_tried_again_with_fewer_records(
    trusted: Trust, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage that nobody thought of must not keep the daemon from starting; at worst the outbox is empty."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, rows(1, 10))
        settle(store, 4)
    files.damaged.write_text("damaged")
    take = Remains.take

    def conflict(remains: Remains, rowid: int | None, record: tuple[Any, ...]) -> None:
        take(remains, rowid, record)
        if remains.trust > trusted:
            raise apsw.ConstraintError("UNIQUE constraint failed")

    monkeypatch.setattr(Remains, "take", conflict)
    with opened(files.db) as store:
        left = [found.seq for found in pending(store)]
        assert left == (list(range(5, 11)) if trusted is Trust.SEALED else [])
        assert store.totals.lost_events == 6 - len(left)
        assert register(store) == 1
        assert store_rows(store, [row(11)]) == [None]
        assert pending(store)[-1].seq == 11
    assert report_of(files)["believed"] == trusted.name.lower()


def test_a_disk_that_fails_is_no_reason_to_believe_less(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records may be in order: once there is room everything is saved."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, rows(1, 10))
    files.damaged.write_text("damaged")

    tried: list[Trust] = []

    def full(remains: Remains, *_: object) -> None:
        tried.append(remains.trust)
        raise apsw.FullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Remains, "sort_out", full)
        with pytest.raises(OutboxError, match="no room"), opened(files.db):
            pass
    assert tried == [Trust.ALL]
    with opened(files.db) as store:
        assert len(pending(store)) == 10
    assert report_of(files)["believed"] == "all"


def test_a_salvage_that_fails_leaves_nothing_behind(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start begins anew; neither a folder nor half a file is left for each attempt."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
    files.damaged.write_text("damaged")
    before = {path.name for path in short_tmp.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    for step in ("sync_file", "_write", "sync_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(salvage, step, full)
            with pytest.raises(OutboxError), opened(files.db):
                pass
        assert {path.name for path in short_tmp.iterdir()} - {files.quarantine.name} == before
        assert list(files.quarantine.glob("*")) == []
    with opened(files.db) as store:
        assert len(pending(store)) == 1
    assert len(list(files.quarantine.iterdir())) == 1


def test_a_salvage_that_is_killed_leaves_no_folder_behind(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start removes what was prepared for files that were never moved there."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
    files.damaged.write_text("damaged")
    with monkeypatch.context() as patch:
        patch.setattr(salvage, "_abandon", lambda files: None)
        patch.setattr(shutil, "copy2", lambda *_: pytest.exit("killed"))
        with pytest.raises(pytest.exit.Exception), opened(files.db):
            pass
    assert len(list(files.quarantine.iterdir())) == 1
    with opened(files.db) as store:
        assert store.totals.quarantines == 1
    assert len(list(files.quarantine.iterdir())) == 1


@pytest.mark.parametrize("step", ["built", "log moved", "all moved"])
def test_an_interrupted_salvage_is_finished_by_the_next_start(
    step: str, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moment the new file is complete it is the outbox; only renames are left to do."""
    files = Files(short_tmp / "outbox.db")
    with opened(files.db) as store:
        register(store)
        store_rows(store, [row(1)])
    files.damaged.write_text("damaged")
    moves = {"built": 0, "log moved": 1, "all moved": 2}[step]
    rename = Path.rename

    def crash(path: Path, target: Path) -> Path:
        nonlocal moves
        if path != files.part:
            moves -= 1
        if moves < 0:
            raise KeyboardInterrupt
        return rename(path, target)

    present = [path for path in files.set if path.exists()]
    assert len(present) == 2, "the test counts the renames"
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "rename",
            lambda path, target: crash(path, target) if path.exists() else rename(path, target),
        )
        with pytest.raises(KeyboardInterrupt), opened(files.db):
            pass
    with opened(files.db) as store:
        assert len(pending(store)) == 1
        assert (store.totals.quarantines, store.totals.lost_events) == (1, 0)
    assert not files.rebuilt.exists()


def test_the_quarantine_is_bounded(short_tmp: Path) -> None:
    """Only the newest damaged files stay; every report does."""
    files = Files(short_tmp / "outbox.db")
    for _ in range(salvage.KEPT + 2):
        with opened(files.db) as store:
            register(store)
        files.damaged.write_text("damaged")
    with opened(files.db, SETTINGS, TUNING):
        pass
    assert len(list(files.quarantine.glob("*/outbox.db"))) == salvage.KEPT
    assert len(list(files.quarantine.glob(f"*/{salvage.REPORT}"))) == salvage.KEPT + 2


def test_the_quarantine_is_only_ours_as_far_as_we_made_it(short_tmp: Path) -> None:
    """A folder from the future (the clock was set back), and what an operator put there, stay as they are."""
    files = Files(short_tmp / "outbox.db")
    future = files.quarantine / "20990101T000000.000000Z"
    old, foreign = files.quarantine / "20000101T000000.000000Z", files.quarantine / "20000101-notes"
    for folder in (future, old, foreign):
        (folder / "sub").mkdir(parents=True)
        (folder / "outbox.db").write_text("x")
        (folder / "notes.txt").write_text("x")
    for number in range(salvage.KEPT):
        with opened(files.db) as store:
            register(store)
            store_rows(store, [row(number)])
        files.damaged.write_text("damaged")
        with opened(files.db):
            pass
    assert {path.name for path in future.iterdir()} == {"outbox.db", "notes.txt", "sub"}
    assert {path.name for path in foreign.iterdir()} == {"outbox.db", "notes.txt", "sub"}
    assert {path.name for path in old.iterdir()} == {"notes.txt", "sub"}
    made = sorted(path for path in files.quarantine.iterdir() if path not in (future, old, foreign))
    assert len(made) == salvage.KEPT
    assert (made[-1] / "outbox.db").stat().st_size > 1
    assert all((folder / salvage.REPORT).exists() for folder in made)


def test_an_interrupted_swap_goes_on_with_its_own_folder(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the one whose name is the greatest: that may be from a time when the clock was wrong."""
    files = Files(short_tmp / "outbox.db")
    future = files.quarantine / "20990101T000000.000000Z"
    future.mkdir(parents=True)
    with opened(files.db) as store:
        register(store)
    files.damaged.write_text("damaged")
    with monkeypatch.context() as patch:
        patch.setattr(salvage, "_finish_swap", lambda files: files.rebuilt.exists() and pytest.exit("killed"))
        with pytest.raises(pytest.exit.Exception), opened(files.db):
            pass
    assert files.rebuilt.exists()
    with opened(files.db):
        pass
    assert list(future.iterdir()) == []
    (folder,) = (path for path in files.quarantine.iterdir() if path != future)
    assert {"outbox.db", "outbox.db-wal", salvage.REPORT} <= {path.name for path in folder.iterdir()}
    assert not files.quarantining.exists()
