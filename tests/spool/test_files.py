"""The spool on a real disk: order, bounds, and that nothing half or foreign is read."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventd.spool import files, places
from eventd.spool.files import Spool, SpoolFull, Unreadable
from support.users import only_root


def document(session: str = "s", number: int = 0) -> dict[str, object]:
    return {"agent": "a", "session": session, "events": [{"type": "note", "payload": {"number": number}}]}


def numbers(spool: Spool) -> list[int]:
    return [spool.read(file)["events"][0]["payload"]["number"] for file in spool.files()]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path / "spool"))


def only(spool: Spool) -> tuple[files.Spooled, Path]:
    (file,) = spool.files()
    return file, Path(spool.folder) / file.name


def test_files_come_back_in_the_order_in_which_they_were_written(spool: Spool) -> None:
    assert spool.files() == []
    for number in range(12):
        spool.write(document(f"s{number % 3}", number))
    assert numbers(spool) == list(range(12))
    assert spool.waits("s1")
    assert not spool.waits("s4")
    spool.remove(*spool.files())
    assert spool.files() == []


def test_a_clock_that_is_set_back_changes_no_order(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([50, 40, 10, 60, 5])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    for number in range(5):
        spool.write(document(number=number))
    assert numbers(spool) == list(range(5))


def test_the_folder_and_its_files_are_their_users_alone(spool: Spool) -> None:
    umask = os.umask(0)
    try:
        spool.write(document())
    finally:
        os.umask(umask)
    _, path = only(spool)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_many_writers_at_once_write_all_of_it(spool: Spool) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: spool.write(document(f"s{number}", number)), range(80)))
    assert sorted(numbers(spool)) == list(range(80))
    assert list(Path(spool.folder).glob(".*")) == []


def test_it_is_bounded_by_number_and_by_bytes(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    for number in range(3):
        spool.write(document(number=number))
    with pytest.raises(SpoolFull):
        spool.write(document())
    monkeypatch.setattr(files, "MAX_FILES", 100)
    monkeypatch.setattr(files, "MAX_BYTES", sum(file.size for file in spool.files()) + 10)
    with pytest.raises(SpoolFull):
        spool.write(document())


@pytest.mark.parametrize("change", ["cut", "longer", "no JSON", "no events", "link", "pipe", "folder"])
def test_what_is_torn_or_no_file_of_ours_is_not_read(spool: Spool, change: str, tmp_path: Path) -> None:
    spool.write(document())
    file, path = only(spool)
    body = path.read_bytes()
    match change:
        case "cut":
            path.write_bytes(body[:-5])
        case "longer":
            path.write_bytes(body + b" ")
        case "no JSON":
            path.write_bytes(b"{" + body[1:-1] + b"x")
        case "no events":
            other = json.dumps({"v": 1, "agent": "a", "session": "s", "events": []}).encode()
            path.write_bytes(other.ljust(len(body)))
        case "link":
            (tmp_path / "elsewhere").write_bytes(body)
            path.unlink()
            path.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            path.unlink()
            os.mkfifo(path)
        case _:
            path.unlink()
            path.mkdir()
    with pytest.raises(Unreadable):
        spool.read(file)
    spool.set_aside(file.name)
    assert spool.files() == []
    assert [path.name for path in Path(spool.folder, "aside").iterdir()] == [file.name]


@only_root
def test_a_file_of_another_user_is_not_read(spool: Spool) -> None:
    spool.write(document())
    file, path = only(spool)
    os.chown(path, 4711, -1)
    with pytest.raises(Unreadable, match="no file of this user"):
        spool.read(file)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o1777])
def test_a_folder_that_others_may_use_is_not_used(spool: Spool, mode: int) -> None:
    Path(spool.folder).mkdir()
    Path(spool.folder).chmod(mode)
    with pytest.raises(PermissionError):
        spool.write(document())
    with pytest.raises(PermissionError):
        spool.files()


def test_what_was_never_finished_is_found_once_its_writer_must_be_gone(spool: Spool) -> None:
    """What is somebody else's is not: the variable may name a folder that holds more than the spool."""
    spool.write(document())
    file, path = only(spool)
    folder = path.parent
    for name in ("notes.txt", ".profile", f".{file.name}", f".1{file.name[1:]}"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    (folder / f".1{file.name[1:]}").touch()
    assert spool.unfinished() == [f".{file.name}"]


def test_one_at_a_time_empties_it(spool: Spool) -> None:
    spool.write(document())
    right = spool.begin_emptying()
    assert right is not None
    assert Spool(spool.folder).begin_emptying() is None
    spool.end_emptying(right)
    again = spool.begin_emptying()
    assert again is not None
    spool.end_emptying(again)


def test_what_was_lost_is_counted_by_many_at_once(spool: Spool) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: spool.count_lost(2), range(50)))
    assert spool.lost == 100


def test_what_is_set_aside_is_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ASIDE", 3)
    for number in range(6):
        spool.write(document(number=number))
        spool.set_aside(only(spool)[0].name)
    assert len(list(Path(spool.folder, "aside").iterdir())) == 3


def test_places_are_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.spool_folder({"EVENTD_SPOOL": "/a/b"}) == "/a/b"
    assert places.spool_folder({"XDG_STATE_HOME": "/s"}) == "/s/eventd/spool"
    monkeypatch.setenv("HOME", "/home/ada")
    assert (places.state_folder({}) or "").startswith("/home/ada/")
    monkeypatch.setenv("HOME", "")
    assert places.state_folder({}) is None
