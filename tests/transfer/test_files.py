"""Files of records: whole or not there, and read whatever they are packed with."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from eventd.transfer.files import DamagedFile, Unpacked, written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = b"".join(b'{"number":%d}\n' % number for number in range(50_000))
SUFFIXES = pytest.mark.parametrize("suffix", [".ndjson", ".gz", ".zst"])


def unpacked(path: Path, size: int = 10_000) -> bytes:
    with path.open("rb") as file:
        source = Unpacked(file)
        parts = []
        while part := source.read(size):
            assert len(part) <= size
            parts.append(part)
        assert source.taken == source.size == path.stat().st_size
    return b"".join(parts)


@SUFFIXES
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    with written(path) as file:
        for start in range(0, len(CONTENT), 4096):
            file.write(CONTENT[start : start + 4096])
        assert not path.exists(), "it has its name when it is whole"
    assert unpacked(path) == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert (path.stat().st_size < len(CONTENT) / 5) == (suffix != ".ndjson")


def test_tools_of_others_read_it(tmp_path: Path) -> None:
    with written(tmp_path / "a.gz") as packed, written(tmp_path / "b.zst") as smaller:
        packed.write(CONTENT)
        smaller.write(CONTENT)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == CONTENT
    assert zstd.decompress((tmp_path / "b.zst").read_bytes()) == CONTENT


@SUFFIXES
def test_after_an_error_the_file_from_before_is_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    path.write_bytes(b"before")

    def write_and_stop() -> None:
        with written(path) as file:
            file.write(CONTENT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    """Nobody knows the name that it has meanwhile."""
    path = tmp_path / "no-folder" / "events.ndjson"
    with pytest.raises(FileNotFoundError) as failed, written(path):
        pass
    assert failed.value.filename == str(path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.ndjson", tmp_path / "link.ndjson"
    link.symlink_to(target)
    with written(link) as file:
        file.write(CONTENT)
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT


def test_a_pipe_is_written_to_and_read_from(tmp_path: Path) -> None:
    """There it cannot be undone; its size is not known."""
    path = tmp_path / "pipe.gz"
    os.mkfifo(path)

    def write() -> None:
        with written(path) as file:
            file.write(CONTENT)

    writer = threading.Thread(target=write)
    writer.start()
    with path.open("rb") as file:
        source = Unpacked(file)
        assert source.size is None
        assert b"".join(iter(lambda: source.read(65536), b"")) == CONTENT
        assert source.taken == 0
    writer.join(10)
    assert path.is_fifo()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damage_is_told_once_what_is_sound_has_been_read(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"events{suffix}"
    with written(path) as file:
        file.write(CONTENT)
    packed = bytearray(path.read_bytes())
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[-6] ^= 0xFF
    path.write_bytes(packed)
    read = io.BytesIO()
    with path.open("rb") as file:
        source = Unpacked(file)
        with pytest.raises(DamagedFile):
            read.writelines(iter(lambda: source.read(1000), b""))
    assert CONTENT.startswith(read.getvalue())
