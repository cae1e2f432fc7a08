"""Rights and owners of files: who can read a secret is named, and the fix takes it away, no more."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from doctor.patient import all_text, of
from eventd.config.load import load_file
from eventd.config.settings import Config
from eventd.doctor.configuration import warnings_of
from eventd.doctor.files import examine_files
from eventd.doctor.model import Level
from support.users import FIRST_USER, only_root


def load(folder: Path, mode: int = 0o600, **settings: Any) -> Config:
    """Return the configuration of a file in a folder."""
    file = folder / "config.yml"
    file.write_text(json.dumps({"gateway": {"eventStore": {"dataDir": str(folder / "data"), **settings}}}))
    file.chmod(mode)
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    return load_file(file)


def secret(folder: Path, mode: int) -> Path:
    path = folder / "password"
    path.write_text("hunter2\n")
    path.chmod(mode)
    return path


def test_files_for_nobody_else_are_well(tmp_path: Path) -> None:
    """A group may be meant where the file was named by a person."""
    password = secret(tmp_path, 0o640)
    config = load(tmp_path, url="nats://h:4222", user="a", passwordFile=str(password))
    findings, exposed = examine_files(config)
    assert of(findings, "config.files").level is Level.OK
    assert not exposed


@pytest.mark.parametrize(("mode", "level"), [(0o644, Level.WARNING), (0o666, Level.PROBLEM)])
def test_a_secret_that_everybody_can_use(tmp_path: Path, mode: int, level: Level) -> None:
    """It is told once, though the loader warns of it as well; and the fix leaves owner and group alone."""
    password = secret(tmp_path, mode)
    config = load(tmp_path, url="nats://h:4222", user="a", passwordFile=str(password))
    assert config.warnings
    findings, exposed = examine_files(config)
    found = of(findings, "config.files")
    assert (found.level, found.remedy) == (level, f"chmod o-rwx {password}")
    assert not warnings_of(config, exposed)
    assert "hunter2" not in all_text(findings)
    assert found.fix is not None
    anyio.run(found.fix.apply)
    assert stat.S_IMODE(password.stat().st_mode) == mode & ~0o007
    assert of(examine_files(config)[0], "config.files").level is Level.OK


def test_a_config_file_with_a_secret_in_it(tmp_path: Path) -> None:
    """Without one it may be read by all, and be written by its owner."""
    assert of(examine_files(load(tmp_path, 0o644))[0], "config.files").level is Level.OK
    config = load(tmp_path, 0o644, url="nats://a:hunter2@h:4222")
    assert of(examine_files(config)[0], "config.files").level is Level.WARNING
    assert of(examine_files(load(tmp_path, 0o646))[0], "config.files").level is Level.PROBLEM


def test_warnings_of_the_loader_that_are_about_something_else_stay(tmp_path: Path) -> None:
    """Such as of an open socket."""
    config = load(tmp_path, socket={"mode": "0666"})
    assert [f.level for f in warnings_of(config, examine_files(config)[1])] == [Level.WARNING]


@pytest.mark.parametrize("name", ["outbox.db", "index.db-wal", "admin.token", "embedded/client.nk"])
def test_eventds_own_files_are_for_its_user_alone(tmp_path: Path, name: str) -> None:
    """As after a careless restore."""
    config = load(tmp_path)
    (config.data_dir / "embedded").mkdir(mode=0o700)
    file = config.data_dir / name
    file.write_text("")
    file.chmod(0o640)
    found = of(examine_files(config)[0], "config.files")
    assert (found.level, str(file) in found.found) == (Level.WARNING, True)
    assert found.fix is not None
    anyio.run(found.fix.apply)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@only_root
def test_a_file_that_another_user_has_made(tmp_path: Path) -> None:
    """As after `sudo eventd run`: the daemon cannot write it any more."""
    config = load(tmp_path)
    outbox = config.data_dir / "outbox.db"
    outbox.write_text("")
    outbox.chmod(0o600)
    os.chown(config.data_dir, FIRST_USER, FIRST_USER)
    found = of(examine_files(config)[0], "config.files")
    assert (found.level, f"chown -R {FIRST_USER}" in found.remedy) == (Level.PROBLEM, True)
