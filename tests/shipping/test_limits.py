"""What servers take is known after a restart, and a lost file is no trouble."""

from pathlib import Path

import pytest

from eventd.shipping.limits import Limits


def test_a_limit_is_known_after_a_restart(tmp_path: Path) -> None:
    limits = Limits(tmp_path / "limits.json")
    limits.note(1, 1_048_576)
    limits.note(2, 8_388_608)
    limits.note(1, 65_536)
    assert Limits(tmp_path / "limits.json").items() == [(1, 65_536), (2, 8_388_608)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"1": "x"}', "\x00\xff"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(content)
    limits = Limits(path)
    assert limits.items() == []
    limits.note(1, 5)
    assert Limits(path).items() == [(1, 5)]


def test_a_folder_that_cannot_be_written_does_not_stop_anything(tmp_path: Path) -> None:
    limits = Limits(tmp_path / "missing" / "limits.json")
    limits.note(1, 5)
    assert limits.items() == [(1, 5)]
