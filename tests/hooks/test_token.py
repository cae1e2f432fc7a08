"""The administrator's token stands in for one that was not named, and only before its owner's own socket."""

import os
from pathlib import Path

import pytest

from eventd.hooks import token
from support.users import only_root


@pytest.fixture
def data(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the daemon of this user."""
    folder = short_tmp / "eventd"
    folder.mkdir()
    monkeypatch.setattr(token, "_SYSTEM_DATA", str(folder))
    (folder / "admin.token").write_text("the-token\n")
    (short_tmp / "s.sock").touch()
    return folder


def found(data: Path) -> str | None:
    return token.admin_token({"XDG_DATA_HOME": str(data.parent)}, str(data.parent / "s.sock"))


def test_it_is_found_where_the_daemon_keeps_it(data: Path) -> None:
    assert found(data) == "the-token"
    (data / "admin.token").write_text("")
    assert found(data) is None
    (data / "admin.token").unlink()
    assert found(data) is None


@only_root
def test_it_is_not_shown_to_somebody_else(data: Path) -> None:
    """Whose socket it is has to be whose token it is."""
    os.chown(data.parent / "s.sock", 4711, -1)
    assert found(data) is None
    (data.parent / "s.sock").unlink()
    assert found(data) is None


def test_a_named_one_is_taken_as_it_is() -> None:
    assert token.named_token({"EVENTD_TOKEN": "t"}) == "t"
    assert token.named_token({"EVENTD_TOKEN": ""}) is None
