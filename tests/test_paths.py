"""Which file is the configuration, and where the data is."""

import os
from pathlib import Path

import platformdirs
import pytest

from eventd import paths


@pytest.fixture
def candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The user's and the system's place, in a folder of the test."""
    user, system = tmp_path / "user" / "config.yml", tmp_path / "system" / "config.yml"
    monkeypatch.setattr(paths, "user_config", lambda: user)
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", system)
    for path in (user, system):
        path.parent.mkdir()
    return user, system


def test_the_users_config_comes_before_the_systems(candidates: tuple[Path, Path]) -> None:
    """And none of them is no error."""
    user, system = candidates
    assert paths.find_config({}) is None
    system.touch()
    assert paths.find_config({}) == system
    user.touch()
    assert paths.find_config({}) == user


def test_the_variable_names_the_only_file(candidates: tuple[Path, Path]) -> None:
    """Also one that is not there: the loader says so, in place of running with another file."""
    candidates[0].touch()
    assert paths.find_config({"EVENTD_CONFIG": "/named/c.yml"}) == Path("/named/c.yml")
    assert paths.find_config({"EVENTD_CONFIG": "~/c.yml"}) == Path.home() / "c.yml"
    assert paths.find_config({"EVENTD_CONFIG": ""}) == candidates[0]


def test_a_config_that_cannot_be_looked_at_is_not_passed_over(candidates: tuple[Path, Path]) -> None:
    """A loop of links stands for whatever else the system refuses."""
    user, system = candidates
    system.touch()
    user.symlink_to(user)
    assert paths.find_config({}) == user
    user.unlink()
    user.parent.rmdir()
    user.parent.touch()
    assert paths.find_config({}) == system


def test_the_platforms_folders_are_used() -> None:
    """`~/.config/eventd` on Linux, `~/Library/Application Support/eventd` on macOS."""
    assert paths.user_config() == platformdirs.user_config_path("eventd", appauthor=False) / "config.yml"
    assert list(paths.config_candidates()) == [paths.user_config(), Path("/etc/eventd/config.yml")]


@pytest.mark.parametrize(
    ("uid", "state", "wanted"),
    [
        (0, "", Path("/var/lib/eventd")),
        (1000, "", None),
        (0, "/var/lib/private/eventd", Path("/var/lib/private/eventd")),
        (1000, "/srv/a:/srv/b", Path("/srv/a")),
    ],
)
def test_where_the_data_is(
    uid: int, state: str, wanted: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd's state folder, else root's, else the user's."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert paths.data_folder({"STATE_DIRECTORY": state}) == (
        wanted or platformdirs.user_data_path("eventd", appauthor=False)
    )


@pytest.mark.parametrize(("uid", "place"), [(0, 1), (1000, 0)])
def test_where_a_new_config_is_written(
    uid: int, place: int, candidates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is then found: root configures the system, others themselves."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert paths.new_config({}) == candidates[place]
    assert paths.new_config({"EVENTD_CONFIG": "/c.yml"}) == Path("/c.yml")


def test_the_names_in_the_data_folder() -> None:
    """Operators back them up by name."""
    data = Path("/data")
    assert paths.outbox_file(data) == Path("/data/outbox.db")
    assert paths.index_file(data) == Path("/data/index.db")
    assert paths.embedded_folder(data) == Path("/data/embedded")
