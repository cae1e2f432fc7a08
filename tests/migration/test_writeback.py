"""Files are written below the folder that is named, and nowhere else."""

from pathlib import Path

import pytest

from eventd.migration.writeback import TargetNotEmpty, _write, prepare


@pytest.mark.parametrize(
    "path", [b"../out", b"/etc/out", b"a/../../out", b"", b"a//b", b"./a", b"a/", b"a\0b", b"..", b"a/.."]
)
def test_no_path_leads_out(tmp_path: Path, path: bytes) -> None:
    """Whatever an event says."""
    folder = tmp_path / "t"
    folder.mkdir()
    with pytest.raises(ValueError, match="leads elsewhere"):
        _write(bytes(folder), path, b"x")
    assert list(tmp_path.rglob("*")) == [folder]


def test_no_link_is_followed_and_no_file_overwritten(tmp_path: Path) -> None:
    """Also where somebody puts one there meanwhile."""
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "file").symlink_to(tmp_path / "made")
    (folder / "there").write_bytes(b"mine")
    for path in (b"out/made", b"file", b"there", b"there/below"):
        with pytest.raises(OSError, match=r"."):
            _write(bytes(folder), path, b"x")
    assert not (tmp_path / "made").exists()
    assert (folder / "there").read_bytes() == b"mine"


def test_what_is_written_is_private(tmp_path: Path) -> None:
    """Memories are nobody else's business."""
    _write(bytes(tmp_path), b"a/b/c.md", b"text")
    assert (tmp_path / "a/b/c.md").read_bytes() == b"text"
    assert (tmp_path / "a/b/c.md").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


def test_only_an_empty_folder_will_do(tmp_path: Path) -> None:
    """Or one that is new."""
    prepare(tmp_path / "a" / "b")
    prepare(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(TargetNotEmpty):
            prepare(taken)
