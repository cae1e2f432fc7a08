"""The folder of the embedded server: private, one user at a time, stable over restarts."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from eventd.embedded.store import StoreFolder
from eventd.errors import EmbeddedServerError

MAX_PAYLOAD = 8 * 2**20


class Disk(NamedTuple):
    """What `shutil.disk_usage` says."""

    total: int
    free: int


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    """A folder whose lock we hold to the end of the test process."""
    made = StoreFolder(tmp_path / "embedded")
    assert made.lock() is not None
    return made


def test_everything_is_for_us_alone(folder: StoreFolder) -> None:
    """Streams hold what agents said, and the key opens them."""
    folder.write_config(folder.choose_port(), MAX_PAYLOAD)
    for path in (folder.folder, *folder.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_existing_folder_is_closed_to_others(tmp_path: Path) -> None:
    """Its mode is set, not just hoped for."""
    tmp_path.chmod(0o755)
    StoreFolder(tmp_path).lock()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_key_and_name_are_stable(folder: StoreFolder) -> None:
    """A client that knows the key can log in after a restart, too."""
    name = folder.write_config(4222, MAX_PAYLOAD)
    seed = folder.nkey.reveal()
    again = StoreFolder(folder.folder)
    assert again.write_config(4222, MAX_PAYLOAD) == name
    assert again.nkey.reveal() == seed


def test_the_configuration_holds_no_secret(folder: StoreFolder) -> None:
    """Only the public half of the key is in it."""
    folder.write_config(4222, MAX_PAYLOAD)
    seed = folder.nkey.reveal()
    assert seed.startswith("SU")
    assert seed not in folder.config.read_text()


def test_a_spoiled_key_is_explained(folder: StoreFolder) -> None:
    """The hint says what to do."""
    folder.write_config(4222, MAX_PAYLOAD)
    key = folder.nkey.path
    assert key is not None
    key.write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match="does not hold an nkey seed") as caught:
        folder.write_config(4222, MAX_PAYLOAD)
    assert "delete it" in caught.value.hint


def test_the_lock_is_held_by_whoever_inherits_it(folder: StoreFolder, tmp_path: Path) -> None:
    """The daemon may be gone: as long as a server has the descriptor, nobody else gets the store."""
    other = StoreFolder(tmp_path / "other")
    lock = other.lock()
    assert lock is not None
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
    ) as server:
        os.close(lock)
        assert other.lock() is None
        assert other.holder() == str(os.getpid())
        server.communicate(b"\n")
    assert other.lock() is not None


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """The path and the remedy are named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"file/embedded.*Not a directory") as caught:
        StoreFolder(tmp_path / "file" / "embedded").lock()
    assert "writable" in caught.value.hint


def test_the_port_of_last_time_is_kept_while_it_is_free(folder: StoreFolder) -> None:
    """Other programs of this user may have it in their settings."""
    port = folder.choose_port()
    assert folder.choose_port() == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        changed = folder.choose_port()
        assert changed != port
    assert StoreFolder(folder.folder).choose_port() == changed


@pytest.mark.parametrize("text", ["", "x", "0", "70000", "-1"])
def test_a_spoiled_port_file_is_replaced(folder: StoreFolder, text: str) -> None:
    """It is only a wish."""
    (folder.folder / "port").write_text(text)
    port = folder.choose_port()
    assert 0 < port < 65536
    assert folder.choose_port() == port


def test_what_streams_take_already_counts_as_room_for_streams(
    folder: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a restart on a disk that they half fill would leave them no room at all."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(total=10_000, free=1_000))
    blocks = folder.folder / "jetstream" / "stream"
    blocks.mkdir(parents=True)
    (blocks / "1.blk").write_bytes(b"x" * 8_000)
    folder.write_config(4222, MAX_PAYLOAD)
    assert "max_file_store: 8500\n" in folder.config.read_text()


@pytest.mark.parametrize(("free", "room"), [(0, False), (999, False), (1_000, True)])
def test_room_begins_at_twice_the_reserve(
    folder: StoreFolder, monkeypatch: pytest.MonkeyPatch, free: int, room: bool
) -> None:
    """The distance keeps a disk at its limit from causing one restart after another."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(total=10_000, free=free))
    assert folder.has_room() is room
