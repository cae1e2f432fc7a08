"""A backup that is not what was written is refused by the name of the file, before anything is changed."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup.conftest import SiteFactory
from backup.site import KILLED, Site
from eventd.backup.folder import Folder
from eventd.backup.manifest import DamagedBackup, dump
from support.daemon import Daemon
from support.disks import NoDisk, fill, small_disk
from support.jetstream import STREAM
from support.load import Shape, emit
from support.nats import NatsServer
from support.rounds import FULL

FILES = ["MANIFEST.yml", "config-2.yml", "outbox-2.ndjson.zst", "1-full.snapshot", "1-31-40.ndjson.zst"]
"""One of each kind, as `made` has them."""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder with a full backup and one that was added, and rows that wait; tests copy it."""
    with (
        tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as root,
        NatsServer(Path(root) / "n") as server,
        Daemon(Path(root) / "d", {"url": server.url}) as daemon,
    ):
        site, folder = Site(daemon, server), Path(root) / "backup"
        site.emit(1, 30)
        site.backup(folder)
        site.emit(31, 40)
        server.stop()
        emit(daemon.socket, "main", range(41, 46))
        daemon.kill()
        server.start()
        site.backup(folder)
        yield folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def remove(path: Path) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path], None]] = [flip, cut, remove]


@pytest.mark.parametrize("damage", DAMAGES, ids=["flip", "cut", "remove"])
@pytest.mark.parametrize("name", FILES)
def test_every_damage_of_every_file_is_found(
    made: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    folder = Folder(copy)
    folder.verify(folder.existing().files())  # it was sound
    [path] = copy.rglob(name)
    damage(path)
    if name == "MANIFEST.yml" and damage is remove:
        assert folder.manifest() is None
        return
    with pytest.raises(DamagedBackup, match=f"{name} is damaged") as caught:
        folder.verify(folder.existing().files())
    assert caught.value.hint


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_any_bit_of_the_manifest_counts(made: Path, tmp_path: Path, at: int) -> None:
    """A number in it that is wrong would be worse than a file that is."""
    path = Path(shutil.copytree(made, tmp_path / "copy")) / "MANIFEST.yml"
    data = bytearray(path.read_bytes())
    data[len(data) * at // 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedBackup, match=r"MANIFEST\.yml is damaged"):
        Folder(path.parent).manifest()


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "streams/../../outside"])
def test_a_file_outside_of_the_folder_is_none_of_a_backup(made: Path, tmp_path: Path, name: str) -> None:
    """However right the checksum of the manifest is."""
    folder = shutil.copytree(made, tmp_path / "backup")
    manifest = Folder(folder).existing()
    assert manifest.config is not None
    manifest.config.name = name
    (folder / "MANIFEST.yml").write_bytes(dump(manifest))
    with pytest.raises(DamagedBackup, match=f"{name}' is not inside of the folder"):
        Folder(folder).existing()


def test_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", Folder(tmp_path / "backup")
    victim.write_bytes(b"dear")
    with folder.writing():
        (folder.path / "config-1.yml.part").symlink_to(victim)
        folder.add("config-1.yml", b"new")
    assert victim.read_bytes() == b"dear"
    assert not (folder.path / "config-1.yml").is_symlink()


def test_a_restore_refuses_by_name_and_changes_nothing(made: Path, tmp_path: Path, site: Site) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    flip(next(copy.rglob("1-31-40.ndjson.zst")))
    for command in (("restore", copy), ("restore", copy, "--verify-only"), ("backup", copy, "--verify")):
        ended = site.run(*command)
        assert ended.code == 1
        assert "1-31-40.ndjson.zst is damaged" in ended.err
    assert site.run("restore", made, "--dry-run").code == 0
    assert site.streams.last_seq() == 0
    status = site.daemon.status()
    assert status["outbox"]["accepted"] == 0


IN_A_FILE = """
import os
from eventd.backup import folder
def write(self, data, write=folder.NewFile.write):
    write(self, data)
    self._file.flush()
    if self.size > 100: os.kill(os.getpid(), 9)
folder.NewFile.write = write
"""
BEFORE_THE_MANIFEST = """
import os
from eventd.backup import folder
folder.Folder.finish = lambda self, manifest: os.kill(os.getpid(), 9)
"""
BEFORE_IT_HAS_ITS_NAME = """
import os, pathlib
def replace(self, target, replace=pathlib.Path.replace):
    if target.name == "MANIFEST.yml": os.kill(os.getpid(), 9)
    return replace(self, target)
pathlib.Path.replace = replace
"""


@pytest.mark.parametrize(
    "mutation",
    [IN_A_FILE, BEFORE_THE_MANIFEST, BEFORE_IT_HAS_ITS_NAME],
    ids=["in a file", "before the manifest", "before it has its name"],
)
@pytest.mark.parametrize("options", [(), ("--full",)] if FULL else [()], ids=["added", "full"][: 1 + FULL])
def test_a_backup_that_is_killed_leaves_the_one_before(
    made_site: tuple[Site, Path], tmp_path: Path, mutation: str, options: tuple[str, ...]
) -> None:
    """It can be used; the next backup removes what was left, and is whole."""
    site, made = made_site
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    before = (copy / "MANIFEST.yml").read_bytes()
    ended = site.run_broken(mutation, "backup", copy, *options)
    assert ended.returncode == KILLED, ended
    assert (copy / "MANIFEST.yml").read_bytes() == before
    Folder(copy).verify(Folder(copy).existing().files())
    assert site.backup(copy, *options)[STREAM]["events"] == (20 if options else 10)
    manifest = Folder(copy).existing()
    Folder(copy).verify(manifest.files())
    there = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert there == {file.name for file in manifest.files()} | {"MANIFEST.yml"}


@pytest.fixture(scope="module")
def made_site() -> Iterator[tuple[Site, Path]]:
    """A site, and a backup of it that it has gone beyond."""
    with (
        tempfile.TemporaryDirectory(prefix="ev", dir="/tmp") as root,
        NatsServer(Path(root) / "n") as server,
        Daemon(Path(root) / "d", {"url": server.url}) as daemon,
    ):
        site, folder = Site(daemon, server), Path(root) / "backup"
        site.emit(1, 10)
        site.backup(folder)
        site.emit(11, 20)
        site.streams.edit(max_msg_size=2000)
        emit(daemon.socket, "main", [21], Shape(size=3000))  # so that another outbox is backed up, too
        daemon.wait_for(lambda status: status["outbox"]["dead_rows"], what="it is a dead letter")
        yield site, folder


KILL_PUTTING = """
import os
from eventd.backup import putting
putting.FRAME_EVENTS = 50
def _frames(events, client, frames=putting._frames):
    for number, frame in enumerate(frames(events, client)):
        if number == 3: os.kill(os.getpid(), 9)
        yield frame
putting._frames = _frames
"""


def test_a_restore_that_is_killed_is_finished_by_another(site: Site, other: Site, folder: Path) -> None:
    """The set is the same as without the kill, in the same order."""
    site.emit(1, 300)
    site.backup(folder, "--records")
    ended = other.run_broken(KILL_PUTTING, "restore", folder)
    assert ended.returncode == KILLED, ended
    other.daemon.wait_shipped()
    there = len(other.streams.read())
    assert 0 < there < 300
    restored = other.restore(folder)[STREAM]
    assert (restored["there"], restored["restored"]) == (there, 300 - there)
    assert [m.body for m in other.streams.read()] == [m.body for m in site.streams.read()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_restore_that_is_ended_leaves_no_events_behind(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A server of its own has a snapshot unpacked by then."""
    scratch = folder.with_name("t")
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    site.emit(1, 20)
    site.backup(folder)
    site.streams.purge()
    broken = f"""
import os
from eventd.backup import putting
putting.Putter.put = lambda *args: os.kill(os.getpid(), {int(number)}) or {{}}
"""
    assert site.run_broken(broken, "restore", folder).returncode == 130
    assert list(scratch.iterdir()) == []


def test_a_disk_that_is_full(site: Site, short_tmp: Path) -> None:
    """It says so, and the backup of before is as it was; with room again the next one is whole."""
    try:
        with small_disk(short_tmp / "disk") as disk:
            folder = disk / "backup"
            site.emit(1, 10)
            site.backup(folder)
            before = (folder / "MANIFEST.yml").read_bytes()
            for first in range(11, 1000, 200):
                emit(site.daemon.socket, "main", range(first, first + 200), Shape(size=2000))
            site.daemon.wait_shipped()
            filler = fill(disk, leave=64 * 1024)
            ended = site.run("backup", folder, "--full")
            assert ended.code == 1
            assert "No space left on device" in ended.err
            assert (folder / "MANIFEST.yml").read_bytes() == before
            Folder(folder).verify(Folder(folder).existing().files())
            assert not list(folder.rglob("*.part"))
            filler.unlink()
            assert site.backup(folder, "--full")[STREAM]["events"] == 1010
    except NoDisk as error:
        pytest.skip(str(error))


def test_a_file_of_the_backup_that_is_gone_makes_the_next_one_full(
    site_factory: SiteFactory, folder: Path
) -> None:
    """To add to what cannot be restored would be to promise too much."""
    site = site_factory()
    site.emit(1, 10)
    site.backup(folder)
    next(folder.rglob("*.snapshot")).unlink()
    site.emit(11, 20)
    taken = site.backup(folder)[STREAM]
    assert (taken["kind"], taken["events"]) == ("snapshot", 20)
    assert "1-full.snapshot in the backup is damaged" in taken["why"]
    Folder(folder).verify(Folder(folder).existing().files())
