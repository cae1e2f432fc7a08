"""What counts is what files hold; folders are watched wherever a change could come from."""

import os
from pathlib import Path

import pytest

from eventd.reload.files import Contents, folders_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_text("one")
    return file


def test_the_same_content_is_no_change(file: Path) -> None:
    """However it came there."""
    contents = Contents()
    before = contents.look([file])
    os.utime(file, (1, 1))
    assert contents.look([file]) == before
    other = file.with_name("other")
    other.write_text("one")
    other.replace(file)
    assert contents.look([file]) == before
    file.unlink()
    file.symlink_to("elsewhere")
    file.with_name("elsewhere").write_text("one")
    assert contents.look([file]) == before


def test_other_content_is_a_change(file: Path) -> None:
    """Also of the same size, at the same time of day."""
    contents = Contents()
    before = contents.look([file])
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("two")
    os.utime(file, ns=times)
    assert contents.look([file]) != before


def test_a_file_that_cannot_be_read_is_told_by_the_reason(file: Path) -> None:
    contents = Contents()
    before = contents.look([file])
    file.unlink()
    gone = contents.look([file])
    assert gone == {file: "No such file or directory"}
    file.mkdir()
    assert contents.look([file]) == {file: "it is no regular file"}
    file.rmdir()
    os.mkfifo(file)
    assert contents.look([file]) == {file: "it is no regular file"}
    file.unlink()
    file.write_text("one")
    assert contents.look([file]) == before


def test_only_the_named_files_count(file: Path) -> None:
    contents = Contents()
    assert contents.look([]) == {}
    assert list(contents.look([file, file.with_name("b")])) == [file, file.with_name("b")]


def test_the_folders_of_plain_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    files = [tmp_path / "a" / "x", tmp_path / "y", tmp_path / "b" / "c" / "z"]
    assert folders_of(files) == {tmp_path / "a", tmp_path}


def test_the_folders_of_links(tmp_path: Path) -> None:
    """Each of them can be replaced."""
    for name in ("etc", "mount", "mount/v1"):
        (tmp_path / name).mkdir()
    (tmp_path / "mount" / "v1" / "config.yml").write_text("")
    (tmp_path / "mount" / "..data").symlink_to("v1")
    (tmp_path / "mount" / "config.yml").symlink_to("..data/config.yml")
    (tmp_path / "etc" / "config.yml").symlink_to("../mount/config.yml")
    expected = {tmp_path / "etc", tmp_path / "mount", tmp_path / "mount" / "v1"}
    assert {folder.resolve() for folder in folders_of([tmp_path / "etc" / "config.yml"])} == expected


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert folders_of([tmp_path / "a"]) == {tmp_path}
    assert Contents().look([tmp_path / "a"]) == {tmp_path / "a": "Too many levels of symbolic links"}
