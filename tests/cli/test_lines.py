"""Reading lines from a descriptor: whatever the chunks, the same lines."""

import os
import threading
from collections.abc import Sequence

import pytest

from eventd.cli import lines
from eventd.cli.lines import Line, LineReader

TEXT = b'\xef\xbb\xbf{"a": 1}\n\n  \n{"b": 2}\r\n{"c": "' + b"x" * 300 + b'"}\n{"last": 1}'
LINES = [
    (1, b'{"a": 1}', 12),
    (4, b'{"b": 2}\r', 26),
    (5, b'{"c": "' + b"x" * 300 + b'"}', 336),
    (6, b'{"last": 1}', 348),
]


def read(chunks: Sequence[bytes]) -> list[list[Line]]:
    """Return what is read from a pipe into which the chunks are written."""
    reading, writing = os.pipe()

    def write() -> None:
        for chunk in chunks:
            os.write(writing, chunk)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return list(LineReader(reading))
    finally:
        writer.join()
        os.close(reading)


def flat(batches: list[list[Line]]) -> list[tuple[int, bytes | None, int]]:
    return [(line.number, line.text, line.end) for batch in batches for line in batch]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1000])
def test_lines_are_the_same_however_they_arrive(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Numbers count empty lines too; a mark at the beginning and a missing end of line do no harm."""
    monkeypatch.setattr(lines, "CHUNK", chunk)
    assert flat(read([TEXT])) == LINES


def test_an_empty_input_has_no_lines() -> None:
    """Nor has one of empty lines."""
    assert read([]) == []
    assert flat(read([b"\n\n"])) == []


@pytest.mark.parametrize("chunk", [1, 10, 1000])
@pytest.mark.parametrize("end", [b"\n{}\n", b"\n{}"])
def test_a_line_that_is_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch, chunk: int, end: bytes) -> None:
    """It is told without its text, and the next one is read again."""
    monkeypatch.setattr(lines, "CHUNK", chunk)
    monkeypatch.setattr(lines, "MAX_LINE", 20)
    read_lines = flat(read([b"{}\n" + b"x" * 50 + end]))
    assert [(number, text) for number, text, _ in read_lines] == [(1, b"{}"), (2, None), (3, b"{}")]


def test_a_last_line_that_is_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without an end of line."""
    monkeypatch.setattr(lines, "MAX_LINE", 20)
    assert [line.text for batch in read([b"x" * 50]) for line in batch] == [None]


def test_what_is_there_is_given_before_more_comes() -> None:
    """A line is not kept back until the writer goes on."""
    reading, writing = os.pipe()
    reader = LineReader(reading)
    batches = iter(reader)
    os.write(writing, b"one\ntw")
    assert [line.text for line in next(batches)] == [b"one"]
    assert not reader.has_more()
    os.write(writing, b"o\n")
    assert reader.has_more()
    assert [line.text for line in next(batches)] == [b"two"]
    os.close(writing)
    assert reader.has_more()
    assert next(batches, None) is None
    os.close(reading)
